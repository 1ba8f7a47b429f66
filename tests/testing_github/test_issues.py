"""Issues, labels, comments and timelines by REST, and what a person does in the browser."""

import pytest

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"


def numbers(rows):
    return [row["number"] for row in rows]


def test_an_issue_from_its_opening_to_its_end(hub, api):
    """Open, edit, label, assign, close with a reason, open again: each is in the timeline, in order."""
    made = api(
        "POST", f"{REPO}/issues", status=201, json={"title": "A lamp", "body": "Dark.", "labels": ["bug"]}
    )
    page = f"{REPO}/issues/{made['number']}"
    api("PATCH", page, status=200, json={"title": "Two lamps", "body": "Very dark."})
    assert [
        row["name"] for row in api("POST", f"{page}/labels", status=200, json={"labels": ["Polecat"]})
    ] == [
        "bug",
        "Polecat",
    ]
    api("POST", f"{page}/assignees", status=201, json={"assignees": ["bob"]})
    api("DELETE", f"{page}/labels/bug", status=200)
    closed = api("PATCH", page, status=200, json={"state": "closed", "state_reason": "not_planned"})
    assert (closed["state"], closed["state_reason"], closed["assignee"]["login"]) == (
        "closed",
        "not_planned",
        "bob",
    )
    assert api("PATCH", page, status=200, json={"state": "open"})["state_reason"] == "reopened"
    api("POST", f"{page}/comments", status=201, json={"body": "Done?"})
    events = [row["event"] for row in api("GET", f"{page}/timeline", status=200)]
    assert events == [
        *("labeled", "renamed", "labeled", "assigned", "unlabeled", "closed", "reopened", "commented"),
    ]
    assert events[:-1] == [row["event"] for row in api("GET", f"{page}/events", status=200)]
    assert hub.issue(NAME, made["number"]).last_edited_at is not None


def test_listings_filter_sort_and_page(hub, api):
    """By labels in any case, state, since; sorted both ways; a Link header leads through all pages."""
    hub.clock.freeze(1_800_000_000.0)
    for number in range(1, 6):
        hub.open_issue(NAME, f"Task {number}", by="mona", labels=("polecat",) if number % 2 else ())
        hub.clock.advance(10)
    hub.close(NAME, 3, by="mona")
    hub.comment(NAME, 1, "hello", by="bob")
    ask = {"labels": "POLECAT", "state": "all", "sort": "updated", "direction": "desc"}
    assert numbers(api("GET", f"{REPO}/issues", status=200, params=ask)) == [3, 1, 5]
    assert numbers(api("GET", f"{REPO}/issues", status=200)) == [5, 4, 2, 1]
    assert numbers(api("GET", f"{REPO}/issues", status=200, params={"direction": "asc"})) == [1, 2, 4, 5]
    since = hub.issue(NAME, 5).created_at
    assert numbers(api("GET", f"{REPO}/issues", status=200, params={"since": since, "state": "all"})) == [
        5,
        3,
        1,
    ]
    answer = api("GET", f"{REPO}/issues", params={"per_page": "2"})
    assert numbers(answer.json()) == [5, 4]
    assert 'rel="next"' in answer.headers["Link"]
    following = api.as_token(api.token)
    following.base = hub.url
    rest = following("GET", answer.links["next"]["url"].removeprefix(hub.url), status=200)
    assert numbers(rest) == [2, 1]


def test_labels_are_the_same_in_any_case(hub, api):
    """Kept as created; a second one is refused; renamed and removed everywhere."""
    made = api("POST", f"{REPO}/labels", status=201, json={"name": "Polecat", "color": "ff0000"})
    assert made["name"] == "Polecat"
    again = api("POST", f"{REPO}/labels", status=422, json={"name": "POLECAT"})
    assert again["errors"][0]["code"] == "already_exists"
    assert api("POST", f"{REPO}/labels", status=422, json={})["errors"][0]["code"] == "missing_field"
    hub.open_issue(NAME, "x", by="mona", labels=("polecat",))
    assert hub.labels(NAME, 1) == ["Polecat"]
    assert api("GET", f"{REPO}/labels/pOLECAT", status=200)["color"] == "ff0000"
    api("PATCH", f"{REPO}/labels/polecat", status=200, json={"new_name": "ferret"})
    assert hub.labels(NAME, 1) == ["ferret"]
    api("DELETE", f"{REPO}/labels/ferret", status=204)
    assert hub.labels(NAME, 1) == []
    assert api("GET", f"{REPO}/labels/ferret").status_code == 404


def test_a_label_that_is_on_makes_no_second_event(hub, api):
    """Only a person who takes it off and puts it on again makes one."""
    hub.open_issue(NAME, "x", by="mona", labels=("polecat",))
    api("POST", f"{REPO}/issues/1/labels", status=200, json={"labels": ["polecat"]})
    assert [event.kind for event in hub.issue(NAME, 1).events] == ["labeled"]
    hub.label(NAME, 1, "polecat", by="bob")
    assert [event.kind for event in hub.issue(NAME, 1).events] == ["labeled", "unlabeled", "labeled"]
    assert api("DELETE", f"{REPO}/issues/1/labels/none", status=404)["message"] == "Label does not exist"


def test_comments(hub, api):
    """Say, change, take back; somebody else's only with write permission."""
    hub.open_issue(NAME, "x", by="eve")
    eve = api.as_token(hub.token("eve"))
    said = eve("POST", f"{REPO}/issues/1/comments", status=201, json={"body": "hi"})
    page = f"{REPO}/issues/comments/{said['id']}"
    assert eve("PATCH", page, status=200, json={"body": "hello"})["body"] == "hello"
    assert api.as_token(hub.token("tri"))("PATCH", page, json={"body": "no"}).status_code == 403
    assert api("GET", f"{REPO}/issues/1", status=200)["comments"] == 1
    api("DELETE", page, status=204)
    assert api("GET", f"{REPO}/issues/1/comments", status=200) == []
    assert api("GET", page).status_code == 404


@pytest.mark.parametrize("body", ["", " \n", "x" * 65_537])
def test_a_comment_must_say_something_and_not_too_much(hub, api, body):
    """65,536 characters at the most."""
    hub.open_issue(NAME, "x", by="mona")
    assert api("POST", f"{REPO}/issues/1/comments", json={"body": body}).status_code == 422


def test_the_longest_body_and_any_letters(api):
    """65,536 characters, right to left, emoji; one more is refused."""
    title, body = "משימה 🦝 done", "🦝" * 65_536
    made = api("POST", f"{REPO}/issues", status=201, json={"title": title, "body": body})
    assert (made["title"], len(made["body"])) == (title, 65_536)
    assert api("POST", f"{REPO}/issues", json={"title": "x", "body": body + "x"}).status_code == 422
    assert api("POST", f"{REPO}/issues", json={"title": " "}).status_code == 422


def test_outsiders_open_issues_without_labels(hub, api):
    """Labels take the triage role; an outsider's are dropped, as GitHub does."""
    eve, tri = api.as_token(hub.token("eve")), api.as_token(hub.token("tri"))
    body = {"title": "Please", "labels": ["polecat"]}
    assert eve("POST", f"{REPO}/issues", status=201, json=body)["labels"] == []
    assert eve("POST", f"{REPO}/issues/1/labels", json={"labels": ["polecat"]}).status_code == 403
    assert (
        eve("PATCH", f"{REPO}/issues/1", status=200, json={"body": "Pretty please"})["body"]
        == "Pretty please"
    )
    assert tri("POST", f"{REPO}/issues/1/labels", status=200, json={"labels": ["polecat"]})


def test_what_blocks_an_issue(hub, api):
    """Native dependencies, by the issue's id."""
    one, _ = hub.open_issue(NAME, "first", by="mona"), hub.open_issue(NAME, "second", by="mona")
    page = f"{REPO}/issues/2/dependencies/blocked_by"
    api("POST", page, status=201, json={"issue_id": one.id})
    assert numbers(api("GET", page, status=200)) == [1]
    assert api("POST", page, json={"issue_id": 1}).status_code == 404


def test_issues_switched_off_and_archived(hub, api):
    """410 for the one, 403 for writes to the other, reads go on."""
    hub.open_issue(NAME, "x", by="mona")
    hub.repository(NAME).archived = True
    assert api("POST", f"{REPO}/issues", status=403, json={"title": "y"})["message"].startswith(
        "Repository was archived"
    )
    assert api("POST", f"{REPO}/issues/1/comments", json={"body": "y"}).status_code == 403
    assert api("POST", f"{REPO}/issues/1/labels", json={"labels": ["y"]}).status_code == 403
    api("GET", f"{REPO}/issues/1", status=200)
    hub.repository(NAME).archived = False
    hub.repository(NAME).has_issues = False
    assert api("GET", f"{REPO}/issues").status_code == 410
    assert api("POST", f"{REPO}/issues", json={"title": "y"}).status_code == 410
