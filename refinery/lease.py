"""Acquire, keep and release: the one way by which a process gets and loses the right to write for a task.

Properties: `acquire` grants a task to one contender of any number. A lease whose renewal was not answered is kept
until it expires by our own clock, and the very same commit is offered again; one that went to somebody else is
`LeaseLostError`, after which nothing more is written for the task.
"""

import secrets
from dataclasses import dataclass, replace
from typing import Final

from refinery.core import claims
from refinery.core.lease import Lease
from refinery.core.model import CLAIMS, LANDING, Claim, ClaimTip, Role
from refinery.core.outcomes import Outcome
from refinery.errors import ClaimLostError, ForgeUnavailableError, LeaseLostError, RefMovedError
from refinery.ports import Forge

MARGIN: Final = 10.0  # seconds that must be left on a lease before anything that cannot be fenced is written


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to acquire: the claim ref's key, the task's id, for what role, as whom, for how many seconds.

    `is_restarted`: a person re-opened the task, so failures count from nothing. `is_repair`: of an open pull.
    `outcome`, `reason`: what the holder before us left to be finished; it stands in our claim too, should we die.
    """

    key: str
    task: str
    role: Role
    holder: str
    seconds: float
    attempt: int = 1
    task_sha256: str = ""
    is_restarted: bool = False
    is_repair: bool = False
    outcome: Outcome | None = None
    reason: str = ""


def acquire(forge: Forge, tip: ClaimTip | None, wanted: Wanted, now: float, space: str = CLAIMS) -> Lease:
    """Create the claim, or take over an expired or released one that was seen as `tip`.

    Raises:
        ClaimLostError: somebody holds it, or was faster.
        ForgeUnavailableError: nobody knows; neither won nor lost.
    """
    ref = space + wanted.key
    if tip is not None and claims.is_live(tip, now):
        raise ClaimLostError(f"{wanted.task} is claimed by {holder_of(tip)}")
    fresh = Claim(
        task=wanted.task,
        attempt=wanted.attempt,
        holder=wanted.holder,
        role=wanted.role,
        nonce=secrets.token_hex(16),
        acquired_at=now,
        expires_at=now + claims.lease_seconds(wanted.role, wanted.seconds),
        task_sha256=wanted.task_sha256,
        outcome=wanted.outcome,
        reason=wanted.reason,
    )
    claim = claims.successor(tip, fresh)
    if wanted.is_restarted:
        claim = replace(claim, failures=0, repairs=0)
    if wanted.is_repair:
        claim = replace(claim, repairs=claim.repairs + 1)
    try:
        sha = forge.write_claim(ref, claim, tip.sha if tip is not None else None)
    except RefMovedError as error:
        raise ClaimLostError(f"{wanted.task} was claimed by somebody else at the same moment") from error
    return Lease(ref, sha, claim)


def acquire_landing(forge: Forge, tip: ClaimTip | None, base: str, wanted: Wanted, now: float) -> Lease:
    """The merger's claim on a base: one merger at a time."""
    return acquire(forge, tip, replace(wanted, task=f"landing on {base}"), now, LANDING)


def holder_of(tip: ClaimTip) -> str:
    """Who holds a claim, for people."""
    return tip.claim.holder if tip.claim is not None else f"a claim that cannot be read ({tip.problem})"


def release(
    forge: Forge,
    lease: Lease,
    outcome: Outcome,
    now: float,
    *,
    reason: str = "",
    backoff: float = 60.0,
    cap: int = 3,
) -> Lease:
    """Give the claim back with its outcome.

    Raises:
        LeaseLostError: it had gone to somebody else.
    """
    claim = claims.released(lease.claim, outcome, now, backoff=backoff, cap=cap)
    return write(forge, lease, replace(claim, reason=reason[:2000]))


def give_back(forge: Forge, lease: Lease, before: ClaimTip | None, now: float, reason: str) -> Lease:
    """Release a claim under which nothing was begun, with the counters of the tip `before` it: no attempt is spent.

    Raises:
        LeaseLostError: as `release`.
    """
    old = before.claim if before is not None else None
    claim = replace(
        lease.claim,
        attempt=old.attempt if old is not None else 0,
        failures=old.failures if old is not None else 0,
        repairs=old.repairs if old is not None else 0,
    )
    return release(forge, replace(lease, claim=claim), Outcome.CLAIM_LOST, now, reason=reason)


def advance(forge: Forge, lease: Lease, **changes: object) -> Lease:
    """The claim's next commit with `changes`, still held."""
    return write(forge, lease, replace(lease.claim, **changes))  # type: ignore[arg-type]  # fields of Claim, by name


def write(forge: Forge, lease: Lease, claim: Claim) -> Lease:
    """Move the claim ref to `claim`; LeaseLostError when it is no longer ours to move."""
    try:
        return lease.moved(forge.write_claim(lease.ref, claim, lease.tip), claim)
    except RefMovedError as error:
        raise LeaseLostError(
            f"the lease on {lease.claim.task} went to somebody else (tip {error.actual or 'deleted'})",
            remedy="nothing more was written; local work is kept under preserved/",
        ) from error


class Keeper:
    """Holds a lease through a long wait: renews it in time, and knows when it is lost.

    `lease` is always the newest proof. Call `tick` at least every few seconds.
    """

    def __init__(self, forge: Forge, lease: Lease, seconds: float) -> None:
        self.lease = lease
        self._forge = forge
        self._seconds = claims.lease_seconds(lease.claim.role, seconds)
        self._offer: tuple[str, Claim] | None = None  # the tip it was made on, and what was not answered
        self._retry_at = 0.0

    def tick(self, now: float) -> None:
        """Renew when a third of the lease is over.

        Raises:
            LeaseLostError: it went to somebody else, or expired while the forge did not answer.
        """
        if self.lease.left(now) <= 0:
            raise LeaseLostError(
                f"the lease on {self.lease.claim.task} expired before it could be renewed",
                remedy="raise limits.lease, or look at why the forge did not answer",
            )
        if self.lease.left(now) < self._seconds * 2 / 3 and now >= self._retry_at:
            self.renew(now)

    def ensure(self, now: float, seconds: float = MARGIN) -> Lease:
        """The lease with at least `seconds` left, renewed if need be: before any write that cannot be fenced.

        Of a lease so short that it never has as much, half is enough: somebody chose it. A renewal that was not
        answered is settled first: until then nobody knows which commit the next write has to follow.
        """
        seconds = min(seconds, self._seconds / 2)
        if self._unanswered is not None or self.lease.left(now) < seconds + MARGIN:
            self.renew(now)
        if self.lease.left(now) < seconds:
            raise ForgeUnavailableError(f"the lease on {self.lease.claim.task} could not be renewed in time")
        return self.lease

    def renew(self, now: float) -> None:
        """Offer the renewal: the same commit again for as long as an earlier offer was not answered."""
        claim = self._unanswered or replace(self.lease.claim, expires_at=now + self._seconds)
        try:
            self.lease = write(self._forge, self.lease, claim)
        except ForgeUnavailableError:
            self._offer = (self.lease.tip, claim)
            self._retry_at = now + min(self._seconds / 20, 30.0)
        else:
            self._offer = None

    @property
    def _unanswered(self) -> Claim | None:
        """The offer of a renewal that may stand or not; one on an older tip cannot, since our own next write did."""
        return self._offer[1] if self._offer is not None and self._offer[0] == self.lease.tip else None

    def settled(self) -> Lease:
        """The lease after an unanswered renewal was read back; for the next fenced write."""
        if self._unanswered is not None:
            self.renew(self._unanswered.acquired_at)
        if self._unanswered is not None:
            raise ForgeUnavailableError(f"the renewal of {self.lease.claim.task} was never answered")
        return self.lease
