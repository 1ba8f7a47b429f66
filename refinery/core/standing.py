"""Where a task stands by its file, its claim and its pulls together: what keeps it from being started, if anything.

`in_progress` and `review` in a file are mirrors; the truth is the claim and the pull. How the three are read:

- A live claim decides alone. One that cannot be read is live (F6).
- A claim of role `work` that expired unreleased belongs to a dead worker: `ready` and `in_progress` in the file both
  mean ready again, and so does `review` while there is no pull.
- A released claim recorded the mirror that was written before it. The file agrees (or nothing was recorded): what its
  outcome says counts. The file says `ready` against another recorded mirror: a person's act. Failures and back-off then
  count from nothing again (`is_restarted`; whoever acquires starts the claim with no failures), and repairs too.
- `inbox`, `dormant`, `blocked`, `done`, `failed` and `cancelled` in a file count whatever a claim says.
- A merged pull counts for good (F5), unless a person re-opened the task: the file says `ready` where `done` was
  recorded, or an attempt has begun since the merge that no longer names that pull (a worker that starts over leaves
  `pull` out of its claim, once it has read the task again).
- An open pull keeps the task, unless it is ours, its head is as recorded, and the caller counts it among `repairable`:
  something in it is broken, and repairs are left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from refinery.core.blockers import Blocker, Reason, reason
from refinery.core.claims import is_broken, is_live
from refinery.core.model import FINAL, Claim, ClaimState, ClaimTip, Pull, PullState, Role, Status, Task
from refinery.core.outcomes import ENDINGS, After, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`attempts` bounds failures in a row; `repairable` are open pulls that one more attempt may mend."""

    attempts: int
    repairable: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Readiness:
    """Ready without reasons. `repairs` is the pull to mend; `is_restarted`: a person re-opened it, so count afresh."""

    reasons: tuple[Reason, ...] = ()
    repairs: int | None = None
    is_restarted: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether the task may be started now."""
        return not self.reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was observed about one task. `heads` gives the commits of branches, by name."""

    task: Task
    tip: ClaimTip | None = None
    pulls: Sequence[Pull] = ()
    heads: Mapping[str, str] = field(default_factory=dict)
    is_pull_unreadable: bool = False

    @property
    def claim(self) -> Claim | None:
        """What the claim's tip says, if it can be read."""
        return self.tip.claim if self.tip is not None else None


def standing(seen: Seen, limits: Limits, now: float) -> Readiness:
    """What the file, the claim and the pulls of one task say at `now`, together."""
    if seen.tip is not None and is_live(seen.tip, now):
        return Readiness((_held(seen.tip, now), *_status_alone(seen)))
    restarted = _is_restarted(seen)
    repairs = _repairable(seen, limits)
    reasons = [*_status_alone(seen), *_pulls(seen, repairs)]
    if seen.task.status in (Status.READY, Status.IN_PROGRESS, Status.REVIEW):
        reasons += _mirror(seen, repairs, restarted=restarted)
    if seen.claim is not None and seen.task.status not in FINAL and not restarted:
        reasons += _counters(seen.claim, limits, now)
    return Readiness(tuple(reasons), repairs, restarted)


def has_landed(seen: Seen) -> bool:
    """Whether a merged pull counts for the task."""
    return any(pull.state is PullState.MERGED and not _is_reopened(seen, pull) for pull in seen.pulls)


def _held(tip: ClaimTip, now: float) -> Reason:
    claim = tip.claim
    if claim is None:
        return reason(Blocker.CLAIM_UNREADABLE, why=tip.problem or "no reason given")
    until = clock(claim.expires_at)
    if is_broken(tip, now):
        return reason(Blocker.CLAIM_BROKEN, holder=claim.holder, until=until)
    return reason(Blocker.CLAIMED, holder=claim.holder, role=str(claim.role), until=until)


def _status_alone(seen: Seen) -> list[Reason]:
    """Statuses that count whatever claims and pulls say."""
    status = seen.task.status
    if status in FINAL:
        return [reason(Blocker.FINISHED, status=str(status))]
    if status is Status.BLOCKED:
        claim = seen.claim
        why = claim.reason if claim is not None and claim.mirror is Status.BLOCKED else ""
        return [reason(Blocker.BLOCKED, why=why or "its status says so")]
    alone = {Status.INBOX: Blocker.INBOX, Status.DORMANT: Blocker.DORMANT}.get(status)
    return [reason(alone)] if alone is not None else []


def _mirror(seen: Seen, repairs: int | None, *, restarted: bool) -> list[Reason]:
    """Statuses that only mirror a claim, read together with it. The claim is not live."""
    status, claim = seen.task.status, seen.claim
    if claim is None:
        return _without_claim(status)
    if restarted or repairs is not None:
        return []
    if _is_abandoned(claim):
        in_review = status is Status.REVIEW and bool(seen.pulls)
        return [reason(Blocker.IN_REVIEW, why=_of_pulls(seen.pulls))] if in_review else []
    if status is Status.REVIEW:
        return [reason(Blocker.IN_REVIEW, why=_of_pulls(seen.pulls))]
    if status is Status.IN_PROGRESS and claim.mirror not in (None, Status.IN_PROGRESS):
        return [reason(Blocker.STALLED)]
    return _of_outcome(seen, claim)


def _without_claim(status: Status) -> list[Reason]:
    if status is Status.IN_PROGRESS:
        return [reason(Blocker.STALLED)]
    return [reason(Blocker.IN_REVIEW, why="its status says so")] if status is Status.REVIEW else []


def _of_outcome(seen: Seen, claim: Claim) -> list[Reason]:
    """What the last outcome asks for; the merger's own endings count where it had one."""
    is_last = claim.role is Role.WORK or claim.outcome in (Outcome.MERGED, Outcome.WAITING)
    outcome = claim.outcome if is_last else claim.work_outcome
    after = ENDINGS[outcome].after if outcome is not None else After.RETRY_NOW
    if after is After.DONE:
        return [reason(Blocker.LANDED)]
    if after is After.REVIEW:
        return [reason(Blocker.IN_REVIEW, why=_of_pulls(seen.pulls))]
    if after is After.PERSON:
        return [reason(Blocker.BLOCKED, why=claim.reason or f"the last attempt ended with {outcome}")]
    return []


def _counters(claim: Claim, limits: Limits, now: float) -> list[Reason]:
    reasons = []
    if claim.failures >= limits.attempts:
        reasons.append(reason(Blocker.ATTEMPTS_EXHAUSTED, failures=claim.failures, attempts=limits.attempts))
    if claim.not_before > now:
        reasons.append(reason(Blocker.BACKING_OFF, until=clock(claim.not_before)))
    return reasons


def _pulls(seen: Seen, repairs: int | None) -> list[Reason]:
    reasons = []
    if seen.is_pull_unreadable and seen.claim is not None:
        reasons.append(reason(Blocker.PULL_UNREADABLE, pull=seen.claim.pull or 0))
    for pull in seen.pulls:
        if pull.state is PullState.OPEN and pull.number != repairs:
            reasons.append(reason(Blocker.PULL_OPEN, pull=pull.number))
        elif pull.state is PullState.MERGED and not _is_reopened(seen, pull):
            reasons.append(reason(Blocker.PULL_MERGED, pull=pull.number))
    return reasons


def _is_abandoned(claim: Claim) -> bool:
    """Whether the claim, which is not live, was left behind by a dead worker."""
    return claim.state is ClaimState.HELD and claim.role is Role.WORK


def _is_restarted(seen: Seen) -> bool:
    """Whether `ready` is a person's act. A dead worker may have written `ready` itself, just before its release."""
    claim = seen.claim
    return (
        claim is not None
        and seen.task.status is Status.READY
        and claim.mirror not in (None, Status.READY)
        and not _is_abandoned(claim)
    )


def _is_reopened(seen: Seen, pull: Pull) -> bool:
    """Whether the task was re-opened after `pull` was merged."""
    claim = seen.claim
    if claim is None:
        return False
    if claim.mirror is Status.DONE:
        was_begun = _is_abandoned(claim) and seen.task.status is Status.IN_PROGRESS
        return was_begun or seen.task.status is Status.READY
    is_unchanged = claim.outcome is not None and ENDINGS[claim.outcome].after is After.UNCHANGED
    is_later = 0 < pull.closed_at < claim.acquired_at
    return claim.role is Role.WORK and is_later and claim.pull != pull.number and not is_unchanged


def _repairable(seen: Seen, limits: Limits) -> int | None:
    claim = seen.claim
    if claim is None or not claim.head:
        return None
    for pull in seen.pulls:
        is_open = pull.state is PullState.OPEN and pull.same_repository
        is_recorded = pull.head == claim.head == seen.heads.get(pull.branch, pull.head)
        if is_open and is_recorded and pull.number in limits.repairable:
            return pull.number
    return None


def _of_pulls(pulls: Sequence[Pull]) -> str:
    if not pulls:
        return "it has no pull"
    newest = max(pulls, key=lambda pull: pull.number)
    return f"its pull {newest.number} is {newest.state}"


def clock(at: float) -> str:
    """The instant `at` in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
