"""The child's side of a swarm: a worker or merger that reports events, waits for news, and ends with its supervisor.

The supervisor holds the other end of standard input: a line there is the number of the latest news ("look again"), and
its end means that the supervisor is gone, however it went; then the child drains. Events go to what was standard
output. A supervisor that does not read never blocks a child: its agent's lines are dropped first.
"""

import os
import random
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from refinery.core.outcomes import ENDINGS, After, Outcome
from refinery.errors import ForgeUnavailableError, RateLimitedError, RefineryError, UsageError
from refinery.events import Event, Failed, Idle, Line, Looked, Looks, Passed, Result, Waiting, encode
from refinery.home import explain
from refinery.looping import run_once
from refinery.process import Stop, StopFlag
from refinery.worker import Worker

_PATIENCE: Final = 900.0  # seconds that a forge may be silent before a process gives up
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_MOST_KEPT: Final = 1 << 20  # bytes that wait for a slow supervisor
_FAREWELL: Final = 5.0  # seconds to get rid of what waits, at the end


class Channel:
    """The two pipes between a child and its supervisor. A context manager; asks `stop` to drain when one breaks."""

    def __init__(self, stop: StopFlag) -> None:
        self.epoch = 0
        self._stop = stop
        self._out = os.dup(1)
        os.dup2(2, 1)  # what some library prints is no event
        os.set_blocking(self._out, False)
        self._waiting = bytearray()
        self._bell, self._ring = os.pipe()
        for descriptor in (self._bell, self._ring):
            os.set_blocking(descriptor, False)
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + _FAREWELL
        while self._waiting and self._out >= 0 and time.monotonic() < deadline:
            select.select([], [self._out], [], 0.1)
            self._flush()

    def _listen(self) -> None:
        signal.pthread_sigmask(
            signal.SIG_BLOCK, signal.valid_signals()
        )  # the main thread's select takes them
        with os.fdopen(0, "rb", closefd=False) as news:
            for line in news:
                with suppress(ValueError):
                    self.epoch = max(self.epoch, int(line))
                with suppress(BlockingIOError):
                    os.write(self._ring, b"!")
        self._stop.request(Stop.DRAIN)

    def emit(self, event: Event) -> None:
        """Report; agents' lines only while the supervisor keeps up."""
        if isinstance(event, Line) and len(self._waiting) > _MOST_KEPT:
            return
        self._waiting += encode(event).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        try:
            while self._waiting and self._out >= 0:
                del self._waiting[: os.write(self._out, self._waiting)]
        except BlockingIOError:
            return
        except OSError:  # the supervisor is gone; its end of our standard input tells
            self._out = -1

    def wait(self, seconds: float) -> bool:
        """Wait for news, a wish to stop, or the time, passing on what still waits; whether there were news."""
        deadline = time.monotonic() + seconds
        while True:
            self._flush()
            behind = [self._out] if self._waiting and self._out >= 0 else []
            left = max(0.0, deadline - time.monotonic())
            ready, writable, _ = select.select([self._stop.fileno(), self._bell], behind, [], left)
            if ready or not writable:
                break
        if self._bell not in ready:
            return False
        with suppress(BlockingIOError):
            os.read(self._bell, 4096)
        return True


class Pauses:
    """How long to wait before the next look: longer each time, until something happens."""

    def __init__(self, longest: float = _LONGEST_PAUSE) -> None:
        self._longest = longest
        self._next = _FIRST_PAUSE

    def reset(self) -> None:
        """Something happened."""
        self._next = _FIRST_PAUSE

    def next(self) -> float:
        """Seconds."""
        now, self._next = self._next, min(2 * self._next, self._longest)
        return now


class WorkLoop:
    """A swarm's worker: task after task, for as long as the supervisor lives.

    `obstacle` says why no agent may start now, or nothing; pass `report` to the workers as their `event`.
    """

    def __init__(self, channel: Channel, stop: StopFlag, obstacle: Callable[[], str]) -> None:
        self._channel, self._stop, self._obstacle = channel, stop, obstacle
        self._looks = Looks()
        self._pauses = Pauses()

    def report(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, Looked):
            self._looks.add(event)
        self._channel.emit(event)

    def run(self, open_workers: Callable[[], Sequence[Worker]]) -> int:
        """Until somebody asks to stop; the exit code."""
        with _telling(self._channel) as failure:
            workers, silent = open_workers(), _Silence()
            while self._stop.state is Stop.NONE:
                epoch = self._channel.epoch
                try:
                    told = self._turn(workers, epoch)
                    silent.over()
                except ForgeUnavailableError as error:
                    silent.goes_on(error)
                    told = Waiting(why=error.message)
                if told is not None:
                    self._channel.emit(told)
                self._rest(told, workers)
        return failure.exit_code

    def _turn(self, workers: Sequence[Worker], epoch: int) -> Event | None:
        """Work on one task; None when others were faster."""
        why = self._obstacle()
        if why:
            for worker in workers:
                worker.look()
            return Waiting(why=why) if self._looks.ready else Idle(epoch=epoch, next_at=self._looks.next_at)
        result = run_once(workers)
        if result.outcome is Outcome.NOTHING_READY:
            return Idle(epoch=epoch, next_at=self._looks.next_at)
        is_held = bool(result.task_id) and result.outcome is not Outcome.CLAIM_LOST
        return Result(result=result) if is_held else None

    def _rest(self, told: Event | None, workers: Sequence[Worker]) -> None:
        """Not at all after a task that ended by itself; a moment after one that was lost to somebody faster."""
        if told is None:
            self._channel.wait(random.uniform(0.0, 0.05))  # noqa: S311  (spreads contenders, guards nothing)
            return
        if isinstance(told, Result) and ENDINGS[told.result.outcome].after is not After.RETRY_NOW:
            self._pauses.reset()
            return
        seconds = self._pauses.next()
        if isinstance(told, Idle) and told.next_at is not None:
            seconds = min(seconds, max(0.0, told.next_at - workers[0].forge.now()) + 0.01)
        if self._channel.wait(seconds):
            self._pauses.reset()


def watch(channel: Channel, stop: StopFlag, judge: Callable[[int], Passed], interval: float) -> int:
    """A swarm's merger: pass after pass, at once when there are news; the exit code.

    `judge(epoch)` is one pass over all projects. A base that was just frozen ends the pass, not the merger.
    """
    pauses = Pauses(interval)
    silent = _Silence()
    with _telling(channel) as failure:
        while stop.state is Stop.NONE:
            epoch = channel.epoch
            told: Event
            try:
                told = judge(epoch)
                silent.over()
            except ForgeUnavailableError as error:
                silent.goes_on(error)
                told = Waiting(why=error.message)
            except UsageError:
                raise
            except RefineryError as error:
                told = Waiting(why=error.message)
            channel.emit(told)
            if channel.wait(pauses.next()):
                pauses.reset()
    return failure.exit_code


class _Silence:
    """How long the forge has not answered."""

    def __init__(self) -> None:
        self._since: float | None = None

    def over(self) -> None:
        self._since = None

    def goes_on(self, error: ForgeUnavailableError) -> None:
        """Remember; raises `error` when patience is at its end. A pause that the forge asks for is an answer (F37)."""
        if isinstance(error, RateLimitedError):
            self._since = None
            return
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since > _PATIENCE:
            raise error


class _telling:  # noqa: N801  (used as a function: `with _telling(channel)`)
    """Reports the error that ends a child, in place of raising it; others than ours are raised."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.exit_code = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        known = explain(error) if isinstance(error, OSError) else error
        if not isinstance(known, RefineryError):
            return False
        self._channel.emit(Failed(message=known.message, remedy=known.remedy, outcome=known.outcome))
        self.exit_code = known.exit_code
        return True
