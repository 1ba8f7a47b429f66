"""The repository's polecat pulls, looked at with as few requests as may be.

Open ones come whole, up to 50 a request, each time that something changed or their checks may have; ended ones change
no more, so only those are asked for that are newer than the last look. A conditional listing of what carries the label
tells, for nothing, whether anything changed at all.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from refinery.core.model import Check, Pull
from refinery.errors import ForgeUnavailableError, UsageError
from refinery.forges.github.client import Client
from refinery.forges.github.documents import PULL_QUERY, PULLS_QUERY
from refinery.forges.github.errors import QueryError, UnusableRepositoryError
from refinery.forges.github.shapes import Json, instant, open_pull_of, pull_of

_AGE: Final = 10.0  # seconds for which the checks of open pulls are taken as seen
_MOST_PAGES: Final = 1000


@dataclass(frozen=True, slots=True)
class PullsSeen:
    """One look: pulls by number, checks by head, and the Apps that were seen, slug by id."""

    pulls: dict[int, Pull] = field(default_factory=dict)
    checks: dict[str, tuple[Check, ...]] = field(default_factory=dict)
    apps: dict[int, str] = field(default_factory=dict)


class PullBook:
    """All pulls with the label; `repository` is `owner/name`."""

    def __init__(self, client: Client, repository: str) -> None:
        self.repository = repository
        self.id = ""
        self._client = client
        self._etag = ""
        self._at = -_AGE
        self._open = PullsSeen()
        self._ended: dict[int, Json] = {}
        self._newest = ""

    def look(self, label: str, task_of: Callable[[str], str], *, is_fresh: bool = False) -> PullsSeen:
        """Every labelled pull now; `is_fresh`: although nothing seems to have changed.

        Raises:
            ForgeUnavailableError: GitHub did not answer, or not wholly.
        """
        etag = self._changes(label)
        if is_fresh or not etag or etag != self._etag or self._is_stale():
            self._read(label, task_of)
            self._etag = etag
        ended = {number: pull_of(row, task_of) for number, row in self._ended.items()}
        return replace(self._open, pulls={**ended, **self._open.pulls})

    def one(self, number: int, task_of: Callable[[str], str]) -> PullsSeen:
        """One pull, whatever its labels, read afresh.

        Raises:
            UsageError: there is none.
        """
        try:
            found = self._ask(PULL_QUERY, {"number": number})
        except QueryError as error:
            if "NOT_FOUND" not in error.types:
                raise
            raise UsageError(
                f"{self.repository} has no pull {number}", remedy="`refinery status` lists the pulls"
            ) from error
        row = found["pullRequest"]
        pull, checks, apps = open_pull_of(row, task_of)
        return PullsSeen({number: pull}, {pull.head: checks}, dict(apps))

    def expire(self) -> None:
        """Something was just written: the next look reads again."""
        self._at = -_AGE

    def _changes(self, label: str) -> str:
        """What is another text once an issue or pull with the label changed; costs no quota while none did."""
        newest = {"state": "all", "sort": "updated", "direction": "desc", "per_page": "100"}
        path = f"/repos/{self.repository}"
        try:
            answer = self._client.get(f"{path}/issues", "pulls", params={"labels": label, **newest})
        except UnusableRepositoryError as error:
            if error.status != 410:
                raise
            answer = self._client.get(f"{path}/pulls", "pulls", params=newest)  # its issues are switched off
        return answer.headers.get("etag", "")

    def _is_stale(self) -> bool:
        return bool(self._open.pulls) and time.monotonic() - self._at >= _AGE

    def _read(self, label: str, task_of: Callable[[str], str]) -> None:
        seen, ended = PullsSeen(), dict(self._ended)
        newest, after, since = self._newest, None, None
        with_open = with_ended = True
        for _ in range(_MOST_PAGES):
            page = self._ask(
                PULLS_QUERY,
                {
                    "label": label,
                    "after": after,
                    "since": since,
                    "withOpen": with_open,
                    "withEnded": with_ended,
                },
            )
            if with_open:
                self._take_open(page["open"], seen, task_of)
                with_open, after = _next(page["open"])
            if with_ended:
                rows = page["ended"]["nodes"]
                newest = max([newest, *(str(row["updatedAt"]) for row in rows)])
                ended |= {int(row["number"]): row for row in rows}
                with_ended, since = _next(page["ended"])
                with_ended = with_ended and not _is_known(rows, self._newest)
            if not with_open and not with_ended:
                break
        else:
            raise ForgeUnavailableError(f"{self.repository} has too many pulls with the label {label}")
        for number in seen.pulls:
            ended.pop(number, None)  # opened again
        self._open, self._ended, self._newest, self._at = seen, ended, newest, time.monotonic()

    def _take_open(self, connection: Json, seen: PullsSeen, task_of: Callable[[str], str]) -> None:
        for row in connection["nodes"]:
            pull, checks, apps = open_pull_of(row, task_of)
            seen.pulls[pull.number] = pull
            seen.checks[pull.head] = checks
            seen.apps.update(apps)

    def _ask(self, document: str, variables: dict[str, Any]) -> Any:
        owner, _, name = self.repository.partition("/")
        data = self._client.graphql(document, {"owner": owner, "name": name, **variables}, "snapshot")
        self.id = str(data["repository"]["id"])
        return data["repository"]


def _next(connection: Json) -> tuple[bool, str | None]:
    info = connection["pageInfo"]
    return bool(info["hasNextPage"]), info["endCursor"]


def _is_known(rows: list[Json], newest: str) -> bool:
    """Whether a page, newest first, reaches back to what the last look saw."""
    return bool(newest) and bool(rows) and instant(rows[-1]["updatedAt"]) < instant(newest)
