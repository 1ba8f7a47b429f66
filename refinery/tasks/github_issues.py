"""A repository's labelled issues, looked at with as few requests as may be.

A conditional listing tells, for nothing, whether anything with the label changed; then the open issues are read whole,
50 a request, with their history. Properties: a look is repeated while GitHub's parts disagree about how new they are;
what was read by itself (`one`) is newer than the look and replaces that; at least every ten minutes all is read anew,
since a label taken off an issue beyond the listing's first page changes nothing there.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from refinery.core.issues import Issue, mirror_labels
from refinery.core.model import Task
from refinery.errors import ForgeUnavailableError, TaskFileError, UsageError
from refinery.forges.github.client import Answer, Client
from refinery.forges.github.errors import QueryError, RejectedError, UnusableRepositoryError
from refinery.tasks import github_documents as documents
from refinery.tasks.github_reading import Json, at, issue_of, labeled_at, listed_task, nodes, remark_of

_AGE: Final = 600.0  # seconds
_MOST_PAGES: Final = 1000
_MOST_HISTORY: Final = 20  # further pages of one issue's history or comments; beyond, it counts as unknown
_LISTED: Final = 100
_DOUBTS: Final = 3  # times that a look is repeated while it is older than the listing


@dataclass(slots=True)
class Look:
    """What is known: open issues with the label by number, and closed ones as tasks."""

    issues: dict[int, Issue] = field(default_factory=dict)
    closed: dict[int, Task] = field(default_factory=dict)


class IssueBook:
    """The issues of `repository` (`owner/name`). `own` is our login; `label_ids` are by small-letter mirror labels."""

    def __init__(self, client: Client, repository: str) -> None:
        self.repository = repository
        self.own = ""
        self.label_ids: dict[str, str] = {}
        self._client = client
        self._look = Look()
        self._ended: dict[int, Issue] = {}  # closed, or without the label: as last read by themselves
        self._read_at = -_AGE
        self._etag = ""
        self._label = ""
        self._newest = ""
        self._listed: list[Json] = []
        self._doubts = 0
        self._missing: dict[int, float] = {}
        self._knows_links = True

    def look(self, label: str) -> Look:
        """Every labelled issue.

        Raises:
            ForgeUnavailableError: GitHub did not answer, or not wholly.
            UsageError: the repository has no issues.
        """
        if label != self._label:
            self._label, self._etag, self._look = label, "", Look()
        listed = self._changed(label)
        if listed is not None or time.monotonic() - self._read_at >= _AGE:
            self._read_at = -_AGE  # until all went well: half a look is none (F6)
            if listed is not None:
                self._listed, self._doubts = listed, _DOUBTS
                self._take(listed)
            self._look.issues = self._open(label)
            self._ended.clear()
            self._doubts -= 1
            is_settled = all(map(self._is_newer_than, self._listed))
            self._read_at = time.monotonic() if is_settled or self._doubts < 0 else -_AGE
        return self._look

    def known(self, number: int) -> Issue | None:
        """The issue as it was last seen."""
        return self._look.issues.get(number) or self._ended.get(number)

    def put(self, issue: Issue, label: str) -> None:
        """Remember an issue as it is now known to be."""
        if issue.is_open and issue.has(label):
            self._look.issues[issue.number] = issue
            self._ended.pop(issue.number, None)
        else:
            self._look.issues.pop(issue.number, None)
            self._ended[issue.number] = issue

    def one(self, number: int, label: str) -> Issue:
        """One issue, read afresh, whatever its labels and state.

        Raises:
            TaskFileError: it is gone, or has gone elsewhere.
        """
        variables = {**self._names(label), "number": number}
        try:
            found = self._ask(documents.ONE_ISSUE_QUERY, documents.PLAIN_ONE_ISSUE_QUERY, variables)["issue"]
        except QueryError as error:
            if "NOT_FOUND" not in error.types:
                raise
            found = None
        if found is None:
            self._look.issues.pop(number, None)
            raise TaskFileError(
                f"there is no issue {self.repository}#{number}: it was deleted or transferred, or is a pull",
                remedy="look at it in the browser; `refinery status` lists what there is",
            )
        issue = self._whole(found, label)
        self.put(issue, label)
        return issue

    def elsewhere(self, number: int) -> Task | None:
        """An issue or pull that others depend on and that has no label; unchanged, it costs no quota."""
        if time.monotonic() - self._missing.get(number, -_AGE) < _AGE:
            return None
        try:
            item = self._client.get(f"/repos/{self.repository}/issues/{number}", "issues").body
        except RejectedError:
            self._missing[number] = time.monotonic()  # a refusal costs quota each time
            return None
        is_item = isinstance(item, dict) and item.get("number") == number
        return listed_task(item, self.repository) if is_item else None

    def _changed(self, label: str) -> list[Json] | None:
        """What is listed, newest first, as far back as the last look; None where nothing changed."""
        items: list[Json] = []
        etag = ""
        for page in range(1, _MOST_PAGES):
            answer = self._listing(label, page)
            if page == 1:
                etag = answer.headers.get("etag", "")
                if etag and etag == self._etag:
                    return None
            if not isinstance(answer.body, list):
                raise ForgeUnavailableError(f"GitHub's listing of {self.repository}'s issues is no list")
            items += answer.body
            is_known = not self._newest or not items or items[-1]["updated_at"] < self._newest
            if is_known or len(answer.body) < _LISTED:
                break
        self._etag = etag
        self._newest = max((str(each["updated_at"]) for each in items), default=self._newest)
        return [each for each in items if "pull_request" not in each]

    def _listing(self, label: str, page: int) -> Answer:
        try:
            return self._client.get(
                f"/repos/{self.repository}/issues", "issues", params=_parameters(label, page)
            )
        except RejectedError as error:
            if error.status != 404:
                raise
            raise UnusableRepositoryError(
                f"there is no repository {self.repository}, or this token cannot see it",
                status=404,
                remedy="check the name, and which repositories the token was made for",
            ) from error

    def _take(self, listed: list[Json]) -> None:
        for item in listed:
            number = int(item["number"])
            if item["state"] == "open":
                self._look.closed.pop(number, None)
            else:
                self._look.closed[number] = listed_task(item, self.repository)

    def _is_newer_than(self, item: Json) -> bool:
        """Whether the look holds what the listing says; another server may have answered from before."""
        issue = self._look.issues.get(int(item["number"]))
        if item["state"] != "open":
            return issue is None
        return issue is not None and at(issue.modified) >= at(item["updated_at"])

    def _open(self, label: str) -> dict[int, Issue]:
        found: dict[int, Issue] = {}
        after = None
        for _ in range(_MOST_PAGES):
            variables = {**self._names(label), "after": after}
            answer = self._ask(documents.OPEN_ISSUES_QUERY, documents.PLAIN_OPEN_ISSUES_QUERY, variables)
            name = str((answer["handover"] or {}).get("name", label))
            if name != label and name.casefold() == label.casefold():
                return self._open(name)  # a filter may mind the case
            page = answer["issues"]
            found |= {int(row["number"]): self._whole(row, label) for row in nodes(page)}
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return found
        raise ForgeUnavailableError(f"{self.repository} has too many open issues with the label {label}")

    def _whole(self, row: Json, label: str) -> Issue:
        """The issue with its history back to the last hand-over, and the comments made before that."""
        line, said = row["timelineItems"], row["comments"]
        events, comments = nodes(line), nodes(said)
        for _ in range(_MOST_HISTORY):
            if not line["pageInfo"]["hasPreviousPage"] or labeled_at(events, label) is not None:
                break
            wanted = {"issue": row["id"], "before": line["pageInfo"]["startCursor"]}
            line = self._client.graphql(documents.EARLIER_EVENTS_QUERY, wanted, "issues")["node"][
                "timelineItems"
            ]
            events = [*nodes(line), *events]
        handed_over = labeled_at(events, label)
        for _ in range(_MOST_HISTORY):
            if not self._has_more(said, comments, handed_over):
                break
            wanted = {"issue": row["id"], "after": said["pageInfo"]["endCursor"]}
            said = self._client.graphql(documents.LATER_COMMENTS_QUERY, wanted, "issues")["node"]["comments"]
            comments = [*comments, *nodes(said)]
        is_whole = not (handed_over is None and line["pageInfo"]["hasPreviousPage"])
        is_whole = is_whole and not self._has_more(said, comments, handed_over)
        issue = issue_of(row, events, comments, is_whole=is_whole)
        return replace(issue, unread=_cursor(said["pageInfo"]))

    def with_all_remarks(self, issue: Issue) -> Issue:
        """The issue with the comments that came after the hand-over too."""
        while issue.unread:
            wanted = {"issue": issue.node, "after": issue.unread}
            said = self._client.graphql(documents.LATER_COMMENTS_QUERY, wanted, "issues")["node"]["comments"]
            found = tuple(remark_of(each) for each in nodes(said))
            issue = replace(issue, remarks=(*issue.remarks, *found), unread=_cursor(said["pageInfo"]))
        return issue

    def _has_more(self, said: Json, comments: list[Json], handed_over: float | None) -> bool:
        """Whether comments are missing that were made before the hand-over."""
        if not said["pageInfo"]["hasNextPage"] or handed_over is None:
            return False
        return not comments or at(comments[-1]["createdAt"]) < handed_over

    def _names(self, label: str) -> dict[str, str]:
        owner, _, name = self.repository.partition("/")
        mirrors = {each.rpartition(":")[2]: each for each in mirror_labels(label)}
        return {"owner": owner, "name": name, "label": label, **mirrors}

    def _ask(self, document: str, plain: str, variables: Mapping[str, Any]) -> Json:
        """The repository of the answer; by the plain document, where a server does not know native dependencies."""
        try:
            data = self._client.graphql(document if self._knows_links else plain, variables, "issues")
        except (QueryError, ForgeUnavailableError) as error:
            if not self._knows_links or "'blockedBy'" not in error.message:
                raise
            self._knows_links = False
            return self._ask(document, plain, variables)
        found: Json | None = data["repository"]
        if found is None or not found["hasIssuesEnabled"]:
            raise UsageError(
                f"{self.repository} has no issues: they are switched off",
                remedy="switch them on in the repository's settings, or keep tasks as Markdown files",
            )
        self.own = str(data["viewer"]["login"])
        label = str(variables["label"])
        for name in mirror_labels(label):
            there = found[name.rpartition(":")[2]]
            if there is not None:
                self.label_ids[name.casefold()] = str(there["id"])
            else:
                self.label_ids.pop(name.casefold(), None)
        return found


def _cursor(info: Json) -> str:
    return str(info["endCursor"] or "") if info["hasNextPage"] else ""


def _parameters(label: str, page: int) -> dict[str, str]:
    """The parameters of the change detector, the same that pulls are watched with: who asks second asks for nothing."""
    params = {
        "labels": label,
        "state": "all",
        "sort": "updated",
        "direction": "desc",
        "per_page": str(_LISTED),
    }
    return params if page == 1 else {**params, "page": str(page)}
