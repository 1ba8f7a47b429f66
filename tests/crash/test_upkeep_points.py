"""Kill `reset-stalled` and `clean` at every point where they touch the outside world: both may be typed again.

What they find was left by processes that died: a worker while its agent worked, a worker between push and pull, a
merger right after landing; and two tasks that only say in_progress: one was never claimed, one asked a person.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import crash
from support.aftermath import go_on, problems, work_on
from support.crash import CRASHED, sampled, survey
from support.repos import git
from support.scene import Scene, ended, forked, wait_for

from refinery import publish
from refinery.cli.root import run
from refinery.core.model import ClaimState
from refinery.core.outcomes import Outcome
from refinery.home import PASSING
from refinery.reconciler import Reconciler
from refinery.tasks.files import FileTasks

EXPIRED = 4000.0  # seconds after which the dead workers' leases have ended
LATER = 8000.0  # and those of a reset that was killed itself
SAMPLE = 12  # points of each verb in a normal run
YEAR = 365 * 86400.0
HALF = """\
if [ "$REFINERY_TASK$REFINERY_ATTEMPT" = a1 ]; then
  echo half > half.txt
  touch "{root}/begun"
  exec sleep 60
fi
"""
WHY = "the agent ended well and changed nothing"
ADD = 'echo "$REFINERY_TASK" > "$REFINERY_TASK.txt"\n'


def dies_at_work(scene: Scene, name: str) -> None:
    """A worker that is killed while its agent works."""
    scene.agent(HALF + ADD)
    pid = forked(lambda: scene.run(name))
    wait_for((scene.root / "begun").exists)
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) == -signal.SIGKILL


def dies_after_push(scene: Scene, name: str) -> None:
    """A worker that ends when its work is on the branch, and nothing else is done."""

    def child() -> None:
        publish.conclude = lambda *_: os._exit(CRASHED)
        scene.run(name)

    scene.agent(ADD)
    assert ended(forked(child)) == CRASHED


def dies_after_landing(scene: Scene, name: str) -> None:
    """A merger that ends when the work is on the base, and no task shows it."""

    def child() -> None:
        FileTasks.mirror = lambda *_: os._exit(CRASHED)
        scene.merge()

    scene.agent(ADD)
    assert scene.run(name).outcome is Outcome.PUBLISHED
    assert ended(forked(child)) == CRASHED


def asks_a_person(scene: Scene, name: str) -> None:
    """A task that is blocked, with a word that was written too late."""
    scene.agent("")
    assert scene.run(name).outcome is Outcome.NO_CHANGES
    scene.set_status(name, "in_progress")


class Stalled(crash.Stage):
    """Five stalled tasks, and `reset-stalled` on them."""

    tasks = ("a", "b", "c", "d")

    def __init__(self, root: Path, kind: str) -> None:
        super().__init__(Scene(root / "scene", kind=kind))
        for name in (*self.tasks, "e"):
            self.scene.task(name, status="in_progress" if name == "c" else "ready")
        dies_after_landing(self.scene, "d")
        asks_a_person(self.scene, "e")
        dies_after_push(self.scene, "b")
        dies_at_work(self.scene, "a")
        self.act = lambda: self.reset(EXPIRED)
        self.save()

    def reset(self, seconds: float) -> None:
        """What the verb does, `seconds` from now, for what has just ended to be stalled."""
        done = self.scene.reconciler(self.scene.later(seconds)).reset_stalled(0)
        assert [each for each in done if each.error] == []

    def recover(self) -> None:
        """Reconcile; then what only a person's word resets is reset again; then work and merge as ever."""
        later = self.scene.later(LATER)
        self.scene.reconcile(later)  # a git that outlived its parent may still be writing beside this one
        assert [each for each in self.scene.reconcile(later) if each.error] == []
        self.reset(LATER)
        found = {name: self.scene.status(name) for name in (*self.tasks, "e")}
        assert found == {"a": "ready", "b": "review", "c": "ready", "d": "done", "e": "blocked"}
        work_on(self.scene, LATER)

    def problems(self, branches: dict[str, str]) -> Iterator[str]:
        """Everything landed once, and the half of the worker that was killed is still to be had."""
        yield from problems(self.scene, list(self.tasks), branches, LATER, ("e",))
        if (end := self.scene.claim("e")).reason != WHY or self.scene.status("e") != "blocked":
            yield f"e is {self.scene.status('e')}: {end.reason}"
        kept = {git(self.scene.git_dir, "rev-parse", f"{ref}^{{tree}}") for ref in self.scene.preserved("a")}
        if len(kept) != 1 or not self.scene.has(
            f"{kept.pop()}:half.txt"
        ):  # killed in between, it is kept twice
            yield f"the dead worker's half is at {self.scene.preserved('a')}"


class Untidy(crash.Stage):
    """A home with old and new files of every kind, a trash, and a dead worker's worktree; and `clean` on it."""

    def __init__(self, root: Path, kind: str) -> None:
        super().__init__(Scene(root / "scene", kind=kind))
        self.scene.task("a")
        dies_at_work(self.scene, "a")
        home = self.scene.home
        self.old = [
            *(home.transcripts / "demo" / name / "1.log" for name in ("gone", "away")),
            home.logs / "demo.log.1",
            home.cache / "old",
            home.path / ".try-a-home",
            home.trash / "x1" / "tree" / "a.txt",
            home.trash / "x2" / "b.txt",
        ]
        new = [home.transcripts / "demo" / "gone" / "2.log", home.logs / "demo.log", home.cache / "new"]
        for path in (*self.old, *new):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(path.name)
        for path in (*self.old, home.transcripts / "demo" / "away"):
            os.utime(path, (time.time() - YEAR, time.time() - YEAR))
        self.act = self.clean
        self.save()
        self.kept = self.others()
        self.refs = self.scene.refs()

    def clean(self) -> None:
        """The verb."""
        assert run(["--home", str(self.scene.home.path), "clean", "--json"]) == 0

    def others(self) -> dict[Path, bytes]:
        """Every file of the home that has to stay; one that a killed process just tried to make may."""
        files = (path for path in self.scene.home.path.rglob("*") if path.is_file() and not path.is_symlink())
        return {
            path: path.read_bytes()
            for path in files
            if path not in self.old and not path.name.startswith(PASSING)
        }

    def recover(self) -> None:
        """Nothing but the old has gone; the verb is typed again; then the dead worker's task goes on."""
        assert self.others() == self.kept
        assert self.scene.refs() == self.refs
        self.clean()
        assert [path for path in self.old if path.exists()] == []
        assert list(self.scene.home.trash.iterdir()) == []
        assert self.others() == self.kept
        go_on(self.scene, EXPIRED)

    def problems(self, branches: dict[str, str]) -> Iterator[str]:
        """It landed, once, and the half of the worker that was killed is still to be had."""
        yield from problems(self.scene, ["a"], branches, EXPIRED)
        if not any(self.scene.has(f"{ref}:half.txt") for ref in self.scene.preserved("a")):
            yield "the dead worker's half is gone"


STAGES = {"reset-stalled": Stalled, "clean": Untidy}


@pytest.mark.parametrize(("kind", "verb"), [("bare", "reset-stalled"), ("bare", "clean")])
def test_f3_upkeep_killed_anywhere_can_be_done_again(
    tmp_path: Path, kind: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """F3, F9: an evenly spread sample of all points; every one of them under `make test-long`."""
    stage = STAGES[verb](tmp_path, kind)
    points = stage.points()
    stage.restore()
    chosen = sampled(points, SAMPLE)
    with capsys.disabled():
        print(f"\n{verb}: {len(chosen)} of {len(points)} crash points")  # noqa: T201  (the survey's size is its worth)
    assert survey(stage, chosen) == []


def test_f22_what_a_dead_mender_had_taken_over_is_mended_by_the_next(tmp_path: Path) -> None:
    """F22: killed with every claim in its hands and nothing done; each task still ends as if it had never begun."""
    stage = Stalled(tmp_path, "bare")

    def child() -> None:
        Reconciler._carry_out = lambda *_: None
        stage.act()

    assert ended(forked(child)) == 0
    assert {claim.state for claim in map(stage.scene.claim, (*stage.tasks, "e"))} == {ClaimState.HELD}
    branches = stage.scene.refs("refs/heads")
    stage.recover()
    assert list(stage.problems(branches)) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("kind", "verb"),
    [("bare", "reset-stalled"), ("checkout", "reset-stalled"), ("file", "reset-stalled"), ("bare", "clean")],
)
def test_every_crash_point_of_upkeep(tmp_path: Path, kind: str, verb: str) -> None:
    """F3, F9: all of them."""
    stage = STAGES[verb](tmp_path, kind)
    assert survey(stage, stage.points()) == []
