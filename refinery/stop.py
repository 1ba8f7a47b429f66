"""How a run is asked to stop: first to drain, then by force (F15)."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from types import FrameType
from typing import Self


class Stop(IntEnum):
    """How urgently a run was asked to end: not at all, within its grace, at once."""

    NONE = 0
    DRAIN = 1
    FORCE = 2


class StopFlag:
    """A request to stop that signal handlers may raise and a running loop notices at once."""

    def __init__(self) -> None:
        self.state = Stop.NONE
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def request(self, stop: Stop) -> None:
        """Ask for `stop`; a weaker request never takes back a stronger one."""
        self.state = max(self.state, stop)
        with suppress(BlockingIOError):
            os.write(self._write, b"!")

    def escalate(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """A signal handler: the first request drains, every further one forces (F15)."""
        self.request(Stop.DRAIN if self.state is Stop.NONE else Stop.FORCE)

    def fileno(self) -> int:
        """Readable after a request, until `acknowledge`."""
        return self._read

    def acknowledge(self) -> None:
        """Take the wake-up; the state stays."""
        with suppress(BlockingIOError):
            os.read(self._read, 512)

    @contextmanager
    def on_signals(self, *numbers: int) -> Iterator[Self]:
        """Escalate on these signals (SIGINT and SIGTERM unless given) until the block ends."""
        chosen = numbers or (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.escalate) for number in chosen}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._read)
        os.close(self._write)
