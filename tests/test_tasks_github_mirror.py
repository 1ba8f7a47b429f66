"""Where a task stands, written to its issue: one request each time, once, and made harmless; over real HTTP."""

import pytest
from support.issue_hub import WHOLE, comment, event, row, serving

from refinery.core.lease import Lease
from refinery.core.model import CLAIMS, Claim, Role, Status
from refinery.core.outcomes import Outcome
from refinery.core.sanitise import Redactor
from refinery.core.status_comment import Note
from refinery.errors import TaskFileError
from refinery.forges.github import client as module
from refinery.forges.github.errors import AnswerLostError

MARK = "<!-- refinery:status claim={} -->"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(module, "_PAUSES", (0.001, 0.001, 0.001))
    with serving(Redactor(["hunter22"]).text) as made:
        yield made


def lease(tip="c" * 40, role=Role.WORK):
    claim = Claim(
        task="12", attempt=1, holder="w1", role=role, nonce="n", acquired_at=1e9, expires_at=2e9, pull=34
    )
    return Lease(CLAIMS + "12", tip, claim)


def labels(hub):
    return [each["name"] for each in hub.rows[0]["labels"]["nodes"]]


def said(hub):
    return [each["body"] for each in hub.rows[0]["comments"]["nodes"] if each["viewerDidAuthor"]]


def test_a_task_is_shown_in_one_request_each_time(hub):
    """From the claim to the merge: three writes, no read in between, one comment, the issue closed at the end."""
    task = hub.tasks.all().tasks["12"]
    hub.asked.clear()
    hub.tasks.mirror(lease(), task, Status.IN_PROGRESS, Note(agent="claude"))
    assert labels(hub) == ["polecat", "polecat:working"]
    note = Note(outcome=Outcome.PUBLISHED, agent="claude", cost_usd=0.25, pull=34)
    hub.tasks.mirror(lease("d" * 40), task, Status.REVIEW, note)
    assert labels(hub) == ["polecat", "polecat:review"]
    hub.tasks.mirror(lease("e" * 40, Role.MERGE), task, Status.DONE)
    assert labels(hub) == ["polecat"]
    assert hub.asked == ["/api/graphql"] * 3
    assert len(said(hub)) == 1
    assert MARK.format("e" * 40) in said(hub)[0]
    assert (hub.rows[0]["state"], hub.rows[0]["stateReason"]) == ("CLOSED", "COMPLETED")


def test_what_is_so_already_is_not_written(hub):
    """The same mirror again is no request at all."""
    task = hub.tasks.all().tasks["12"]
    for _ in range(3):
        hub.tasks.mirror(lease(), task, Status.REVIEW)
    assert len(hub.written) == 1


def test_another_process_finds_the_comment(hub):
    """By mark and author, also behind the first page of comments; a forged one by somebody else is left alone."""
    forged = comment(20, "look " + MARK.format("ab"), "eve")
    first = {"pageInfo": {**WHOLE, "hasNextPage": True, "endCursor": "c1"}, "nodes": [forged, comment(21)]}
    ours = comment(30, "old " + MARK.format("ab"), "me", mine=True)
    hub.rows = [row(comments=()) | {"comments": first}]
    hub.pages["c1"] = {"pageInfo": WHOLE, "nodes": [ours]}
    hub.tasks.mirror(lease(), hub.tasks.get("12"), Status.REVIEW)
    assert [(each["edits"], each["comment"], each["says"]) for each in hub.written] == [
        (True, ours["id"], False)
    ]


def test_an_answer_that_was_lost_is_read_back(hub):
    """It had happened: nothing is written twice."""
    task = hub.tasks.all().tasks["12"]
    hub.drops = [True]
    hub.tasks.mirror(lease(), task, Status.REVIEW)
    assert len(hub.written) == 1
    assert len(said(hub)) == 1


def test_an_answer_that_never_comes_is_given_up(hub):
    """Three times lost, and each time undone by somebody: neither "shown" nor "refused"."""
    task = hub.tasks.all().tasks["12"]
    write = hub.write

    def undone(wanted):
        answer = write(wanted)
        hub.rows = [row()]
        return answer

    hub.write, hub.drops = undone, [True, True, True]
    with pytest.raises(AnswerLostError):
        hub.tasks.mirror(lease(), task, Status.FAILED)
    assert len(hub.written) == 3


def test_a_second_comment_goes(hub):
    """However it came there: the first stays, is written over, and the other is taken away."""
    double = [comment(second, MARK.format("ab"), "me", mine=True) for second in (20, 21)]
    hub.rows = [row(comments=double)]
    hub.tasks.mirror(lease(), hub.tasks.get("12"), Status.REVIEW)
    assert len(said(hub)) == 1
    assert MARK.format("c" * 40) in said(hub)[0]


def test_labels_are_made_where_there_are_none(hub):
    """On first use; and where somebody makes them at the same moment, those are taken."""
    hub.labels.clear()
    task = hub.tasks.all().tasks["12"]
    hub.tasks.mirror(lease(), task, Status.IN_PROGRESS)
    assert hub.labels == ["polecat:working"]
    assert labels(hub) == ["polecat", "polecat:working"]


def test_a_comment_that_a_person_deleted_is_written_anew(hub):
    """GitHub says that it is not there: the issue is read again, and the mirror made as is right now."""
    task = hub.tasks.all().tasks["12"]
    hub.tasks.mirror(lease(), task, Status.IN_PROGRESS)
    hub.rows[0]["comments"]["nodes"].clear()
    hub.refusals = [{"type": "NOT_FOUND", "message": "Could not resolve to a node"}]
    hub.tasks.mirror(lease("d" * 40), task, Status.REVIEW)
    assert len(said(hub)) == 1


def test_a_refusal_is_told_and_leaves_the_task_alone(hub):
    """A token without `issues: write`: an error about the task, which ends no attempt."""
    task = hub.tasks.all().tasks["12"]
    hub.refusals = [{"type": "FORBIDDEN", "message": "Resource not accessible by integration"}] * 3
    with pytest.raises(
        TaskFileError, match=r"acme/widgets#12 does not show review: .*not accessible"
    ) as caught:
        hub.tasks.mirror(lease(), task, Status.REVIEW)
    assert "issues: write" in caught.value.remedy


def test_an_issue_that_is_gone_cannot_be_shown(hub):
    """Deleted or transferred while somebody worked on it."""
    task = hub.tasks.all().tasks["12"]
    hub.rows = []
    with pytest.raises(TaskFileError, match="deleted or transferred"):
        hub.tasks.mirror(lease(), task, Status.REVIEW)


def test_a_lease_on_something_else_permits_nothing(hub):
    """No lease, no write."""
    task = hub.tasks.all().tasks["12"]
    with pytest.raises(ValueError, match="permits no write"):
        hub.tasks.mirror(Lease(CLAIMS + "13", "c" * 40, lease().claim), task, Status.REVIEW)
    assert hub.written == []


def test_f35_no_secret_reaches_a_comment(hub):
    """F35: neither one whose value is known, nor one by its shape, whatever an agent gives for a reason."""
    token = "ghp_" + "a1B2" * 9
    note = Note(outcome=Outcome.BLOCKED, reason=f"hunter22 and {token}; @mona, fixes #3")
    hub.tasks.mirror(lease(), hub.tasks.get("12"), Status.BLOCKED, note)
    body = said(hub)[0]
    assert "reason | *** and ***" in body
    for words in ("hunter22", token, "@mona", "fixes #3"):
        assert words not in body


def test_f26_our_own_writes_hand_nothing_over(hub):
    """F26: a status comment is no text of the task, and a mirror of ours neither makes ready nor trusts."""
    task = hub.tasks.all().tasks["12"]
    hub.tasks.mirror(lease(), task, Status.BLOCKED)
    hub.rows[0]["timelineItems"]["nodes"].append(event(40, "polecat:blocked"))
    hub.rows[0]["timelineItems"]["nodes"].append(event(50, "polecat"))
    again = hub.tasks.get("12")
    assert again.status is Status.READY  # mona put the label on again, in second 50
    assert again.body == task.body
