"""Where requests wait: for a limit to pass, for their turn, before another try. Told once, interruptible, bounded.

Property: after GitHub has asked for a pause, nothing is sent before it is over (F37); a wait that would be longer than
the patience of the moment is not begun, and becomes `RateLimitedError` with its end.
"""

import math
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from refinery.errors import RateLimitedError
from refinery.forges.github.clock import local_clock
from refinery.forges.github.ledger import Ledger, Page
from refinery.forges.github.limits import Limited, Quota, limited, quota_of, used_up
from refinery.stop import Stop, StopFlag

PATIENCE: Final = 3900.0  # seconds: a little more than the longest pause of the hourly quota
_WHEN_DRAINING: Final = 30.0  # seconds: nobody who asked us to stop waits for an hour
_WORTH_TELLING: Final = 5.0
_SPACED: Final = "requests to GitHub are spaced"
_REMEDY: Final = "nothing failed: it goes on by itself after that, or run again then"


class Gate:
    """The limits of one client, as far as they are known. `now` is GitHub's clock."""

    def __init__(
        self,
        now: Callable[[], float],
        *,
        stop: StopFlag | None = None,
        on_pause: Callable[[float, str], None] = lambda _until, _why: None,
        ledger: Ledger | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.quotas: dict[str, Quota] = {}
        self._now = now
        self._stop = stop
        self._on_pause = on_pause
        self._ledger = ledger or Ledger()
        self._strikes = 0
        self._told = 0.0
        self._is_counted = True
        self._patience = patience
        self.bound = (
            math.inf
        )  # seconds: as long as something waits for us, a lease say, patience is no longer

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Wait for at most this long inside the block; of nested ones the shortest counts."""
        before = self._patience
        self._patience = min(before, seconds)
        try:
            yield
        finally:
            self._patience = before

    def deadline(self) -> float:
        """Until when a request that begins now may wait, all its pauses together (seconds, the monotonic clock)."""
        return time.monotonic() + min(self._patience, self.bound)

    def enter(self, resource: str, deadline: float, *, is_write: bool, is_content: bool) -> None:
        """Wait until a request may be sent.

        Raises:
            RateLimitedError: that is later than the deadline, or somebody asks this process to stop.
        """
        while (found := self._obstacle(resource, deadline, is_write, is_content)) is not None:
            self.wait(found.until, deadline, found.why)

    def _obstacle(self, resource: str, deadline: float, is_write: bool, is_content: bool) -> Limited | None:
        """What to wait for first. Where it is only one's turn, that is taken, and waited for here."""
        local, now = local_clock(), self._now()
        with self._ledger.opened(local, now) as page:
            found = _limit(page, resource, now)
            if found is not None or not self._is_counted:
                return found
            pace, seconds = page.pace.step(local, is_write=is_write, is_content=is_content)
            if seconds > deadline - time.monotonic():
                raise _too_long(now + seconds, _SPACED)
            page.pace = pace
        if seconds > 0:
            self.wait(now + seconds, deadline, _SPACED)
        return None

    def judge(self, status: int, headers: Mapping[str, str], words: str) -> bool:
        """Learn from an answer; whether it was a refusal because of a limit, so that the request may be sent again."""
        now = self._now()
        told = quota_of(headers)
        if status < 400:
            # An Enterprise server has no limits unless its owner sets some: nothing to keep a distance for.
            self._is_counted = told is not None
        if told is not None:
            self.quotas[told[0]] = told[1]
            if told[1].remaining <= 0 and told[1].reset > now:
                self._note(used_up(*told), now)
        found = limited(status, headers, words, now, self._strikes)
        if found is None:
            self._strikes = 0 if status < 400 else self._strikes
            return False
        self._strikes += 1
        self._note(found, now)
        return True

    def _note(self, found: Limited, now: float) -> None:
        with self._ledger.opened(local_clock(), now) as page:
            page.limits[found.resource] = found

    def wait(self, until: float, deadline: float, why: str) -> None:
        """Wait until GitHub's clock says so; as `enter`."""
        seconds = until - self._now()
        if seconds > deadline - time.monotonic():
            raise _too_long(until, why)
        if seconds >= _WORTH_TELLING and until > self._told + 1:
            self._told = until
            self._on_pause(until, why)
        self._rest(seconds, until, why)

    def _rest(self, seconds: float, until: float, why: str) -> None:
        """Sleep; a request to stop cuts a long sleep short."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            asked = self._stop.state if self._stop is not None else Stop.NONE
            if asked is Stop.FORCE or (asked is Stop.DRAIN and left > _WHEN_DRAINING):
                raise _too_long(until, why)
            if self._stop is None:
                time.sleep(left)
            elif asked is Stop.DRAIN:  # its descriptor stays readable: look again, soon
                time.sleep(min(left, 0.2))
            else:
                select.select([self._stop], [], [], left)


def _limit(page: Page, resource: str, now: float) -> Limited | None:
    """The limit that ends last, of this resource and of all."""
    found = [each for name in ("", resource) if (each := page.limits.get(name)) and each.until > now]
    return max(found, key=lambda each: each.until, default=None)


def _too_long(until: float, why: str) -> RateLimitedError:
    when = datetime.fromtimestamp(until).astimezone().strftime("%H:%M:%S")
    return RateLimitedError(f"{why}; no request until {when}", until=until, remedy=_REMEDY)
