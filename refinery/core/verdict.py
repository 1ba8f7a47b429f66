"""The verdict: may this pull be merged now, later, or only by a person, and why.

`judge` is a pure function of one frozen snapshot; `merge` acts on exactly the value that `explain` prints.

Properties: a snapshot without any fault merges; adding a fault never turns a verdict into `merge`; whatever is not
known waits, whatever did not run has not passed, and whatever speaks of an earlier commit says nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from refinery.core.additive import Classification, Tier
from refinery.core.claims import SKEW, is_live
from refinery.core.model import (
    FINAL,
    LABEL,
    Check,
    ClaimState,
    ClaimTip,
    Conclusion,
    Freeze,
    Pull,
    PullState,
    Review,
    ReviewState,
    Role,
    Status,
)
from refinery.core.outcomes import Outcome
from refinery.core.paths import branch_glob, glob
from refinery.core.protected import matches, protected_by
from refinery.core.reasons import CHECKS_APP, NOT_ADDITIVE, Code, Reason, reason

OWN_APP: Final = "refinery"  # our published verdicts, which must never justify themselves
POLL: Final = 60.0  # seconds until something unknown is looked at again


class Decision(StrEnum):
    """What happens to a pull now."""

    MERGE = "merge"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may merge without a person, as the base branch configures it.

    Patterns are gitignore-like and ignore case, those of `bases` are whole branch names (none: the default base
    alone). `any_paths` lifts the additive tier for the paths it covers and nothing else; `tier: any` without it
    admits what `additions` admits. `protected` adds to the defaults and beats `unprotected`. `required` are checks,
    by name and App; an empty App means any but ours.

    Raises:
        ValueError: a pattern makes no sense.
    """

    tier: Tier = Tier.ADDITIONS
    max_lines: int = 500
    max_files: int = 50
    label: str = LABEL
    hold_label: str = "hold"
    bases: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    unprotected: tuple[str, ...] = ()
    any_paths: tuple[str, ...] = ()
    required: tuple[tuple[str, str], ...] = ()
    squash: bool = True

    def __post_init__(self) -> None:
        for pattern in (*self.protected, *self.unprotected, *self.any_paths):
            glob(pattern)
        for pattern in self.bases:
            branch_glob(pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a verdict depends on, observed once. None means: not known (yet), which is never good news.

    `head` is the commit that the branch holds now ("" when it is gone); `tree` the predicted result's; `claim` the
    tip of the task's claim; `change` the proof merge base → head, `result` the proof current base → predicted tree;
    `conflicts` the paths that do not merge; `dependencies` the status of each task that must land first, DONE only
    if it did; `task_status` what the task's own source says; `required` the checks that the forge itself asks for;
    `unknown` what else the forge did not answer.
    """

    pull: Pull
    claim: ClaimTip | None
    head: str | None
    default_base: str
    tree: str = ""
    freeze: Freeze | None = None
    merge_bases: tuple[str, ...] | None = None
    conflicts: tuple[str, ...] | None = None
    change: Classification | None = None
    result: Classification | None = None
    checks: tuple[Check, ...] = ()
    required: tuple[tuple[str, str], ...] = ()
    dependencies: Mapping[str, Status | None] = field(default_factory=dict)
    task_status: Status | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision with all its reasons; `look_again_at` (seconds since the epoch) only when it is `wait`."""

    decision: Decision
    reasons: tuple[Reason, ...] = ()
    look_again_at: float | None = None

    def to_json(self) -> dict[str, object]:
        """`{verdict, reasons, look_again_at}`."""
        return {
            "verdict": str(self.decision),
            "reasons": [each.to_json() for each in self.reasons],
            "look_again_at": self.look_again_at,
        }


def judge(snapshot: Snapshot, policy: Policy, now: float) -> Verdict:
    """All reasons against merging at `now`; refusing beats waiting, and no reason at all means `merge`.

    Of a pull that is merged or closed there is nothing else to say.
    """
    if snapshot.pull.state is not PullState.OPEN:
        return Verdict(Decision.REFUSE, (reason(Code.NOT_OPEN, state=snapshot.pull.state),))
    reasons = (
        *_pull_reasons(snapshot, policy),
        *_claim_reasons(snapshot, now),
        *_review_reasons(snapshot),
        *_history_reasons(snapshot),
        *tree_reasons([proof for proof in (snapshot.change, snapshot.result) if proof is not None], policy),
        *_check_reasons(snapshot, policy),
        *_dependency_reasons(snapshot),
        *_task_reasons(snapshot),
        *(reason(Code.UNKNOWN, what=what) for what in (*snapshot.unknown, *snapshot.pull.unknown)),
    )
    if any(not each.waits for each in reasons):
        return Verdict(Decision.REFUSE, reasons)
    if not reasons:
        return Verdict(Decision.MERGE)
    return Verdict(Decision.WAIT, reasons, _look_again(snapshot, now))


def tree_reasons(proofs: Iterable[Classification], policy: Policy) -> tuple[Reason, ...]:
    """What the trees alone say against a change under `policy`; what several proofs say alike is said once."""
    found: dict[tuple[object, ...], Reason] = {}
    for proof in proofs:
        for each in _proof_reasons(proof, policy):
            found.setdefault((each.code, *sorted(each.facts.items())), each)
    return tuple(found.values())


def policy_digest(policy: Policy) -> str:
    """The SHA-256 of a policy, for trailers: equal policies have equal digests, on every machine."""
    text = json.dumps(asdict(policy), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _proof_reasons(proof: Classification, policy: Policy) -> Iterator[Reason]:
    grown = proof.grown if policy.tier is Tier.NEW_FILES else ()
    for each in (*proof.reasons, *(reason(Code.FILE_CHANGED, path=path) for path in grown)):
        if each.code not in NOT_ADDITIVE or not matches(str(each.facts["path"]), policy.any_paths):
            yield each
    for path in proof.paths:
        if pattern := protected_by(path, policy.protected, policy.unprotected):
            yield reason(Code.PROTECTED, path=path, pattern=pattern)
    if proof.added_lines > policy.max_lines:
        yield reason(Code.TOO_MANY_LINES, lines=proof.added_lines, limit=policy.max_lines)
    if proof.files > policy.max_files:
        yield reason(Code.TOO_MANY_FILES, files=proof.files, limit=policy.max_files)


def _pull_reasons(snapshot: Snapshot, policy: Policy) -> Iterator[Reason]:
    pull = snapshot.pull
    labels = {label.casefold() for label in pull.labels}
    if policy.label.casefold() not in labels:
        yield reason(Code.NO_LABEL, label=policy.label)
    if policy.hold_label.casefold() in labels:
        yield reason(Code.HOLD, label=policy.hold_label)
    if not pull.same_repository:
        yield reason(Code.FORK)
    if pull.draft:
        yield reason(Code.DRAFT)
    if pull.is_queued:
        yield reason(Code.QUEUED)
    if not _is_base_allowed(pull.base, snapshot.default_base, policy.bases):
        yield reason(Code.BASE_NOT_ALLOWED, base=pull.base)
    if snapshot.freeze is not None:
        yield reason(Code.FROZEN, base=pull.base, why=snapshot.freeze.reason)


def _is_base_allowed(base: str, default: str, patterns: Sequence[str]) -> bool:
    if not patterns:
        return bool(base) and base == default
    return any(branch_glob(pattern).fullmatch(base) for pattern in patterns)


def _claim_reasons(snapshot: Snapshot, now: float) -> Iterator[Reason]:
    tip, pull, head = snapshot.claim, snapshot.pull, snapshot.head
    if head is None:
        yield reason(Code.UNKNOWN, what=f"the head of {pull.branch}")
    if tip is None:
        yield reason(Code.NO_CLAIM)
        return
    claim = tip.claim
    if claim is None:
        yield reason(Code.CLAIM_UNREADABLE, why=tip.problem)
        return
    if claim.role is not Role.MERGE and claim.state is ClaimState.HELD:
        # What its holder leaves behind is judged after a release; an expired lease is not one.
        held = reason(Code.CLAIMED, holder=claim.holder, role=claim.role, until=claim.expires_at)
        yield held if is_live(tip, now) else reason(Code.WORK_UNFINISHED, holder=claim.holder)
        return
    if claim.work_outcome is not Outcome.PUBLISHED:
        yield reason(Code.NOT_PUBLISHED, outcome=str(claim.work_outcome or "no outcome"), task=claim.task)
    if claim.pull is not None and claim.pull != pull.number:
        yield reason(Code.NO_CLAIM)
    for actual in dict.fromkeys((pull.head, head)):
        if actual is not None and (actual != claim.head or not actual):
            yield reason(Code.MOVED, actual=actual or "nothing", recorded=claim.head or "nothing")


def _review_reasons(snapshot: Snapshot) -> Iterator[Reason]:
    """A request for changes stands until its author approves *this* head, or dismisses it (F21)."""
    standing: dict[str, Review] = {}
    for review in sorted(snapshot.pull.reviews, key=lambda review: review.at):
        if review.state is ReviewState.CHANGES_REQUESTED:
            standing[review.author] = review
        elif review.state is ReviewState.APPROVED and review.head == snapshot.head:
            standing.pop(review.author, None)
    for author, review in sorted(standing.items()):
        yield reason(Code.CHANGES_REQUESTED, author=author, head=review.head)


def _history_reasons(snapshot: Snapshot) -> Iterator[Reason]:
    bases, conflicts = snapshot.merge_bases, snapshot.conflicts
    if bases is None:
        yield reason(Code.UNKNOWN, what="the merge base")
    elif len(bases) != 1:
        many = reason(Code.SEVERAL_MERGE_BASES, count=len(bases))
        yield many if bases else reason(Code.NO_MERGE_BASE)
    elif snapshot.change is None:
        yield reason(Code.UNKNOWN, what="what the pull changes")
    for path in conflicts or ():
        yield reason(Code.CONFLICT, path=path)
    if conflicts is None or (not conflicts and snapshot.result is None):
        yield reason(Code.UNKNOWN, what="the result of merging")


def _check_reasons(snapshot: Snapshot, policy: Policy) -> Iterator[Reason]:
    """Checks count by name *and* App, on this tree or head alone (F25), and only when they ran (F19)."""
    asked = dict.fromkeys((*policy.required, *snapshot.required))
    required = [(name, app) for name, app in asked if app != OWN_APP]
    if not required:
        yield reason(Code.NO_CHECKS, base=snapshot.pull.base)
    for name, app in required:
        mine = [check for check in snapshot.checks if check.name == name and app in ("", check.app)]
        found = {check.conclusion for check in mine if _counts(check, snapshot)}
        if not found:
            yield reason(Code.CHECK_MISSING, check=name, app=app or "(any)")
        for conclusion in sorted(found - {Conclusion.SUCCESS}):
            yield reason(_CHECK_CODES[conclusion], check=name, app=app or "(any)", conclusion=conclusion)


def _counts(check: Check, snapshot: Snapshot) -> bool:
    subjects = {snapshot.tree} if check.app == CHECKS_APP else {snapshot.tree, snapshot.head}
    return check.app != OWN_APP and bool(check.subject) and check.subject in subjects


_CHECK_CODES: Final = {
    Conclusion.FAILURE: Code.CHECK_FAILED,
    Conclusion.TIMED_OUT: Code.CHECK_FAILED,
    Conclusion.DID_NOT_RUN: Code.CHECK_NOT_RUN,
    Conclusion.SKIPPED: Code.CHECK_NOT_RUN,
    Conclusion.PENDING: Code.CHECK_PENDING,
}


def _dependency_reasons(snapshot: Snapshot) -> Iterator[Reason]:
    for task, status in sorted(snapshot.dependencies.items()):
        if status in (Status.CANCELLED, Status.FAILED):
            yield reason(Code.DEPENDENCY_DEAD, task=task, status=str(status))
        elif status is not Status.DONE:
            yield reason(Code.DEPENDENCY_WAITING, task=task, status=str(status or "not known"))


def _task_reasons(snapshot: Snapshot) -> Iterator[Reason]:
    """Our own writes end a task only after its pull has landed: of an open one it was a person."""
    if snapshot.task_status in FINAL:
        yield reason(Code.TASK_ENDED, status=str(snapshot.task_status))


def _look_again(snapshot: Snapshot, now: float) -> float:
    claim = snapshot.claim.claim if snapshot.claim is not None else None
    ends = claim.expires_at + SKEW if claim is not None else 0.0
    return min(ends, now + POLL) if ends > now else now + POLL
