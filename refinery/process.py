"""Running other people's programs: agents, set-up, verify and checks.

Each runs in a session of its own (F15), with an environment made from an allow-list, within limits; it is ended as a
whole (F18), and it dies with its worker. One thread, one loop; memory does not grow with the output.
"""

import fnmatch
import selectors
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from refinery.running import Ended, ProcessSpec, Running
from refinery.stop import Stop, StopFlag
from refinery.strays import MARKER, find_strays, kill_strays

__all__ = [
    "MARKER",
    "Ended",
    "Job",
    "ProcessSpec",
    "Stop",
    "StopFlag",
    "child_environment",
    "find_strays",
    "kill_strays",
    "run",
    "run_all",
]

ALLOWED: Final = ("PATH", "HOME", "LANG", "LC_*", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL")
_SENSITIVE: Final = ("*TOKEN*", "*SECRET*", "*PASSWORD*", "*_KEY", "GIT_*", "SSH_AUTH_SOCK")


@dataclass(frozen=True, slots=True)
class Job:
    """A program, and who gets its output: lines with their end, in pieces of at most 64 KiB."""

    spec: ProcessSpec
    on_output: Callable[[bytes], None]


def child_environment(
    base: Mapping[str, str], allow: Iterable[str] = (), extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The complete environment of a child: the allowed part of `base`, TERM=dumb, then `extra`.

    `allow` adds names to the default list. A name with `*` is a pattern, and lets nothing through that looks like a
    credential or steers git; such variables have to be named in full.
    """
    names = [*ALLOWED, *allow]
    exact = {name for name in names if "*" not in name}
    patterns = [name for name in names if "*" in name]
    chosen = {name: value for name, value in base.items() if name in exact or _passes(name, patterns)}
    return {**chosen, **({} if "TERM" in exact else {"TERM": "dumb"}), **(extra or {})}


def _passes(name: str, patterns: Sequence[str]) -> bool:
    if any(fnmatch.fnmatchcase(name.upper(), pattern) for pattern in _SENSITIVE):
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def run(
    spec: ProcessSpec,
    *,
    on_output: Callable[[bytes], None],
    stop: StopFlag | None = None,
    tick: Callable[[], None] | None = None,
    tick_seconds: float = 30.0,
) -> Ended:
    """Run one program to its end; `run_all` says how."""
    return run_all([Job(spec, on_output)], stop=stop, tick=tick, tick_seconds=tick_seconds)[0]


def run_all(
    jobs: Sequence[Job],
    *,
    parallel: int = 1,
    stop: StopFlag | None = None,
    tick: Callable[[], None] | None = None,
    tick_seconds: float = 30.0,
) -> list[Ended]:
    """Run programs, at most `parallel` at once, and return how each ended, in the order of `jobs`.

    `tick` is called every `tick_seconds` while anything runs (lease renewal). It must leave no child processes of its
    own behind. An exception out of `tick` or `on_output` kills everything and propagates.

    Raises:
        RefineryError: killed processes do not end.
        OSError: this process can start no other one.
    """
    with selectors.DefaultSelector() as selector:
        loop = _Loop(selector, stop, tick, tick_seconds)
        try:
            return loop.run(jobs, parallel)
        finally:
            loop.abort()


class _Loop:
    """The one loop of a worker: output, input, reports, deadlines and ticks of all that runs now."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        stop: StopFlag | None,
        tick: Callable[[], None] | None,
        tick_seconds: float,
    ) -> None:
        self.selector = selector
        self.stop = stop
        self.tick = tick
        self.tick_seconds = tick_seconds
        self.next_tick = time.monotonic() + tick_seconds
        self.running: dict[int, Running] = {}
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ, stop.acknowledge)

    def run(self, jobs: Sequence[Job], parallel: int) -> list[Ended]:
        """Start jobs as places become free, until all have ended."""
        ended: dict[int, Ended] = {}
        waiting = list(enumerate(jobs))
        while waiting or self.running:
            while waiting and len(self.running) < max(1, parallel):
                index, job = waiting.pop(0)
                if self._asked():
                    ended[index] = Ended(stopped=self._asked())
                else:
                    self.running[index] = Running(job.spec, job.on_output, self.selector)
            self._step()
            for index in [index for index, one in self.running.items() if one.is_over]:
                ended[index] = self.running.pop(index).finish(self._guards(), deliver=True)
        return [ended[index] for index in range(len(jobs))]

    def _asked(self) -> Stop:
        return self.stop.state if self.stop is not None else Stop.NONE

    def _guards(self) -> set[int]:
        """The guards of the other runs: never taken for a stray."""
        return {one.guard.pid for one in self.running.values()}

    def _step(self) -> None:
        if not self.running:
            return
        wake_at = min([self.next_tick, *(one.deadline for one in self.running.values())])
        for key, _ in self.selector.select(max(0.0, wake_at - time.monotonic())):
            key.data()
        now = time.monotonic()
        for one in self.running.values():
            if not one.is_over:
                one.advance(now, self._asked())
        if now >= self.next_tick:
            self.next_tick = now + self.tick_seconds
            if self.tick is not None:
                self.tick()

    def abort(self) -> None:
        """Kill what still runs, and wait until it is gone."""
        for one in self.running.values():
            one.kill()
        with ExitStack() as stack:  # one that cannot be ended does not save the others
            for index in list(self.running):
                stack.callback(self._see_off, index)

    def _see_off(self, index: int) -> None:
        one = self.running.pop(index)
        one.wait()
        one.finish(self._guards(), deliver=False)
