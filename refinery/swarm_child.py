"""One child process of a swarm, from the supervisor's side: its pipes, its signals, its end.

Each child has a session of its own, so that the terminal's Ctrl+C reaches the supervisor alone (F15). We hold the other
end of its standard input: when we die, however we die, the child reads the end of it and drains.
"""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from refinery.process import Stop

_PIECE: Final = 1 << 16
_SOURCE: Final = Path(__file__).resolve().parent.parent


def command(args: Sequence[str]) -> list[str]:
    """The command line that runs this very program; nothing is imported from the current folder (`-P`)."""
    return [sys.executable, "-P", "-m", "refinery", *args]


def environment() -> dict[str, str]:
    """Ours; a program that runs from its source checkout is found there by its children too."""
    found = {**os.environ, "PYTHONUTF8": "1"}
    if (_SOURCE / "pyproject.toml").is_file():
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_SOURCE), found.get("PYTHONPATH", "")]))
    return found


def core_share(number: int, count: int, cores: Sequence[int]) -> frozenset[int]:
    """The cores of worker `number` of `count`, both from 0: dealt out in turn, at least one each."""
    mine = frozenset(cores[number % len(cores) :: count]) if count <= len(cores) else frozenset()
    return mine or frozenset({cores[number % len(cores)]})


def usable_cores() -> list[int]:
    """The cores that this process may use; none where the system does not bind processes."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@dataclass(slots=True, eq=False)
class Child:
    """A running child. Lines come by `read` when one of `pipes` is readable."""

    process: "subprocess.Popen[bytes]"
    asked: Stop = Stop.NONE
    _rests: dict[int, bytearray] = field(default_factory=dict)

    @classmethod
    def start(cls, args: Sequence[str], cores: frozenset[int] = frozenset()) -> "Child":
        """Start `refinery ARGS`, bound to `cores` (none: to any)."""
        process = subprocess.Popen(
            command(args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
        child = cls(process)
        for pipe in (process.stdin, *child.pipes):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        if cores and hasattr(os, "sched_setaffinity"):
            with suppress(OSError):
                os.sched_setaffinity(process.pid, cores)
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def pipes(self) -> tuple[IO[bytes], ...]:
        """What it writes to: standard output, then standard error; those that are still open."""
        both = (self.process.stdout, self.process.stderr)
        return tuple(pipe for pipe in both if pipe is not None and not pipe.closed)

    def watch(self, selector: selectors.BaseSelector) -> None:
        """Have `selector` tell about its pipes, with this child as the data."""
        for pipe in self.pipes:
            selector.register(pipe, selectors.EVENT_READ, self)

    def read(self, pipe: IO[bytes], selector: selectors.BaseSelector) -> Iterator[str]:
        """The lines that are complete now; a pipe at its end is closed."""
        rest = self._rests.setdefault(pipe.fileno(), bytearray())
        while True:
            try:
                piece = os.read(pipe.fileno(), _PIECE)
            except BlockingIOError:
                return
            *lines, tail = (bytes(rest) + piece).split(b"\n")
            rest[:] = tail
            if not piece:
                self._close(pipe, selector)
                lines = [tail] if tail else []
            yield from (line.decode("utf-8", "replace") for line in lines)
            if not piece:
                return

    def _close(self, pipe: IO[bytes], selector: selectors.BaseSelector) -> None:
        selector.unregister(pipe)
        self._rests.pop(pipe.fileno(), None)
        pipe.close()

    def is_events(self, pipe: IO[bytes]) -> bool:
        """Whether `pipe` is the one that events come through."""
        return pipe is self.process.stdout

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone; its pipes may still hold lines."""
        return self.process.poll() is not None

    def bury(self, selector: selectors.BaseSelector) -> None:
        """Close what is left of a process that has ended."""
        for pipe in self.pipes:
            self._close(pipe, selector)
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    def tell(self, epoch: int) -> None:
        """There are news."""
        if self.process.stdin is not None:
            with suppress(BlockingIOError, BrokenPipeError, ValueError):
                os.write(self.process.stdin.fileno(), f"{epoch}\n".encode())

    def stop(self, how: Stop) -> None:
        """Ask it to drain, then to stop at once: its first signal means the one, its second the other."""
        if self.asked is Stop.NONE:
            self._send(signal.SIGTERM)
        if how is Stop.FORCE and self.asked is not Stop.FORCE:
            self._send(signal.SIGINT)
        self.asked = max(self.asked, how)

    def kill(self) -> None:
        """End it; its guard ends what it runs."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    @property
    def how_it_ended(self) -> str:
        """In words."""
        code = self.process.returncode
        return f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
