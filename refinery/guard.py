"""The guard: a small forked process between a worker and one child at a time, which ends the child's whole tree.

Properties kept
- The child's tree ends with its worker, even a SIGKILLed one: only the worker holds the guard's link.
- What escapes the child's session and parents comes to the guard, a subreaper, and is ended there before it reports.
- The guard holds none of the worker's files, locks or pipes, and never runs the worker's Python clean-up.
- When a guard is killed, the tree comes to the worker, which ends it (`strays.end_adopted`).

A guard is forked once and serves one run after the other; after an order it is retired, so that no late order can
reach the next child. The child is started by vfork: forking a large worker for each run would cost several times more.
"""

import atexit
import errno
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final, NoReturn

from refinery.strays import Entry, adopt_orphans, drop_signal_stack, end_descendants, kill, newest_process

TERMINATE: Final = b"t"
KILL: Final = b"k"
_MOST_FILES: Final = 1 << 20
_SURVIVED: Final = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGCHLD,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


@dataclass(frozen=True, slots=True)
class Launch:
    """What a child is; its limits are (resource, value) pairs, for the soft and the hard limit."""

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    limits: Sequence[tuple[int, int]]
    marker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a guard said: the child's wait status as of waitpid(2), or why it never ran; neither while it runs."""

    wait_status: int | None = None
    stage: str = ""
    errno: int = 0

    @property
    def is_final(self) -> bool:
        """Whether nothing of the child's tree is left."""
        return self.wait_status is not None or bool(self.stage)


def parse_report(raw: bytes) -> Report:
    """A guard's line, `ended STATUS` or `refused STAGE ERRNO`; empty when it was killed before it spoke."""
    match raw.decode("ascii").split():
        case ["ended", status]:
            return Report(wait_status=int(status))
        case ["refused", stage, number]:
            return Report(stage=stage, errno=int(number))
    return Report()


@dataclass(slots=True)
class Guard:
    """The worker's end of a guard."""

    pid: int
    link: socket.socket
    was_ordered: bool = False
    newest: Entry | None = None  # the newest process of the machine when the child was started

    def launch(self, launch: Launch, stdin: int, output: int) -> None:
        """Have a child started that reads and writes these descriptors of ours."""
        body = json.dumps(asdict(launch)).encode()
        self.newest = newest_process()
        socket.send_fds(self.link, [len(body).to_bytes(4, "big")], [stdin, output])
        self.link.sendall(body)

    def order(self, what: bytes) -> None:
        """Ask for the child's tree to be terminated or killed; a guard that is gone needs no asking."""
        self.was_ordered = True
        with suppress(OSError):
            self.link.send(what, socket.MSG_DONTWAIT)

    def receive(self) -> bytes | None:
        """The next piece of its report: None when there is none yet, empty when the guard is gone."""
        try:
            return self.link.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""

    def reap(self) -> None:
        """Wait for its end. Its files close first, and only then do its children come to us."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def retire(self) -> None:
        """Let it go: it ends when its link closes, together with what it guards."""
        self.link.close()
        self.reap()


_idle: list[Guard] = []


def _take() -> Guard:
    while _idle:
        found = _idle.pop()
        if found.receive() is None:
            return found
        found.retire()
    return _fork_guard()


def launch(what: Launch, stdin: int, output: int) -> Guard:
    """Start a child that reads and writes these descriptors of ours; the guard that holds it.

    Raises:
        OSError: no process or socket could be had.
    """
    guard = _take()
    try:
        guard.launch(what, stdin, output)
    except OSError:
        guard.retire()
        raise
    return guard


def give_back(guard: Guard, report: Report) -> None:
    """Keep a guard for the next run, unless it might still hear an order of this one."""
    if report.is_final and not guard.was_ordered:
        _idle.append(guard)
    else:
        guard.retire()


def _retire_idle() -> None:
    while _idle:
        _idle.pop().retire()


def _forget_idle() -> None:
    for guard in _idle:
        guard.link.close()
    _idle.clear()


atexit.register(_retire_idle)
os.register_at_fork(after_in_child=_forget_idle)  # they are the parent's, and must see it die


def _fork_guard() -> Guard:
    adopt_orphans()
    ours, theirs = socket.socketpair()
    held = signal.pthread_sigmask(
        signal.SIG_BLOCK, signal.valid_signals()
    )  # it shares our wake-up descriptor
    try:
        pid = _fork()
        if pid == 0:
            _guard(theirs)
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        theirs.close()
    return Guard(pid, ours)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns when other threads may hold locks at this moment; the guard uses none of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _guard(link: socket.socket) -> NoReturn:
    try:
        gc.disable()
        os.setsid()
        adopt_orphans()
        _limit([(resource.RLIMIT_CORE, 0)])
        wake = _survive_signals()
        _close_all_but({link.fileno(), *wake})
        while True:
            header, descriptors, _, _ = socket.recv_fds(link, 4, 2)
            if len(header) < 4:
                break
            body = _receive_exactly(link, int.from_bytes(header, "big"))
            _serve(Launch(**json.loads(body)), descriptors, link, wake[0])
    finally:
        os._exit(0)


def _receive_exactly(link: socket.socket, length: int) -> bytes:
    body = bytearray()
    while len(body) < length:
        piece = link.recv(length - len(body))
        if not piece:
            raise EOFError
        body += piece
    return bytes(body)


def _survive_signals() -> tuple[int, int]:
    """Catch what an agent may send us. Caught signals, unlike ignored or blocked ones, are as new after an exec."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    drop_signal_stack()
    for number in _SURVIVED:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return read, write


def _close_all_but(keep: set[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in {0, 1, 2} - keep:
        os.dup2(null, standard)
    first = 3
    for kept in sorted(keep):
        os.closerange(first, kept)
        first = max(first, kept + 1)
    os.closerange(first, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _MOST_FILES))


def _serve(launch: Launch, descriptors: Sequence[int], link: socket.socket, wake: int) -> None:
    stage = "folder"
    try:
        os.chdir(launch.cwd)
        stage = "program"
        child = _start(launch, descriptors)
    except (OSError, ValueError) as error:  # ValueError: a null character
        number = getattr(error, "errno", None) or errno.EINVAL
        link.sendall(f"refused {stage} {number}\n".encode())
        return
    except subprocess.SubprocessError:  # what goes wrong between fork and exec
        link.sendall(f"refused limits {errno.EINVAL}\n".encode())
        return
    finally:
        os.chdir("/")
        for descriptor in descriptors:
            os.close(descriptor)
    status = _watch(child.pid, link, wake)
    child.returncode = status  # reaped here, so that Popen has nothing to wait for
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    end_descendants(launch.marker)
    link.sendall(f"ended {status}\n".encode())


def _start(launch: Launch, descriptors: Sequence[int]) -> "subprocess.Popen[bytes]":
    limits = launch.limits
    return subprocess.Popen(
        launch.argv,
        env=launch.env,
        stdin=descriptors[0],
        stdout=descriptors[1],
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=(lambda: _limit(limits)) if limits else None,  # noqa: PLW1509  (one thread; costs a fork for a vfork)
    )


def _limit(limits: Sequence[tuple[int, int]]) -> None:
    for kind, value in limits:
        hard = resource.getrlimit(kind)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (least, least))


def _watch(child: int, link: socket.socket, wake: int) -> int:
    """Reap until the child has ended, obeying orders; its wait status. A closed link is an order to kill."""
    watched = [link.fileno(), wake]
    while True:
        status = _reap(child)
        if status is not None:
            return status
        ready, _, _ = select.select(watched, [], [])
        if wake in ready:
            os.read(wake, 512)
        if link.fileno() in ready:
            order = link.recv(1)
            if order != TERMINATE:
                watched.remove(link.fileno())
            _signal_group(child, signal.SIGTERM if order == TERMINATE else signal.SIGKILL)


def _reap(child: int) -> int | None:
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return status
        if pid == 0:
            return None


def _signal_group(child: int, number: int) -> None:
    try:
        os.killpg(child, number)
        reached = number == signal.SIGTERM
    except (ProcessLookupError, PermissionError):
        reached = False
    if not reached:
        kill([child], number)  # it is not reaped yet, so the number is its own
