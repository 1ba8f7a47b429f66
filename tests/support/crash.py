"""Ending a process at every point where it touches the outside world, and telling what was wrong afterwards.

A forked child counts audited operations (https://docs.python.org/3/library/audit_events.html) that change a file or
start a process, and leaves by `os._exit` before the n-th of them, so that no clean-up of any kind runs; for processes
also right after the start, so that git goes on without its parent, and together with the process a moment later, so
that git dies in the middle of its own writing; for HTTP requests also when one was sent and nobody waits for its
answer, and when that has come.
"""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from support.scene import Scene, ended, forked

Point = tuple[str, int]  # how, and at the how-manieth operation or start
CRASHED = 77
_CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
)
_STARTS = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn", "os.kill", "http.client.send"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Crasher:
    """Counts the operations of this process, and ends it at the point given."""

    def __init__(self, point: Point) -> None:
        self.how, self.number = point
        self.operations = self.starts = self.requests = 0
        self.pid = os.getpid()

    def install(self) -> None:
        """From now on. The process has to be one that ends soon: a hook cannot be removed."""
        plain = subprocess.Popen._execute_child

        def execute_child(this: object, *args: object, **options: object) -> None:
            plain(this, *args, **options)
            if os.getpid() == self.pid:
                self.starts += 1
                if self.starts == self.number and self.how in ("after", "killed"):
                    self._leave(this.pid)

        subprocess.Popen._execute_child = execute_child
        self._watch_requests()
        sys.addaudithook(self._hook)

    def _watch_requests(self) -> None:
        plain = http.client.HTTPConnection.getresponse

        def getresponse(this: http.client.HTTPConnection) -> http.client.HTTPResponse:
            self.requests += 1
            if (self.how, self.number) == ("sent", self.requests):
                os._exit(CRASHED)
            answer = plain(this)
            if (self.how, self.number) == ("answered", self.requests):
                os._exit(CRASHED)
            return answer

        http.client.HTTPConnection.getresponse = getresponse

    def _leave(self, child: int) -> None:
        if self.how == "killed":
            time.sleep(self.number % 7 * 0.0006)
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        os._exit(CRASHED)

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        is_change = event in _CHANGES or event in _STARTS
        if not is_change and not (event == "open" and isinstance(args[2], int) and args[2] & _WRITING):
            return
        if os.getpid() != self.pid or (event == "open" and args[0] == os.devnull):
            return
        self.operations += 1
        if self.operations == self.number and self.how == "before":
            os._exit(CRASHED)


def counted(act: Callable[[], object]) -> tuple[int, int, int]:
    """How many operations, starts of processes and HTTP requests `act` takes when nothing goes wrong."""
    read, write = os.pipe()

    def child() -> None:
        crasher = Crasher(("before", 0))
        crasher.install()
        act()
        os.write(write, f"{crasher.operations} {crasher.starts} {crasher.requests}".encode())

    assert ended(forked(child)) == 0
    found = os.read(read, 100).decode().split()
    os.close(read)
    os.close(write)
    return int(found[0]), int(found[1]), int(found[2])


def crashed(act: Callable[[], object], point: Point) -> bool:
    """Whether `act` met its end at this point; False when it was over before."""

    def child() -> None:
        Crasher(point).install()
        act()

    code = ended(forked(child))
    assert code in (0, CRASHED), (point, code)
    return code == CRASHED


class Stage:
    """A scene, and an act that can be put back to the moment before it, as often as needed.

    `act` is looked up in each child anew. Subclasses say how a machine recovers, and what must hold in the end.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._saved = scene.root.with_name("saved")
        self.act: Callable[[], object] = lambda: None

    def save(self) -> None:
        """This is the moment before the crash."""
        shutil.copytree(self.scene.root, self._saved, symlinks=True)

    def restore(self) -> None:
        """Back to it."""
        shutil.rmtree(self.scene.root)
        shutil.copytree(self._saved, self.scene.root, symlinks=True)

    def recover(self) -> None:
        """What a machine does after its reboot."""
        raise NotImplementedError

    def problems(self, branches: dict[str, str]) -> Iterator[str]:
        """Everything that is not as it should be in the end; `branches` were there after the crash."""
        raise NotImplementedError

    def points(self) -> list[Point]:
        """Every crash point of the act."""
        operations, starts, requests = counted(self.act)
        before = [("before", number) for number in range(1, operations + 1)]
        git = [(how, number) for number in range(1, starts + 1) for how in ("after", "killed")]
        return (
            before
            + git
            + [(how, number) for number in range(1, requests + 1) for how in ("sent", "answered")]
        )


def survey(stage: Stage, points: list[Point]) -> list[str]:
    """Crash at each point, recover, and tell what was wrong."""
    found = []
    for point in points:
        stage.restore()
        if not crashed(stage.act, point):
            continue
        branches = stage.scene.refs("refs/heads")
        try:
            stage.recover()
            found += [f"{point}: {each}" for each in stage.problems(branches)]
        except Exception as error:  # noqa: BLE001  (one point's failure must not hide the others)
            found.append(f"{point}: {type(error).__name__}: {error}")
    return found


def sampled(points: list[Point], count: int, part: int = 0, parts: int = 1) -> list[Point]:
    """Every `parts`-th of `count` evenly chosen points, from the `part`-th on."""
    step = max(1.0, len(points) / count)
    chosen = [points[int(number * step)] for number in range(min(count, len(points)))]
    return chosen[part::parts]
