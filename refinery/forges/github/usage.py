"""What the API was used for: requests by purpose, and what GitHub said is left."""

from dataclasses import dataclass, field

from refinery.forges.github.limits import Quota


@dataclass(slots=True)
class Count:
    """Requests of one purpose: all that were sent, those of them that cost nothing (304), and repeated ones."""

    sent: int = 0
    unchanged: int = 0
    retried: int = 0


@dataclass(slots=True)
class Usage:
    """Of one client, since it was made. `quotas` are by GitHub's resource: core, graphql, search."""

    purposes: dict[str, Count] = field(default_factory=dict)
    quotas: dict[str, Quota] = field(default_factory=dict)

    def count(self, purpose: str) -> Count:
        """The counter of a purpose."""
        return self.purposes.setdefault(purpose, Count())

    @property
    def sent(self) -> int:
        """All requests that left this machine."""
        return sum(each.sent for each in self.purposes.values())

    @property
    def charged(self) -> int:
        """Those of them that count against the quota."""
        return self.sent - sum(each.unchanged for each in self.purposes.values())


@dataclass(frozen=True, slots=True)
class Traced:
    """One request, for `--trace-api`. `status` is 0 where no answer came; `left` is None where none was told."""

    verb: str
    path: str
    status: int
    purpose: str
    left: int | None
    milliseconds: float

    def __str__(self) -> str:
        """One line."""
        left = "-" if self.left is None else self.left
        return (
            f"{self.verb:6} {self.status or '---'} {self.milliseconds:6.0f} ms  left {left:>5}  "
            f"{self.purpose:10} {self.path}"
        )
