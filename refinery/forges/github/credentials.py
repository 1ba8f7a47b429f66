"""Who we are on GitHub: a token, and what may be said about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Credentials(Protocol):
    """An identity. A token is asked for before each use: it may have been renewed since."""

    def token(self) -> str:
        """The token of the moment.

        Raises:
            LoginError: there is none.
            ForgeUnavailableError: GitHub did not answer when one was asked for.
        """

    def renew(self) -> bool:
        """GitHub no longer accepts the token: look for another, and say whether there is one."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must never be shown: for redaction."""

    def describe(self) -> str:
        """What these credentials are and where they came from, for people; without the token."""


@dataclass(frozen=True, slots=True, repr=False)
class FixedToken:
    """A token that somebody gave us; `source` says who, in words."""

    value: str
    source: str

    def token(self) -> str:
        """As given."""
        return self.value

    def renew(self) -> bool:
        """No: it is all that there is."""
        return False

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token."""
        return (self.value,)

    def describe(self) -> str:
        """Where it came from."""
        return f"a token from {self.source}"


class KeptToken:
    """A token that others keep and may exchange: a file's, or that of the `gh` program. Read again when refused."""

    def __init__(self, read: Callable[[], str], source: str, first: str = "") -> None:
        self._read = read
        self._source = source
        self._values = [first or read()]

    def token(self) -> str:
        """As last read."""
        return self._values[-1]

    def renew(self) -> bool:
        """Read again; whether it is another one now."""
        value = self._read()
        is_new = value != self._values[-1]
        if is_new:
            self._values.append(value)
        return is_new

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every token that was read: an old one may still stand in some text."""
        return tuple(self._values)

    def describe(self) -> str:
        """Where it comes from."""
        return f"a token from {self._source}"
