"""GitHub's rate limits as arithmetic: what an answer says about them, and how far apart requests have to be.

Properties of `Pace`: in any 60 seconds at most 80 writes and 900 points, in any hour at most 500 content creations;
the first 20 writes after a rest wait for nothing.
Numbers and rules: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_CONTENT_AN_HOUR: Final = 500
_LONGEST_BACKOFF: Final = 900.0
_WORDS: Final = ("rate limit", "abuse detection", "please wait a few minutes")


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a resource until `reset` (seconds since the epoch, GitHub's clock)."""

    remaining: int
    limit: int
    reset: float


@dataclass(frozen=True, slots=True)
class Limited:
    """No request before `until` (GitHub's clock): of one resource, or of any kind where `resource` is empty."""

    until: float
    why: str
    resource: str = ""


def quota_of(headers: Mapping[str, str]) -> tuple[str, Quota] | None:
    """The resource that a request was counted against, and what is left of it; None where the answer does not say."""
    try:
        remaining, limit, reset = (
            float(headers[f"x-ratelimit-{name}"]) for name in ("remaining", "limit", "reset")
        )
    except (KeyError, ValueError):
        return None
    return headers.get("x-ratelimit-resource", "core"), Quota(int(remaining), int(limit), reset)


def limited(
    status: int, headers: Mapping[str, str], words: str, now: float, strikes: int = 0
) -> Limited | None:
    """What an answer says about a limit; None when it is about something else.

    A refusal is about one when its status is 429, it names a time to wait, its words say so, or nothing is left of
    the quota. GraphQL says it with status 200, by words alone. `strikes`: earlier refusals in a row without a time.
    """
    is_said = any(each in words.lower() for each in _WORDS)
    found = quota_of(headers)
    is_empty = found is not None and found[1].remaining <= 0
    wait = _seconds(headers.get("retry-after", ""))
    if status not in (200, 403, 429) or (status == 200 and not is_said):
        return None
    if status == 403 and not (is_said or is_empty or wait is not None):
        return None
    if wait is not None:
        return Limited(now + wait, "GitHub asks for a pause (secondary rate limit)")
    if found is not None and is_empty:
        return used_up(found[0], replace(found[1], reset=max(found[1].reset, now)))
    pause = min(_MINUTE * 2**strikes, _LONGEST_BACKOFF)
    return Limited(now + pause, "GitHub asks for a pause (secondary rate limit)")


def used_up(resource: str, quota: Quota) -> Limited:
    """The pause until a quota is filled again; a second more, since its end is told in whole ones."""
    why = f"the {resource} quota of {quota.limit} requests is used up"
    return Limited(quota.reset + 1, why, resource)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Lets `burst` through at once and `rate` a second after that: at most `burst + rate * t` in any t seconds.

    `full_at` is the instant when what was let through is made up for (the generic cell rate algorithm).
    """

    burst: float
    rate: float
    full_at: float = 0.0

    def wait(self, now: float, cost: float) -> float:
        """Seconds until `cost` may pass."""
        return max(0.0, max(self.full_at, now) + (cost - self.burst) / self.rate - now)

    def taken(self, at: float, cost: float) -> "Bucket":
        """After `cost` passed at that instant."""
        return replace(self, full_at=max(self.full_at, at) + cost / self.rate)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one process may go. `created` are the instants of the last hour's content creations."""

    points: Bucket = Bucket(300, 10)
    writes: Bucket = Bucket(20, 1)
    created: tuple[float, ...] = ()

    def step(self, now: float, *, is_write: bool = False, is_content: bool = False) -> tuple["Pace", float]:
        """The pace after one more request, and the seconds that it has to wait before.

        A read costs a point, a write five; what is no git data is content.
        """
        cost = 5.0 if is_write else 1.0
        wait = self.points.wait(now, cost)
        if is_write:
            wait = max(wait, self.writes.wait(now, 1))
        if is_content and len(self.created) >= _CONTENT_AN_HOUR:
            wait = max(wait, self.created[-_CONTENT_AN_HOUR] + _HOUR - now)
        at = now + wait
        after = replace(self, points=self.points.taken(at, cost))
        if is_write:
            after = replace(after, writes=self.writes.taken(at, 1))
        if is_content:
            after = replace(after, created=(*(each for each in self.created if each > at - _HOUR), at))
        return after, wait


UNPACED: Final = Pace(Bucket(1e9, 1e9), Bucket(1e9, 1e9))
