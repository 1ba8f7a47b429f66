"""The demo from beginning to end: one swarm on the stage until nothing is left to do, then how every task ended."""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from refinery.core.outcomes import Outcome, exit_code
from refinery.demo.crew import Crew
from refinery.demo.ends import Outlook, look
from refinery.demo.hosted import cast, hosted
from refinery.demo.stage import Stage, build
from refinery.demo.story import SCENES
from refinery.errors import RefineryError
from refinery.process import StopFlag

_SWARM: Final = (
    "swarm",
    "--merge",
)  # what a person would type; the rest suits any machine, and a quick Ctrl+C
_ANY_MACHINE: Final = ("--max-load", "0", "--min-memory", "32MiB", "--min-disk", "32MiB")
_STOPS_SOON: Final = ("--drain-timeout", "2s")
_EXPECTED: Final = frozenset({0, exit_code(Outcome.AGENT_FAILED)})
_SAID: Final = re.compile(r"\[(?:(?P<worker>[^\]]*-Worker)|(?P<other>\w+))(?:-(?P<pid>\d+))?\] (?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Played:
    """The end of the demo. `seconds` is wall time."""

    outlook: Outlook
    seconds: float

    @property
    def wrong(self) -> tuple[str, ...]:
        """The tasks that ended otherwise than the story says."""
        return tuple(each.scene.id for each in self.outlook.tasks if each.differences)


@contextmanager
def demo_folder(*, keep: bool, is_github: bool = False) -> Iterator[Stage]:
    """A temporary folder for the demo; gone afterwards unless it is to be kept. A made-up GitHub goes in any case."""
    folder = Path(tempfile.mkdtemp(prefix="refinery-demo-")).resolve()
    try:
        if is_github:
            with hosted(folder / "github") as hub:
                yield Stage(folder, cast(), hub)
        else:
            yield Stage(folder, SCENES)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class Voices:
    """Who says a line of the swarm: `worker 1` and so on in the order of their first words, `merger`, `swarm`.

    After the first of them, only lines with a name count: the swarm's closing table says less than the demo's.
    """

    workers: dict[str, str] = field(default_factory=dict)
    has_begun: bool = False

    def heard(self, line: str) -> tuple[str, str] | None:
        """The name and the words; None for a line of nobody's."""
        found = _SAID.fullmatch(line)
        if found is None:
            return None if self.has_begun else ("swarm", line)
        self.has_begun = True
        if not found["worker"]:
            return found["other"].lower(), found["text"]
        return self.workers.setdefault(found["pid"], f"worker {len(self.workers) + 1}"), found["text"]


def play(stage: Stage, workers: int, stop: StopFlag, on_line: Callable[[str, str], None]) -> Played:
    """Build the stage, and have a swarm of so many workers play on it.

    `on_line` gets each line, and who said it; `$` says what would be typed.

    Raises:
        StoppedError: somebody asked to stop.
        RefineryError: the swarm ended in a way that is not part of the story.
    """
    started = time.monotonic()
    build(stage, workers)
    on_line("$", "refinery -p demo init")
    _expect("init", Crew(stage.home, stop, lambda line: on_line("init", line)).run("init"))
    voices = Voices()

    def pass_on(line: str) -> None:
        if (heard := voices.heard(line)) is not None:
            on_line(*heard)

    on_line("$", f"refinery -p demo {' '.join(_SWARM)}")
    _expect("swarm", Crew(stage.home, stop, pass_on).run(*_SWARM, *_ANY_MACHINE, *_STOPS_SOON))
    return Played(look(stage.project(), stage.scenes), time.monotonic() - started)


def _expect(verb: str, code: int) -> None:
    if code not in _EXPECTED:
        raise RefineryError(
            f"the {verb} of the demo ended with {code}",
            remedy="its lines above say why; with --keep everything stays to be looked at",
        )
