"""The process table: who descends from us, who was started for an attempt, and how to end them all.

On Linux a subreaper inherits every orphan below it (https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html),
so "no child left" there means that nothing is left, `setsid` and double forks included. Elsewhere the attempt's marker
in the environment has to serve.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Final

from refinery.errors import RefineryError

MARKER: Final = "REFINERY_ATTEMPT_ID"
_LINUX: Final = sys.platform.startswith("linux")
_PR_SET_CHILD_SUBREAPER: Final = 36
_SS_DISABLE: Final = 2
_SHORTEST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.05


@cache
def _prctl() -> Callable[[int, int], int]:
    import ctypes  # noqa: PLC0415  (8 ms that only a run of a child has to pay)

    call = ctypes.CDLL(None, use_errno=True).prctl
    return lambda option, value: int(call(option, value, 0, 0, 0))


def adopt_orphans() -> None:
    """Make this process inherit the orphans below it. Where the system cannot do that, nothing changes."""
    if _LINUX:
        _prctl()(_PR_SET_CHILD_SUBREAPER, 1)


def drop_signal_stack() -> None:
    """Handle signals on the ordinary stack: the one that `faulthandler` provides is too small for a burst of them."""
    if not _LINUX:
        return
    import ctypes  # noqa: PLC0415  (as above)

    class Stack(ctypes.Structure):
        _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(None, _SS_DISABLE, 0)), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One process: its parent, and its start in clock ticks since boot (0 where the system does not tell)."""

    pid: int
    parent: int
    start: int


def processes() -> list[Entry]:
    """Every process of this machine that we can see."""
    return list(_from_proc() if _LINUX else _from_ps())


def _from_proc() -> Iterator[Entry]:
    for name in os.listdir("/proc"):  # noqa: PTH208  (a Path for each process costs more than the reading)
        if name.isdigit() and (entry := _entry(int(name))):
            yield entry


def _entry(pid: int) -> Entry | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as file:  # noqa: PTH123  (as above)
            fields = file.read(1024).rpartition(b")")[2].split()
    except OSError:
        return None
    return Entry(pid, int(fields[1]), int(fields[19])) if len(fields) > 19 else None


def newest_process() -> Entry | None:
    """The newest process of the machine and this instant; None where no orphans come to us."""
    if not _LINUX:
        return None
    with open("/proc/loadavg", "rb", 0) as file:  # noqa: PTH123  (as above)
        newest = int(file.read(256).split()[-1])
    ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
    return Entry(newest, 0, int(ticks))


def _from_ps() -> Iterator[Entry]:
    text = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
    for line in text.splitlines():
        pid, parent = line.split()
        yield Entry(int(pid), int(parent), 0)


def below(roots: Iterable[int], table: Iterable[Entry]) -> set[int]:
    """The descendants of `roots`, without the roots themselves: a pure function."""
    children: dict[int, list[int]] = {}
    for entry in table:
        children.setdefault(entry.parent, []).append(entry.pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        new = [pid for pid in children.get(waiting.pop(), ()) if pid not in found]
        found.update(new)
        waiting += new
    return found


def kill(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    """Send a signal to each process that is still there and ours; never to groups, and never to the first process."""
    for pid in pids:
        if pid <= 1:
            continue
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_descendants(marker: str) -> None:
    """Kill and reap everything below this process, which has no other children; returns when nothing is left."""
    if not _LINUX and marker:
        kill_strays([marker])
    pause = _SHORTEST_PAUSE
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            kill(below([os.getpid()], processes()))
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def end_adopted(newest: Entry | None, guards: Collection[int], marker: str, *, seconds: float) -> None:
    """Kill and reap what is left of a run whose guard was killed: our children that are younger than `newest`.

    `guards` are those of other runs; `newest` is the newest process from before it; `marker` serves where orphans do
    not come to us.

    Raises:
        RefineryError: some are still there after `seconds` (hanging in the kernel, say).
    """
    if not _LINUX and marker:
        kill_strays([marker])
    deadline = time.monotonic() + seconds
    pause = _SHORTEST_PAUSE
    while newest is not None:
        table = processes()
        adopted = [one.pid for one in table if _is_adopted(one, newest) and one.pid not in guards]
        if not adopted:
            return
        if time.monotonic() > deadline:
            raise RefineryError(
                f"processes {sorted(adopted)} of the attempt do not end, even when killed",
                remedy="see what they wait for (a network drive?); the attempt's work is not taken while they live",
            )
        kill([*adopted, *below(adopted, table)])
        for pid in adopted:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _is_adopted(entry: Entry, newest: Entry) -> bool:
    return entry.parent == os.getpid() and (entry.start, entry.pid) > (newest.start, newest.pid)


def find_strays(attempt_ids: Collection[str]) -> list[int]:
    """The processes, in ascending order, whose environment says that they belong to one of these attempts."""
    wanted = {f"{MARKER}={attempt}".encode() for attempt in attempt_ids}
    if not wanted:
        return []
    return sorted(pid for pid in (_in_proc(wanted) if _LINUX else _in_ps(wanted)) if pid != os.getpid())


def _in_proc(wanted: set[bytes]) -> Iterator[int]:
    for name in os.listdir("/proc"):  # noqa: PTH208  (as above)
        if name.isdigit() and _has_marker(int(name), wanted):
            yield int(name)


def _has_marker(pid: int, wanted: set[bytes]) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb", 0) as file:  # noqa: PTH123  (as above)
            return not wanted.isdisjoint(file.readall().split(b"\0"))
    except OSError:
        return False


def _in_ps(wanted: set[bytes]) -> Iterator[int]:
    lines = subprocess.run(["ps", "-axEwwo", "pid=,command="], capture_output=True, check=False).stdout
    pattern = re.compile(rb"(?:\s)(?:" + b"|".join(map(re.escape, wanted)) + rb")(?:\s|$)")
    for line in lines.splitlines():
        if pattern.search(line):
            yield int(line.split()[0])


def kill_strays(attempt_ids: Collection[str]) -> int:
    """Kill every process of these attempts, and those that they start meanwhile; the number of processes killed."""
    killed: set[int] = set()
    for _ in range(100):
        found = set(find_strays(attempt_ids))
        if not found:
            break
        kill(found)
        killed |= found
        time.sleep(_SHORTEST_PAUSE)
    return len(killed)


def threads_of_user() -> int:
    """How many threads this user has now: what RLIMIT_NPROC counts (0 where the system does not tell)."""
    total = 0
    for name in os.listdir("/proc") if _LINUX else ():  # noqa: PTH208  (as above)
        with suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():  # noqa: PTH116  (as above)
                total += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208  (as above)
    return total
