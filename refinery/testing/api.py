"""The API without its wire: who asks, what goes wrong on purpose, the limits, the handler, ETags and the log."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import urlencode

from refinery.testing import identity
from refinery.testing.faults import Fault, Faults
from refinery.testing.limits import Limits, Window
from refinery.testing.past import Past
from refinery.testing.routes import Ask, ForbiddenError, RedirectedError, Reply, find
from refinery.testing.world import ProblemError, World

_DOCS: Final = "https://docs.github.com/rest"
_WORDS: Final = {301: "Moved Permanently", 307: "Temporary Redirect"}
_CREATES: Final = ("/issues", "/pulls", "/comments", "/reviews")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the log keeps it; `status` 0: it was never answered. `charged`: it cost quota."""

    method: str
    path: str
    query: str
    status: int
    template: str
    login: str
    charged: bool
    body: Any = None
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Came:
    """What arrived: `raw_path` with its query, undecoded; `headers` without regard to case."""

    method: str
    path: str
    raw_path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Api:
    """REST and GraphQL over one world; `origin` is scheme, host and port."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.past = Past(world)
        self.faults = Faults(self._armed)
        self.limits = Limits()
        self.requests: list[Request] = []
        self.keeps_bodies = False
        self.origin = ""

    def _armed(self, fault: Fault) -> None:
        if fault.kind == "stale":
            with self.world.lock:
                self.past.remember()

    def changing(self) -> None:
        """A change is about to be made: remember how things are, if a stale read may be asked for."""
        if self.faults.is_armed("stale"):
            self.past.remember()

    def answer(self, came: Came, fault: Fault | None) -> Answer:
        """Handle one request from end to end."""
        path, base = _api_path(came.path, self.origin)
        world = (
            self.past.last if fault is not None and fault.kind == "stale" and self.past.last else self.world
        )
        ask = Ask(world, base, came.method, path, dict(came.query), came.headers, came.raw, None)
        ask.origin = self.origin
        resource = "graphql" if path == "/graphql" else "core"
        with self.world.lock:
            reply, template = self._reply(ask, fault)
            window = self.limits.window(ask.token, resource, self.world.clock.now())
            etag = _etag(reply, ask) if came.method == "GET" and reply.status == 200 else ""
            is_known = bool(etag) and etag == came.headers.get("if-none-match")
            charged = not is_known and path != "/rate_limit" and reply.status != 401
            charged = charged and (fault is None or fault.kind != "status")
            window.used += int(reply.headers.pop("x-cost", "1")) if charged else 0
            headers = self._headers(window, resource, reply, etag)
            unanswered = fault is not None and fault.kind in ("drop-after", "truncate")
            status = 0 if unanswered else 304 if is_known else reply.status
            self._log(came, ask, template, replace(reply, status=status), charged)
        if is_known:
            return Answer(304, b"", headers)
        body = b"" if reply.body is None else json.dumps(reply.body).encode()
        return Answer(reply.status, body, headers)

    def dropped(self, came: Came) -> None:
        """A request was never looked at: keep it in the log all the same."""
        path, base = _api_path(came.path, self.origin)
        ask = Ask(self.world, base, came.method, path, dict(came.query), came.headers, came.raw, None)
        with self.world.lock:
            self._log(came, ask, path, Reply(0), charged=False)

    def _headers(self, window: Window, resource: str, reply: Reply, etag: str) -> dict[str, str]:
        headers = {
            "date": formatdate(self.world.clock.now(), usegmt=True),
            "x-github-request-id": os.urandom(6).hex(),
            "x-github-media-type": "github.v3; format=json",
        }
        if reply.status != 401:
            headers |= self.limits.headers(window, resource)
        if etag:
            headers |= {"etag": etag, "cache-control": "private, max-age=60, s-maxage=60"}
        return headers | reply.headers

    def _log(self, came: Came, ask: Ask, template: str, reply: Reply, charged: bool) -> None:
        self.requests.append(
            Request(
                came.method,
                ask.path,
                urlencode(came.query),
                reply.status,
                template,
                ask.token.account.login if ask.token is not None else "",
                charged,
                came.raw.decode("utf-8", "replace") if self.keeps_bodies else None,
                reply.body if self.keeps_bodies else None,
            )
        )

    def _reply(self, ask: Ask, fault: Fault | None) -> tuple[Reply, str]:
        """The handler's reply, or what is refused before and in it; and the path's template."""
        template = ask.path
        try:
            if fault is not None and fault.kind == "status":
                return Reply(fault.status, _words(fault.message), dict(fault.headers)), template
            identity.identify(ask)
            self._limit(ask)
            if ask.path == "/graphql":
                return self._graphql(ask, fault), template
            template, handler = find(ask)
            if ask.method != "GET":
                self.changing()
            return handler(ask), template
        except RedirectedError as moved:
            return _elsewhere(ask, moved), template
        except ProblemError as error:
            body = _words(error.message) | ({"errors": error.errors} if error.errors else {})
            accepted = error.accepted if isinstance(error, ForbiddenError) else ""
            headers = error.headers | ({"x-accepted-github-permissions": accepted} if accepted else {})
            return Reply(error.status, body | {"status": str(error.status)}, headers), template

    def _limit(self, ask: Ask) -> None:
        """Refuse who has used up the hour, or is in too much of a hurry."""
        if ask.path == "/rate_limit":
            ask.limits = self.limits
            return
        resource = "graphql" if ask.path == "/graphql" else "core"
        now = self.world.clock.now()
        if self.limits.window(ask.token, resource, now).remaining == 0 and resource == "core":
            raise ProblemError(403, "API rate limit exceeded for this identity.")
        is_write = ask.method not in ("GET", "HEAD")
        creates = ask.method == "POST" and ask.path.endswith(_CREATES)
        if self.limits.hurries(ask.token, now, 5 if is_write else 1, int(creates)):
            words = (
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            )
            raise ProblemError(403, words, headers={"retry-after": "60"})

    def _graphql(self, ask: Ask, fault: Fault | None) -> Reply:
        from refinery.testing.graphql import execute  # noqa: PLC0415  (its schema takes a while to build)

        if ask.token is None:
            raise ProblemError(401, "This endpoint requires you to be authenticated.")
        if fault is not None and fault.kind == "rate-limited":
            words = f"API rate limit already exceeded for user ID {ask.viewer.id}."
            return Reply(200, {"errors": [{"type": "RATE_LIMITED", "message": words}]})
        if str(ask.body.get("query", "")).lstrip().startswith("mutation"):
            self.changing()
        window = self.limits.window(ask.token, "graphql", self.world.clock.now())
        body, cost = execute(ask.world, ask.token, window, ask.body, self.origin)
        if fault is not None and fault.kind == "partial":
            body = _without(body, fault)
        return Reply(200, body, {"x-cost": str(cost)})


def _without(body: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """GraphQL's answer with null at the fault's place, and an error that names it."""
    path: list[str | int] = [int(part) if part.isdigit() else part for part in fault.where.split(".")]
    found: Any = body.get("data")
    for part in path[:-1]:
        found = found[part]
    found[path[-1]] = None
    words = "Something went wrong while executing your query."
    return {**body, "errors": [*body.get("errors", []), {"message": words, "path": path}]}


def _elsewhere(ask: Ask, moved: RedirectedError) -> Reply:
    """Where a renamed repository is now: by its number, as GitHub tells it."""
    rest = ask.path.split("/", 4)[4:] if ask.path.count("/") > 3 else []
    where = "/".join([f"{ask.url}/repositories/{moved.repository.id}", *rest])
    status = 301 if ask.method == "GET" else 307
    query = f"?{urlencode(ask.query)}" if ask.query else ""
    return Reply(status, {**_words(_WORDS[status]), "url": where}, {"location": where + query})


def _etag(reply: Reply, ask: Ask) -> str:
    """Different for each token and each `Accept`, as GitHub's are."""
    token = ask.token.value if ask.token is not None else ""
    text = json.dumps([reply.body, ask.headers.get("accept", ""), token]).encode()
    return f'W/"{hashlib.sha256(text).hexdigest()}"'


def _api_path(path: str, origin: str) -> tuple[str, str]:
    """The path inside the API, and the API's base as this client sees it."""
    for prefix in ("/api/v3", "/api"):
        if path == prefix or path.startswith(f"{prefix}/"):
            return path.removeprefix(prefix) or "/", f"{origin}/api/v3"
    return path, origin


def _words(message: str) -> dict[str, Any]:
    return {"message": message, "documentation_url": _DOCS}
