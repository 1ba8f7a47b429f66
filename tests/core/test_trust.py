"""Who may hand over an issue, and what voids it: each condition perturbed alone, then at random."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.issues import ANNA, AT, BOT, EVE, MONA, issue, labeled, remark

from refinery.core.issues import Act, Actor
from refinery.core.model import Status
from refinery.core.trust import (
    People,
    Trusted,
    Untrusted,
    frozen_remarks,
    judge_trust,
    may_write,
    status_of,
    to_ask,
)

PEOPLE = People(writers={"mona": True, "anna": True, "eve": False, "who": None}, own="refinery[bot]")
GHOST = None
WHO = Actor("who")


def judged(given, people=PEOPLE, label="polecat"):
    return judge_trust(given, label, people)


def test_who_may_write_hands_over():
    """The plain case, and the instant that all else is compared with."""
    assert judged(issue()) == Trusted("mona", AT)


@pytest.mark.parametrize("role", ["write", "maintain", "admin", "Write"])
def test_roles_that_may_write(role):
    """Those three, as GitHub spells them."""
    assert may_write(role, "")


@pytest.mark.parametrize(
    ("role", "permission"), [("triage", "write"), ("read", ""), ("", ""), ("custom", "write"), ("", "none")]
)
def test_f28_other_roles_may_not(role, permission):
    """F28: triage may label and no more; a role that nobody knows is none, whatever the old field says of it."""
    assert not may_write(role, permission)
    assert may_write("", "write")  # a server that knows no roles


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (EVE, "eve, who has no write permission"),  # an issue template labels in its author's name
        (WHO, "who, whose permission could not be read"),
        (Actor("stranger"), "whose permission could not be read"),
        (GHOST, "an account that is gone"),
        (BOT, "dependabot[bot], who has no write permission"),
        (Actor("mona[bot]", is_bot=True), "no write permission"),  # an App named like a person
    ],
)
def test_f28_a_label_is_no_authorisation(by, why):
    """F28: who put it on last counts, and only with a permission that is known."""
    found = judged(issue(labeled(at=AT + 50, by=by)))
    assert isinstance(found, Untrusted)
    assert why in found.reason
    assert "label polecat on again" in found.remedy


def test_f28_apps_and_people_by_exact_list():
    """F28: an App counts by its exact name only, and so does a person without permission; case does not matter."""
    people = replace(PEOPLE, allowed=frozenset({"dependabot[bot]", "eve"}))
    assert judged(issue(labeled(at=AT + 1, by=BOT)), people) == Trusted("dependabot[bot]", AT + 1)
    assert judged(issue(labeled(at=AT + 1, by=Actor("Eve"))), people) == Trusted("Eve", AT + 1)
    for name in ("dependabot", "eve[bot]"):
        assert isinstance(
            judged(issue(labeled(at=AT + 1, by=Actor(name, is_bot="[" in name))), people), Untrusted
        )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"edited_at": AT}, "its text was edited"),
        ({"edited_at": AT + 1}, "its text was edited"),
        ({"events": (labeled(), labeled(act=Act.RENAMED, by=EVE))}, "its title was edited by eve"),
        ({"events": (labeled(act=Act.RENAMED, by=MONA), labeled())}, "its title was edited by mona"),
        (
            {"events": (labeled(), labeled(act=Act.RENAMED, at=AT + 9, by=GHOST))},
            "its title was edited by an account",
        ),
        ({"events": (labeled(), labeled(act=Act.TRANSFERRED, at=AT + 9))}, "came from another repository"),
        ({"events": (labeled(), labeled(act=Act.REOPENED, at=AT + 9, by=EVE))}, "re-opened by eve"),
        ({"remarks": (remark(edited_at=AT),)}, "a comment of mona was edited"),
        ({"is_whole": False}, "does not say who put the label"),
        ({"events": ()}, "does not say who put the label"),
        ({"events": (labeled(), labeled(act=Act.UNLABELED, at=AT + 1))}, "does not say who put the label"),
    ],
)
def test_f29_what_changed_since_is_not_taken(changes, why):
    """F29: an edit at or after the hand-over, even in the very second of it, voids it; so does a history not known."""
    found = judged(issue(**changes))
    assert isinstance(found, Untrusted)
    assert why in found.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"edited_at": AT - 1},
        {"events": (labeled(act=Act.RENAMED, at=AT - 1, by=EVE), labeled())},
        {"events": (labeled(), labeled(act=Act.REOPENED, at=AT + 9, by=ANNA))},
        {"remarks": (remark(at=AT + 5, edited_at=AT + 9),)},
        {"remarks": (remark(by=EVE, edited_at=AT + 9),)},
        {"labels": ("PoleCat",), "events": (labeled("Polecat"),)},
    ],
)
def test_f29_what_came_before_or_does_not_count_voids_nothing(changes):
    """F29: edits that the labeller could see, later comments, and words that reach no prompt anyway."""
    assert judged(issue(**changes)) == Trusted("mona", AT)


def test_f29_a_new_label_by_somebody_trusted_heals_it():
    """F29: the label put on again approves the text as it is by then; by somebody who may not, it never does."""
    edited = {"edited_at": AT + 10}
    off = labeled(act=Act.UNLABELED, at=AT + 20)
    assert judged(issue(off, labeled(at=AT + 21, by=ANNA), **edited)) == Trusted("anna", AT + 21)
    assert isinstance(judged(issue(off, labeled(at=AT + 21, by=EVE), **edited)), Untrusted)


def test_f30_only_comments_of_writers_before_the_label_are_text():
    """F30: outsiders' words, later words and our own status comments reach no prompt."""
    remarks = (
        remark("one"),
        remark("by an outsider", by=EVE),
        remark("by nobody", by=GHOST),
        remark("unknown", by=WHO),
        remark("status <!-- refinery:status claim=ab -->"),
        remark("two", by=ANNA, at=AT - 1),
        remark("the same second", at=AT),
        remark("late", at=AT + 1),
    )
    given = issue(remarks=remarks)
    trust = judged(given)
    assert isinstance(trust, Trusted)
    assert [each.body for each in frozen_remarks(given, trust, PEOPLE)] == ["one", "two"]


def test_only_those_are_asked_about_whose_permission_decides():
    """One request for each new person: the labeller first, no App, nobody from the list, none of a closed issue."""
    given = issue(
        labeled("polecat:failed", AT + 1, BOT),
        labeled("polecat:failed", AT + 2, EVE, Act.UNLABELED),
        labeled(act=Act.REOPENED, at=AT + 3, by=WHO),
        remarks=(remark(by=ANNA), remark(by=BOT), remark(by=GHOST), remark(by=Actor("late"), at=AT + 5)),
    )
    assert to_ask(given, "polecat", PEOPLE) == ("mona", "who", "eve", "anna")
    assert to_ask(given, "polecat", replace(PEOPLE, allowed=frozenset({"mona"}))) == ("who", "eve", "anna")
    assert to_ask(replace(given, is_open=False), "polecat", PEOPLE) == ()
    crowd = tuple(remark(by=Actor(f"user{number}")) for number in range(200))
    assert len(to_ask(issue(remarks=crowd), "polecat", PEOPLE)) == 50


FAILED, REVIEW = "polecat:failed", "polecat:review"


@pytest.mark.parametrize(
    ("events", "labels", "status"),
    [
        ((), ("polecat",), Status.READY),
        ((), ("bug",), Status.INBOX),
        ((labeled("polecat:working", AT + 1, BOT),), ("polecat", "polecat:working"), Status.IN_PROGRESS),
        ((labeled(REVIEW, AT + 1, BOT),), ("POLECAT", "Polecat:Review"), Status.REVIEW),
        ((labeled(FAILED, AT + 1, BOT),), ("polecat", FAILED), Status.FAILED),
        ((), ("polecat", FAILED), Status.FAILED),  # put on before the history that is known
        ((labeled(FAILED, AT + 1, BOT), labeled(at=AT + 2)), ("polecat", FAILED), Status.READY),
        (
            (labeled(FAILED, AT + 1, BOT), labeled(FAILED, AT + 2, ANNA, Act.UNLABELED)),
            ("polecat",),
            Status.READY,
        ),
        (
            (labeled(FAILED, AT + 1, BOT), labeled(FAILED, AT + 2, BOT, Act.UNLABELED)),
            ("polecat",),
            Status.READY,
        ),
        (
            (labeled(FAILED, AT + 1, BOT), labeled(FAILED, AT + 2, EVE, Act.UNLABELED)),
            ("polecat",),
            Status.FAILED,
        ),
        (
            (labeled(FAILED, AT + 1, BOT), labeled(FAILED, AT + 2, GHOST, Act.UNLABELED)),
            ("polecat",),
            Status.FAILED,
        ),
        (
            (labeled(REVIEW, AT + 1, BOT), labeled(FAILED, AT + 1, BOT)),
            ("polecat", REVIEW, FAILED),
            Status.FAILED,
        ),
        ((labeled("polecat:odd", AT + 1, EVE),), ("polecat", "polecat:odd"), Status.READY),
    ],
)
def test_labels_say_where_a_task_stands(events, labels, status):
    """A mirror counts until somebody who may takes it off, or puts the label itself on again after it."""
    assert status_of(issue(*events, labels=labels), "polecat", PEOPLE) is status


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("COMPLETED", Status.DONE),
        ("", Status.DONE),
        ("NOT_PLANNED", Status.CANCELLED),
        ("duplicate", Status.CANCELLED),
    ],
)
def test_a_closed_issue_is_finished(reason, status):
    """Whatever its labels say."""
    given = issue(labeled(FAILED, AT + 1), labels=("polecat", FAILED), is_open=False, reason=reason)
    assert status_of(given, "polecat", PEOPLE) is status


ACTORS = st.sampled_from([MONA, EVE, WHO, GHOST, BOT])
EVENTS = st.lists(
    st.builds(
        labeled,
        label=st.sampled_from(["polecat", "Polecat", FAILED, "bug"]),
        at=st.integers(0, 6).map(float),
        by=ACTORS,
        act=st.sampled_from(list(Act)),
    ),
    max_size=8,
).map(lambda events: tuple(sorted(events, key=lambda event: event.at)))


@given(EVENTS, st.none() | st.integers(0, 6).map(float))
def test_f28_f29_nothing_is_trusted_without_a_writer_or_after_a_change(events, edited_at):
    """F28, F29: over any history, trust means a writer labelled last and nothing changed at or after that instant."""
    found = judged(issue(events=events, edited_at=edited_at))
    if isinstance(found, Untrusted):
        return
    handing = [event for event in events if event.label.casefold() == "polecat" and event.act is Act.LABELED]
    assert handing[-1].by == MONA
    assert found.at == handing[-1].at
    assert edited_at is None or edited_at < found.at
    assert not [each for each in events if each.act in (Act.RENAMED, Act.TRANSFERRED) and each.at >= found.at]
