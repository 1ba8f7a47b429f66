"""From GitHub's JSON to issues. Pure; what GitHub cut off or called by an unknown word is never taken as good news."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from refinery.core.issues import Act, Actor, Event, Issue, Remark, closed_status
from refinery.core.model import Status, Task

Json = Mapping[str, Any]

_ACTS: Final = {
    "LabeledEvent": Act.LABELED,
    "UnlabeledEvent": Act.UNLABELED,
    "RenamedTitleEvent": Act.RENAMED,
    "ReopenedEvent": Act.REOPENED,
    "TransferredEvent": Act.TRANSFERRED,
}


def issue_of(row: Json, events: Iterable[Json], comments: Iterable[Json], *, is_whole: bool) -> Issue:
    """An issue; `events` and `comments` are its own, with what further pages brought, oldest first."""
    links = row.get("blockedBy") or {"nodes": (), "pageInfo": {"hasNextPage": False}}
    is_cut = row["labels"]["pageInfo"]["hasNextPage"] or links["pageInfo"]["hasNextPage"]
    return Issue(
        number=int(row["number"]),
        title=str(row["title"]),
        body=str(row["body"] or ""),
        node=str(row["id"]),
        is_open=row["state"] == "OPEN",
        reason=str(row["stateReason"] or ""),
        labels=tuple(str(each["name"]) for each in nodes(row["labels"])),
        assignees=tuple(str(each["login"]) for each in nodes(row["assignees"])),
        blocked_by=tuple(_link(each, row) for each in nodes(links)),
        created=str(row["createdAt"]),
        modified=str(row["updatedAt"]),
        edited_at=_instant(row["lastEditedAt"]),
        events=tuple(event_of(each) for each in events if each["__typename"] in _ACTS),
        remarks=tuple(remark_of(each) for each in comments),
        is_whole=is_whole and not is_cut,
    )


def event_of(row: Json) -> Event:
    """An entry of a timeline, of one of the kinds that matter."""
    label = str((row.get("label") or {}).get("name") or "")
    return Event(_ACTS[row["__typename"]], at(row["createdAt"]), _actor_of(row.get("actor")), label)


def labeled_at(events: Iterable[Json], label: str) -> float | None:
    """When the label was put on last, as far as these entries tell."""
    known = (event_of(each) for each in events if each["__typename"] == "LabeledEvent")
    return max((each.at for each in known if each.label.casefold() == label.casefold()), default=None)


def listed_task(item: Json, repository: str) -> Task:
    """An issue or pull of a REST listing that only others depend on, or that is closed: its text does not matter."""
    return Task(
        id=str(item["number"]),
        title=" ".join(str(item["title"]).split()),
        status=_listed_status(item),
        labels=tuple(str(each["name"] if isinstance(each, dict) else each) for each in item["labels"]),
        created=str(item["created_at"]),
        modified=str(item["updated_at"]),
        source=f"{repository}#{item['number']}",
    )


def nodes(connection: Json) -> list[Json]:
    """The nodes of a connection that may be read."""
    return [node for node in connection["nodes"] or () if node]


def at(text: str) -> float:
    """Seconds since the epoch of GitHub's ISO 8601 text."""
    return datetime.fromisoformat(text).timestamp()


def _listed_status(item: Json) -> Status:
    if item["state"] == "open":
        return Status.INBOX
    pull = item.get("pull_request")
    if pull is not None:
        return Status.DONE if pull.get("merged_at") else Status.CANCELLED
    return closed_status(str(item.get("state_reason") or ""))


def remark_of(row: Json) -> Remark:
    """A comment."""
    return Remark(
        id=str(row["id"]),
        by=_actor_of(row["author"]),
        at=at(row["createdAt"]),
        body=str(row["body"]),
        edited_at=_instant(row["lastEditedAt"]),
        is_mine=bool(row["viewerDidAuthor"]),
    )


def _actor_of(row: Json | None) -> Actor | None:
    """A person, or an App by its name with `[bot]`: GraphQL leaves that off, and a person may have the same login.

    Other kinds (an imported mannequin, say) are nobody: their names may be a person's, and prove nothing.
    """
    kind, login = (str(row["__typename"]), str(row["login"])) if row else ("", "")
    if kind == "User":
        return Actor(login)
    return Actor(login.removesuffix("[bot]") + "[bot]", is_bot=True) if kind == "Bot" else None


def _instant(text: str | None) -> float | None:
    return at(text) if text else None


def _link(other: Json, row: Json) -> str:
    """A dependency's id; of another repository with that one's name, so that it is nobody's task here."""
    where = str(other["repository"]["nameWithOwner"])
    is_here = where.casefold() == str(row["repository"]["nameWithOwner"]).casefold()
    return str(other["number"]) if is_here else f"{where}#{other['number']}"
