"""Rate limits as GitHub counts them: by identity and resource, in hours of the fake's clock.

The secondary ones (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api) are counted always,
and enforced with `is_strict`: a test that does in a second what takes an hour elsewhere would otherwise only wait.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from refinery.testing.state import Token

_HOUR: Final = 3600.0
_MINUTE: Final = 60.0
_ANONYMOUS: Final = 60
_MOST_POINTS: Final = 900
_MOST_CREATED: Final = 80


@dataclass(slots=True)
class Window:
    """One identity's hour."""

    limit: int
    reset: float
    used: int = 0

    @property
    def remaining(self) -> int:
        """What is left."""
        return max(0, self.limit - self.used)


@dataclass(slots=True)
class Limits:
    """All windows. `most` overrides what an identity may an hour, by resource (`core`, `graphql`).

    `is_off`: there are none, and answers tell of none, as on an Enterprise server that nobody set any for.
    `busiest` are the most points, and the most created issues, pulls and comments, that any identity had in a minute.
    """

    most: dict[str, int] = field(default_factory=dict)
    windows: dict[tuple[str, str], Window] = field(default_factory=dict)
    is_strict: bool = False
    is_off: bool = False
    busiest: tuple[int, int] = (0, 0)
    _lately: dict[str, deque[tuple[float, int, int]]] = field(default_factory=dict)

    def window(self, token: Token | None, resource: str, now: float) -> Window:
        """The window of an identity now."""
        key = (_identity(token), resource)
        found = self.windows.get(key)
        if found is None or now >= found.reset:
            found = self.windows[key] = Window(self._limit(token, resource), float(int(now + _HOUR)))
        return found

    def hurries(self, token: Token | None, now: float, points: int, created: int) -> bool:
        """Count a request towards the secondary limits; whether it is too much and to be refused."""
        lately = self._lately.setdefault(_identity(token), deque())
        while lately and lately[0][0] <= now - _MINUTE:
            lately.popleft()
        sums = (sum(each[1] for each in lately) + points, sum(each[2] for each in lately) + created)
        if self.is_strict and (sums[0] > _MOST_POINTS or sums[1] > _MOST_CREATED):
            return True
        lately.append((now, points, created))
        self.busiest = (max(self.busiest[0], sums[0]), max(self.busiest[1], sums[1]))
        return False

    def _limit(self, token: Token | None, resource: str) -> int:
        if resource in self.most:
            return self.most[resource]
        if token is None:
            return _ANONYMOUS
        return 1000 if token.kind == "actions" and resource == "core" else 5000

    def headers(self, window: Window, resource: str) -> dict[str, str]:
        """The headers that tell of it."""
        if self.is_off:
            return {}
        return {
            "x-ratelimit-limit": str(window.limit),
            "x-ratelimit-remaining": str(window.remaining),
            "x-ratelimit-used": str(window.used),
            "x-ratelimit-reset": str(int(window.reset)),
            "x-ratelimit-resource": resource,
        }


def _identity(token: Token | None) -> str:
    """Whose hour it is: all tokens of a person share one, each installation and each job has its own."""
    if token is None:
        return ""
    if token.kind == "installation" and token.installation is not None:
        return f"installation {token.installation.id}"
    return token.account.login if token.kind == "user" else token.value
