"""The children of a swarm: started, heard, started again when they die, seen off at the end. One thread, one loop."""

import selectors
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Final

from refinery.core.swarm import Ended, Standing, restart_after
from refinery.events import Event, Failed, decode
from refinery.process import StopFlag
from refinery.swarm_board import WorkerRow
from refinery.swarm_child import Child

_DYING: Final = 0.02  # seconds between two looks at a process that closed its pipes
STARTING: Final = Standing(epoch=-1, is_idle=False)


@dataclass(slots=True, eq=False)
class Slot:
    """A place for a child. `row` is its line on the board (none: it is no worker).

    `start_at`: when to start the next one (`time.monotonic()`). `gone`: none is started any more, and why.
    """

    title: str
    args: Sequence[str]
    row: WorkerRow | None = None
    cores: frozenset[int] = frozenset()
    start_at: float | None = None
    child: Child | None = None
    standing: Standing = STARTING
    deaths: int = 0
    failed: Failed | None = None
    gone: Ended | None = None

    @property
    def prefix(self) -> str:
        """What its lines begin with."""
        if self.row is not None:
            return self.row.prefix
        return f"[{self.title}-{self.child.pid if self.child is not None else 0}]"

    def retry(self, now: float) -> bool:
        """Have another child started after a death, a little later each time; False when that is enough."""
        self.deaths += 1
        seconds = restart_after(self.deaths)
        self.start_at = None if seconds is None else now + seconds
        return seconds is not None


class Fleet:
    """The children in their slots. What they say and how they end goes to the three listeners."""

    def __init__(
        self,
        stop: StopFlag,
        on_event: Callable[[Slot, Event], None],
        on_line: Callable[[Slot, str, bool], None],
        on_end: Callable[[Slot, Child], None],
    ) -> None:
        self._stop = stop
        self._on_event, self._on_line, self._on_end = on_event, on_line, on_end
        self._slots: dict[Child, Slot] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(stop, selectors.EVENT_READ)

    @property
    def running(self) -> list[Child]:
        """The children that have not ended."""
        return list(self._slots)

    def start_due(self, slots: Iterable[Slot], now: float) -> None:
        """Start what is to be started by now."""
        for slot in slots:
            if slot.start_at is not None and slot.start_at <= now and slot.child is None:
                self.start(slot, now)

    def start(self, slot: Slot, now: float) -> None:
        """Start a child in a free slot; later, where the system has no room for one."""
        slot.start_at, slot.failed, slot.standing = None, None, STARTING
        try:
            slot.child = Child.start(slot.args, slot.cores)
        except OSError as error:
            self._on_line(slot, f"cannot be started: {error}", False)
            if not slot.retry(now):
                slot.gone = Ended.GIVEN_UP
            return
        self._slots[slot.child] = slot
        slot.child.watch(self._selector)
        if slot.row is not None:
            slot.row.pid = slot.child.pid
            slot.row.turn("starting", now)

    def step(self, seconds: float) -> None:
        """Wait for lines, ends or a wish to stop, and pass on what came."""
        if any(not child.pipes for child in self._slots):  # its end is near, and nothing else will tell of it
            seconds = min(seconds, _DYING)
        for key, _ in self._selector.select(max(0.0, seconds)):
            if isinstance(key.data, Child):
                self._hear(key.data, key.fileobj)  # type: ignore[arg-type]  # a pipe of the child's
            else:
                self._stop.acknowledge()
        for child in [child for child in self._slots if child.has_ended]:
            for pipe in child.pipes:
                self._hear(child, pipe)
            child.bury(self._selector)
            slot = self._slots.pop(child)
            slot.child = None
            self._on_end(slot, child)

    def _hear(self, child: Child, pipe: IO[bytes]) -> None:
        slot = self._slots[child]
        is_events = child.is_events(pipe)
        for line in child.read(pipe, self._selector):
            if not is_events:
                self._on_line(slot, line, False)
                continue
            try:
                event = decode(line)
            except ValueError:
                self._on_line(slot, line, True)
            else:
                self._on_event(slot, event)

    def tell(self, epoch: int) -> None:
        """There are news for everybody."""
        for child in self._slots:
            child.tell(epoch)

    def kill(self) -> None:
        """End what did not end."""
        for child in self._slots:
            child.kill()

    def close(self) -> None:
        """Let go of whatever still runs, after a mistake of ours: it drains, as if we had been killed."""
        for child in self._slots:
            child.bury(self._selector)
        self._selector.close()
