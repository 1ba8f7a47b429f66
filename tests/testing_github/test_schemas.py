"""Every REST answer of the fake is held to GitHub's OpenAPI description: each route, well and ill."""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from support import openapi, schemas
from support.repos import git

from refinery.testing.routes import ROUTES

from .conftest import NAME, REPO

TABLE = (Path(__file__).parent / "routes.txt").read_text()


@dataclass(frozen=True)
class Row:
    """One line of the table; `body` is text with names in braces."""

    who: str
    method: str
    path: str
    status: int
    body: str


def rows():
    for line in TABLE.splitlines():
        if line and not line.startswith("#"):
            who, method, path, status, *body = line.split(maxsplit=4)
            yield Row(who, method, path, int(status), body[0] if body else "")


# What an answer is called in the rows below it, and which of its members that is.
MADE = {
    "{repo}/git/blobs": ("blob", "sha"),
    "{repo}/rulesets": ("ruleset", "id"),
    "{repo}/issues": ("issue", "id"),
    "{repo}/issues/1/comments": ("comment", "id"),
    "{repo}/pulls/2/reviews": ("review", "id"),
    "{repo}/check-runs": ("run", "id"),
}


@pytest.fixture
def callers(hub, api):
    """Everybody in the table's first column, by name."""
    key, app = hub.app_key("refinery-app"), hub.app("refinery-app", permissions={"contents": "write"})
    installation = hub.install("refinery-app", NAME)
    hub.app("ci-app", permissions={"checks": "write"})
    hub.install("ci-app", NAME)
    now = int(time.time())
    said = jwt.encode({"iat": now - 60, "exp": now + 540, "iss": str(app.id)}, key, algorithm="RS256")
    page = f"/app/installations/{installation.id}/access_tokens"
    bot = hub.world.account("ci-app[bot]", "Bot")
    ci = hub.world.make_token(bot, kind="installation", permissions={"checks": "write"})
    robot = api.as_token(said)("POST", page, status=201)["token"]
    tokens = {"app": said, "robot": robot, "ci": ci.value, "eve": hub.token("eve")}
    nobody = api.as_token("")
    nobody.headers["Authorization"] = ""
    return {"mona": api, "none": nobody, **{name: api.as_token(token) for name, token in tokens.items()}}


@pytest.fixture
def facts(hub, main, callers):  # noqa: ARG001  (the App is installed before anything happens)
    """What the names in braces stand for before the first row; issue 1, pull 2, and some branches."""
    hub.webhook("http://127.0.0.1:9/", "a secret", app="refinery-app")
    hub.open_issue(NAME, "One", by="bob")
    for branch in ("other", "third", "topic"):
        tip = hub.push(NAME, {f"{branch}.py": "b = 1\n"}, branch=branch, by="bob")
    hub.open_pull(NAME, by="bob", head="topic")
    hub.webhooks.settle()
    return {
        "repo": REPO,
        "id": hub.repository(NAME).id,
        "main": main,
        "topic": tip,
        "tree": git(hub.folder(NAME), "rev-parse", "main^{tree}"),
        "installation": next(iter(hub.world.installations)),
        "delivery": hub.webhooks.log[0].delivery.id,
    }


def filled(text, facts):
    """`text` with the names in braces replaced."""
    return re.sub(r"\{(\w+)\}", lambda found: str(facts[found[1]]), text)


def disagreement(row, path, answer):
    """What GitHub's description has against an answer; errors of which it says nothing are plain ones."""
    body = answer.json() if answer.content else None
    by_number = (
        row.path == "/repositories/{id}"
    )  # where a renamed repository is; GitHub answers, and never says so
    route = openapi.route_of(row.method, REPO if by_number else path)
    if route is None:
        return [] if row.status == 404 else [f"{row.method} {path} is not described"]
    if row.status >= 400 and not openapi.has_body(route, row.status):
        return [] if {"message", "documentation_url"} <= body.keys() else [f"{row}: {body}"]
    return [
        f"{row.method} {row.path} {row.status}: {words}"
        for words in openapi.objections(route, row.status, body)
    ]


@pytest.mark.network
def test_every_answer_is_as_github_describes_it(hub, callers, facts):
    """Every row of the table has its status, and a body that the description allows."""
    schemas.openapi()
    wrong = []
    for row in rows():
        path, body = filled(row.path, facts), filled(row.body, facts)
        sent = {"json": json.loads(body)} if body else {}
        answer = callers[row.who](row.method, path, **sent)
        assert answer.status_code == row.status, f"{row}: {answer.status_code} {answer.text}"
        if row.method == "POST" and row.path in MADE and row.status < 300:
            name, member = MADE[row.path]
            facts[name] = answer.json()[member]
        wrong += disagreement(row, path, answer)
    assert wrong == []
    tried = {(each.method, each.template) for each in hub.requests if 200 <= each.status < 300}
    assert {(method, template) for method, _, template, _ in ROUTES} - tried == set()


@pytest.mark.network
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"ref": "refs/heads/main"}),
        (200, [{"ref": 3}]),
        (200, None),
        (299, {}),
        (404, {"message": 3}),
    ],
)
def test_a_wrong_answer_is_seen(status, body):
    """The check itself: members that lack, of another type, and a status that is not described."""
    route = openapi.route_of("GET", f"{REPO}/git/ref/heads/main")
    assert route == openapi.Route("GET", "/repos/{owner}/{repo}/git/ref/{ref}")
    assert openapi.objections(route, status, body)


@pytest.mark.network
def test_routes_are_told_apart():
    """The most particular template wins, and a path that GitHub does not describe has none."""
    assert openapi.route_of("GET", f"{REPO}/issues/comments/7").template.endswith(
        "/issues/comments/{comment_id}"
    )
    assert openapi.route_of("GET", f"{REPO}/issues/7").template.endswith("/issues/{issue_number}")
    assert openapi.route_of("DELETE", f"{REPO}/issues/7") is None
    assert openapi.route_of("GET", "/nothing/like/it") is None
