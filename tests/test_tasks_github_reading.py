"""What GitHub cuts off, refuses, or has never heard of: issues read over real HTTP, answer by answer."""

import pytest
from support.issue_hub import WHEN, WHOLE, actor, comment, event, item, row, serving

from refinery.core.model import Status
from refinery.errors import ForgeUnavailableError, TaskFileError, UsageError
from refinery.forges.github import client as module


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(module, "_PAUSES", (0.001, 0.001, 0.001))
    with serving() as made:
        yield made


def test_a_look_is_two_requests_and_one_for_each_new_person(hub):
    """And an unchanged one costs the conditional request alone."""
    found = hub.tasks.all()
    assert (found.tasks["12"].status, found.problems) == (Status.READY, ())
    assert [path.rpartition("/")[2] for path in hub.asked] == ["issues", "graphql", "permission"]
    hub.asked.clear()
    assert hub.tasks.all() == found
    assert hub.asked == ["/repos/acme/widgets/issues"]


def test_a_history_is_read_back_to_the_label(hub):
    """The last hand-over may lie behind more entries than a page has; an edit among them counts all the same (F29)."""
    older = {"pageInfo": WHOLE, "nodes": [event(3), event(10)]}
    hub.pages["p1"] = older
    page = {"pageInfo": {**WHOLE, "hasPreviousPage": True, "startCursor": "p1"}, "nodes": [event(20, "bug")]}
    hub.rows = [row(timelineItems=page)]
    assert hub.tasks.get("12").status is Status.READY
    hub.rows = [row(timelineItems={**page, "nodes": [event(20, kind="RenamedTitleEvent")]})]
    assert hub.tasks.get("12").status is Status.BLOCKED
    hub.asked.clear()
    hub.rows = [row(timelineItems={**page, "nodes": [event(10)]})]
    assert hub.tasks.get("12").status is Status.READY
    assert hub.asked == ["/api/graphql"]  # what is older than the label changes nothing


def test_f28_a_history_without_an_end_is_no_trust(hub):
    """F28: an outsider may write more history than we read; then nobody knows who put the label on."""
    page = {"pageInfo": {**WHOLE, "hasPreviousPage": True, "startCursor": "p1"}, "nodes": [event(20, "bug")]}
    hub.pages["p1"] = page
    hub.rows = [row(timelineItems=page)]
    found = hub.tasks.all()
    assert found.tasks["12"].status is Status.BLOCKED
    assert "history does not say" in found.problems[0].message
    assert len(hub.asked) < 30


def test_comments_before_the_label_are_all_read(hub):
    """Those of further pages too; what came after the label is not asked for."""
    hub.pages["c1"] = {
        "pageInfo": {**WHOLE, "hasNextPage": True, "endCursor": "c2"},
        "nodes": [comment(7, "Second."), comment(11, "Late.")],
    }
    said = {"pageInfo": {**WHOLE, "hasNextPage": True, "endCursor": "c1"}, "nodes": [comment(5, "First.")]}
    hub.rows = [row(comments=()) | {"comments": said}]
    body = hub.tasks.get("12").body
    assert "First." in body
    assert "Second." in body
    assert "Late." not in body


def test_f28_a_person_and_an_app_of_one_name_are_two(hub):
    """F28: GraphQL names an App without `[bot]`; an App, a mannequin or an organisation is not the person."""
    for kind in ("Bot", "Mannequin", "Organization", "EnterpriseUserAccount"):
        hub.rows = [row(events=[event(by=actor("mona", kind))])]
        assert hub.tasks.get("12").status is Status.BLOCKED, kind
    assert not [path for path in hub.asked if path.endswith("/permission")]


def test_f6_half_a_look_is_none(hub):
    """F6: the listing came and the issues did not: the next look does not take "unchanged" for "no tasks"."""
    hub.failures = ["OpenIssues"]
    with pytest.raises(ForgeUnavailableError):
        hub.tasks.all()
    hub.failures = []
    assert list(hub.tasks.all().tasks) == ["12"]
    hub.rows, hub.etag = [row(title="New")], '"2"'
    hub.failures = ["OpenIssues"]
    with pytest.raises(ForgeUnavailableError):
        hub.tasks.all()
    hub.failures = []
    assert hub.tasks.all().tasks["12"].title == "New"


def test_f28_a_permission_that_does_not_come_is_none_and_is_asked_again(hub):
    """F28: no answer is no; it is not remembered either."""
    hub.failures = ["/permission"]
    found = hub.tasks.all()
    assert found.tasks["12"].status is Status.BLOCKED
    assert "permission could not be read" in found.problems[0].message
    hub.failures = []
    assert hub.tasks.all().tasks["12"].status is Status.READY


@pytest.mark.parametrize(("status", "why"), [(403, "could not be read"), (404, "has no write permission")])
def test_f28_a_refused_permission_is_none(hub, status, why):
    """F28: whoever is no collaborator may not; whoever we may not ask about is not known, which is as good."""
    hub.permission = status
    found = hub.tasks.all()
    assert found.tasks["12"].status is Status.BLOCKED
    assert why in found.problems[0].message


def test_a_look_that_is_older_than_the_listing_is_repeated(hub):
    """Two servers of GitHub's may differ for a moment: unchanged is believed only once they agree."""
    hub.listed = [item(12, second=40)]
    hub.tasks.all()
    hub.rows = [row(title="New", updatedAt=WHEN.format(40))]
    assert hub.tasks.all().tasks["12"].title == "New"
    hub.asked.clear()
    hub.tasks.all()
    assert hub.asked == ["/repos/acme/widgets/issues"]


def test_what_is_read_by_itself_is_newer_than_the_look(hub):
    """After `get` nobody is told the older text again, though the listing has not changed."""
    hub.tasks.all()
    hub.rows = [row(title="New")]
    assert hub.tasks.get("12").title == "New"
    assert hub.tasks.all().tasks["12"].title == "New"
    hub.rows = []
    with pytest.raises(TaskFileError, match="deleted or transferred"):
        hub.tasks.get("12")
    assert hub.tasks.all().tasks == {}


def test_five_hundred_issues(hub):
    """Fifty a request, all of them, and pulls in the listing are no tasks."""
    hub.rows = [row(number) for number in range(1, 501)]
    hub.listed = [item(900, pull_request={"url": "x"}), *(item(number) for number in range(1, 100))]
    assert set(hub.tasks.all().tasks) == {str(number) for number in range(1, 501)}
    assert hub.asked.count("/api/graphql") == 10
    assert len([path for path in hub.asked if path.endswith("/permission")]) == 1


def test_closed_issues_come_from_the_listing(hub):
    """As far back as the last look, page after page; what dependencies need is known without asking for it."""
    hub.rows = [row(12, body="Depends on #5\nDepends on #7\nDepends on #404")]
    hub.listed = [item(12), item(5, "closed", 20)]
    hub.elsewhere = {7: item(7, "closed", state_reason="not_planned")}
    found = hub.tasks.all().tasks
    assert (found["5"].status, found["7"].status) == (Status.DONE, Status.CANCELLED)
    assert "404" not in found
    hub.tasks.all()
    assert hub.asked.count("/repos/acme/widgets/issues/404") == 1
    hub.listed = [item(number, "closed", 50) for number in range(100, 250)] + [
        item(12),
        item(5, "closed", 20),
    ]
    hub.etag = '"2"'
    found = hub.tasks.all().tasks
    assert {"100", "249", "5", "12"} <= set(found)


def test_a_pull_may_be_depended_on(hub):
    """Merged is done, closed is cancelled, open is waited for."""
    hub.rows = [row(12, body="Depends on #1, #2, #3")]
    hub.elsewhere = {
        1: item(1, "closed", pull_request={"merged_at": WHEN.format(9)}),
        2: item(2, "closed", pull_request={"merged_at": None}),
        3: item(3),
    }
    found = hub.tasks.all().tasks
    assert [found[name].status for name in "123"] == [Status.DONE, Status.CANCELLED, Status.INBOX]


def test_native_links_and_a_server_that_has_none(hub):
    """An older Enterprise server refuses the field: it is left out from then on."""
    there = {"number": 9, "repository": {"nameWithOwner": "Acme/Widgets"}}
    other = {"number": 9, "repository": {"nameWithOwner": "acme/other"}}
    hub.rows = [row(blockedBy={"pageInfo": WHOLE, "nodes": [there, other]})]
    assert hub.tasks.get("12").depends_on == ("9", "acme/other#9")
    hub.errors = [{"message": "Field 'blockedBy' doesn't exist on type 'Issue'"}]
    plain = row()
    del plain["blockedBy"]
    hub.rows = [plain]
    assert hub.tasks.get("12").depends_on == ()
    hub.asked.clear()
    assert hub.tasks.get("12").status is Status.READY
    assert hub.asked == ["/api/graphql"]


def test_a_label_of_another_case_is_the_same(hub):
    """Also where the filter of an answer minds the case."""
    hub.label = "Polecat"
    hub.rows = [
        row(labels={"pageInfo": WHOLE, "nodes": [{"name": "Polecat"}]}, events=[event(name="Polecat")])
    ]
    assert hub.tasks.all().tasks["12"].status is Status.READY


def test_issues_that_are_switched_off(hub):
    """Is a mistake that a person can mend, not "no tasks" (F6)."""
    hub.has_issues = False
    with pytest.raises(UsageError, match="switched off") as caught:
        hub.tasks.all()
    assert "settings" in caught.value.remedy


@pytest.mark.parametrize("name", ["x", "-1", "1.5", "१२", ""])
def test_an_issue_has_a_number(hub, name):
    """Anything else is told apart without a request."""
    with pytest.raises(TaskFileError, match="issues have numbers"):
        hub.tasks.get(name)
    assert hub.asked == []
