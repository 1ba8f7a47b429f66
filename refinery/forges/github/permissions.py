"""Who may write to a repository, by its collaborator-permission API.

A label is no authorisation, and neither is being able to comment: what counts is the role. Properties: an answer that
did not come, or that is not understood, is None, which no caller takes for yes; nothing is believed for longer than
three minutes, and asking again about somebody unchanged costs no quota.
"""

import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from refinery.core.trust import may_write
from refinery.errors import ForgeUnavailableError
from refinery.forges.github.client import Client
from refinery.forges.github.errors import RateLimitedError, RejectedError

_BELIEVED: Final = 180.0  # seconds


class Permissions:
    """Answers about the people of one repository (`owner/name`), remembered for a short time."""

    def __init__(self, client: Client, repository: str) -> None:
        self._client = client
        self._repository = repository
        self._known: dict[str, tuple[float, bool]] = {}

    def of(self, logins: Iterable[str]) -> dict[str, bool | None]:
        """Whether each of these people, by login in small letters, may write; None where nobody knows.

        Raises:
            RateLimitedError: GitHub asks for a pause.
        """
        return {login.casefold(): self._one(login.casefold()) for login in logins}

    def _one(self, login: str) -> bool | None:
        at, known = self._known.get(login, (0.0, False))
        if at and time.monotonic() - at < _BELIEVED:
            return known
        path = f"/repos/{self._repository}/collaborators/{quote(login, safe='')}/permission"
        try:
            body = self._client.get(path, "trust").body
        except RateLimitedError:
            raise
        except RejectedError as error:
            if error.status != 404:
                return None
            body = {"permission": "none"}
        except ForgeUnavailableError:
            return None
        if not isinstance(body, dict):
            return None
        may = may_write(str(body.get("role_name") or ""), str(body.get("permission") or ""))
        self._known[login] = (time.monotonic(), may)
        return may
