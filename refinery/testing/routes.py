"""The table of REST routes: a handler for each method and path template, and what a handler is given."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from refinery.testing.limits import Limits
from refinery.testing.state import Account, App, Repository, Token
from refinery.testing.world import ProblemError, World


@dataclass(slots=True)
class Reply:
    """What a handler answers; `body` None is no body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Ask:
    """One request, as a handler sees it: `url` is the API's base, `parts` what the path's template matched."""

    world: World
    url: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    token: Token | None
    app: App | None = None
    parts: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    limits: Limits | None = None

    @property
    def viewer(self) -> Account:
        """Who asks.

        Raises:
            ProblemError: nobody did.
        """
        if self.token is None:
            raise ProblemError(401, "Requires authentication")
        return self.token.account

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent."""
        try:
            found = json.loads(self.raw or b"{}")
        except ValueError as error:
            raise ProblemError(400, "Problems parsing JSON") from error
        if not isinstance(found, dict):
            raise ProblemError(400, "Body should be a JSON object")
        return found

    def repository(self, role: str = "read", permission: str = "") -> Repository:
        """The repository of the path, on which the viewer has at least `role`.

        `permission` (`contents:write`) is what a token with fewer than all needs.

        Raises:
            ProblemError: 404 for those who may not see it, 403 for those who may not do this.
        """
        name = f"{self.parts['owner']}/{self.parts['repo']}"
        viewer = self.token.account if self.token is not None else None
        found = self.world.find(name, viewer)
        if found.full_name.casefold() != name.casefold():
            raise RedirectedError(found, name)
        if found.archived and self.method != "GET":
            raise ProblemError(403, "Repository was archived so is read-only.")
        scope = self.token.repositories if self.token is not None else None
        if scope is not None and found not in scope and (found.private or role != "read"):
            raise ProblemError(404 if found.private else 403, "Resource not accessible by integration")
        # What an App may is in its token; a person's token may at most what the person may.
        needed = "write" if viewer is not None and viewer.app is not None else role
        if role != "read" and (viewer is None or not self.world.may(found, viewer, needed)):
            raise ForbiddenError(permission, viewer)
        self._permit(permission)
        return found

    def _permit(self, permission: str) -> None:
        name, _, level = permission.partition(":")
        held = self.token.permissions if self.token is not None else None
        if not name or held is None or permission == "metadata:read":
            return
        levels = ("none", "read", "write", "admin")
        if levels.index(held.get(name, "none")) < levels.index(level):
            raise ForbiddenError(permission, self.viewer)


class RedirectedError(Exception):
    """The repository has another name now."""

    def __init__(self, repository: Repository, old: str) -> None:
        super().__init__(old)
        self.repository, self.old = repository, old


class ForbiddenError(ProblemError):
    """Known, and not allowed."""

    def __init__(self, permission: str, viewer: Account | None) -> None:
        kind = "integration" if viewer is not None and viewer.app is not None else "personal access token"
        words = f"Resource not accessible by {kind}" if viewer is not None else "Requires authentication"
        super().__init__(401 if viewer is None else 403, words)
        self.accepted = permission.replace(":", "=")


Handler = Callable[[Ask], Reply]
ROUTES: list[tuple[str, re.Pattern[str], str, Handler]] = []


def route(method: str, template: str) -> Callable[[Handler], Handler]:
    """Register a handler; `{name}` in the template is one part of the path, `{name+}` the whole rest."""
    pattern = re.escape(template)
    pattern = re.sub(r"\\{(\w+)\\\+\\}", r"(?P<\1>.+)", pattern)
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", pattern)

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(pattern), template, handler))
        return handler

    return register


def find(ask: Ask) -> tuple[str, Handler]:
    """The handler of a request and its template; the parts are filled in.

    Raises:
        ProblemError: there is no such page.
    """
    _by_number(ask)
    for method, pattern, template, handler in ROUTES:
        found = pattern.fullmatch(ask.path) if method == ask.method else None
        if found:
            ask.parts = {name: unquote(value) for name, value in found.groupdict().items()}
            return template, handler
    raise ProblemError(404, "Not Found")


def _by_number(ask: Ask) -> None:
    """`/repositories/12/issues` is the same page as `/repos/acme/widgets/issues`."""
    found = re.fullmatch(r"/repositories/(\d+)(/.*)?", ask.path)
    for repository in ask.world.repositories.values() if found else ():
        if found and str(repository.id) == found[1]:
            ask.path = f"/repos/{repository.full_name}{found[2] or ''}"


def paged(ask: Ask, items: list[Any], wrap: str = "") -> Reply:
    """One page of a listing, with its Link header; `wrap` names the list where it comes in an object."""
    size = min(max(int(ask.query.get("per_page", "30") or 30), 1), 100)
    page = max(int(ask.query.get("page", "1") or 1), 1)
    last = max(1, -(-len(items) // size))
    part = items[(page - 1) * size : page * size]

    def link(number: int, name: str) -> str:
        query = {**ask.query, "page": str(number)}
        text = "&".join(f"{key}={value}" for key, value in query.items())
        return f'<{ask.url}{ask.path}?{text}>; rel="{name}"'

    links = [link(page + 1, "next"), link(last, "last")] if page < last else []
    links += [link(page - 1, "prev"), link(1, "first")] if page > 1 else []
    headers = {"link": ", ".join(links)} if links else {}
    return Reply(200, {"total_count": len(items), wrap: part} if wrap else part, headers)
