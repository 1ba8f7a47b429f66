"""After a crash: going on as a machine does after its reboot, and what must hold in the end."""

from collections.abc import Iterator

from refinery.core.outcomes import Outcome
from support.repos import git
from support.scene import Scene


def go_on(scene: Scene, seconds: float) -> None:
    """What a machine does after its reboot, `seconds` from now: reconcile, then work and merge as ever."""
    later = scene.later(seconds)
    scene.reconcile(later)  # a git that outlived its parent may still be writing beside this one
    assert [each for each in scene.reconcile(later) if each.error] == []
    work_on(scene, seconds)


def work_on(scene: Scene, seconds: float) -> None:
    """Work and merge as ever, `seconds` from now."""
    later = scene.later(seconds)
    for _ in range(4):
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


def problems(
    scene: Scene, tasks: list[str], branches: dict[str, str], seconds: float, waiting: tuple[str, ...] = ()
) -> Iterator[str]:
    """Everything that is not as it should be in the end, `seconds` from now; `waiting` tasks wait for a person."""
    for name in tasks:
        yield from unfinished(scene, name)
    states = [str(pull.state) for pull in scene.state().pulls.values()]
    if states != ["merged"] * len(tasks):
        yield f"pulls: {states}"
    for ref, sha in branches.items():
        if not git(scene.git_dir, "for-each-ref", "--contains", sha):
            yield f"{sha} of {ref} vanished"
    left = [path.name for path in scene.tasks.iterdir() if path.stem not in (*tasks, *waiting)]
    if found := [*scene.locks(), *scene.worktrees(), *left]:
        yield f"left behind: {found}"
    if words := git(scene.git_dir, "fsck", "--strict", "--no-dangling"):
        yield f"fsck: {words}"
    if scene.repo != scene.git_dir and (dirt := git(scene.repo, "status", "--porcelain")):
        yield f"the checkout was left dirty: {dirt}"
    if again := scene.reconcile(scene.later(seconds)):
        yield f"still to mend: {again}"
