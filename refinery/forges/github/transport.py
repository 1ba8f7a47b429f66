"""One HTTP exchange with GitHub, over PyGithub's Requester: the only module that knows PyGithub and requests.

Nothing is repeated, followed or waited for here: the client decides that. Importing this costs a quarter of a second.
"""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import github
import requests
from github.Auth import Auth
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, RequestsResponse
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError

from refinery import __version__
from refinery.errors import ForgeUnavailableError
from refinery.git_credentials import is_loopback

ACCEPT: Final = "application/vnd.github+json"  # constant: a 304 is free only for the Accept that got the ETag
_API_VERSION: Final = "2022-11-28"
_TIMEOUT: Final = (10, 30)  # seconds to connect, and between two pieces of an answer
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HANDSHAKE: Final = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "HANDSHAKE", "UNSUPPORTED_PROTOCOL")


@dataclass(frozen=True, slots=True)
class Answer:
    """What GitHub said. Header names are in lower case; `body` is parsed JSON, or the text where it is none."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Timing:
    """The local instants around an exchange."""

    sent: float
    received: float


class UnansweredError(ForgeUnavailableError):
    """No whole answer. `was_sent`: GitHub may have received the request; `is_passing`: another try may help."""

    def __init__(
        self, message: str, *, was_sent: bool = False, is_passing: bool = True, remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.was_sent = was_sent
        self.is_passing = is_passing


class _RedirectedError(Exception):
    def __init__(self, response: RequestsResponse) -> None:
        super().__init__("redirected")
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}


class _Secure(HTTPSRequestsConnectionClass):
    """A connection that hands redirects back: PyGithub would repeat a write, and lose the query of a read."""

    def getresponse(self) -> RequestsResponse:
        return _checked(super().getresponse())


class _Plain(HTTPRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _checked(super().getresponse())


def _checked(response: RequestsResponse) -> RequestsResponse:
    if response.status in _REDIRECTS:
        raise _RedirectedError(response)
    return response


class _Bearer(Auth):
    """The token of the moment: it may have been renewed since the last request."""

    value = ""

    @property
    def token_type(self) -> str:
        return "Bearer"

    @property
    def token(self) -> str:
        return self.value


class Transport:
    """A connection to one API. `now` is the local clock of the timings."""

    def __init__(self, api_url: str, now: Callable[[], float]) -> None:
        self.api_url = api_url
        self._now = now
        self._host = urlsplit(api_url)
        self._bearer = _Bearer()
        hub = github.Github(
            auth=self._bearer,
            base_url=api_url,
            user_agent=f"refinery/{__version__}",
            per_page=100,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
        self._requester = hub.requester
        kind = _Secure if self._host.scheme == "https" else _Plain
        self._connection = kind(self._host.hostname or "", self._host.port, timeout=_TIMEOUT)  # type: ignore[arg-type]  # handed to requests as it is, which takes a pair
        self._connection.session.trust_env = not is_loopback(self._host.hostname or "")
        self.graphql_path = urlsplit(self._requester.graphql_url).path

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()
        self._requester.close()

    def exchange(
        self,
        token: str,
        verb: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Answer, Timing]:
        """Send one request as who has `token`. A path is below the API's URL; GraphQL's is the absolute one.

        Raises:
            UnansweredError: there was no whole answer.
        """
        url = self._graphql_url() if path == self.graphql_path else path
        extra = {"Accept": ACCEPT, "X-GitHub-Api-Version": _API_VERSION, **(headers or {})}
        self._bearer.value = token
        sent = self._now()
        try:
            status, received, text = self._requester.requestJson(
                verb, url, dict(params or {}), extra, body, self._connection
            )
        except _RedirectedError as found:
            return Answer(found.status, found.headers), Timing(sent, self._now())
        except requests.RequestException as error:
            self._explain(error)
        timing = Timing(sent, self._now())
        return Answer(status, received, _parsed(status, text)), timing

    def _graphql_url(self) -> str:
        return f"{self._host.scheme}://{self._host.netloc}{self.graphql_path}"

    def _explain(self, error: requests.RequestException) -> NoReturn:
        host = self._host.netloc
        causes = list(_causes(error))
        words = " ".join(str(each) for each in causes)
        if any(isinstance(each, ssl.SSLError | requests.exceptions.SSLError) for each in causes):
            raise UnansweredError(
                f"no trusted connection to {host}: {_tls_words(causes)}",
                was_sent=not any(each in words for each in _HANDSHAKE),
                is_passing=False,
                remedy="check this machine's clock, or name your server's certificates by REQUESTS_CA_BUNDLE=FILE",
            ) from error
        if any(isinstance(each, ProxyError) for each in causes):
            raise UnansweredError(
                f"the proxy between here and {host} does not answer",
                was_sent=False,
                remedy="check HTTPS_PROXY and NO_PROXY",
            ) from error
        if any(isinstance(each, NameResolutionError) for each in causes):
            raise UnansweredError(
                f"the name of {host} cannot be resolved",
                remedy="check the network connection, and the API's URL if you gave one",
            ) from error
        was_sent = not any(isinstance(each, NewConnectionError | ConnectTimeoutError) for each in causes)
        what = "did not answer in full" if was_sent else "cannot be reached"
        raise UnansweredError(
            f"{host} {what} ({type(error).__name__})",
            was_sent=was_sent,
            remedy="check the network connection; https://www.githubstatus.com says how GitHub is",
        ) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, and all that is said to have caused it."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        linked = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        pending += [found for found in linked if isinstance(found, BaseException)]


def _tls_words(causes: list[BaseException]) -> str:
    found = next((each for each in causes if isinstance(each, ssl.SSLError)), None)
    return (getattr(found, "verify_message", "") or getattr(found, "reason", "") or "TLS failed").strip()


def _parsed(status: int, text: str) -> Any:
    """The body; one that is cut off is no answer, one that never was JSON (a proxy's page) is its text."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        if status < 400:
            raise UnansweredError("an answer of GitHub's is not whole", was_sent=True) from error
        return text
