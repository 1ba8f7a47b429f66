"""The demo's child processes: workers and a merger, the verbs that a person types, and their lines as they come."""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from refinery.errors import StoppedError
from refinery.process import Stop, StopFlag

OnLine = Callable[[str, str], None]
_GRACE: Final = 10.0  # seconds for a stopped child to keep its work and release its claim
_LONGEST: Final = 0.2  # seconds of one wait


@dataclass(slots=True)
class Member:
    """One child. `lines` is what it printed on standard output; its standard error went to `on_line` at once."""

    name: str
    process: subprocess.Popen[bytes]
    lines: list[str] = field(default_factory=list)
    open_pipes: int = 2

    @property
    def is_over(self) -> bool:
        """Whether it ended and everything that it printed was read."""
        return self.open_pipes == 0 and self.process.poll() is not None


class Crew:
    """Starts children in sessions of their own, so that Ctrl+C reaches only the demo, which then stops them."""

    def __init__(self, home: Path, stop: StopFlag, on_line: OnLine) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(stop, selectors.EVENT_READ, None)
        self._stop, self._on_line = stop, on_line
        self._command = [sys.executable, "-m", "refinery", "--no-color", "--home", str(home), "-p", "demo"]
        self._members: list[Member] = []
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("REFINERY_", "GIT_"))
        }
        self._environment = {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        self._folder = home.parent

    def start(self, name: str, *args: str, shows_output: bool = True) -> Member:
        """Start a verb. With `shows_output` its standard output is shown as well as its standard error."""
        process = subprocess.Popen(
            [*self._command, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            env=self._environment,
            start_new_session=True,
        )
        member = Member(name, process)
        self._members.append(member)
        for pipe, is_shown in ((process.stdout, shows_output), (process.stderr, True)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, _Reader(member, pipe, is_shown))
        return member

    def step(self) -> None:
        """Wait a little for lines, and pass them on.

        Raises:
            StoppedError: somebody asked the demo to stop.
        """
        for key, _ in self._selector.select(_LONGEST):
            if isinstance(key.data, _Reader):
                self._read(key.data)
        if self._stop.state is not Stop.NONE:
            raise StoppedError("the demo was stopped")

    def finish(self, members: Sequence[Member]) -> None:
        """Wait for these to end."""
        while not all(member.is_over for member in members):
            self.step()

    def _read(self, reader: "_Reader") -> None:
        lines, is_end = reader.read()
        for line in lines:
            if reader.is_shown:
                self._on_line(reader.member.name, line)
            else:
                reader.member.lines.append(line)
        if is_end:
            self._selector.unregister(reader.pipe)
            reader.pipe.close()
            reader.member.open_pipes -= 1

    def close(self) -> None:
        """End whatever still runs: drain and force at once, then kill; their agents end with them."""
        left = [member.process for member in self._members if member.process.poll() is None]
        for process in left:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
        for process in left:
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Reader):
                key.data.pipe.close()
        self._selector.close()


class _Reader:
    """Lines out of a pipe that comes in pieces."""

    def __init__(self, member: Member, pipe: IO[bytes], is_shown: bool) -> None:
        self.member, self.pipe, self.is_shown = member, pipe, is_shown
        self._rest = b""

    def read(self) -> tuple[list[str], bool]:
        """The lines that are complete now, and whether the pipe has ended."""
        raw = os.read(self.pipe.fileno(), 1 << 16)
        *whole, self._rest = (self._rest + raw).split(b"\n")
        if not raw and self._rest:
            whole.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace") for line in whole], not raw
