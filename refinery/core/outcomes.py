"""Every way a run can end, with its exit code and what it means for the task.

One closed list, spelled alike in exit codes, comments, summaries and JSON.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """The named ending of one run, one landing or one release."""

    PUBLISHED = "published"
    INTERNAL_ERROR = "internal-error"
    USAGE = "usage"
    NOTHING_READY = "nothing-ready"
    CLAIM_LOST = "claim-lost"
    LEASE_LOST = "lease-lost"
    SETUP_FAILED = "setup-failed"
    AGENT_FAILED = "agent-failed"
    TIMED_OUT = "timed-out"
    VERIFY_FAILED = "verify-failed"
    NO_CHANGES = "no-changes"
    CONFLICT = "conflict"
    TAMPERED = "tampered"
    OVER_BUDGET = "over-budget"
    DRAINED = "drained"
    BLOCKED = "blocked"
    PUSH_REFUSED = "push-refused"
    FORGE_UNAVAILABLE = "forge-unavailable"
    MERGED = "merged"
    WAITING = "waiting"
    FORCE_STOPPED = "force-stopped"


class After(StrEnum):
    """What a task waits for once a run ended so."""

    REVIEW = "review"  # a pull is open; the merger or a person decides
    RETRY = "retry"  # ready again after its back-off, until the cap on failures
    RETRY_NOW = "retry-now"  # ready again at once; nobody's failure
    PERSON = "person"  # only a person's newer act makes it ready again
    DONE = "done"  # landed
    UNCHANGED = "unchanged"  # this run never held the task


@dataclass(frozen=True, slots=True)
class Ending:
    """The consequences of an outcome: process exit code, the task's next step, whether it counts as failure."""

    exit_code: int
    after: After
    is_failure: bool = False


ENDINGS: Final[dict[Outcome, Ending]] = {
    Outcome.PUBLISHED: Ending(0, After.REVIEW),
    Outcome.INTERNAL_ERROR: Ending(1, After.RETRY, is_failure=True),
    Outcome.USAGE: Ending(2, After.UNCHANGED),
    Outcome.NOTHING_READY: Ending(3, After.UNCHANGED),
    Outcome.CLAIM_LOST: Ending(4, After.UNCHANGED),
    Outcome.LEASE_LOST: Ending(5, After.UNCHANGED),
    Outcome.SETUP_FAILED: Ending(9, After.RETRY, is_failure=True),
    Outcome.AGENT_FAILED: Ending(10, After.RETRY, is_failure=True),
    Outcome.TIMED_OUT: Ending(11, After.RETRY, is_failure=True),
    Outcome.VERIFY_FAILED: Ending(12, After.RETRY, is_failure=True),
    Outcome.NO_CHANGES: Ending(13, After.PERSON),
    Outcome.CONFLICT: Ending(14, After.RETRY, is_failure=True),
    Outcome.TAMPERED: Ending(15, After.PERSON),
    Outcome.OVER_BUDGET: Ending(16, After.RETRY_NOW),
    Outcome.DRAINED: Ending(17, After.RETRY_NOW),
    Outcome.BLOCKED: Ending(18, After.PERSON),
    Outcome.PUSH_REFUSED: Ending(19, After.PERSON),
    Outcome.FORGE_UNAVAILABLE: Ending(20, After.RETRY_NOW),
    Outcome.MERGED: Ending(0, After.DONE),
    Outcome.WAITING: Ending(6, After.REVIEW),
    Outcome.FORCE_STOPPED: Ending(130, After.RETRY_NOW),
}

_SUCCESS: Final = frozenset(
    {Outcome.PUBLISHED, Outcome.NO_CHANGES, Outcome.NOTHING_READY, Outcome.CLAIM_LOST, Outcome.MERGED}
)
_BLOCKED: Final = frozenset(
    {
        Outcome.BLOCKED,
        Outcome.CONFLICT,
        Outcome.OVER_BUDGET,
        Outcome.DRAINED,
        Outcome.PUSH_REFUSED,
        Outcome.WAITING,
    }
)


def exit_code(outcome: Outcome) -> int:
    """The process exit code of `outcome`."""
    return ENDINGS[outcome].exit_code


def run_status(outcome: Outcome) -> str:
    """The coarse `status` of a run's JSON: `success`, `blocked` or `failed`."""
    if outcome in _SUCCESS:
        return "success"
    return "blocked" if outcome in _BLOCKED else "failed"
