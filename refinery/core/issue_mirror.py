"""What has to be written to an issue so that people see where its task stands: one value, compared with what is there.

Properties: planned twice from what it left, nothing is left to do; only our own labels are ever added or taken off; an
issue that a person closed, or took back, gets no new label.
"""

from dataclasses import dataclass, replace
from typing import Final

from refinery.core.issues import (
    Act,
    Actor,
    Event,
    Issue,
    Remark,
    mirror_label,
    mirror_labels,
    shown_mirror,
)
from refinery.core.model import Status
from refinery.core.status_comment import is_status_comment

LOOKS: Final = {
    "working": ("fbca04", "Refinery is at work on it"),
    "review": ("0e8a16", "Refinery has opened a pull for it"),
    "blocked": ("d93f0b", "Refinery waits for a person"),
    "failed": ("b60205", "Refinery has given it up"),
}
"""Colour and description of each mirror label, by the word after the colon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Label names to take off and then to put on; the comment `body` to write over `comment`, or anew where that is "".

    An empty `body` writes nothing. `extra` is a second status comment of ours, which goes. `closes`: as completed.
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    body: str = ""
    comment: str = ""
    extra: str = ""
    closes: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether all is as it should be."""
        return self == Change(comment=self.comment)


def own_comments(issue: Issue) -> tuple[Remark, ...]:
    """Our status comments, by mark and author: there should be one."""
    return tuple(each for each in issue.remarks if each.is_mine and is_status_comment(each.body))


def planned(issue: Issue, label: str, status: Status, body: str) -> Change:
    """What to change so that the issue shows `status` and `body`; an empty `body` leaves comments alone."""
    present = tuple(name for name in mirror_labels(label) if issue.has(name))
    shown = shown_mirror(issue, label)
    is_kept = issue.is_open and issue.has(label) and shown is Status.FAILED and status is not Status.DONE
    wanted = mirror_label(label, status) if issue.is_open and issue.has(label) else ""
    # A label of before the last hand-over no longer counts: put on again, it does.
    is_stale = wanted in present and shown is not status
    ours = own_comments(issue)
    is_said = bool(ours) and ours[0].body.strip() == body.strip()
    return Change(
        add=() if is_kept or not wanted or (wanted in present and not is_stale) else (wanted,),
        remove=() if is_kept else tuple(each for each in present if each != wanted or is_stale),
        body="" if is_said else body,
        comment=ours[0].id if ours else "",
        extra=ours[1].id if len(ours) > 1 else "",
        closes=status is Status.DONE and issue.is_open,
    )


def changed(issue: Issue, change: Change, own: Actor, now: float, comment: str) -> Issue:
    """The issue after `change` was written at `now` by us; `comment` is the id of a new comment."""
    gone = {name.casefold() for name in change.remove}
    kept = tuple(name for name in issue.labels if name.casefold() not in gone)
    events = [Event(Act.UNLABELED, now, own, name) for name in change.remove]
    events += [Event(Act.LABELED, now, own, name) for name in change.add]
    target = change.comment or comment
    remarks = tuple(
        replace(each, body=change.body) if change.body and each.id == target else each
        for each in issue.remarks
        if each.id != change.extra
    )
    if change.body and not change.comment and comment:
        remarks += (Remark(id=comment, by=own, at=now, body=change.body, is_mine=True),)
    return replace(
        issue,
        is_open=issue.is_open and not change.closes,
        reason="COMPLETED" if change.closes else issue.reason,
        labels=(*kept, *change.add),
        events=(*issue.events, *events),
        remarks=remarks,
    )
