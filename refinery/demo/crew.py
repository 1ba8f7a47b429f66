"""The demo's child processes: the verbs that a person types, one after the other, and their lines as they come."""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from refinery.errors import StoppedError
from refinery.process import Stop, StopFlag

OnLine = Callable[[str], None]
_GRACE: Final = 20.0  # seconds for a stopped child to end its own children and keep their work
_PIECE: Final = 1 << 16


class Crew:
    """Runs verbs on a home. Each has a session of its own, so that Ctrl+C reaches only the demo, which then stops it.

    `on_line` gets every line of both its outputs.
    """

    def __init__(self, home: Path, stop: StopFlag, on_line: OnLine) -> None:
        self._home, self._stop, self._on_line = home, stop, on_line
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("REFINERY_", "GIT_"))
        }
        self._environment = {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}

    def run(self, *args: str) -> int:
        """Run a verb to its end; its exit code.

        Raises:
            StoppedError: somebody asked the demo to stop.
        """
        command = [sys.executable, "-m", "refinery", "--no-color", "--home", str(self._home), "-p", "demo"]
        process = subprocess.Popen(
            [*command, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._home.parent,
            env=self._environment,
            start_new_session=True,
        )
        with _ending(process), selectors.DefaultSelector() as selector:
            selector.register(self._stop, selectors.EVENT_READ)
            for pipe in filter(None, (process.stdout, process.stderr)):
                selector.register(pipe, selectors.EVENT_READ, _Reader(pipe))
            self._follow(selector)
            return process.wait()

    def _follow(self, selector: selectors.BaseSelector) -> None:
        """Pass lines on until both pipes have ended."""
        while len(selector.get_map()) > 1:
            for key, _ in selector.select():
                if not isinstance(key.data, _Reader):
                    continue
                lines, is_end = key.data.read()
                for line in lines:
                    self._on_line(line)
                if is_end:
                    selector.unregister(key.fileobj)
            if self._stop.state is not Stop.NONE:
                raise StoppedError("the demo was stopped")


@contextmanager
def _ending(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End what still runs: drain and force at once, then kill; a swarm's workers and agents end with it."""
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)  # to nobody, if it has ended and was waited for
        try:
            process.communicate(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()


class _Reader:
    """Lines out of a pipe that comes in pieces."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._rest = b""

    def read(self) -> tuple[list[str], bool]:
        """The lines that are complete now, and whether the pipe has ended."""
        raw = os.read(self._pipe.fileno(), _PIECE)
        *whole, self._rest = (self._rest + raw).split(b"\n")
        if not raw and self._rest:
            whole.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace") for line in whole], not raw
