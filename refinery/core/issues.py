"""Issues as tasks: what an issue's state, labels, body and history say, as a frozen `Task`.

Properties: an issue that nobody trusted handed over, or that was changed since, is never ready (F28, F29); a label or
a value that is not understood never makes one ready; pulls are no tasks.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from refinery.core import tasks
from refinery.core.model import Problem, Status, Task
from refinery.core.sanitise import clean

_MIRRORS: Final = {
    "working": Status.IN_PROGRESS,
    "review": Status.REVIEW,
    "blocked": Status.BLOCKED,
    "failed": Status.FAILED,
}
_WORDS: Final = {
    **{str(number): number for number in range(5)},
    "critical": 0,
    "urgent": 0,
    "high": 1,
    "medium": 2,
    "normal": 2,
    "low": 3,
    "lowest": 4,
}
_PRIORITY: Final = re.compile(r"(?:priority\s*[:/=-]\s*p?|p(?=[0-4]$))(\w+)", re.IGNORECASE)
_AGENT: Final = re.compile(r"agent\s*:\s*(\S+)", re.IGNORECASE)
_TYPES: Final = {"bug": "bug", "feature": "feature", "enhancement": "feature", "task": "task"}
_DEPENDS: Final = re.compile(r"^[ \t>]*(?:[-*+][ \t]+)?[*_]*depends on\b[*_]*:?(.*)$", re.IGNORECASE)
_REFERENCE: Final = re.compile(
    r"https?://[^\s/]+/(?P<at>[\w.-]+/[\w.-]+)/(?:issues|pull)/(?P<there>\d+)"
    r"|(?P<other>[\w.-]+/[\w.-]+)?#(?P<number>\d+)"
)
_CODE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_ANYBODY: Final = frozenset({"polecat", "bot"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something. `is_bot`: an App, whose login ends in `[bot]`, so that no person's name can equal it."""

    login: str
    is_bot: bool = False


class Act(StrEnum):
    """What happened to an issue, as far as it matters here."""

    LABELED = "labeled"
    UNLABELED = "unlabeled"
    RENAMED = "renamed"
    REOPENED = "reopened"
    TRANSFERRED = "transferred"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of an issue's history, at an instant of whole seconds. `by` is None for a deleted account."""

    act: Act
    at: float
    by: Actor | None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A comment on an issue. `is_mine`: written by the very identity that reads it."""

    id: str
    by: Actor | None
    at: float
    body: str
    edited_at: float | None = None
    is_mine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One look at an issue. `events` and `remarks` are oldest first.

    `is_whole` is False when the history could not be read back to the last labelling, or not all remarks. `node` is
    its global id, `reason` why it was closed, `created` and `modified` are ISO 8601, `blocked_by` native links;
    `unread` is where remarks made after the hand-over go on.
    """

    number: int
    title: str
    body: str = ""
    node: str = ""
    is_open: bool = True
    reason: str = ""
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()
    created: str = ""
    modified: str = ""
    edited_at: float | None = None
    events: tuple[Event, ...] = ()
    remarks: tuple[Remark, ...] = ()
    is_whole: bool = True
    unread: str = ""

    def has(self, label: str) -> bool:
        """Whether it carries the label, in whatever case."""
        return label.casefold() in {each.casefold() for each in self.labels}

    def last(self, act: Act, label: str) -> int:
        """The place of the newest such event in `events`; -1 if there is none."""
        wanted = label.casefold()
        found = (
            place
            for place, event in enumerate(self.events)
            if event.act is act and event.label.casefold() == wanted
        )
        return max(found, default=-1)


def name_of(actor: Actor | None) -> str:
    """The login, for people."""
    return actor.login if actor is not None else "an account that is gone"


def mirror_label(label: str, status: Status) -> str:
    """The label that shows `status`: `polecat:working` and so on; empty for a status that no label shows."""
    return next((f"{label}:{word}" for word, shown in _MIRRORS.items() if shown is status), "")


def mirror_labels(label: str) -> dict[str, Status]:
    """Every label that is a mirror, with the status that it shows."""
    return {f"{label}:{word}": status for word, status in _MIRRORS.items()}


def closed_status(reason: str) -> Status:
    """What a closed issue says: done, unless it was closed as not planned or as a duplicate."""
    return Status.CANCELLED if reason.casefold() in ("not_planned", "duplicate") else Status.DONE


def shown_mirror(issue: Issue, label: str) -> Status | None:
    """The status that its mirror labels show; one counts only if `label` was not put on again after it.

    Of several, as a killed writer may leave them, the one put on last counts.
    """
    handed_over = issue.last(Act.LABELED, label)
    found = [
        (place, status)
        for name, status in mirror_labels(label).items()
        if issue.has(name) and ((place := issue.last(Act.LABELED, name)) > handed_over or place < 0)
    ]
    return max(found, key=lambda each: each[0])[1] if found else None


def removed_mirror(issue: Issue, label: str) -> tuple[Status, Event] | None:
    """The mirror that was taken off last since the hand-over, and by whom; None where there is one, or was none."""
    handed_over = issue.last(Act.LABELED, label)
    found = [
        (place, status)
        for name, status in mirror_labels(label).items()
        if (place := issue.last(Act.UNLABELED, name)) > max(handed_over, issue.last(Act.LABELED, name))
    ]
    if not found or any(issue.has(name) for name in mirror_labels(label)):
        return None
    place, status = max(found, key=lambda each: each[0])
    return status, issue.events[place]


def to_task(
    issue: Issue, repository: str, *, status: Status, remarks: Iterable[Remark], own: str = ""
) -> Task | Problem:
    """The task that an issue describes, in the status that was judged; `remarks` are those that belong to its text.

    `own` is the login that reads it: a task assigned to that account is anybody's who acts under it.
    """
    path = f"{repository}#{issue.number}"
    parsed = tasks.parse(issue.body.encode("utf-8", "replace"), path, str(issue.number), is_task=True)
    if isinstance(parsed, Problem):
        return replace(parsed, path=path, task=str(issue.number), remedy=_MEND)
    front = parsed or Task(id="", title="", body=issue.body)
    return Task(
        id=str(issue.number),
        title=" ".join(issue.title.split()) or path,
        body=_text(front.body, remarks),
        status=status,
        type=front.type if front.type != "task" else _type(issue),
        priority=front.priority if front.priority != 2 else _priority(issue.labels),
        order=front.order,
        project=front.project,
        assignee=_assignee(issue.assignees, own),
        depends_on=tuple(dict.fromkeys(_dependencies(issue, front, repository))),
        labels=issue.labels,
        agent=front.agent or _agent(issue.labels),
        parent=front.parent,
        complexity=front.complexity,
        created=issue.created,
        modified=issue.modified,
        source=path,
    )


_MEND: Final = (
    "mend the block at the top of the issue, then put the label on again; until then it is left out"
)


def when(at: float) -> str:
    """The instant, in UTC, as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _text(body: str, remarks: Iterable[Remark]) -> str:
    """The body, then what people who may write said before the hand-over, in order, with author and date.

    Each part is cleaned by itself: a comment left open in one of them must not swallow the others (F30).
    """
    told = [
        f"**{name_of(remark.by)}** wrote on {when(remark.at)}:\n\n{clean(remark.body).strip()}\n"
        for remark in remarks
    ]
    return "\n\n".join((clean(body).strip(), "## Comments", *told)) if told else body


def _type(issue: Issue) -> str:
    return next((_TYPES[name] for each in issue.labels if (name := each.casefold()) in _TYPES), "task")


def _priority(labels: Iterable[str]) -> int:
    """The most urgent that a label names; a word that is not known names none."""
    words = (found[1].casefold() for label in labels if (found := _PRIORITY.fullmatch(label.strip())))
    return min((_WORDS[word] for word in words if word in _WORDS), default=2)


def _agent(labels: Iterable[str]) -> str:
    return next((found[1] for label in labels if (found := _AGENT.fullmatch(label.strip()))), "")


def _assignee(assignees: tuple[str, ...], own: str) -> str:
    """Nobody, where one of them is us; else all of them, so that nobody takes what is also another's."""
    us = _ANYBODY | {own.casefold(), own.casefold().removesuffix("[bot]")}
    if any(each.casefold() in us for each in assignees):
        return ""
    return ", ".join(assignees)


def _dependencies(issue: Issue, front: Task, repository: str) -> Iterator[str]:
    """Ids: numbers of this repository; another repository's keep their full name, and are nobody's task here."""
    for name in front.depends_on:
        found = _REFERENCE.fullmatch(name.strip())
        yield _named(found, repository) if found is not None else name.strip()
    for line in _prose(front.body):
        depends = _DEPENDS.match(line)
        if depends is not None:
            yield from (_named(found, repository) for found in _REFERENCE.finditer(depends[1]))
    yield from issue.blocked_by


def _prose(body: str) -> Iterator[str]:
    """The lines that a reader sees as prose: not in a comment, not in a fenced block."""
    fence = ""
    for line in clean(body).splitlines():
        found = _CODE.match(line)
        if found is None:
            if not fence:
                yield line
        elif not fence:
            fence = found[1]
        elif line.strip().startswith(fence):
            fence = ""


def _named(found: "re.Match[str]", repository: str) -> str:
    there = found["at"] or found["other"] or repository
    number = str(int(found["there"] or found["number"]))
    return number if there.casefold() == repository.casefold() else f"{there}#{number}"
