"""Where everything stands: each task with its claim, each pull with its verdict, from one look."""

from collections.abc import Iterable
from dataclasses import dataclass

from refinery.core import claims
from refinery.core.model import Pull, PullState, Task
from refinery.judging import Judge, Judged
from refinery.project import Project, View, view
from refinery.queue import Queue, belongs, queue


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task: its status as it really is, the claim's attempt and live holder, its pull, and why it is not ready."""

    id: str
    title: str
    status: str
    attempt: int | None
    holder: str | None
    pull: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRow:
    """One pull with its verdict; merged and closed ones have their state for a verdict's place."""

    number: int
    task: str
    title: str
    state: str
    head: str
    verdict: str | None
    reasons: tuple[dict[str, object], ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A project at one instant. `problems` are files and refs that cannot be read, and live claims that are broken."""

    project: str
    base: str
    frozen: str
    tasks: tuple[TaskRow, ...]
    pulls: tuple[PullRow, ...]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The object that `status --json` prints."""
        return {
            "project": self.project,
            "base": self.base,
            "frozen": self.frozen or None,
            "tasks": [
                {
                    "id": row.id,
                    "title": row.title,
                    "status": row.status,
                    "attempt": row.attempt,
                    "holder": row.holder,
                    "pull": row.pull,
                    "reason": row.reason or None,
                }
                for row in self.tasks
            ],
            "pulls": [
                {
                    "number": row.number,
                    "task": row.task,
                    "state": row.state,
                    "head": row.head,
                    "verdict": row.verdict,
                    "reasons": list(row.reasons),
                }
                for row in self.pulls
            ],
            "problems": list(self.problems),
        }


def overview(project: Project, caller: str) -> Overview:
    """One look at a project, judged as a worker and a merger would."""
    seen = view(project)
    found = queue(project, seen, caller)
    judge = Judge(project)
    pulls = sorted(seen.state.pulls.values(), key=lambda pull: pull.number)
    freeze = next((each for each in seen.state.freezes.values() if each.base == project.base), None)
    return Overview(
        project=project.slug,
        base=project.base,
        frozen=freeze.reason if freeze is not None else "",
        tasks=tuple(_task_row(task, seen, found) for task in _ordered(seen, found, project.slug)),
        pulls=tuple(_pull_row(pull, judge, seen) for pull in pulls),
        problems=tuple(_problems(seen)),
    )


def _ordered(seen: View, found: Queue, slug: str) -> list[Task]:
    """Ready tasks in the order of their start, then the others by id."""
    ready = {task.id for task in found.ready}
    others = [
        task for _, task in sorted(seen.tasks.tasks.items()) if task.id not in ready and belongs(task, slug)
    ]
    return [*found.ready, *others]


def _task_row(task: Task, seen: View, found: Queue) -> TaskRow:
    tip = seen.state.claims.get(task.key)
    claim = tip.claim if tip is not None else None
    live = claims.is_live(tip, seen.now)
    pull = seen.state.pull_of(task.key)
    is_ready = task.id not in found.skipped
    return TaskRow(
        id=task.id,
        title=task.title,
        status="in_progress" if live else "ready" if is_ready else str(task.status),
        attempt=claim.attempt if claim is not None else None,
        holder=claim.holder if live and claim is not None else None,
        pull=pull.number if pull is not None else None,
        reason=found.skipped.get(task.id, ""),
    )


def _pull_row(pull: Pull, judge: Judge, seen: View) -> PullRow:
    judged: Judged | None = judge.judge(pull, seen) if pull.state is PullState.OPEN else None
    reasons = judged.verdict.reasons if judged is not None else ()
    return PullRow(
        number=pull.number,
        task=pull.task,
        title=pull.title,
        state=str(pull.state),
        head=pull.head,
        verdict=str(judged.verdict.decision) if judged is not None else None,
        reasons=tuple(each.to_json() for each in reasons),
        texts=tuple(each.text for each in reasons),
    )


def _problems(seen: View) -> Iterable[str]:
    yield from (str(each) for each in seen.tasks.problems)
    yield from seen.state.problems
    for key, tip in sorted({**seen.state.claims, **seen.state.landing}.items()):
        if tip.claim is None:
            yield f"the claim {key} cannot be read ({tip.problem}), which counts as held"
        elif claims.is_broken(tip, seen.now):
            yield f"the claim {key} of {tip.claim.holder} ends later than any lease may: a clock was wrong"
