"""The one comment that shows people where a task stands; written over and over, and never read back as truth."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from refinery.core.lease import Lease
from refinery.core.model import Role, Status
from refinery.core.outcomes import ENDINGS, After, Outcome
from refinery.core.sanitise import public_line

_MARK: Final = re.compile(r"<!-- refinery:status claim=[0-9a-f]* -->")
_TITLES: Final = {
    Status.READY: "waiting for its next attempt",
    Status.IN_PROGRESS: "at work",
    Status.REVIEW: "in review",
    Status.BLOCKED: "waiting for a person",
    Status.FAILED: "given up",
    Status.DONE: "done",
}
_NEXT: Final = {
    Status.READY: "It is tried again by itself.",
    Status.IN_PROGRESS: "This comment changes when the attempt has ended.",
    Status.REVIEW: "The pull merges by itself if it is clean, purely additive and its checks pass; else review it.",
    Status.BLOCKED: "Settle what the reason says, then put the label `{label}` on again.",
    Status.FAILED: "To have it tried again, put the label `{label}` on again.",
    Status.DONE: "Nothing is left to do.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is known of an attempt besides its claim, when it ends. `cost_usd` is None where nobody knows."""

    outcome: Outcome | None = None
    reason: str = ""
    agent: str = ""
    cost_usd: float | None = None
    pull: int | None = None


def is_status_comment(body: str) -> bool:
    """Whether a comment carries our mark; whose it is must be seen from its author."""
    return _MARK.search(body) is not None


def render(lease: Lease, status: Status, note: Note, label: str, redact: Callable[[str], str]) -> str:
    """The comment's Markdown. Every word that an agent or a person may have written is made harmless (F30, F35)."""

    def safe(text: str, limit: int) -> str:
        return public_line(redact(text), limit).replace("|", "\\|").replace("`", "'")

    claim = lease.claim
    rows = {
        "attempt": str(claim.attempt),
        "agent": safe(note.agent, 60),
        "merger" if claim.role is Role.MERGE else "worker": safe(claim.holder, 100),
        "outcome": str(note.outcome or ""),
        "reason": safe(note.reason, 500),
        "cost": f"${note.cost_usd:.2f}" if note.cost_usd is not None else "",
        "pull": f"#{note.pull or claim.pull}" if note.pull or claim.pull else "",
    }
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items() if value)
    next_step = _next(status, note).format(label=label)
    head = f"**Refinery: {_TITLES.get(status, str(status))}**"
    return f"{head}\n\n| | |\n|---|---|\n{table}\n{next_step}\n\n<!-- refinery:status claim={lease.tip} -->\n"


def _next(status: Status, note: Note) -> str:
    if status is Status.READY and note.outcome is not None and ENDINGS[note.outcome].after is After.RETRY:
        return "It is tried again after a pause."
    return _NEXT.get(status, "")
