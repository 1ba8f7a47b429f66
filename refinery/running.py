"""One running program: its limits, input, output, deadlines and ending. `process` runs the loop that drives it."""

import errno
import os
import resource
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refinery import guard
from refinery.stop import Stop
from refinery.strays import MARKER, end_adopted, threads_of_user

LONGEST_PIECE: Final = 64 * 1024
_GUARD_PATIENCE: Final = 10.0  # seconds a guard has to end a killed tree before it is killed itself
_HARDEST_WAIT: Final = 30.0  # seconds that processes may take to die of SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One program to run. `env` is its complete environment; `timeout` and `grace` are seconds.

    Limits (None: none beyond ours): `memory_bytes` of address space, `file_bytes` of any one file, `processes` more
    threads than the user has at the start (the system counts by user, and never limits root). `marker` goes into the
    environment as REFINERY_ATTEMPT_ID, by which `find_strays` finds what was left.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""
    timeout: float | None = None
    grace: float = 10.0
    memory_bytes: int | None = None
    processes: int | None = None
    file_bytes: int | None = None
    marker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended: one of `exit_code`, `signal` and `start_error` is set, unless `lost` or stopped before.

    `lost`: its guard was killed, so how it ended is unknown. `output_bytes` counts what it wrote.
    """

    exit_code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    stopped: Stop = Stop.NONE
    start_error: str = ""
    lost: bool = False
    seconds: float = 0.0
    output_bytes: int = 0

    @property
    def did_not_run(self) -> bool:
        """Whether the command never started, by its own error or by a shell's 126 or 127."""
        return bool(self.start_error) or self.exit_code in {126, 127}

    @property
    def succeeded(self) -> bool:
        """Whether it ran to its own end and said 0: anything less is not success (F10, F19)."""
        return self.exit_code == 0 and not self.timed_out and not self.stopped and not self.lost


class Running:
    """One running program, from its start to `finish`. `deadline` is when `advance` wants to be called again."""

    def __init__(
        self, spec: ProcessSpec, on_output: Callable[[bytes], None], selector: selectors.BaseSelector
    ) -> None:
        self.spec = spec
        self.selector = selector
        self.lines = Lines(on_output)
        self.report = b""
        self.is_over = False
        self.timed_out = False
        self.stopped = Stop.NONE
        self.stage = Stop.NONE  # how hard it has been asked to end, for whatever reason
        self.input = memoryview(spec.stdin)
        self.started_at = time.monotonic()
        self.deadline = self.started_at + (spec.timeout if spec.timeout is not None else float("inf"))
        self.feed = -1
        self._start()

    def _start(self) -> None:
        self.output, theirs = os.pipe()
        stdin, self.feed = os.pipe() if self.spec.stdin else (os.open(os.devnull, os.O_RDONLY), -1)
        try:
            self.guard = guard.launch(_launch(self.spec), stdin, theirs)
        except OSError:
            for descriptor in (self.output, self.feed):
                if descriptor >= 0:
                    os.close(descriptor)
            raise
        finally:
            os.close(theirs)
            os.close(stdin)
        self._register(self.output, selectors.EVENT_READ, self._on_output)
        self.selector.register(self.guard.link, selectors.EVENT_READ, self._on_report)
        if self.feed >= 0:
            self._register(self.feed, selectors.EVENT_WRITE, self._on_feed)

    def _register(self, descriptor: int, events: int, handler: Callable[[], None]) -> None:
        os.set_blocking(descriptor, False)
        self.selector.register(descriptor, events, handler)

    def _close(self, descriptor: int) -> None:
        self.selector.unregister(descriptor)
        os.close(descriptor)

    def _on_output(self) -> None:
        self._take_output()

    def _take_output(self) -> bool:
        """Deliver one piece of output; False when there is none now."""
        try:
            piece = os.read(self.output, LONGEST_PIECE)
        except BlockingIOError:
            return False
        if piece:
            self.lines.feed(piece)
        else:
            self._close(self.output)
            self.output = -1
        return bool(piece)

    def _on_feed(self) -> None:
        try:
            self.input = self.input[os.write(self.feed, self.input[:LONGEST_PIECE]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.input = self.input[:0]
        if not self.input:
            self._close(self.feed)
            self.feed = -1

    def _on_report(self) -> None:
        piece = self.guard.receive()
        if piece is not None:
            self.report += piece
            self.is_over = not piece or guard.parse_report(self.report).is_final

    def advance(self, now: float, asked: Stop) -> None:
        """Ask the child to end, ask harder, or give the guard up, as the time and `asked` demand."""
        if asked > self.stopped and not self.timed_out:
            self.stopped = asked
        if asked > self.stage:
            self._end(asked, now)
        elif now >= self.deadline and self.stage is Stop.NONE:
            self.timed_out = True
            self._end(Stop.DRAIN, now)
        elif now >= self.deadline and self.stage is Stop.DRAIN:
            self._end(Stop.FORCE, now)
        elif now >= self.deadline:
            os.kill(self.guard.pid, signal.SIGKILL)
            self.deadline = float("inf")

    def _end(self, how: Stop, now: float) -> None:
        self.stage = how
        self.guard.order(guard.KILL if how is Stop.FORCE else guard.TERMINATE)
        self.deadline = now + (_GUARD_PATIENCE if how is Stop.FORCE else self.spec.grace)

    def kill(self) -> None:
        """Have the whole tree killed."""
        self._end(Stop.FORCE, time.monotonic())

    def wait(self) -> None:
        """Wait for the guard's end, whatever it takes; output is left alone."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.guard.link, selectors.EVENT_READ)
            while not self.is_over:
                selector.select(max(0.0, min(self.deadline - time.monotonic(), 1.0)))
                self._on_report()
                self.advance(time.monotonic(), Stop.NONE)

    def finish(self, guards: set[int], *, deliver: bool) -> Ended:
        """Reap what is left and give everything back; `deliver` hands out the rest of the output."""
        said = guard.parse_report(self.report)
        try:
            if not said.is_final:
                self.guard.reap()
                end_adopted(self.guard.newest, guards, self.spec.marker, seconds=_HARDEST_WAIT)
            if deliver:
                while self.output >= 0 and self._take_output():
                    pass
                self.lines.end()
        finally:
            self._release(said)
        return self._ended(said)

    def _release(self, said: guard.Report) -> None:
        self.selector.unregister(self.guard.link)
        guard.give_back(self.guard, said)
        for descriptor in (self.output, self.feed):
            if descriptor >= 0:
                self._close(descriptor)

    def _ended(self, said: guard.Report) -> Ended:
        code = None if said.wait_status is None else os.waitstatus_to_exitcode(said.wait_status)
        return Ended(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            timed_out=self.timed_out,
            stopped=self.stopped,
            start_error=_start_error(said, self.spec),
            lost=not said.is_final,
            seconds=time.monotonic() - self.started_at,
            output_bytes=self.lines.total,
        )


class Lines:
    """Cuts a stream of bytes into lines, and long lines into pieces."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self.total = 0
        self._deliver = deliver
        self._rest = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the stream, at most LONGEST_PIECE of them."""
        self.total += len(piece)
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._add(line + b"\n")
            self.end()
        self._add(rest)

    def end(self) -> None:
        """Deliver what has no line end yet."""
        if self._rest:
            line = bytes(self._rest)
            self._rest.clear()
            self._deliver(line)

    def _add(self, part: bytes) -> None:
        if len(self._rest) + len(part) > LONGEST_PIECE:
            self.end()
        self._rest += part
        if len(self._rest) > LONGEST_PIECE:
            over = bytes(self._rest[LONGEST_PIECE:])
            del self._rest[LONGEST_PIECE:]
            self.end()
            self._rest += over


def _launch(spec: ProcessSpec) -> guard.Launch:
    limits = []
    if spec.processes is not None:
        limits.append((resource.RLIMIT_NPROC, threads_of_user() + spec.processes))
    if spec.file_bytes is not None:
        limits.append((resource.RLIMIT_FSIZE, spec.file_bytes))
    if spec.memory_bytes is not None:
        limits.append((resource.RLIMIT_AS, spec.memory_bytes))
    env = {**spec.env, MARKER: spec.marker} if spec.marker else spec.env
    return guard.Launch(spec.argv, str(spec.cwd), env, limits, spec.marker)


def _start_error(said: guard.Report, spec: ProcessSpec) -> str:
    if not said.stage:
        return ""
    if said.stage == "folder":
        return f"the folder {spec.cwd} cannot be entered: {os.strerror(said.errno)}"
    program = spec.argv[0]
    if said.stage == "program" and said.errno == errno.ENOENT:
        return f"{program} was not found"
    if said.stage == "program" and said.errno in {errno.EACCES, errno.EPERM}:
        return f"{program} is not executable"
    return f"{program} could not be started: {os.strerror(said.errno)}"
