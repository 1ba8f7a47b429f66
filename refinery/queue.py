"""What of the queue is ready for a caller: the plan over one look, and which open pulls an attempt could mend."""

from collections.abc import Mapping
from dataclasses import dataclass

from refinery.core import claims
from refinery.core.model import ClaimTip, Conclusion, ForgeState, Pull, PullState, ReviewState, Task
from refinery.core.plan import QueuePlan, plan, readiness, unclaimed
from refinery.core.standing import Readiness
from refinery.errors import GitError
from refinery.project import Project, View


@dataclass(frozen=True, slots=True)
class Queue:
    """The ready tasks in order, and why the others are not, by id."""

    ready: tuple[Task, ...]
    skipped: Mapping[str, str]
    plan: QueuePlan


def queue(project: Project, seen: View, caller: str) -> Queue:
    """The queue of one project: tasks that name no project, or this one."""
    made = plan(
        seen.tasks,
        seen.state,
        seen.now,
        caller=caller,
        attempts=seen.config.limits.attempts,
        repairable=repairable(project, seen),
    )
    ours = {task.id for task in seen.tasks.tasks.values() if belongs(task, project.slug)}
    skipped = {
        name: "; ".join(each.text for each in reasons)
        for name, reasons in made.skipped.items()
        if name in ours
    }
    return Queue(tuple(task for task in made.ready if task.id in ours), skipped, made)


def belongs(task: Task, slug: str) -> bool:
    """Whether a task is this project's: a folder may be shared by several."""
    return task.project.casefold() in ("", slug.casefold())


def still_ready(project: Project, seen: View, caller: str, task: Task, before: ClaimTip | None) -> Readiness:
    """The readiness of a task that we have just acquired, apart from our own claim."""
    return readiness(
        task,
        seen.tasks,
        unclaimed(seen.state, task.key, before),
        seen.now,
        caller=caller,
        attempts=seen.config.limits.attempts,
        repairable=repairable(project, seen),
    )


def attempt_after(task: Task, state: ForgeState) -> int:
    """The number of a task's next attempt, above every trace of an earlier one."""
    return claims.first_attempt(task.key, state.claims.get(task.key), (), state.preserved)


def repairable(project: Project, seen: View) -> frozenset[int]:
    """Open pulls of ours that a new attempt could mend: a failed check, a conflict, a request for changes.

    The head must be the one that we recorded, and repairs must be left; what a person pushed is a person's.
    """
    return frozenset(
        pull.number
        for pull in seen.state.pulls.values()
        if pull.state is PullState.OPEN and _is_ours(pull, seen) and _is_broken(project, pull, seen)
    )


def _is_ours(pull: Pull, seen: View) -> bool:
    tip = seen.state.claims.get(pull.key)
    claim = tip.claim if tip is not None else None
    return claim is not None and claim.head == pull.head and claim.repairs < seen.config.limits.repairs


def _is_broken(project: Project, pull: Pull, seen: View) -> bool:
    if _is_change_requested(pull):
        return True
    base = seen.state.heads.get(pull.base)
    if base is None:
        return False
    project.forge.sync(seen.state, [pull.base, pull.branch])
    try:
        predicted = project.predictions.merge(base, pull.head)
    except GitError:
        return False
    failed = {Conclusion.FAILURE, Conclusion.TIMED_OUT}
    checks = seen.state.checks.get(predicted.tree, ())
    return bool(predicted.conflicts) or any(check.conclusion in failed for check in checks)


def _is_change_requested(pull: Pull) -> bool:
    standing = {
        review.author: review.state
        for review in sorted(pull.reviews, key=lambda review: review.at)
        if review.state is not ReviewState.COMMENTED
    }
    return ReviewState.CHANGES_REQUESTED in standing.values()
