"""GitHub's clock, as far as the `Date` of its answers tells, and the local one that it is compared with.

Each answer says that GitHub's clock stood within one second at some instant between request and answer. What all of
them say together is an interval; one that contradicts the others (a clock was set) starts over.
"""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_INFINITE = float("inf")


def local_clock() -> float:
    """Seconds on a clock that nobody sets, alike for all processes, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class ServerClock:
    """GitHub's clock is between `least` and `most` seconds ahead of the local one that instants are given in."""

    least: float = -_INFINITE
    most: float = _INFINITE

    def seen(self, date: str, sent: float, received: float) -> "ServerClock":
        """With one more answer: its `Date` and the local instants around it. An unreadable date says nothing."""
        try:
            second = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError):
            return self
        newest = ServerClock(second - received, second + 1 - sent)
        both = ServerClock(max(self.least, newest.least), min(self.most, newest.most))
        return both if both.least <= both.most else newest

    def at(self, local: float) -> float | None:
        """GitHub's clock (seconds since the epoch) at the local instant; None before any answer."""
        if self.least == -_INFINITE:
            return None
        return local + (self.least + self.most) / 2
