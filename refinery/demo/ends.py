"""How every task of the demo ended, read from the forge and the task files, against how the story says it must."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from refinery.core.model import PullState, Task
from refinery.demo.story import Scene
from refinery.judging import Judge, Judged
from refinery.project import Project, View, view
from refinery.queue import queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One task at the end. `why` is what a person reads; `differences` name what the story says otherwise."""

    scene: Scene
    outcome: str
    status: str
    attempt: int | None
    pull: int | None
    state: str
    verdict: str
    codes: tuple[str, ...]
    why: str
    differences: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The row of `demo --json`."""
        return {
            "id": self.scene.id,
            "title": self.scene.title,
            "shows": self.scene.shows,
            "outcome": self.outcome or None,
            "status": self.status,
            "attempt": self.attempt,
            "pull": self.pull,
            "state": self.state or None,
            "verdict": self.verdict or None,
            "reasons": list(self.codes),
            "why": self.why,
            "differences": list(self.differences),
        }


@dataclass(frozen=True, slots=True)
class Outlook:
    """Everything at one instant: tasks, and the titles that landed, oldest first."""

    tasks: tuple[Ended, ...]
    landed: tuple[str, ...]


def look(project: Project, scenes: Sequence[Scene]) -> Outlook:
    """One look at the demo's project, judged as a worker and a merger would."""
    seen = view(project)
    judge = Judge(project)
    judged = {
        pull.key: judge.judge(pull, seen)
        for _, pull in sorted(seen.state.pulls.items())
        if pull.state is PullState.OPEN
    }
    return Outlook(
        tasks=tuple(_ended(scene, project, seen, judged) for scene in scenes),
        landed=tuple(_landed(project, seen)),
    )


def _ended(scene: Scene, project: Project, seen: View, judged: Mapping[str, Judged]) -> Ended:
    task = seen.tasks.tasks[scene.id]
    tip = seen.state.claims.get(task.key)
    claim = tip.claim if tip is not None else None
    pull = seen.state.pull_of(task.key)
    found = judged.get(task.key)
    against = [each for each in found.verdict.reasons if not each.waits] if found is not None else []
    outcome = str(claim.work_outcome) if claim is not None and claim.work_outcome else ""
    ended = Ended(
        scene=scene,
        outcome=outcome,
        status=str(task.status),
        attempt=claim.attempt if claim is not None else None,
        pull=pull.number if pull is not None else None,
        state=str(pull.state) if pull is not None else "",
        verdict=str(found.verdict.decision) if found is not None else "",
        codes=tuple(dict.fromkeys(str(each.code) for each in against)),
        why=_why(
            task, seen, project, [each.text for each in against], claim.reason if claim is not None else ""
        ),
    )
    return replace(ended, differences=tuple(_differences(ended, _keeps(scene, task, project, seen))))


def _why(task: Task, seen: View, project: Project, against: Sequence[str], said: str) -> str:
    """The verdict's reasons, else what the last attempt said, else why the task is not ready."""
    if against:
        return "; ".join(against)
    pull = seen.state.pull_of(task.key)
    if pull is not None and pull.state is PullState.MERGED:
        return f"merged as {pull.merged_as[:12]}"
    return said or queue(project, seen, "bot").skipped.get(task.id, "")


def _keeps(scene: Scene, task: Task, project: Project, seen: View) -> bool:
    """Whether the branch holds what the story says is kept there."""
    if not scene.end.kept:
        return True
    tip = seen.state.heads.get(task.branch)
    if tip is None:
        return False
    project.forge.sync(seen.state, [task.branch])
    return project.mirror.read_file(tip, scene.end.kept) is not None


def _differences(ended: Ended, keeps: bool) -> Iterator[str]:
    end = ended.scene.end
    wanted = {
        "status": str(end.status),
        "outcome": str(end.outcome or ""),
        "attempt": end.attempt,
        "state": end.pull or "",
        "codes": tuple(sorted(end.codes)),
    }
    got = {
        "status": ended.status,
        "outcome": ended.outcome,
        "attempt": ended.attempt,
        "state": ended.state,
        "codes": tuple(sorted(ended.codes)),
    }
    names = {"state": "pull", "codes": "reasons", "attempt": "attempts"}
    for name, value in wanted.items():
        if got[name] != value:
            yield f"{names.get(name, name)}: {_shown(got[name])} instead of {_shown(value)}"
    if not keeps:
        yield f"{end.kept} is not on its branch"


def _shown(value: object) -> str:
    return (", ".join(value) if isinstance(value, tuple) else str(value or "")) or "none"


def _landed(project: Project, seen: View) -> Iterator[str]:
    """The subjects of the base's commits, oldest first.

    Raises:
        RefineryError: git does not answer.
    """
    project.forge.sync(seen.state, [project.base])
    tip = project.base_tip(seen.state)
    log = project.mirror.git().text("log", "--reverse", "--format=%h %s", tip, "--")
    yield from log.splitlines()
