"""A scene on the fake GitHub that can be put back to an earlier moment, and what must hold there in the end."""

import copy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from refinery.core.outcomes import Outcome
from refinery.git import EMPTY_TREE
from refinery.testing import FakeGitHub
from refinery.testing.world import World
from support import crash
from support.hub import NAME, HubScene
from support.repos import ENV, git

EXPIRED = 4000.0  # seconds after which every lease has ended
_ENDLESS = 10**9
_OWN = ("lock", "clock", "listeners", "webhooks")  # what a world keeps through its restoring


class HubStage(crash.Stage):
    """A run of one task, or a landing of two; `act` is the verb."""

    scene: HubScene

    def __init__(self, root: Path, hub: FakeGitHub, verb: str) -> None:
        super().__init__(HubScene(root / "scene", hub, limits={"backoff": "0s"}))
        self.hub = hub
        hub.limits.most = {"core": _ENDLESS, "graphql": _ENDLESS}
        self.tasks = [str(self.scene.issue()) for _ in range(1 if verb == "run" else 2)]
        self.act = self.scene.run
        if verb == "merge":
            assert {self.scene.run().outcome for _ in self.tasks} == {Outcome.PUBLISHED}
            self.scene.pass_checks()
            self.act = self.scene.merge
        self.save()

    def save(self) -> None:
        """The machine, the repository, and what GitHub knows."""
        super().save()
        self._kept = self._copied(self.hub.world)
        shutil.copytree(self.scene.repo, self.scene.root.with_name("saved.git"))

    def restore(self) -> None:
        """Back to it; faults that were not met are forgotten."""
        super().restore()
        self.hub.faults.clear()
        with self.hub.world.lock:
            kept = self._copied(self._kept)
            vars(self.hub.world).update({name: kept[name] for name in kept if name not in _OWN})
            shutil.rmtree(self.scene.repo)
            shutil.copytree(self.scene.root.with_name("saved.git"), self.scene.repo)

    def _copied(self, world: "World | dict[str, object]") -> dict[str, object]:
        """All values of a world, in one copy that keeps who is who."""
        values = vars(world) if isinstance(world, World) else world
        memo = {id(values[name]): values[name] for name in _OWN}
        return copy.deepcopy(dict(values), memo)

    def recover(self) -> None:
        """Reconcile, then work, CI and merge as ever."""
        go_on(self.scene, EXPIRED)

    def problems(self, branches: dict[str, str]) -> Iterator[str]:
        """As `problems`."""
        return problems(self.scene, self.tasks, branches, EXPIRED)


def go_on(scene: HubScene, seconds: float) -> None:
    """What happens after a machine's reboot, `seconds` from now: reconcile, work, CI, merge, reconcile."""
    scene.reconcile(
        scene.later(seconds)
    )  # what the dead process sent may still be carried out beside this one
    assert [each for each in scene.reconcile(scene.later(seconds)) if each.error] == []
    for _ in range(4):
        if scene.worker(scene.later(seconds)).run().outcome is Outcome.NOTHING_READY:
            break
    scene.pass_checks()
    scene.merge(project=scene.later(seconds))
    assert [each for each in scene.reconcile(scene.later(seconds)) if each.error] == []


def problems(scene: HubScene, tasks: list[str], branches: dict[str, str], seconds: float) -> Iterator[str]:
    """Everything that is not as it should be in the end; `branches` were there after the crash."""
    for name in tasks:
        yield from unfinished(scene, name)
    yield from doubled(scene, tasks)
    for ref, sha in branches.items():
        if not git(scene.git_dir, "for-each-ref", "--contains", sha):
            yield f"{sha} of {ref} vanished"
    if found := [*scene.locks(), *scene.worktrees()]:
        yield f"left behind: {found}"
    if words := broken(scene):
        yield f"fsck: {words}"
    if again := scene.reconcile(scene.later(seconds)):
        yield f"still to mend: {again}"


def broken(scene: HubScene) -> list[str]:
    """What fsck says; the empty tree, which git knows without having it, is never uploaded."""
    fsck = ["git", "-C", str(scene.git_dir), "fsck", "--strict", "--no-dangling"]
    done = subprocess.run(fsck, capture_output=True, text=True, check=False, env=ENV)
    return [line for line in (done.stdout + done.stderr).splitlines() if line != f"missing tree {EMPTY_TREE}"]


def unfinished(scene: HubScene, name: str) -> Iterator[str]:
    """What is not as it should be with one task: its landing, its issue, its claim."""
    if (landings := landings_of(scene).count(name)) != 1:
        yield f"{name} landed {landings} times"
    if not scene.has(f"main:{name}.txt"):
        yield f"the work of {name} is not on the base"
    issue = scene.hub.issue(NAME, int(name))
    if (issue.state, issue.state_reason) != ("closed", "completed"):
        yield f"the issue {name} is {issue.state} {issue.state_reason}"
    if (labels := scene.labels(int(name))) != {"polecat"}:
        yield f"the issue {name} has {labels}"
    claim = scene.claim(name)
    if claim.outcome is not Outcome.MERGED or claim.state != "released":
        yield f"the claim of {name} says {claim.state} {claim.outcome}"


def doubled(scene: HubScene, tasks: list[str]) -> Iterator[str]:
    """What is there twice, or was not verified: pulls, comments, and commits of the base."""
    pulls = scene.hub.pulls(NAME)
    if [(pull.state, pull.pull is not None and pull.pull.merged) for pull in pulls] != [
        ("closed", True)
    ] * len(tasks):
        yield f"pulls: {[(pull.number, pull.title, pull.state) for pull in pulls]}"
    for number in (*map(int, tasks), *(pull.number for pull in pulls)):
        said = scene.comments(number)
        if len(said) > (1 if str(number) in tasks else 0):
            yield f"{number} has the comments {said}"
    shown = "--format=%T %(trailers:key=Refinery-Tree,valueonly,separator=%x2C)"
    for line in git(scene.git_dir, "log", shown, "main").splitlines():
        tree, _, predicted = line.partition(" ")
        if predicted not in ("", tree):
            yield f"the tree {tree} is on the base, predicted was {predicted}"


def landings_of(scene: HubScene) -> list[str]:
    """The tasks that the base carries, one for each landing."""
    log = git(scene.git_dir, "log", "--format=%(trailers:key=Refinery-Task,valueonly,separator=%x2C)", "main")
    return [line for line in log.splitlines() if line]
