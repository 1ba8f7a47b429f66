"""Two workers, a merger, a reconciler and a person, in every order that a seed makes of their forge calls.

A failing seed replays exactly: `SEEDS=17 pytest tests/e2e/test_interleavings.py`.
"""

import contextlib
import os
import random
import time
from pathlib import Path

import pytest
from support.repos import git
from support.scene import Scene
from support.stepper import Stepper

from refinery.core.model import Review, ReviewState
from refinery.errors import ClaimLostError, ForgeUnavailableError, LeaseLostError, RefineryError

TASKS = ("a", "b")
AT_ONCE = 10
USUAL = "0-39"
ALLOWED = (ClaimLostError, LeaseLostError, ForgeUnavailableError)


def seeds() -> range:
    """All seeds of this run: `SEEDS=FIRST-LAST`, or the usual number."""
    first, _, last = (os.environ.get("SEEDS") or USUAL).partition("-")
    return range(int(first), int(last or first) + 1)


def person(scene: Scene, stepper: Stepper, chance: random.Random) -> None:
    """Somebody who pushes, edits, reviews and closes at bad moments."""
    acts = chance.sample(["push", "review", "title", "branch"], k=2)
    for act in acts:
        stepper.pause(act)
        state = scene.state()
        pulls = [pull for pull in state.pulls.values() if pull.state == "open"]
        if act == "push":
            scene.person({f"person-{chance.random()}.txt": "mine\n"}, "a person's own")
        elif act == "review" and pulls:
            given = Review(author="ann", state=ReviewState.APPROVED, head=pulls[0].head, at=time.time())
            scene.project().forge.review(pulls[0].number, given)
        elif act == "title":
            path = scene.tasks / f"{chance.choice(TASKS)}.md"
            path.write_text(path.read_text().replace("Do it.", "Do it well."))
        elif act == "branch" and pulls:
            git(scene.git_dir, "update-ref", "-d", f"refs/heads/{pulls[0].branch}")


def play(root: Path, seed: int) -> Scene:
    """One seed, from start to rest."""
    scene = Scene(root, limits={"backoff": "0s", "attempts": 9})
    for name in TASKS:
        scene.task(name)
    chance = random.Random(seed)
    stepper = Stepper(seed)
    ahead = chance.choice([0, 0, 4000])  # a reconciler whose clock makes it take live claims over

    def mender() -> None:
        project = scene.later(ahead) if ahead else scene.project()
        scene.reconcile(stepper.gated(project))

    stepper.run(
        {
            "one": lambda: scene.worker(stepper.gated(scene.project())).run(),
            "two": lambda: scene.worker(stepper.gated(scene.project())).run(),
            "merger": lambda: scene.merge(project=stepper.gated(scene.project())),
            "mender": mender,
            "person": lambda: person(scene, stepper, chance),
        }
    )
    for name, error in stepper.errors:
        assert isinstance(error, ALLOWED), (seed, name, repr(error), stepper.trace)
    return scene


def settle(scene: Scene) -> None:
    """What the next hour would bring: reconcile, work and merge until nothing moves."""
    for round_ in range(6):
        later = 8000.0 * (round_ + 1)
        for act in (
            scene.reconcile,
            lambda project: scene.worker(project).run(),
            lambda project: scene.merge(project=project),
        ):
            with contextlib.suppress(RefineryError):
                act(scene.later(later))
        for name in TASKS:  # a person re-opens what waits for one
            if scene.status(name) in ("blocked", "review", "failed") and not merged(scene, name):
                scene.set_status(name, "ready")
        if all(merged(scene, name) for name in TASKS):
            scene.reconcile(scene.later(later))
            return


def merged(scene: Scene, name: str) -> int:
    """How often the base carries a task."""
    log = git(scene.git_dir, "log", "--format=%(trailers:key=Refinery-Task,valueonly,separator=%x2C)", "main")
    return log.splitlines().count(name)


def check(scene: Scene, seed: int, before: set[str]) -> None:
    """The invariants, whatever the order was."""
    for name in TASKS:
        assert merged(scene, name) == 1, (seed, name, scene.status(name))
    landed = git(
        scene.git_dir, "log", "--format=%T %(trailers:key=Refinery-Tree,valueonly,separator=%x2C)", "main"
    )
    for line in landed.splitlines():
        tree, _, predicted = line.partition(" ")
        assert predicted in ("", tree), (seed, line)
    assert scene.locks() == [], seed
    assert git(scene.git_dir, "fsck", "--strict", "--no-dangling") == "", seed
    reachable = set(git(scene.git_dir, "rev-list", "--all").split())
    assert before <= reachable, (seed, "a branch's commit has vanished")


@pytest.mark.parametrize("first", seeds()[::AT_ONCE])
def test_f05_f17_f22_any_order_ends_well(first: int, tmp_path: Path) -> None:
    """F5, F17, F22: every task lands exactly once, every tree as predicted, nothing that was published is lost."""
    for seed in seeds()[first - seeds()[0] :][:AT_ONCE]:
        scene = play(tmp_path / str(seed), seed)
        before = set(git(scene.git_dir, "rev-list", "--all").split())
        settle(scene)
        check(scene, seed, before)
