"""What is written to an issue, and that it is written once: labels, the one comment, closing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.issues import AT, BOT, EVE, issue, labeled, remark

from refinery.core.issue_mirror import LOOKS, Change, changed, planned
from refinery.core.issues import Act, mirror_label, mirror_labels
from refinery.core.lease import Lease
from refinery.core.model import CLAIMS, Claim, Role, Status
from refinery.core.outcomes import Outcome
from refinery.core.sanitise import Redactor
from refinery.core.status_comment import Note, is_status_comment, render
from refinery.core.trust import People, status_of

SHA = "c" * 40
FAILED, REVIEW, WORKING = "polecat:failed", "polecat:review", "polecat:working"
OURS = remark("old <!-- refinery:status claim=ab -->", by=BOT, id="C_9", is_mine=True)


def lease(**fields):
    values = {"attempt": 2, "holder": "bot@host:7-ab", "role": Role.WORK, "nonce": "n", "acquired_at": AT}
    return Lease(CLAIMS + "12", SHA, Claim(task="12", expires_at=AT + 900, **{**values, **fields}))


def shown(status=Status.REVIEW, secrets=(), note=None, **fields):
    return render(lease(**fields), status, note or Note(), "polecat", Redactor(secrets).text)


@pytest.mark.parametrize(
    ("given", "status", "change"),
    [
        (issue(), Status.IN_PROGRESS, Change(add=(WORKING,))),
        (issue(labels=("polecat", WORKING)), Status.IN_PROGRESS, Change()),
        (issue(labels=("polecat", WORKING, "bug")), Status.REVIEW, Change(add=(REVIEW,), remove=(WORKING,))),
        (issue(labels=("polecat", WORKING)), Status.READY, Change(remove=(WORKING,))),
        (issue(labels=("polecat", REVIEW)), Status.DONE, Change(remove=(REVIEW,), closes=True)),
        (issue(labels=("polecat", FAILED)), Status.DONE, Change(remove=(FAILED,), closes=True)),
        # A person closed it, took it back, or it is given up: nothing new is claimed of it.
        (issue(labels=("polecat", WORKING), is_open=False), Status.REVIEW, Change(remove=(WORKING,))),
        (issue(labels=("polecat", WORKING), is_open=False), Status.DONE, Change(remove=(WORKING,))),
        (issue(labels=(WORKING,)), Status.REVIEW, Change(remove=(WORKING,))),
        (issue(labels=("polecat", FAILED)), Status.READY, Change()),
        # Handed over again after it had failed: the old label no longer counts, so it is put on anew.
        (
            issue(labeled(FAILED, AT + 1, BOT), labeled(at=AT + 2), labels=("polecat", FAILED)),
            Status.FAILED,
            Change(add=(FAILED,), remove=(FAILED,)),
        ),
    ],
)
def test_labels_and_closing(given, status, change):
    """Only our own labels, and only what is not so already."""
    assert planned(given, "polecat", status, "") == change
    assert planned(given, "polecat", status, "").is_nothing is (change == Change())


def test_one_comment_is_written_over_and_over():
    """Anew, over the old one, not at all when it says so already; and a second one goes."""
    assert planned(issue(), "polecat", Status.READY, "new").body == "new"
    over = planned(issue(remarks=(OURS,)), "polecat", Status.READY, "new")
    assert (over.body, over.comment, over.extra) == ("new", "C_9", "")
    assert planned(issue(remarks=(OURS,)), "polecat", Status.READY, OURS.body + "\n").is_nothing
    twice = planned(issue(remarks=(OURS, replace(OURS, id="C_10"))), "polecat", Status.READY, OURS.body)
    assert (twice.body, twice.extra, twice.is_nothing) == ("", "C_10", False)


def test_a_comment_with_our_mark_by_somebody_else_is_not_ours():
    """By mark *and* author: nobody can have us write over a comment, or keep ours away."""
    forged = replace(OURS, by=EVE, is_mine=False)
    plain = remark("hello", by=BOT, is_mine=True)
    assert planned(issue(remarks=(forged, plain)), "polecat", Status.READY, "new").comment == ""


STATUSES = st.sampled_from(
    [Status.READY, Status.IN_PROGRESS, Status.REVIEW, Status.BLOCKED, Status.FAILED, Status.DONE]
)


@given(st.lists(STATUSES, min_size=1, max_size=6), st.booleans())
def test_what_was_written_needs_no_second_time_and_reads_as_written(statuses, is_doubled):
    """Over any sequence: planned again nothing is left, there is one comment, and labels read as the status shown."""
    now = issue(remarks=(OURS, replace(OURS, id="C_10")) if is_doubled else ())
    for number, status in enumerate(statuses):
        was_failed = status_of(now, "polecat", People()) is Status.FAILED
        change = planned(now, "polecat", status, f"{status} <!-- refinery:status claim=ab -->")
        now = changed(now, change, BOT, AT + 10 + number, "C_new")
        assert planned(now, "polecat", status, f"{status} <!-- refinery:status claim=ab -->").is_nothing
        assert len([each for each in now.remarks if each.is_mine]) == 1
        if now.is_open and not was_failed:
            assert status_of(now, "polecat", People()) is status
    assert sum(now.has(name) for name in mirror_labels("polecat")) <= 1


def test_every_mirror_label_has_a_look():
    """So that it can be created."""
    words = {name.removeprefix("polecat:") for name in mirror_labels("polecat")}
    assert set(LOOKS) == words
    assert mirror_label("refine", Status.FAILED) == "refine:failed"
    assert mirror_label("polecat", Status.READY) == ""


def test_the_comment_says_what_people_ask():
    """Attempt, agent, worker, outcome, reason, cost, pull, what comes next; and our mark with the claim."""
    note = Note(outcome=Outcome.AGENT_FAILED, reason="it crashed", agent="claude", cost_usd=0.5, pull=34)
    body = shown(Status.FAILED, note=note)
    rows = [
        "attempt | 2",
        "agent | claude",
        "worker | bot@host:7-ab",
        "outcome | agent-failed",
        "reason | it crashed",
    ]
    for words in [
        *rows,
        "cost | $0.50",
        "pull | #34",
        "given up",
        "label `polecat` on again",
        f"claim={SHA}",
    ]:
        assert words in body
    assert is_status_comment(body)
    assert "merger |" in shown(Status.DONE, role=Role.MERGE)
    assert "again after a pause" in shown(Status.READY, note=note)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_can_be_said(status):
    """With nothing known besides the claim."""
    body = shown(status)
    assert is_status_comment(body)
    assert "None" not in body
    assert "| outcome" not in body


def test_f35_no_secret_and_no_command_reaches_the_comment():
    """F35, F30: known values, shapes, mentions, closing words, markers and table breaks in an agent's reason."""
    token = "ghp_" + "a1B2" * 9
    reason = f"hunter22 {token} @octocat Fixes #1 | x `y`\n<!-- refinery:status claim=00 --> ::error::"
    body = shown(note=Note(outcome=Outcome.BLOCKED, reason=reason, agent="a|b"), secrets=["hunter22"])
    for words in ("hunter22", token, "@octocat", "Fixes #1", "claim=00", "1 | x"):
        assert words not in body
    assert body.count("<!--") == 1
    assert len([line for line in body.splitlines() if line.startswith("| reason")]) == 1


def test_our_own_labels_off_are_no_persons_act():
    """A mirror that an App takes off, in the course of work, leaves the task as the next mirror says."""
    now = issue(
        labeled(WORKING, AT + 1, BOT), labeled(WORKING, AT + 2, BOT, Act.UNLABELED), labels=("polecat",)
    )
    assert status_of(now, "polecat", People()) is Status.READY
