"""Kill a worker and a merger at every point where they touch the outside world, and look at what reconcile makes of it.

A forked child counts audited operations (https://docs.python.org/3/library/audit_events.html) that change a file or
start a process, and leaves by `os._exit` before the n-th of them, so that no clean-up of any kind runs; for processes
also right after the start, so that git goes on without its parent, and together with the process a moment later, so
that git dies in the middle of its own writing. Then the clock goes on past the lease.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.repos import git
from support.scene import Scene, ended, forked

from refinery.core.outcomes import Outcome

Point = tuple[str, int]  # how, and at the how-manieth operation or start
CRASHED = 77
EXPIRED = 4000.0
SAMPLE = 32  # points of each verb in a normal run
PARTS = 4
_CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
)
_STARTS = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn", "os.kill"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Crasher:
    """Counts the operations of this process, and ends it at the point given."""

    def __init__(self, point: Point) -> None:
        self.how, self.number = point
        self.operations = self.starts = 0
        self.pid = os.getpid()

    def install(self) -> None:
        """From now on. The process has to be one that ends soon: a hook cannot be removed."""
        plain = subprocess.Popen._execute_child

        def execute_child(this: object, *args: object, **options: object) -> None:
            plain(this, *args, **options)
            if os.getpid() == self.pid:
                self.starts += 1
                if self.starts == self.number and self.how != "before":
                    self._leave(this.pid)

        subprocess.Popen._execute_child = execute_child
        sys.addaudithook(self._hook)

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


def counted(act: Callable[[], object]) -> tuple[int, int]:
    """How many operations and starts `act` takes when nothing goes wrong."""
    read, write = os.pipe()

    def child() -> None:
        crasher = Crasher(("before", 0))
        crasher.install()
        act()
        os.write(write, f"{crasher.operations} {crasher.starts}".encode())

    assert ended(forked(child)) == 0
    found = os.read(read, 100).decode().split()
    os.close(read)
    os.close(write)
    return int(found[0]), int(found[1])


def crashed(act: Callable[[], object], point: Point) -> bool:
    """Whether `act` met its end at this point; False when it was over before."""

    def child() -> None:
        Crasher(point).install()
        act()

    code = ended(forked(child))
    assert code in (0, CRASHED), (point, code)
    return code == CRASHED


class Stage:
    """A scene that can be put back to the moment before the crash, as often as needed."""

    def __init__(self, root: Path, kind: str, verb: str) -> None:
        self.scene = Scene(root / "scene", kind=kind)
        self.tasks = ["a"] if verb == "run" else ["a", "b"]  # two land as one batch
        for name in self.tasks:
            self.scene.task(name)
        self.act: Callable[[], object] = self.scene.run
        if verb == "merge":
            assert {self.scene.run().outcome for _ in self.tasks} == {Outcome.PUBLISHED}
            self.act = self.scene.merge
        self.saved = root / "saved"
        shutil.copytree(self.scene.root, self.saved, symlinks=True)

    def restore(self) -> None:
        """Back to the start."""
        shutil.rmtree(self.scene.root)
        shutil.copytree(self.saved, self.scene.root, symlinks=True)

    def points(self) -> list[Point]:
        """Every crash point of the verb."""
        operations, starts = counted(self.act)
        before = [("before", number) for number in range(1, operations + 1)]
        return before + [(how, number) for number in range(1, starts + 1) for how in ("after", "killed")]


def recovered(scene: Scene) -> None:
    """What a machine does after its reboot: reconcile, then work and merge as ever."""
    later = scene.later(EXPIRED)
    scene.reconcile(later)  # a git that outlived its parent may still be writing beside this one
    assert [each for each in scene.reconcile(later) if each.error] == []
    for _ in range(3):
        if scene.worker(later).run().outcome is Outcome.NOTHING_READY:
            break
    scene.merge(project=later)
    assert [each for each in scene.reconcile(later) if each.error] == []


def unfinished(scene: Scene, name: str) -> Iterator[str]:
    """What is not as it should be with one task in the end."""
    grep = f"--grep=^Refinery-Task: {name}$"
    landings = git(scene.git_dir, "log", "--format=%H", grep, "main").splitlines()
    if len(landings) != 1:
        yield f"{name} landed {len(landings)} times"
    if not scene.has(f"main:{name}.txt"):
        yield f"the work of {name} is not on the base"
    if (status := scene.status(name)) != "done":
        yield f"the file of {name} says {status}"
    if (claim := scene.claim(name)).outcome is not Outcome.MERGED or claim.state != "released":
        yield f"the claim of {name} says {claim.state} {claim.outcome}"


def problems(scene: Scene, tasks: list[str], branches: dict[str, str]) -> Iterator[str]:
    """Everything that is not as it should be in the end."""
    for name in tasks:
        yield from unfinished(scene, name)
    states = [str(pull.state) for pull in scene.state().pulls.values()]
    if states != ["merged"] * len(tasks):
        yield f"pulls: {states}"
    for ref, sha in branches.items():
        if not git(scene.git_dir, "for-each-ref", "--contains", sha):
            yield f"{sha} of {ref} vanished"
    left = [path.name for path in scene.tasks.iterdir() if path.stem not in tasks]
    if found := [*scene.locks(), *scene.worktrees(), *left]:
        yield f"left behind: {found}"
    if words := git(scene.git_dir, "fsck", "--strict", "--no-dangling"):
        yield f"fsck: {words}"
    if scene.repo != scene.git_dir and (dirt := git(scene.repo, "status", "--porcelain")):
        yield f"the checkout was left dirty: {dirt}"
    if again := scene.reconcile(scene.later(EXPIRED)):
        yield f"still to mend: {again}"


def survey(stage: Stage, points: list[Point]) -> list[str]:
    """Crash at each point, recover, and tell what was wrong."""
    found = []
    for point in points:
        stage.restore()
        if not crashed(stage.act, point):
            continue
        branches = stage.scene.refs("refs/heads")
        try:
            recovered(stage.scene)
            found += [f"{point}: {each}" for each in problems(stage.scene, stage.tasks, branches)]
        except Exception as error:  # noqa: BLE001  (one point's failure must not hide the others)
            found.append(f"{point}: {type(error).__name__}: {error}")
    return found


def sampled(points: list[Point], part: int) -> list[Point]:
    """Every PARTS-th of SAMPLE evenly chosen points."""
    step = max(1.0, len(points) / SAMPLE)
    chosen = [points[int(number * step)] for number in range(min(SAMPLE, len(points)))]
    return chosen[part::PARTS]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("kind", "verb"), [("bare", "run"), ("checkout", "merge")])
def test_f22_a_crash_anywhere_loses_nothing_and_lands_once(
    tmp_path: Path, kind: str, verb: str, part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """F3, F9, F22: an evenly spread sample of all points; every one of them under `make test-long`."""
    stage = Stage(tmp_path, kind, verb)
    points = stage.points()
    chosen = sampled(points, part)
    with capsys.disabled():
        print(f"\n{verb}: {len(chosen)} of {len(points)} crash points")  # noqa: T201  (the survey's size is its worth)
    assert survey(stage, chosen) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["bare", "checkout", "file"])
@pytest.mark.parametrize("verb", ["run", "merge"])
def test_every_crash_point(tmp_path: Path, kind: str, verb: str) -> None:
    """F3, F9, F22: all of them, on every kind of repository."""
    stage = Stage(tmp_path, kind, verb)
    assert survey(stage, stage.points()) == []
