"""Deliveries: signed, logged, held back, out of order, twice, and again on demand."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"
SECRET = "a secret"  # noqa: S105  (of a test)


class Receiver:
    """What arrived, in order; answers with `status`."""

    def __init__(self):
        self.got = []
        self.status = 202
        self.url = ""

    def of(self, event):
        return [body for headers, body in self.got if headers["x-github-event"] == event]


@contextmanager
def receiving() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            expected = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
            assert self.headers["X-Hub-Signature-256"] == f"sha256={expected}"
            made.got.append(({name.lower(): text for name, text in self.headers.items()}, json.loads(raw)))
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture
def deliveries(hub, receiver):
    hub.webhook(receiver.url, SECRET, name=NAME)
    return receiver


def test_what_happens_is_told(hub, deliveries, main):
    """Each kind of event with what it is about."""
    hub.open_issue(NAME, "x", "body", by="mona", labels=("polecat",))
    hub.edit(NAME, 1, by="bob", title="y")
    hub.comment(NAME, 1, "hi", by="bob")
    sha = hub.push(NAME, {"b": "b"}, branch="side", by="bob")
    hub.open_pull(NAME, by="bob", head="side")
    hub.review(NAME, 2, "APPROVED", by="mona")
    hub.report_check(NAME, sha, "ci")
    hub.report_status(NAME, sha, "lint", by="bob")
    hub.merge(NAME, 2, by="mona")
    hub.webhooks.settle()
    seen = [(headers["x-github-event"], body.get("action")) for headers, body in deliveries.got]
    assert seen == [
        ("ping", None),
        *[("issues", action) for action in ("opened", "labeled", "edited")],
        ("issue_comment", "created"),
        ("push", None),
        ("pull_request", "opened"),
        ("pull_request_review", "submitted"),
        *[("check_run", "completed"), ("check_suite", "completed"), ("status", None)],
        *[("pull_request", "closed"), ("push", None)],
    ]
    labeled = deliveries.of("issues")[1]
    assert (labeled["label"]["name"], labeled["sender"]["login"]) == ("polecat", "mona")
    assert deliveries.of("issues")[2]["changes"] == {"title": {"from": "x"}}
    assert deliveries.of("pull_request")[-1]["pull_request"]["merged"] is True
    pushed = deliveries.of("push")
    assert (pushed[0]["created"], pushed[0]["after"], pushed[1]["before"]) == (True, sha, main)
    assert deliveries.of("check_run")[0]["check_run"]["head_sha"] == sha


def test_some_changes_tell_nobody(hub, deliveries):
    """As when deliveries are lost: the state is all there is."""
    with hub.quietly():
        hub.open_issue(NAME, "x", by="mona")
    hub.open_issue(NAME, "y", by="mona")
    hub.webhooks.settle()
    assert [body["issue"]["title"] for body in deliveries.of("issues")] == ["y"]


def test_deliveries_come_late_and_in_another_order(hub, deliveries):
    """Held back, turned round, let go."""
    hub.webhooks.settle()
    hub.webhooks.hold()
    for title in ("one", "two"):
        hub.open_issue(NAME, title, by="mona")
    hub.webhooks.settle()
    assert deliveries.of("issues") == []
    hub.webhooks.held.reverse()
    hub.webhooks.release()
    hub.webhooks.settle()
    assert [body["issue"]["title"] for body in deliveries.of("issues")] == ["two", "one"]


def test_a_hook_gets_what_it_asked_for(hub, api, receiver):
    """Made by REST, for one kind of event."""
    body = {"config": {"url": receiver.url, "secret": SECRET, "content_type": "json"}, "events": ["issues"]}
    api("POST", f"{REPO}/hooks", status=201, json=body)
    assert api("POST", f"{REPO}/hooks", json={"config": {}}).status_code == 422
    hub.push(NAME, {"b": "b"}, by="mona")
    hub.open_issue(NAME, "x", by="mona")
    hub.webhooks.settle()
    assert [headers["x-github-event"] for headers, _ in receiver.got] == ["ping", "issues"]
    assert [row["events"] for row in api("GET", f"{REPO}/hooks", status=200)] == [["issues"]]


def test_an_app_finds_its_failures_and_asks_again(hub, api, receiver):
    """Nothing is delivered again by itself; a redelivery has the same GUID."""
    key = hub.app_key("refinery-app")
    installed = hub.install("refinery-app", NAME)
    hub.webhook(receiver.url, SECRET, app="refinery-app")
    receiver.status = 500
    hub.open_issue(NAME, "x", by="mona")
    hub.create_repository("acme/other", files={"a": "b"})
    hub.open_issue("acme/other", "not ours", by="mona")
    hub.webhooks.settle()
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + 500, "iss": str(hub.app("refinery-app").id)}
    as_app = api.as_token(jwt.encode(claims, key, algorithm="RS256"))
    rows = as_app("GET", "/app/hook/deliveries", status=200)
    assert [(row["event"], row["status_code"]) for row in rows] == [("issues", 500), ("ping", 500)]
    assert rows[0]["installation_id"] == installed.id
    first = as_app("GET", "/app/hook/deliveries", params={"per_page": "1"})
    assert 'rel="next"' in first.headers["Link"]
    receiver.status = 202
    as_app("POST", f"/app/hook/deliveries/{rows[0]['id']}/attempts", status=202)
    hub.webhooks.settle()
    again = as_app("GET", "/app/hook/deliveries", status=200)[0]
    assert (again["status_code"], again["redelivery"], again["guid"]) == (202, True, rows[0]["guid"])
    guids = [headers["x-github-delivery"] for headers, _ in receiver.got]
    assert guids[-1] == guids[-2]
    whole = as_app("GET", f"/app/hook/deliveries/{again['id']}", status=200)
    assert whole["request"]["payload"]["issue"]["title"] == "x"
    assert as_app("GET", "/app/hook/config", status=200)["url"] == receiver.url
    api("GET", "/app/hook/deliveries", status=401)


def test_nobody_is_there_to_receive(hub):
    """A delivery that cannot be made is logged as such."""
    hub.webhook("http://127.0.0.1:1/hook", SECRET, name=NAME)
    hub.webhooks.settle()
    assert hub.webhooks.log[0].delivery.status_code == 0
