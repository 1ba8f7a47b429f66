"""The one way to GitHub's API: conditional reads, writes that are never repeated blindly, limits, counting, trace.

Properties:
- A read is tried up to four times. A write is sent again only when GitHub cannot have received it, or refused it
  because of a limit or an expired token; else its lost answer is `AnswerLostError`, and the caller reads back.
- A read of something unchanged costs no quota: the ETag and the body of the last answer are kept, per path.
- No exception, trace or pause told from here holds a token.
One client belongs to one thread.
"""

import random
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from refinery.core.sanitise import redact
from refinery.errors import ForgeUnavailableError, RefineryError
from refinery.forges.github.clock import ServerClock, local_clock
from refinery.forges.github.credentials import Credentials
from refinery.forges.github.errors import AnswerLostError, QueryError
from refinery.forges.github.gate import PATIENCE, Gate
from refinery.forges.github.ledger import Ledger
from refinery.forges.github.limits import quota_of
from refinery.forges.github.refusals import refusal, said
from refinery.forges.github.transport import Answer, Transport, UnansweredError
from refinery.forges.github.usage import Traced, Usage
from refinery.stop import StopFlag

__all__ = ["Answer", "Client"]

_TRIES: Final = 4
_PAUSES: Final = (0.1, 0.5, 2.0)  # seconds before the second, third and fourth try
_MOST_PAGES: Final = 1000
_REMEMBERED: Final = 512  # answers to conditional reads
_REDIRECTS: Final = frozenset({301, 302, 307, 308})  # "repeat the request verbatim", says GitHub
_MOST_REDIRECTS: Final = 3
_NEXT: Final = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')
_MUTATION: Final = re.compile(r"^\s*mutation\b", re.MULTILINE)
_MOVED: Final = re.compile(r"/repos/[^/]+/[^/]+")
_MOVED_TO: Final = re.compile(r"/repositories/\d+|/repos/[^/]+/[^/]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One request, however often it is sent."""

    verb: str
    path: str
    purpose: str
    params: Mapping[str, str] | None = None
    body: Any = None
    etag: str = ""
    resource: str = "core"
    is_write: bool = False

    @property
    def is_content(self) -> bool:
        return self.is_write and "/git/" not in self.path


class Client:
    """A client of one API with one identity. A context manager; closing it closes its connections.

    `ledger`: what is known about limits, shared with the other processes of this identity. `on_pause` is told of a
    pause (its end by GitHub's clock, and why), once; `patience` is the longest, in seconds.
    """

    def __init__(
        self,
        api_url: str,
        credentials: Credentials,
        *,
        stop: StopFlag | None = None,
        on_pause: Callable[[float, str], None] = lambda _until, _why: None,
        ledger: Ledger | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.api_url = api_url
        self.usage = Usage()
        self.renamed: dict[str, str] = {}  # prefix of a path → where GitHub says it is now
        self._credentials = credentials
        self._clock = ServerClock()
        self._gate = Gate(self.now, stop=stop, on_pause=on_pause, ledger=ledger, patience=patience)
        self.usage.quotas = self._gate.quotas
        self._transport = Transport(api_url, local_clock)
        self._seen: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], Answer] = OrderedDict()
        self._trace: list[Callable[[Traced], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def now(self) -> float:
        """GitHub's clock, in seconds since the epoch; this machine's, before any answer."""
        found = self._clock.at(local_clock())
        return time.time() if found is None else found

    def patience(self, seconds: float) -> AbstractContextManager[None]:
        """A block in which no request waits longer than this for a limit: while a lease runs."""
        return self._gate.patience(seconds)

    def hurry(self, seconds: float) -> None:
        """From now on no request waits longer than this for a limit; infinity: as long as `patience` says."""
        self._gate.bound = seconds

    def trace(self, callback: Callable[[Traced], None]) -> None:
        """Tell of every request that is sent from now on."""
        self._trace.append(callback)

    def get(self, path: str, purpose: str, *, params: Mapping[str, str] | None = None) -> Answer:
        """Read, conditionally: what is unchanged costs no quota, and has status 304 with the body of the last time.

        Raises:
            ForgeUnavailableError: no whole answer, several times.
            RateLimitedError: a pause is asked for, longer than the patience of the moment.
            RejectedError, LoginError: GitHub refused.
        """
        key = (path, tuple(sorted((params or {}).items())))
        known = self._seen.get(key)
        etag = known.headers["etag"] if known is not None else ""
        answer = self._checked(_Call(verb="GET", path=path, purpose=purpose, params=params, etag=etag))
        if answer.status == 304 and known is not None:
            self._seen.move_to_end(key)
            return Answer(304, {**known.headers, **answer.headers}, known.body)
        if "etag" in answer.headers:
            self._seen[key] = answer
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return answer

    def pages(self, path: str, purpose: str, *, params: Mapping[str, str] | None = None) -> list[Any]:
        """All items of a listing, page after page, each read as by `get`.

        Raises:
            ForgeUnavailableError: also where a listing has no end, or a page is no list.
        """
        items: list[Any] = []
        wanted: Mapping[str, str] | None = {"per_page": "100", **(params or {})}
        for _ in range(_MOST_PAGES):
            answer = self.get(path, purpose, params=wanted)
            items += _items(answer.body, path)
            found = _NEXT.search(answer.headers.get("link", ""))
            if found is None:
                return items
            path, wanted = self._inside(found[1])
        raise ForgeUnavailableError(f"the listing {path} of GitHub's has no end")

    def send(self, verb: str, path: str, body: Mapping[str, Any] | None, purpose: str) -> Answer:
        """Write, once.

        Raises:
            AnswerLostError: it may or may not have happened; read back.
            ForgeUnavailableError, RateLimitedError: it was not sent.
            RejectedError, LoginError: GitHub refused it; nothing was changed.
        """
        return self._checked(_Call(verb=verb, path=path, purpose=purpose, body=body, is_write=True))

    def graphql(
        self, document: str, variables: Mapping[str, Any], purpose: str, *, partial: bool = False
    ) -> dict[str, Any]:
        """`data` of a GraphQL answer. A document with a mutation is a write, as in `send`.

        Raises:
            QueryError: the answer has errors, of GitHub's types; with `partial`, only when there is no data at all.
        """
        call = _Call(
            verb="POST",
            path=self._transport.graphql_path,
            purpose=purpose,
            body={"query": document, "variables": dict(variables)},
            resource="graphql",
            is_write=_MUTATION.search(document) is not None,
        )
        body = self._checked(call).body
        data, errors = _part(body, "data"), _part(body, "errors")
        if isinstance(data, dict) and (not errors or partial):
            return data
        raise self._query_error(call, self._clean(body))

    def _query_error(self, call: _Call, body: Any) -> RefineryError:
        """What an answer with errors means: one that names no reason ("something went wrong") decides nothing."""
        errors = [each for each in _part(body, "errors") or [] if isinstance(each, dict)]
        message = f"GitHub could not answer {call.purpose}: {_words(body)}"
        if any(each.get("type") or each.get("extensions") for each in errors):
            return QueryError(message, errors=errors, data=_part(body, "data"))
        if call.is_write:
            return AnswerLostError(f"{call.purpose} may or may not have happened: {_words(body)}")
        return ForgeUnavailableError(message, remedy="https://www.githubstatus.com says how it is")

    def _checked(self, call: _Call) -> Answer:
        """The answer, which is no refusal."""
        answer = self._answered(call)
        if answer.status < 300 or answer.status == 304:
            return answer
        if answer.status < 400:
            raise ForgeUnavailableError(f"GitHub sends {call.verb} {call.path} from one place to another")
        raise refusal(call.verb, call.path, answer.status, answer.headers, self._clean(answer.body))

    def _answered(self, call: _Call) -> Answer:
        """The final answer: what may be sent again has been."""
        deadline = self._gate.deadline()
        tries = redirects = renewals = 0
        while True:
            self._gate.enter(call.resource, deadline, is_write=call.is_write, is_content=call.is_content)
            try:
                answer = self._once(call)
            except UnansweredError as error:
                tries += 1
                self._give_up(call, error, tries)
                pause = _PAUSES[tries - 1] * random.uniform(0.5, 1.0)  # noqa: S311  (spreads, guards nothing)
                self._gate.wait(self.now() + pause, deadline, "GitHub did not answer")
            else:
                if answer.status == 401 and renewals == 0 and self._credentials.renew():
                    renewals += 1
                elif answer.status in _REDIRECTS and redirects < _MOST_REDIRECTS:
                    redirects += 1
                    call = self._redirected(call, answer)
                elif not self._gate.judge(answer.status, answer.headers, _words(answer.body, answer.status)):
                    return answer
            self.usage.count(call.purpose).retried += 1

    def _give_up(self, call: _Call, error: UnansweredError, tries: int) -> None:
        """Raise what a missing answer finally means; return where another try is in order."""
        if call.is_write and error.was_sent:
            raise AnswerLostError(
                self._clean(f"{call.verb} {call.path} may or may not have happened: {error.message}"),
                remedy=error.remedy,
            ) from error
        if tries >= _TRIES or not error.is_passing:
            raise ForgeUnavailableError(self._clean(error.message), remedy=error.remedy) from error

    def _once(self, call: _Call) -> Answer:
        """Send it once: counted, traced, and a server's own failure told as no answer."""
        path = self._moved(call.path)
        count = self.usage.count(call.purpose)
        headers = {"If-None-Match": call.etag} if call.etag else {}
        token = self._credentials.token()
        started, answer = time.monotonic(), Answer(0)
        count.sent += 1
        try:
            answer, timing = self._transport.exchange(token, call.verb, path, call.params, call.body, headers)
        finally:
            self._tell(call, path, answer, (time.monotonic() - started) * 1000)
        self._clock = self._clock.seen(answer.headers.get("date", ""), timing.sent, timing.received)
        count.unchanged += answer.status == 304
        if answer.status >= 500:
            words = _words(answer.body) or "no words"
            raise UnansweredError(
                f"GitHub failed ({answer.status}): {words}",
                was_sent=True,
                remedy="https://www.githubstatus.com says how it is; run again later",
            )
        return answer

    def _tell(self, call: _Call, path: str, answer: Answer, milliseconds: float) -> None:
        found = quota_of(answer.headers)
        left = found[1].remaining if found is not None else None
        for callback in self._trace:
            callback(Traced(call.verb, path, answer.status, call.purpose, left, milliseconds))

    def _moved(self, path: str) -> str:
        """`path` under the name that its repository has now."""
        found = _MOVED.match(path)
        new = self.renamed.get(found[0]) if found else None
        return path if found is None or new is None else new + path[found.end() :]

    def _redirected(self, call: _Call, answer: Answer) -> _Call:
        """The same request to where GitHub says: it did nothing with this one. The new place is remembered."""
        path, params = self._inside(answer.headers.get("location", ""))
        old, new = _MOVED.match(call.path), _MOVED_TO.match(path)
        if answer.status in (301, 307, 308) and old is not None and new is not None:
            self.renamed[old[0]] = new[0]
            return call if self._moved(call.path) == path else replace(call, path=path, params=params)
        return replace(call, path=path, params=params or call.params)

    def _inside(self, link: str) -> tuple[str, dict[str, str]]:
        """Path and query of a link into this API; a token is sent nowhere else."""
        url, base = urlsplit(link), urlsplit(self.api_url)
        is_ours = (url.scheme, url.netloc) in (("", ""), (base.scheme, base.netloc))
        if not is_ours or not url.path.startswith(f"{base.path}/"):
            raise ForgeUnavailableError(
                f"GitHub at {base.netloc} points to {url.netloc or 'nowhere'}, where no token of ours is sent",
                remedy="check the API's URL: it has to be the server's own name, with https",
            )
        return url.path.removeprefix(base.path), dict(parse_qsl(url.query))

    def _clean(self, value: Any) -> Any:
        """A text, or any JSON, without our secrets (F35)."""
        if isinstance(value, str):
            return redact(value, self._credentials.secrets)
        if isinstance(value, dict):
            return {self._clean(key): self._clean(item) for key, item in value.items()}
        return [self._clean(item) for item in value] if isinstance(value, list) else value


def _part(body: Any, name: str) -> Any:
    return body.get(name) if isinstance(body, dict) else None


def _items(body: Any, path: str) -> list[Any]:
    """The items of a page: a list, or the one list in an object that also counts them."""
    if isinstance(body, list):
        return body
    lists = [each for each in body.values() if isinstance(each, list)] if isinstance(body, dict) else []
    if len(lists) != 1:
        raise ForgeUnavailableError(f"GitHub's answer to {path} is no listing")
    return list(lists[0])


def _words(body: Any, status: int = 400) -> str:
    """What a refusal says, its details included; nothing of an answer that is data."""
    words, errors = said(body) if isinstance(body, dict) or status >= 400 else ("", ())
    if status == 200 and not errors:
        return ""
    return "; ".join([*([words] if words else []), *(str(_message(each)) for each in errors)])


def _message(error: Any) -> Any:
    if not isinstance(error, dict):
        return error
    kind = str(error.get("type") or "").replace("RATE_LIMITED", "rate limit")
    return f"{error.get('message', '')} {kind}".strip()
