"""What goes wrong on purpose: on the wire, in the answers, in time."""

import threading

import pytest
import requests
from support.repos import git

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"


def comment(api, text="hi"):
    return api("POST", f"{REPO}/issues/1/comments", json={"body": text})


@pytest.fixture(autouse=True)
def issue(hub):
    hub.open_issue(NAME, "x", by="mona")


@pytest.mark.parametrize(("kind", "happened"), [("drop", 0), ("drop-after", 1)])
def test_a_dropped_request_did_or_did_not_happen(hub, api, kind, happened):
    """The client cannot tell: that is the point. The next one is answered."""
    fault = hub.faults.add(kind, method="POST", path=r"/comments$")
    with pytest.raises(requests.ConnectionError):
        comment(api)
    assert len(hub.comments(NAME, 1)) == happened
    assert fault.met == 1
    assert hub.requests[-1].status == 0
    assert comment(api).status_code == 201


@pytest.mark.parametrize("status", [500, 502, 503])
def test_the_server_fails_before_it_does_anything(hub, api, status):
    """Only the second one that fits, and only where it fits."""
    hub.faults.add("status", status=status, method="POST", path="/comments", nth=2)
    assert [comment(api).status_code for _ in range(3)] == [201, status, 201]
    assert len(hub.comments(NAME, 1)) == 2


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"retry-after": "30"}),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1900000000"}),
    ],
)
def test_limits_can_be_told_in_both_ways(hub, api, status, headers):
    """With the headers that GitHub sends along; they cost no quota."""
    hub.faults.add("status", status=status, headers=headers, message="API rate limit exceeded")
    answer = comment(api)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in headers} == headers
    assert not hub.requests[-1].charged


def test_a_slow_answer_waits_for_its_release(hub, api):
    """Nothing sleeps: the request is in, and comes out when the test says so."""
    fault = hub.faults.add("slow", method="POST")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(comment(api).status_code))
    thread.start()
    assert fault.entered.wait(30)
    assert hub.comments(NAME, 1) == []
    fault.released.set()
    thread.join(30)
    assert answers == [201]


def test_a_truncated_answer_is_noticed(hub, api):
    """The length that was announced does not come."""
    hub.faults.add("truncate", method="GET", path=r"/issues/1$")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        api("GET", f"{REPO}/issues/1")
    api("GET", f"{REPO}/issues/1", status=200)


def test_chance_is_the_same_for_the_same_seed(hub, api):
    """One in five, for ever, and the very same ones again."""

    def codes():
        hub.faults.clear()
        hub.faults.add("status", status=503, probability=0.2, seed=7, count=None)
        return [api("GET", f"{REPO}/issues/1").status_code for _ in range(40)]

    first = codes()
    assert 2 <= first.count(503) <= 20
    assert codes() == first


def test_a_stale_read_shows_how_it_was_before_the_last_write(hub, api, main):
    """An issue, a listing, a ref: as if a replica lagged; the write itself is not lost."""
    hub.faults.add("stale", method="GET", count=3)
    api("PATCH", f"{REPO}/issues/1", status=200, json={"title": "new", "labels": ["polecat"]})
    assert api("GET", f"{REPO}/issues/1", status=200)["title"] == "x"
    assert api("GET", f"{REPO}/issues", status=200, params={"labels": "polecat"}) == []
    api("POST", f"{REPO}/git/refs", status=201, json={"ref": "refs/heads/new", "sha": main})
    assert api("GET", f"{REPO}/git/ref/heads/new").status_code == 404
    api("GET", f"{REPO}/git/ref/heads/new", status=200)
    assert api("GET", f"{REPO}/issues/1", status=200)["title"] == "new"


def test_a_stale_read_is_of_a_persons_act_too(hub, api):
    """Changed in the browser after the knob was turned on."""
    hub.faults.add("stale", path=r"/issues/1$")
    hub.close(NAME, 1, by="mona")
    assert [api("GET", f"{REPO}/issues/1", status=200)["state"] for _ in range(2)] == ["open", "closed"]


def test_git_fails_as_well(hub, api, tmp_path, main):
    """Refused, dropped and stale advertisements of refs."""
    hub.faults.add("status", status=503, path="/info/refs")
    for kind in ("status", "drop"):
        with pytest.raises(AssertionError, match="fatal"):
            git(tmp_path, "ls-remote", hub.git(NAME))
        if kind == "status":
            hub.faults.add("drop", path="/info/refs")
    hub.faults.add("stale", path=r"\.git/", count=2)  # git asks twice: for the protocol, and for the refs
    api("POST", f"{REPO}/git/refs", status=201, json={"ref": "refs/heads/new", "sha": main})
    assert "refs/heads/new" not in git(tmp_path, "ls-remote", hub.git(NAME))
    assert "refs/heads/new" in git(tmp_path, "ls-remote", hub.git(NAME))


def test_faults_can_look_into_what_was_sent(hub, api):
    """Of many requests to one path, the one with these words."""
    hub.faults.add("status", status=502, path="/comments", body="second")
    assert [comment(api, text).status_code for text in ("first", "second", "third")] == [201, 502, 201]
