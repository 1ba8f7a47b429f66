"""The claim protocol's rules: what a claim's commit says, who may take it over, and what comes next.

Properties: a claim that cannot be read counts as held; `decode(encode(claim)) == claim`; equal claims encode to equal
bytes, so that an unanswered write can be repeated with the very same commit.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from refinery.core.model import Claim, ClaimState, ClaimTip, Role, Status, Task
from refinery.core.outcomes import ENDINGS, After, Outcome

VERSION: Final = 1
LONGEST: Final = {Role.WORK: 24 * 3600.0, Role.MERGE: 3600.0, Role.PERSON: 14 * 86400.0}
SKEW: Final = 5.0  # seconds by which two hosts' clocks may differ before an expired lease is taken over
_INSTANTS: Final = ("acquired_at", "expires_at", "not_before")
_ENUMS: Final[dict[str, type]] = {
    "role": Role,
    "state": ClaimState,
    "outcome": Outcome,
    "work_outcome": Outcome,
    "mirror": Status,
}


def encode(claim: Claim) -> str:
    """The commit message of `claim`: a subject for `git log`, then JSON with sorted keys."""
    values = asdict(claim)
    body = {
        each.name: _stamp(values[each.name]) if each.name in _INSTANTS else values[each.name]
        for each in fields(Claim)
        if each.default is MISSING or each.name == "version" or values[each.name] != each.default
    }
    subject = f"{claim.state} {claim.task} attempt {claim.attempt} by {claim.holder}".replace("\n", " ")
    if claim.outcome is not None:
        subject += f": {claim.outcome}"
    return f"{subject}\n\n{json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False)}\n"


def decode(message: str) -> Claim:
    """The claim in a commit message.

    Raises:
        ValueError: not a claim, or of a version that this program does not know.
    """
    _, _, text = message.partition("\n\n")
    try:
        body: dict[str, Any] = json.loads(text)
        version = body.get("version")
    except (json.JSONDecodeError, AttributeError) as error:
        raise ValueError("not a claim: its message holds no JSON object") from error
    if version != VERSION:
        raise ValueError(f"claim version {version!r} is not known to this program")
    try:
        for name in _INSTANTS:
            if name in body:
                body[name] = _instant(body[name])
        for name, kind in _ENUMS.items():
            if name in body:
                body[name] = kind(body[name])
        known = {each.name for each in fields(Claim)}
        return Claim(**{name: value for name, value in body.items() if name in known})
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"not a claim: {error}") from error


def tip_of(sha: str, message: str) -> ClaimTip:
    """The tip for a ref's commit; unreadable ones keep their reason instead of being dropped."""
    try:
        claim = decode(message)
    except ValueError as error:
        return ClaimTip(sha, None, str(error))
    if claim.state is ClaimState.HELD and claim.expires_at - claim.acquired_at > 2 * LONGEST[claim.role]:
        return ClaimTip(sha, claim, "expires later than the longest lease allowed")
    return ClaimTip(sha, claim)


def is_live(tip: ClaimTip | None, now: float) -> bool:
    """Whether somebody holds the claim at `now`. Unreadable and broken tips are held."""
    if tip is None:
        return False
    if tip.claim is None:
        return True
    if tip.claim.state is ClaimState.RELEASED:
        return False
    return now < tip.claim.expires_at + SKEW


def is_broken(tip: ClaimTip, now: float) -> bool:
    """Whether a held claim expires further off than the longest lease of its role allows (a clock was wrong)."""
    claim = tip.claim
    return (
        claim is not None
        and claim.state is ClaimState.HELD
        and claim.expires_at - now > LONGEST[claim.role] + SKEW
    )


def lease_seconds(role: Role, wanted: float) -> float:
    """`wanted` seconds, capped at the longest lease of `role`."""
    return min(wanted, LONGEST[role])


def first_attempt(key: str, tip: ClaimTip | None, pulls: Iterable[int], preserved: Iterable[str]) -> int:
    """The number of the next attempt: one more than the highest of claim, pulls' attempts and preserved refs.

    `preserved` are names below `refs/refinery/preserved/`, `<key>/<attempt>-<sha>`.
    """
    seen = [0, *pulls]
    if tip is not None and tip.claim is not None:
        seen.append(tip.claim.attempt)
    for name in preserved:
        owner, _, rest = name.partition("/")
        number = rest.partition("-")[0]
        if owner == key and number.isdecimal():
            seen.append(int(number))
    return max(seen) + 1


def successor(tip: ClaimTip | None, fresh: Claim) -> Claim:
    """`fresh`, with what every child copies from the tip it takes over."""
    old = tip.claim if tip is not None else None
    if old is None:
        return fresh
    copied = replace(
        fresh,
        failures=old.failures,
        branch=old.branch,
        base=old.base,
        head=old.head,
        pull=old.pull,
        mirror=old.mirror,
        repairs=old.repairs,
        work_outcome=old.work_outcome,
    )
    if fresh.role is not Role.WORK:
        return replace(copied, attempt=old.attempt, not_before=old.not_before, task_sha256=old.task_sha256)
    return copied


def released(claim: Claim, outcome: Outcome, now: float, *, backoff: float, cap: int) -> Claim:
    """The child that gives `claim` back: failures counted, and the next attempt's earliest instant.

    `backoff` seconds double with each failure up to a day.
    """
    ending = ENDINGS[outcome]
    work = claim.role is Role.WORK and ending.after is not After.UNCHANGED
    failures = claim.failures + 1 if work and ending.is_failure else claim.failures
    if work and outcome is Outcome.PUBLISHED:
        failures = 0
    wait = min(backoff * 2 ** (failures - 1), 86400.0) if ending.is_failure and failures < cap else 0.0
    return replace(
        claim,
        state=ClaimState.RELEASED,
        outcome=outcome,
        work_outcome=outcome if work else claim.work_outcome,
        failures=failures,
        not_before=now + wait if wait else 0.0,
        expires_at=now,
        intent=None,
    )


def mirror_after(outcome: Outcome, failures: int, cap: int) -> Status | None:
    """The status a task's mirror gets when role `work` ends with `outcome`; None leaves it alone.

    `failures` counts this ending too.
    """
    after = ENDINGS[outcome].after
    if after is After.UNCHANGED:
        return None
    if after is After.RETRY and failures >= cap:
        if outcome is Outcome.VERIFY_FAILED:
            return Status.REVIEW
        return Status.BLOCKED if outcome is Outcome.CONFLICT else Status.FAILED
    return {
        After.REVIEW: Status.REVIEW,
        After.RETRY: Status.READY,
        After.RETRY_NOW: Status.READY,
        After.PERSON: Status.BLOCKED,
        After.DONE: Status.DONE,
    }[after]


def task_sha256(task: Task) -> str:
    """The digest of what a person approved: id, title, body, dependencies and agent, as canonical JSON."""
    approved = [task.id, task.title, task.body, list(task.depends_on), task.agent]
    text = json.dumps(approved, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
