"""A server of issues, answer by answer: for what GitHub cuts off, loses, or has never heard of."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from refinery.core.config import ProjectConfig
from refinery.forges.github.client import Client
from refinery.forges.github.credentials import FixedToken
from refinery.tasks.github import GitHubTasks
from support.wire import Reply, wire

TOKEN = FixedToken("test-token-0123456789-of-nobody", "the test")
WHEN = "2026-01-01T10:00:{:02}Z"
WHOLE = {"hasPreviousPage": False, "startCursor": None, "hasNextPage": False, "endCursor": None}


def actor(login="mona", kind="User"):
    return {"__typename": kind, "login": login}


def event(second=10, name="polecat", by=None, kind="LabeledEvent"):
    return {
        "__typename": kind,
        "createdAt": WHEN.format(second),
        "actor": by or actor(),
        "label": {"name": name},
    }


def comment(second=5, body="Use LEDs.", by="mona", mine=False):
    return {
        "id": f"C_{second}",
        "body": body,
        "createdAt": WHEN.format(second),
        "lastEditedAt": None,
        "viewerDidAuthor": mine,
        "author": actor(by),
    }


def row(number=12, events=None, comments=(), **fields):
    """An issue that mona handed over in second 10, as GraphQL gives it."""
    return {
        "id": f"I_{number}",
        "number": number,
        "title": "Add a lamp",
        "body": "It is dark.",
        "state": "OPEN",
        "stateReason": None,
        "createdAt": WHEN.format(0),
        "updatedAt": WHEN.format(30),
        "lastEditedAt": None,
        "repository": {"nameWithOwner": "acme/widgets"},
        "labels": {"pageInfo": WHOLE, "nodes": [{"name": "polecat"}]},
        "assignees": {"nodes": []},
        "blockedBy": {"pageInfo": WHOLE, "nodes": []},
        "timelineItems": {"pageInfo": WHOLE, "nodes": [event()] if events is None else events},
        "comments": {"pageInfo": WHOLE, "nodes": list(comments)},
        **fields,
    }


def item(number, state="open", second=30, **fields):
    """The same in a REST listing."""
    return {
        "number": number,
        "title": "Old",
        "state": state,
        "state_reason": "completed" if state == "closed" else None,
        "labels": [{"name": "polecat"}],
        "created_at": WHEN.format(0),
        "updated_at": WHEN.format(second),
        **fields,
    }


class Hub:
    """Answers as set: `rows` and `listed` are what there is, `pages` further pages by cursor.

    `failures` are words in requests that get a 502; `drops` and `refusals` are of the next writes, in turn.
    """

    def __init__(self):
        self.rows = [row()]
        self.listed = [item(12)]
        self.etag = '"1"'
        self.pages = {}
        self.label = "polecat"
        self.has_issues = True
        self.failures = []
        self.errors = []
        self.elsewhere = {}
        self.asked = []
        self.permission = 200
        self.labels = ["polecat:working", "polecat:review", "polecat:blocked", "polecat:failed"]
        self.written = []
        self.drops = []
        self.refusals = []

    def __call__(self, request):  # noqa: PLR0911  (a routing table)
        path = request.path
        self.asked.append(path)
        if self.failures and (self.failures[0] in path or self.failures[0] in json.dumps(request.body)):
            return Reply(502, {"message": self.failures[0]})
        if path.endswith("/permission") and self.permission != 200:
            return Reply(self.permission, {"message": "Resource not accessible by integration"})
        if path.endswith("/permission"):
            return Reply(200, {"permission": "write", "role_name": "write", "user": None})
        if path.endswith("/issues"):
            if request.headers.get("if-none-match") == self.etag:
                return Reply(304, headers={"ETag": self.etag})
            page = int(request.query.get("page", 1))
            return Reply(200, self.listed[(page - 1) * 100 : page * 100], {"ETag": self.etag})
        if "/issues/" in path:
            found = self.elsewhere.get(int(path.rpartition("/")[2]))
            return Reply(200, found) if found else Reply(404, {"message": "Not Found"})
        if path.endswith("/labels"):
            return self.create_label(request.body["name"])
        query, variables = request.body["query"], request.body["variables"]
        answer = (
            self.write(variables) if query.lstrip().startswith("mutation") else self.graphql(query, variables)
        )
        drops, self.drops = self.drops[:1], self.drops[1:] if "mutation" in query else self.drops
        return Reply(drop=True) if "mutation" in query and drops == [True] else Reply(200, answer)

    def create_label(self, name):
        if name in self.labels:
            return Reply(422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]})
        self.labels.append(name)
        return Reply(201, {"name": name, "node_id": f"L_{name}"})

    def write(self, wanted):
        """What the mirror's mutation does, and what it answers."""
        self.written.append(wanted)
        found = next((each for each in self.rows if each["id"] == wanted["issue"]), None)
        if found is None or self.refusals:
            error = (
                self.refusals.pop(0) if self.refusals else {"type": "NOT_FOUND", "message": "no such node"}
            )
            return {"data": {}, "errors": [error]}
        comments, labels = found["comments"]["nodes"], found["labels"]["nodes"]
        if wanted["says"]:
            comments.append(
                {**comment(40, wanted["body"], "me", mine=True), "id": f"C_new{len(self.written)}"}
            )
        for each in comments:
            if wanted["edits"] and each["id"] == wanted["comment"]:
                each["body"] = wanted["body"]
        found["comments"]["nodes"] = [
            each for each in comments if not wanted["tidies"] or each["id"] != wanted["extra"]
        ]
        kept = [each for each in labels if f"L_{each['name']}" not in wanted["remove"]]
        found["labels"]["nodes"] = kept + [{"name": name.removeprefix("L_")} for name in wanted["add"]]
        if wanted["closes"]:
            found["state"], found["stateReason"] = "CLOSED", "COMPLETED"
        node = {"node": {"id": f"C_new{len(self.written)}"}}
        return {"data": {"say": {"commentEdge": node} if wanted["says"] else None}}

    def graphql(self, query, variables):
        if self.errors and "blockedBy" in query:
            return {"data": None, "errors": self.errors}
        cursor = variables.get("before") or variables.get("after")
        if "EarlierEvents" in query:
            return {"data": {"node": {"timelineItems": self.pages[cursor]}}}
        if "LaterComments" in query:
            return {"data": {"node": {"comments": self.pages[cursor]}}}
        words = ("working", "review", "blocked", "failed")
        there = {
            word: {"id": f"L_polecat:{word}"} if f"polecat:{word}" in self.labels else None for word in words
        }
        found = {"hasIssuesEnabled": self.has_issues, "handover": {"name": self.label}, **there}
        if "OneIssue" in query:
            rows = [each for each in self.rows if each["number"] == variables["number"]]
            if not rows:
                error = {"type": "NOT_FOUND", "path": ["repository", "issue"], "message": "Could not resolve"}
                return {
                    "data": {"viewer": actor("me"), "repository": {**found, "issue": None}},
                    "errors": [error],
                }
            found["issue"] = rows[0]
        else:
            rows = self.rows if variables["label"] == self.label else []
            start = int(cursor or 0)
            info = {"hasNextPage": start + 50 < len(rows), "endCursor": str(start + 50)}
            found["issues"] = {"totalCount": len(rows), "pageInfo": info, "nodes": rows[start : start + 50]}
        return {"data": {"viewer": actor("me"), "repository": found}}


@contextmanager
def serving(redact=None) -> Iterator[Hub]:
    """A hub with `tasks` that look at it."""
    made = Hub()
    options = {} if redact is None else {"redact": redact}
    with wire(answer=made) as server, Client(server.url, TOKEN) as client:
        made.tasks = GitHubTasks(client, "acme/widgets", ProjectConfig, **options)
        yield made
