"""What GitHub's refusals and silences become: each with what it means, and what to do next.

A write whose answer was lost is not a write that failed (DESIGN §4, ambiguity): it has a class of its own, and who
gets it reads back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from refinery.errors import ForgeUnavailableError, RateLimitedError, RefineryError, UsageError

__all__ = [
    "AnswerLostError",
    "LoginError",
    "PermissionMissingError",
    "QueryError",
    "RateLimitedError",
    "RejectedError",
    "UnusableRepositoryError",
]


class AnswerLostError(ForgeUnavailableError):
    """A write that GitHub may have received was not answered: it may or may not have happened. Read back."""


class LoginError(UsageError):
    """There are no credentials, or GitHub does not accept them."""


class RejectedError(RefineryError):
    """GitHub understood a request and refused it: nothing was changed.

    `status` is the HTTP status, `words` GitHub's own message, `errors` its list of details.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        status: int = 0,
        words: str = "",
        errors: Sequence[Any] = (),
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.words = words
        self.errors = tuple(errors)


class PermissionMissingError(RejectedError, UsageError):
    """The credentials are good, but not for this."""


class UnusableRepositoryError(RejectedError, UsageError):
    """The repository is unknown, archived, or has switched off what is needed."""


class QueryError(RejectedError):
    """A GraphQL answer with errors. `types` are their types, such as `NOT_FOUND`; `data` is what came along."""

    def __init__(self, message: str, *, errors: Sequence[Mapping[str, Any]], data: Any = None) -> None:
        words = "; ".join(str(each.get("message", "")) for each in errors)
        super().__init__(message, status=200, words=words, errors=errors)
        self.types = frozenset(str(each.get("type", "")) for each in errors)
        self.data = data
