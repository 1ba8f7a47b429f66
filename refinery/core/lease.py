"""The lease as a value: proof that this process may write for a task (no lease, no write)."""

from dataclasses import dataclass, replace

from refinery.core.model import Claim


@dataclass(frozen=True, slots=True)
class Lease:
    """A held claim: `ref` with its namespace, the commit `tip` that we wrote last, and what that commit says.

    A function that writes for a task takes one, moves the claim with the write, and returns the next.
    """

    ref: str
    tip: str
    claim: Claim

    @property
    def key(self) -> str:
        """The key of the task (or base, under `landing/`)."""
        return self.ref.rpartition("/")[2]

    def left(self, now: float) -> float:
        """Seconds until it expires; negative once it has."""
        return self.claim.expires_at - now

    def moved(self, tip: str, claim: Claim) -> "Lease":
        """The lease after the claim went on to `tip`."""
        return replace(self, tip=tip, claim=claim)
