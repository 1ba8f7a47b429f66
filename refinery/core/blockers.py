"""Why a task is not started: every reason that readiness can give, in words, with what would cure it.

A closed list. Codes are stable: scripts and pages key on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from refinery.core.reasons import Fact, printable


class Blocker(StrEnum):
    """One cause why a task is not ready."""

    INBOX = "inbox"
    DORMANT = "dormant"
    FINISHED = "finished"
    LANDED = "landed"
    BLOCKED = "blocked"
    IN_REVIEW = "in-review"
    STALLED = "stalled"
    NOT_A_LEAF = "not-a-leaf"
    WRONG_TYPE = "wrong-type"
    ASSIGNED = "assigned"
    DEPENDENCY_WAITING = "dependency-waiting"
    DEPENDENCY_DEAD = "dependency-dead"
    DEPENDENCY_UNKNOWN = "dependency-unknown"
    DEPENDENCY_UNREADABLE = "dependency-unreadable"
    DEPENDENCY_CYCLE = "dependency-cycle"
    CLAIMED = "claimed"
    CLAIM_UNREADABLE = "claim-unreadable"
    CLAIM_BROKEN = "claim-broken"
    PULL_OPEN = "pull-open"
    PULL_MERGED = "pull-merged"
    PULL_UNREADABLE = "pull-unreadable"
    ATTEMPTS_EXHAUSTED = "attempts-exhausted"
    BACKING_OFF = "backing-off"


_READY: Final = "set `status: ready` (of an issue: put the label on again)"
_AGAIN: Final = f"{_READY} to have it done again"
_TEXT: Final[dict[Blocker, tuple[str, str]]] = {
    Blocker.INBOX: ("it is in the inbox", f"{_READY} once it may be started"),
    Blocker.DORMANT: ("it is dormant", f"{_READY} to wake it"),
    Blocker.FINISHED: ("it is {status}", _AGAIN),
    Blocker.LANDED: ("its work has landed", "set `status: done`; `refinery reconcile` does it too"),
    Blocker.BLOCKED: ("it is blocked: {why}", f"settle that, then {_READY}"),
    Blocker.IN_REVIEW: (
        "it is in review: {why}",
        f"review its pull, or, once that is closed, {_AGAIN}",
    ),
    Blocker.STALLED: (
        "it says in_progress, and no claim says who works on it",
        "if nobody does, run `refinery reset-stalled`",
    ),
    Blocker.NOT_A_LEAF: ("it is the parent of {children}", "its children are run instead of it"),
    Blocker.WRONG_TYPE: (
        "its type is {type}, which is not run",
        "set `type:` to task, action, bug or feature",
    ),
    Blocker.ASSIGNED: ("it is assigned to {assignee}", "assign it to polecat or bot, or to nobody"),
    Blocker.DEPENDENCY_WAITING: ("it depends on {task}, which is {status}", "finish {task} first"),
    Blocker.DEPENDENCY_DEAD: (
        "it depends on {task}, which is {status}",
        "do {task} after all, or remove the dependency",
    ),
    Blocker.DEPENDENCY_UNKNOWN: (
        "it depends on {task}, and there is no such task",
        "correct or remove the dependency, or add {task}",
    ),
    Blocker.DEPENDENCY_UNREADABLE: (
        "it depends on {task}, which cannot be used ({where})",
        "mend {where}",
    ),
    Blocker.DEPENDENCY_CYCLE: (
        "its dependencies go in a circle: {cycle}",
        "remove one of these dependencies",
    ),
    Blocker.CLAIMED: (
        "{holder} holds it for {role} until {until}",
        "wait; if {holder} is dead, the claim ends by itself then",
    ),
    Blocker.CLAIM_UNREADABLE: (
        "its claim cannot be read ({why}), which counts as held",
        "upgrade refinery, or let `refinery doctor` explain the claim",
    ),
    Blocker.CLAIM_BROKEN: (
        "{holder} holds it until {until}, longer than any lease may last: a clock was wrong",
        "set the clocks, then run `refinery reset-stalled`",
    ),
    Blocker.PULL_OPEN: ("its pull {pull} is open", "merge or close pull {pull}"),
    Blocker.PULL_MERGED: (
        "its pull {pull} was merged",
        "let `refinery reconcile` note that; `status: ready` after that has it done once more",
    ),
    Blocker.PULL_UNREADABLE: (
        "its pull {pull} cannot be read, so it may be merged already",
        "let `refinery doctor` explain the pull",
    ),
    Blocker.ATTEMPTS_EXHAUSTED: (
        "it failed {failures} times, and {attempts} attempts are allowed",
        "see its transcripts, then raise `attempts` under `limits:`",
    ),
    Blocker.BACKING_OFF: ("it failed, and is tried again at {until}", "wait"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause with its facts."""

    code: Blocker
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is the matter, in one clause."""
        return _TEXT[self.code][0].format_map(self._printable())

    @property
    def cure(self) -> str:
        """What a person can do about it."""
        return _TEXT[self.code][1].format_map(self._printable())

    def to_json(self) -> dict[str, object]:
        """`{code, text, facts, cure}`, all printable UTF-8."""
        return {"code": str(self.code), "text": self.text, "facts": self._printable(), "cure": self.cure}

    def _printable(self) -> dict[str, Fact]:
        return {name: printable(fact) if isinstance(fact, str) else fact for name, fact in self.facts.items()}


def reason(code: Blocker, **facts: Fact) -> Reason:
    """A `Reason`, with its facts as keywords."""
    return Reason(code, facts)
