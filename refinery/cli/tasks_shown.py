"""Tasks as `task list` and `task show` tell of them: the file, the claim, the pull, and what stands in the way."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from refinery.core import claims
from refinery.core.blockers import Reason
from refinery.core.model import Claim, Problem, Pull, Task
from refinery.core.standing import clock
from refinery.core.text import did_you_mean
from refinery.errors import TaskFileError
from refinery.project import Project, View, view
from refinery.queue import Queue, belongs, queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One task. `claim` is its tip's, live or not; `why` the reasons against starting it, in words.

    `problem` is what its source has against it: an issue that nobody trusted handed over, say.
    """

    project: str
    task: Task
    is_ready: bool
    reasons: tuple[Reason, ...]
    why: str
    claim: Claim | None
    is_claimed: bool
    pull: Pull | None
    problem: Problem | None = None

    def to_json(self) -> dict[str, object]:
        """The front matter's keys, then claim, pull and readiness."""
        task = asdict(self.task)
        path = task.pop("source")
        claim = self.claim
        return {
            **task,
            "path": path,
            "in_project": self.project,
            "ready": self.is_ready,
            "reasons": [each.to_json() for each in self.reasons],
            "problem": str(self.problem) if self.problem is not None else None,
            "claim": {
                "is_live": self.is_claimed,
                "holder": claim.holder,
                "role": claim.role,
                "state": claim.state,
                "attempt": claim.attempt,
                "failures": claim.failures,
                "outcome": claim.outcome,
                "work_outcome": claim.work_outcome,
                "reason": claim.reason,
                "expires_at": claim.expires_at,
            }
            if claim is not None
            else None,
            "pull": {"number": self.pull.number, "state": self.pull.state, "head": self.pull.head}
            if self.pull is not None
            else None,
        }


@dataclass(frozen=True, slots=True)
class Rows:
    """A project's tasks, and the files that cannot be used."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


def rows(project: Project, caller: str) -> Rows:
    """One look at a project's tasks: ready ones in the order of their start, then the others by id."""
    seen = view(project)
    found = queue(project, seen, caller)
    ready = {task.id for task in found.ready}
    others = [task for _, task in sorted(seen.tasks.tasks.items()) if task.id not in ready]
    ours = [*found.ready, *(task for task in others if belongs(task, project.slug))]
    problems = {problem.task: problem for problem in seen.tasks.problems}
    made = (replace(_row(project, task, seen, found), problem=problems.get(task.id)) for task in ours)
    return Rows(tuple(made), seen.tasks.problems)


def find(projects: Sequence[Project], task_id: str, caller: str) -> Row:
    """The one task, of the first project that has it.

    Raises:
        TaskFileError: there is none, or its file cannot be used; with path and line.
    """
    known: set[str] = set()
    for project in projects:
        look = rows(project, caller)
        for row in look.rows:
            if row.task.id == task_id:
                return row
            known.add(row.task.id)
        for problem in look.problems:
            if problem.task == task_id:
                raise TaskFileError(problem.text, remedy=problem.remedy)
    raise TaskFileError(
        f"there is no task {task_id}",
        remedy=did_you_mean(task_id, known) or "`refinery task list` lists them",
    )


def told(row: Row) -> Iterator[tuple[str, str]]:
    """Names and values for people; defaults that say nothing are left out."""
    task, claim = row.task, row.claim
    yield "id", task.id
    yield "title", task.title
    yield "status", str(task.status)
    yield ("issue" if task.source.endswith(f"#{task.id}") else "file"), task.source
    for name in ("type", "priority", "project", "assignee", "depends_on", "labels", "agent", "parent"):
        value = getattr(task, name)
        if value not in ("", ()):
            yield name, ", ".join(value) if isinstance(value, tuple) else str(value)
    yield "ready", "yes" if row.is_ready else "no"
    if row.problem is not None:
        yield "", row.problem.message
        yield "", f"  → {row.problem.remedy}"
    for each in row.reasons:
        if row.problem is not None and row.problem.message in each.text:
            continue  # the same, with a cure that fits less well
        yield "", each.text
        yield "", f"  → {each.cure}"
    if claim is not None:
        until = f", until {clock(claim.expires_at)}" if row.is_claimed else ""
        yield "claim", f"{claim.state} by {claim.holder} for {claim.role}, attempt {claim.attempt}{until}"
        if claim.work_outcome:
            yield "last ended", f"{claim.work_outcome}{': ' + claim.reason if claim.reason else ''}"
    if row.pull is not None:
        yield "pull", f"{row.pull.number}, {row.pull.state}, head {row.pull.head[:12]}"


def _row(project: Project, task: Task, seen: View, found: Queue) -> Row:
    tip = seen.state.claims.get(task.key)
    reasons = found.plan.readiness[task.id].reasons
    return Row(
        project=project.slug,
        task=task,
        is_ready=not reasons,
        reasons=reasons,
        why=found.skipped.get(task.id, ""),
        claim=tip.claim if tip is not None else None,
        is_claimed=claims.is_live(tip, seen.now),
        pull=seen.state.pull_of(task.key),
    )
