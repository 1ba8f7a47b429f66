"""What of the queue is ready for a caller: the plan over one look, and which open pulls an attempt could mend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from refinery.core import claims
from refinery.core.blockers import Blocker, Reason
from refinery.core.model import Check, ClaimTip, Conclusion, ForgeState, Pull, PullState, ReviewState, Task
from refinery.core.plan import QueuePlan, plan, readiness, unclaimed
from refinery.core.standing import Readiness
from refinery.errors import GitError
from refinery.mirror import Prediction
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
        name: "; ".join(each.text for each in _telling(reasons))
        for name, reasons in made.skipped.items()
        if name in ours
    }
    return Queue(tuple(task for task in made.ready if task.id in ours), skipped, made)


def _telling(reasons: Sequence[Reason]) -> list[Reason]:
    """The reasons without those that only repeat that its pull is open or merged."""
    has_pull = any(each.code in (Blocker.PULL_OPEN, Blocker.PULL_MERGED) for each in reasons)
    return [each for each in reasons if not (has_pull and each.code in (Blocker.IN_REVIEW, Blocker.LANDED))]


def belongs(task: Task, slug: str) -> bool:
    """Whether a task is this project's: a folder may be shared by several."""
    return task.project.casefold() in ("", slug.casefold())


def still_ready(project: Project, seen: View, caller: str, task: Task, before: ClaimTip | None) -> Readiness:
    """The readiness of a task that we have just acquired, apart from our own claim."""
    seen = without_claim(seen, task, before)
    return readiness(
        task,
        seen.tasks,
        seen.state,
        seen.now,
        caller=caller,
        attempts=seen.config.limits.attempts,
        repairable=repairable(project, seen),
    )


def without_claim(seen: View, task: Task, before: ClaimTip | None) -> View:
    """The look as it would be without our own claim on `task`: with the tip that it took over, or none."""
    return replace(seen, state=unclaimed(seen.state, task.key, before))


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
    predicted = _predicted(project, pull, seen)
    return predicted is not None and (bool(predicted.conflicts) or bool(_failed(predicted, pull, seen)))


def failed_checks(project: Project, task: Task, seen: View) -> tuple[Check, ...]:
    """The checks that failed on the predicted result of the task's open pull: what its next attempt should mend."""
    pull = seen.state.pull_of(task.key)
    if pull is None or pull.state is not PullState.OPEN:
        return ()
    predicted = _predicted(project, pull, seen)
    return _failed(predicted, pull, seen) if predicted is not None else ()


def _predicted(project: Project, pull: Pull, seen: View) -> Prediction | None:
    base = seen.state.heads.get(pull.base)
    if base is None:
        return None
    project.forge.sync(seen.state, [pull.base, pull.branch])
    try:
        return project.predictions.merge(base, pull.head)
    except GitError:
        return None


def _failed(predicted: Prediction, pull: Pull, seen: View) -> tuple[Check, ...]:
    """What failed on the head, or on the predicted result."""
    failed = {Conclusion.FAILURE, Conclusion.TIMED_OUT}
    checks = [
        check for subject in (pull.head, predicted.tree) for check in seen.state.checks.get(subject, ())
    ]
    return tuple(check for check in checks if check.conclusion in failed)


def _is_change_requested(pull: Pull) -> bool:
    standing = {
        review.author: review.state
        for review in sorted(pull.reviews, key=lambda review: review.at)
        if review.state is not ReviewState.COMMENTED and review.is_trusted
    }
    return ReviewState.CHANGES_REQUESTED in standing.values()
