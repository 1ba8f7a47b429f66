"""Whether an issue was handed over by somebody who may, and has not changed since (F28, F29).

A label is no authorisation: issue templates put labels on for outsiders, and the triage role may label. What counts is
who put it on last, and when. Properties: a permission that is not known counts as none; a history that is not whole
counts as changed; an edit in the very second of the labelling counts as later, since nobody can tell.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from refinery.core.issues import (
    Act,
    Actor,
    Event,
    Issue,
    Remark,
    closed_status,
    name_of,
    removed_mirror,
    shown_mirror,
    when,
)
from refinery.core.model import Status
from refinery.core.status_comment import is_status_comment

_MOST_ASKED: Final = 50  # people of one issue; of the rest nobody knows, and what they said stays out
ROLES: Final = frozenset({"write", "maintain", "admin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What is known of people. `writers` says of logins, in small letters, whether they may write; None: not known.

    `allowed` are exact logins, in small letters, Apps with `[bot]`; `own` is the identity that reads.
    """

    writers: Mapping[str, bool | None] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()
    own: str = ""

    def may(self, actor: Actor | None) -> bool | None:
        """Whether somebody may hand over a task; None when nobody knows."""
        if actor is None:
            return False
        if actor.login.casefold() in self.allowed:
            return True
        return False if actor.is_bot else self.writers.get(actor.login.casefold())


@dataclass(frozen=True, slots=True)
class Trusted:
    """Handed over by `by` at the instant `at`; its text has been the same since."""

    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Why it is not taken, and what cures that."""

    reason: str
    remedy: str


def may_write(role: str, permission: str) -> bool:
    """What a collaborator's `role_name` means, or his `permission` where a server knows no roles."""
    return (role or permission).casefold() in ROLES


def to_ask(issue: Issue, label: str, people: People) -> tuple[str, ...]:
    """The logins whose permission decides about this issue, each once, the one who put the label on first."""
    handed_over = issue.last(Act.LABELED, label)
    if handed_over < 0 or not issue.is_open:
        return ()
    last = issue.events[handed_over]
    actors = [last.by, *(event.by for event in issue.events[handed_over:] if event.act is Act.REOPENED)]
    removed = removed_mirror(issue, label)
    actors += [removed[1].by] if removed is not None else []
    actors += [remark.by for remark in _before(issue, last.at)]
    logins = (actor.login for actor in actors if actor is not None and not actor.is_bot)
    asked = dict.fromkeys(login for login in logins if login.casefold() not in people.allowed)
    return tuple(asked)[:_MOST_ASKED]


def judge_trust(issue: Issue, label: str, people: People) -> Trusted | Untrusted:
    """Whether the issue's text is what somebody who may has handed over."""
    again = f"somebody who may write here puts the label {label} on again"
    handed_over = issue.last(Act.LABELED, label)
    if not issue.is_whole or handed_over < 0 or handed_over < issue.last(Act.UNLABELED, label):
        why = f"its history does not say who put the label {label} on"
        return Untrusted(why, f"take the label off and put it on again: {again}")
    last = issue.events[handed_over]
    who = name_of(last.by)
    may = people.may(last.by)
    if not may:
        return Untrusted(_why_not(who, label, is_unknown=may is None), _cure(last.by, again))
    changed = _changed(issue, last, people)
    if changed:
        return Untrusted(changed, f"read it as it is now; if it is right: {again}")
    return Trusted(who, last.at)


def status_of(issue: Issue, label: str, people: People) -> Status:
    """The status that state and labels say; whether the issue is trusted is `judge_trust`'s."""
    if not issue.is_open:
        return closed_status(issue.reason)
    if not issue.has(label):
        return Status.INBOX
    shown = shown_mirror(issue, label)
    if shown is not None:
        return shown
    removed = removed_mirror(issue, label)
    if removed is None or _may_remove(removed[1].by, people):
        return Status.READY
    return removed[0]


def frozen_remarks(issue: Issue, trusted: Trusted, people: People) -> tuple[Remark, ...]:
    """The remarks that belong to the text: by people who may write, made before the hand-over (F30)."""
    return tuple(remark for remark in _before(issue, trusted.at) if people.may(remark.by))


def _why_not(who: str, label: str, *, is_unknown: bool) -> str:
    if is_unknown:
        return f"the label {label} was put on by {who}, whose permission could not be read"
    return f"the label {label} was put on by {who}, who has no write permission here"


def _cure(actor: Actor | None, again: str) -> str:
    return again if actor is None else f"{again}, or `trust.allow` in the configuration names {actor.login}"


def _changed(issue: Issue, last: Event, people: People) -> str:
    """What was changed at or after the hand-over, in words; an equal second counts, since nobody can tell."""
    since = f"after {name_of(last.by)} put the label on at {when(last.at)}"
    if issue.edited_at is not None and issue.edited_at >= last.at:
        return f"its text was edited {since}"
    for event in issue.events:
        if event.at < last.at:
            continue
        who = name_of(event.by)
        if event.act is Act.RENAMED:
            return f"its title was edited by {who} {since}"
        if event.act is Act.TRANSFERRED:
            return f"it came from another repository {since}"
        if event.act is Act.REOPENED and not people.may(event.by):
            return f"it was re-opened by {who} {since}"
    for remark in _before(issue, last.at):
        if remark.edited_at is not None and remark.edited_at >= last.at and people.may(remark.by):
            return f"a comment of {name_of(remark.by)} was edited {since}"
    return ""


def _before(issue: Issue, at: float) -> Iterable[Remark]:
    """Remarks made before `at` that people meant; our own status comments are none."""
    return (remark for remark in issue.remarks if remark.at < at and not is_status_comment(remark.body))


def _may_remove(actor: Actor | None, people: People) -> bool:
    """Apps and we take mirrors off in the course of work; of people only those who may write re-open a task so."""
    if actor is None:
        return False
    return actor.is_bot or actor.login.casefold() == people.own.casefold() or bool(people.may(actor))
