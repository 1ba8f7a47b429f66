"""What a reconcile would mend, as values: the pure half of the reconciler.

Properties: a live claim is never touched; a plan made twice from the same state is the same; what is planned for a task
is at most one repair, and carrying it out leaves nothing to plan for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refinery.core.claims import is_broken, is_live
from refinery.core.model import (
    CLAIMS,
    FINAL,
    Claim,
    ClaimState,
    ClaimTip,
    ForgeState,
    Pull,
    PullState,
    Role,
    Status,
    Task,
    TaskList,
)
from refinery.core.outcomes import Outcome

KEPT: Final = 86400.0  # seconds that the claim of a finished task is kept


class Mend(StrEnum):
    """One kind of repair."""

    FINISH_WORK = (
        "finish-work"  # the branch was pushed with its outcome; pull, mirror and release are missing
    )
    FINISH_LANDING = "finish-landing"  # the base holds it; mirror and release are missing
    GIVE_BACK = "give-back"  # the worker died before it pushed anything
    SHOW_DONE = "show-done"  # its pull was merged, and the task's source does not say so
    SHOW_STATUS = "show-status"  # says in_progress after its claim was given back with another status
    RESET = "reset"  # says in_progress without any claim


@dataclass(frozen=True, slots=True)
class Repair:
    """One task's repair: its claim's tip as seen (None: there is none), and why."""

    kind: Mend
    task: Task
    tip: ClaimTip | None
    why: str

    @property
    def outcome(self) -> Outcome | None:
        """What the mender's own claim says while it mends, so that the next one goes on if it dies (F22)."""
        if self.kind in (Mend.FINISH_LANDING, Mend.SHOW_DONE):
            return Outcome.MERGED
        if self.kind is Mend.SHOW_STATUS:
            return Outcome.WAITING
        claim = self.tip.claim if self.tip is not None else None
        return claim.outcome if self.kind is Mend.FINISH_WORK and claim is not None else None


def repairs(tasks: TaskList, state: ForgeState, now: float) -> tuple[Repair, ...]:
    """Every task's repair, in the order of their ids. Tasks without a claim are not judged: see `stalled`."""
    found = (_repair(task, state, now) for _, task in sorted(tasks.tasks.items()))
    return tuple(each for each in found if each is not None)


def _repair(task: Task, state: ForgeState, now: float) -> Repair | None:
    tip = state.claims.get(task.key)
    claim = tip.claim if tip is not None else None
    if tip is None or claim is None or is_live(tip, now):
        return None
    if claim.state is ClaimState.HELD:
        return _abandoned(task, tip, claim, state)
    pull = _merged(task, claim, state)
    # DONE that nobody recorded is recorded too: else a person could never open the task again.
    is_shown = claim.mirror is Status.DONE or task.status in FINAL - {Status.DONE}
    if pull is not None and not is_shown:
        return Repair(Mend.SHOW_DONE, task, tip, f"pull {pull.number} was merged")
    if task.status is Status.IN_PROGRESS and claim.mirror not in (None, Status.IN_PROGRESS):
        return Repair(Mend.SHOW_STATUS, task, tip, "nobody holds it, whatever was written late")
    return None


def _abandoned(task: Task, tip: ClaimTip, claim: Claim, state: ForgeState) -> Repair | None:
    if claim.role is Role.PERSON:
        return None
    who = f"{claim.holder} died"
    if claim.outcome is Outcome.MERGED or (claim.role is Role.MERGE and _merged(task, claim, state)):
        return Repair(Mend.FINISH_LANDING, task, tip, f"{who} after landing it")
    if claim.outcome is Outcome.WAITING:
        return Repair(Mend.SHOW_STATUS, task, tip, f"{who} before its status was shown")
    if claim.outcome is not None and state.heads.get(task.branch) == claim.head:
        return Repair(Mend.FINISH_WORK, task, tip, f"{who} after the push")
    return Repair(Mend.GIVE_BACK, task, tip, f"{who} at work")


def _merged(task: Task, claim: Claim, state: ForgeState) -> Pull | None:
    """The task's pull, if it was merged under this claim or after it; GitHub tells the time in whole seconds."""
    pull = state.pull_of(task.key)
    if pull is None or pull.state is not PullState.MERGED:
        return None
    return pull if int(claim.acquired_at) <= pull.closed_at else None


def stalled(
    tasks: TaskList, state: ForgeState, now: float, hours: float, ages: Mapping[str, float]
) -> tuple[Repair, ...]:
    """Tasks that say in_progress and have nobody at work for `hours`; `ages` are seconds since their last change."""
    found = []
    for name, task in sorted(tasks.tasks.items()):
        tip = state.claims.get(task.key)
        claim = tip.claim if tip is not None else None
        if tip is None:
            if task.status is Status.IN_PROGRESS and ages.get(name, 0.0) >= hours * 3600:
                found.append(Repair(Mend.RESET, task, None, "in_progress without a claim"))
        elif is_broken(tip, now):
            found.append(Repair(Mend.GIVE_BACK, task, tip, "its lease ends later than any lease may"))
        elif claim is not None and not is_live(tip, now) and now - claim.expires_at >= hours * 3600:
            repair = _repair(task, state, now)
            if repair is None and task.status is Status.IN_PROGRESS:
                repair = Repair(
                    Mend.RESET, task, tip, f"in_progress, and its claim ended with {claim.outcome}"
                )
            if repair is not None:
                found.append(repair)
    return tuple(found)


def outdated(tasks: TaskList, state: ForgeState, now: float) -> dict[str, str]:
    """Claims that may go, by ref: of tasks that are done or cancelled, given back more than a day ago.

    A failed task's claim stays: its counters are what keeps it from being tried for ever.
    """
    found = {}
    for task in tasks.tasks.values():
        tip = state.claims.get(task.key)
        claim = tip.claim if tip is not None else None
        if tip is None or claim is None or task.status not in (Status.DONE, Status.CANCELLED):
            continue
        if claim.state is ClaimState.RELEASED and now - claim.expires_at > KEPT:
            found[CLAIMS + task.key] = tip.sha
    return found
