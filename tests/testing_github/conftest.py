"""A fake GitHub with one repository, and a caller of its API."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from support import openapi, schemas

from refinery.testing import FakeGitHub

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"


@dataclass
class Caller:
    """Asks the API as somebody, by real HTTP."""

    hub: FakeGitHub
    token: str
    base: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, *, status: int | None = None, **options: Any) -> Any:
        """The response; with `status` the test fails unless it is that one, and gets the JSON."""
        headers = {"Authorization": f"Bearer {self.token}", **self.headers, **options.pop("headers", {})}
        answer = requests.request(
            method,
            (self.base or self.hub.api) + path,
            headers={name: value for name, value in headers.items() if value},
            timeout=30,
            allow_redirects=False,
            **options,
        )
        if status is None:
            return answer
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def as_token(self, token: str) -> "Caller":
        return Caller(self.hub, token)


@pytest.fixture
def hub(tmp_path):
    """One repository, in which mona may administrate, bob may write and eve is nobody."""
    with FakeGitHub(tmp_path / "hub") as made:
        made.create_repository(NAME, files={"README.md": "hello\n", "src/a.py": "a = 1\n"})
        for login, role in (("mona", "admin"), ("bob", "write"), ("tri", "triage"), ("eve", "none")):
            made.user(login)
            made.grant(NAME, login, role)
        made.wire.keeps_bodies = True
        yield made
        assert objections_to(made.requests) == []


def objections_to(requests):
    """What GitHub's description has against the answers, where it can be had."""
    try:
        schemas.openapi()
    except pytest.skip.Exception:  # test_schemas.py says so
        return []
    found = set()
    for each in requests:
        route = openapi.route_of(each.method, each.path)
        if route is not None and 200 <= each.status < 300:
            found |= {
                f"{route.verb} {route.template}: {words}"
                for words in openapi.objections(route, each.status, each.answer)
            }
    return sorted(found)


@pytest.fixture
def api(hub):
    """The API as mona."""
    return Caller(hub, hub.token("mona"))


@pytest.fixture
def main(hub):
    """The first commit."""
    return hub.repository(NAME).known["refs/heads/main"]
