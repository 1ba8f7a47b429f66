"""The demo from beginning to end: rounds of work and merging until nothing moves, then how every task ended."""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refinery.demo.crew import Crew, Member
from refinery.demo.ends import Outlook, look
from refinery.demo.stage import Stage, build
from refinery.errors import RefineryError
from refinery.process import StopFlag

_MOST_ROUNDS: Final = 8
_UNEXPECTED: Final = frozenset({1, 2, 20})  # exit codes that no worker and no merger of the story has
_REPORTED: Final = re.compile(r"pull \d+ \(.*\): (refused|waits)$")


@dataclass(frozen=True, slots=True)
class Played:
    """The end of the demo. `seconds` is wall time."""

    outlook: Outlook
    rounds: int
    seconds: float

    @property
    def wrong(self) -> tuple[str, ...]:
        """The tasks that ended otherwise than the story says."""
        return tuple(each.scene.id for each in self.outlook.tasks if each.differences)


@contextmanager
def demo_folder(keep: bool) -> Iterator[Stage]:
    """A temporary folder for the demo; gone afterwards unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="refinery-demo-")).resolve()
    try:
        yield Stage(folder)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


class Play:
    """One demo. `on_line` gets each line with the name of who said it, `on_round` the number of each round."""

    def __init__(
        self,
        stage: Stage,
        workers: int,
        stop: StopFlag,
        on_line: Callable[[str, str], None],
        on_round: Callable[[int], None],
    ) -> None:
        self.stage, self.workers = stage, workers
        self._on_line, self._on_round = on_line, on_round
        self._stop = stop
        self._told: set[tuple[str, ...]] = set()

    def play(self) -> Played:
        """Build the stage and play until nothing moves.

        Raises:
            StoppedError: somebody asked to stop.
            RefineryError: a worker or merger failed in a way that is not part of the story.
        """
        started = time.monotonic()
        build(self.stage)
        crew = Crew(self.stage.home, self._stop, self._on_line)
        try:
            crew.finish([crew.start("init", "init")])
            rounds, outlook = self._rounds(crew)
        finally:
            crew.close()
        return Played(outlook, rounds, time.monotonic() - started)

    def _rounds(self, crew: Crew) -> tuple[int, Outlook]:
        project = self.stage.project()
        for number in range(1, _MOST_ROUNDS + 1):
            self._on_round(number)
            self._round(crew)
            outlook = look(project)
            if not outlook.moves:
                return number, outlook
        return _MOST_ROUNDS, outlook

    def _round(self, crew: Crew) -> None:
        """All workers, and the merger beside them again and again, once more when they have ended."""
        workers = [
            crew.start(f"worker {number}", "run", "--loop", "--caller", f"worker-{number}")
            for number in range(1, self.workers + 1)
        ]
        is_last = False
        while not is_last:
            is_last = all(worker.is_over for worker in workers)
            merger = crew.start("merger", "merge", shows_output=False)
            crew.finish([merger])
            self._tell(merger)
            _expect(merger)
        for worker in workers:
            _expect(worker)

    def _tell(self, merger: Member) -> None:
        """What is refused or waits, with the reasons, where that is news."""
        block: list[str] = []
        for line in [*merger.lines, ""]:
            if line.startswith(" "):
                block.append(line)
                continue
            if block and _REPORTED.match(block[0]) and tuple(block) not in self._told:
                self._told.add(tuple(block))
                for each in block:
                    self._on_line(merger.name, each)
            block = [line]


def _expect(member: Member) -> None:
    code = member.process.returncode
    if code in _UNEXPECTED or code < 0:
        raise RefineryError(
            f"the {member.name} of the demo ended with {code}",
            remedy="its lines above say why; with --keep everything stays to be looked at",
        )
