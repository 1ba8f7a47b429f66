"""The fake's clock: this machine's, until it is stopped and stepped by hand."""

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch. Nothing in the fake ever sleeps for it."""

    def __init__(self) -> None:
        self._frozen: float | None = None
        self._ahead = 0.0

    def now(self) -> float:
        """The instant."""
        return self._frozen if self._frozen is not None else time.time() + self._ahead

    def freeze(self, at: float | None = None) -> float:
        """Stop it, at `at` or now."""
        self._frozen = self.now() if at is None else at
        return self._frozen

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if self._frozen is None:
            self._ahead += seconds
        else:
            self._frozen += seconds

    def stamp(self) -> str:
        """The instant as GitHub writes it, in whole seconds."""
        return stamp(self.now())


def stamp(at: float) -> str:
    """`at` as GitHub writes it."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
