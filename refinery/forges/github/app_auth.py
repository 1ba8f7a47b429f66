"""A GitHub App as an identity: a signed statement of who we are, exchanged for a token of one hour.

The token is asked for one repository alone, renewed five minutes before it ends, and again when GitHub refuses it.
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from github.Auth import AppAuth
from jwt.exceptions import PyJWTError

from refinery.errors import ForgeUnavailableError, UsageError
from refinery.forges.github.address import parse_slug
from refinery.forges.github.client import Client
from refinery.forges.github.errors import AnswerLostError, LoginError, RejectedError

_EARLY: Final = 300.0  # seconds before its end that a token is renewed
_TRIES: Final = 3
_PATIENCE: Final = 30.0  # seconds: somebody may hold a lease, and knows better how to wait
_VALID: Final = 540  # seconds; GitHub takes ten minutes at the most, by its own clock
_SKEW: Final = 60


@dataclass(slots=True, repr=False)
class _Statement:
    """Credentials of the App itself: a signed statement. `ahead`: how far GitHub's clock is before ours."""

    app_id: str
    key: str
    ahead: float = 0.0

    def token(self) -> str:
        at = int(time.time() + self.ahead)
        sign = AppAuth.create_jwt_sign(self.key, "RS256")
        return str(sign({"iat": at - _SKEW, "exp": at + _VALID - _SKEW, "iss": self.app_id}))

    def renew(self) -> bool:
        return False

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key,)

    def describe(self) -> str:
        return f"the GitHub App {self.app_id}"


class AppInstallation:
    """The credentials of an App where it is installed on `slug`."""

    def __init__(self, api_url: str, app_id: str, key: str, slug: str) -> None:
        self._owner, self._name = parse_slug(slug)
        self._statement = _Statement(app_id, key)
        try:
            self._statement.token()
        except (PyJWTError, ValueError, TypeError, AttributeError) as error:  # the last: of a public key
            raise UsageError(
                f"the private key of the GitHub App {app_id} cannot be used",
                remedy="it is a file that begins with -----BEGIN RSA PRIVATE KEY-----; the App's page makes one",
            ) from error
        self._client = Client(api_url, self._statement, patience=_PATIENCE)
        self._installation = 0
        self._tokens: list[str] = []
        self._ends_at = 0.0

    def token(self) -> str:
        """The installation's token, asked for when there is none or it ends soon."""
        if not self._tokens or self._client.now() > self._ends_at - _EARLY:
            self._ask()
        return self._tokens[-1]

    def renew(self) -> bool:
        """Forget the token: the next one will be another."""
        self._ends_at = 0.0
        return True

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key, and every token so far."""
        return (self._statement.key, *self._tokens)

    def describe(self) -> str:
        """Which App, and where."""
        return f"the GitHub App {self._statement.app_id} as installed on {self._owner}/{self._name}"

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _ask(self) -> None:
        try:
            self._installation = self._installation or self._found()
            made = self._made(f"/app/installations/{self._installation}/access_tokens")
            token, ends_at = str(made["token"]), datetime.fromisoformat(made["expires_at"]).timestamp()
        except RejectedError as error:
            self._installation = 0
            raise LoginError(
                f"the GitHub App {self._statement.app_id} cannot be used on {self._owner}/{self._name}: {error}",
                remedy="install it on that repository; its settings page says where it is installed",
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ForgeUnavailableError("GitHub's answer holds no installation token") from error
        self._tokens.append(token)
        self._ends_at = ends_at

    def _found(self) -> int:
        """The installation's number. A refusal may tell that our clock is wrong: then once more, by GitHub's."""
        path = f"/repos/{self._owner}/{self._name}/installation"
        try:
            answer = self._client.get(path, "login")
        except LoginError:
            self._statement.ahead = self._client.now() - time.time()
            if abs(self._statement.ahead) < 1:
                raise
            answer = self._client.get(path, "login")
        return int(answer.body["id"])

    def _made(self, path: str) -> Any:
        """A new token. One that was made and got lost on the way harms nobody."""
        for _ in range(_TRIES - 1):
            try:
                return self._client.send("POST", path, {"repositories": [self._name]}, "login").body
            except AnswerLostError:
                continue
        return self._client.send("POST", path, {"repositories": [self._name]}, "login").body
