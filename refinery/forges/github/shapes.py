"""From GitHub's JSON to our values: pulls, reviews and checks. Pure; what is missing or cut short is named.

Property: nothing that GitHub left out, cut at a page's end or called by an unknown word is ever taken as good news.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from refinery.core.model import BRANCH_PREFIX, Check, Conclusion, Pull, PullState, Review, ReviewState

Json = Mapping[str, Any]

_STATES: Final = {"OPEN": PullState.OPEN, "MERGED": PullState.MERGED, "CLOSED": PullState.CLOSED}
_REVIEWS: Final = {
    "APPROVED": ReviewState.APPROVED,
    "CHANGES_REQUESTED": ReviewState.CHANGES_REQUESTED,
}
_RUNS: Final = {
    "SUCCESS": Conclusion.SUCCESS,
    "FAILURE": Conclusion.FAILURE,
    "STARTUP_FAILURE": Conclusion.FAILURE,
    "TIMED_OUT": Conclusion.TIMED_OUT,
    "SKIPPED": Conclusion.SKIPPED,
    "NEUTRAL": Conclusion.SKIPPED,
    "CANCELLED": Conclusion.DID_NOT_RUN,
    "STALE": Conclusion.DID_NOT_RUN,
    "ACTION_REQUIRED": Conclusion.PENDING,
}
_STATUSES: Final = {
    "SUCCESS": Conclusion.SUCCESS,
    "FAILURE": Conclusion.FAILURE,
    "ERROR": Conclusion.FAILURE,
    "PENDING": Conclusion.PENDING,
    "EXPECTED": Conclusion.PENDING,
}


def instant(text: str | None) -> float:
    """Seconds since the epoch of GitHub's ISO 8601 text; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def pull_of(row: Json, task_of: Callable[[str], str]) -> Pull:
    """A pull without its reviews; `task_of` names the task of a branch's key. A fork's pull is never a task's.

    `claim` is unknown here, and `tip` holds GitHub's node id.
    """
    branch, same = str(row["headRefName"]), not row["isCrossRepository"]
    is_ours = same and branch.startswith(BRANCH_PREFIX) and len(branch) > len(BRANCH_PREFIX)
    return Pull(
        number=int(row["number"]),
        task=task_of(branch.removeprefix(BRANCH_PREFIX)) if is_ours else f"(pull {row['number']})",
        branch=branch,
        head=str(row["headRefOid"]),
        base=str(row["baseRefName"]),
        title=str(row["title"]),
        body=str(row["body"]),
        labels=tuple(label["name"] for label in _nodes(row["labels"])),
        draft=bool(row["isDraft"]),
        state=_STATES.get(str(row["state"]), PullState.CLOSED),
        merged_as=str((row["mergeCommit"] or {}).get("oid", "")),
        opened_at=instant(row["createdAt"]),
        closed_at=instant(row["closedAt"]),
        same_repository=same,
        is_queued=bool(row["isInMergeQueue"]),
        unknown=_cut(row["labels"], "its labels"),
        tip=str(row["id"]),
    )


def open_pull_of(
    row: Json, task_of: Callable[[str], str]
) -> tuple[Pull, tuple[Check, ...], Mapping[int, str]]:
    """An open pull with its reviews; the checks on its head; and the Apps seen there, slug by id."""
    pull = pull_of(row, task_of)
    checks, apps, cut = _checks(row)
    writers = {_login(each) for each in _nodes(row["latestOpinionatedReviews"])}
    reviews = tuple(
        Review(
            author=_login(each),
            state=_REVIEWS.get(str(each["state"]), ReviewState.COMMENTED),
            head=str((each["commit"] or {}).get("oid", "")),
            at=instant(each["submittedAt"]),
            body=str(each["body"]),
            is_trusted=_login(each) in writers,
        )
        for each in _nodes(row["reviews"])
    )
    unknown = (*pull.unknown, *cut, *_cut(row["reviews"], "its reviews"))
    return replace(pull, reviews=reviews, unknown=unknown), checks, apps


def _checks(row: Json) -> tuple[tuple[Check, ...], dict[int, str], tuple[str, ...]]:
    commits = _nodes(row["commits"])
    rollup = commits[0]["commit"]["statusCheckRollup"] if commits else None
    if not rollup:
        return (), {}, ()
    subject, contexts = str(commits[0]["commit"]["oid"]), rollup["contexts"]
    apps: dict[int, str] = {}
    latest: dict[tuple[object, ...], tuple[int, Check]] = {}
    for each in _nodes(contexts):
        suite = each.get("checkSuite") or {}
        app = suite.get("app") or {}
        if app:
            apps[int(app["databaseId"])] = str(app["slug"])
        check = _run(each, app, subject) if each["__typename"] == "CheckRun" else _status(each, subject)
        # Of one job run again in its suite the newest counts; of two suites both do.
        key = (check.name, check.app, suite.get("databaseId"))
        order = int(each.get("databaseId") or 0)
        if key not in latest or latest[key][0] < order:
            latest[key] = (order, check)
    return tuple(check for _, check in latest.values()), apps, _cut(contexts, "its checks")


def _run(each: Json, app: Json, subject: str) -> Check:
    done = each["status"] == "COMPLETED"
    return Check(
        name=str(each["name"]),
        app=str(app.get("slug") or ""),
        subject=subject,
        conclusion=_RUNS.get(str(each["conclusion"]), Conclusion.DID_NOT_RUN) if done else Conclusion.PENDING,
        summary=str(each.get("title") or ""),
    )


def _status(each: Json, subject: str) -> Check:
    creator = each.get("creator") or {}
    login = str(creator.get("login") or "")
    return Check(
        name=str(each["context"]),
        app=login.removesuffix("[bot]") if creator.get("__typename") == "Bot" else f"@{login}",
        subject=subject,
        conclusion=_STATUSES.get(str(each["state"]), Conclusion.PENDING),
        summary=str(each.get("description") or ""),
    )


def required_of(branch: Json, rules: Iterable[Json]) -> tuple[tuple[tuple[str, int], ...], bool]:
    """What classic protection and rulesets together require: checks by name and App id (0: any), and a merge queue."""
    classic = ((branch.get("protection") or {}).get("required_status_checks")) or {}
    found = {
        (str(each["context"]), max(0, int(each.get("app_id") or 0))) for each in classic.get("checks") or ()
    }
    named = {name for name, _ in found}
    found |= {(str(name), 0) for name in classic.get("contexts") or () if name not in named}
    has_queue = False
    for rule in rules:
        has_queue = has_queue or rule["type"] == "merge_queue"
        if rule["type"] == "required_status_checks":
            asked = rule["parameters"]["required_status_checks"]
            found |= {(str(each["context"]), max(0, int(each.get("integration_id") or 0))) for each in asked}
    return tuple(sorted(found)), has_queue


def _login(row: Json) -> str:
    return str((row["author"] or {}).get("login", "ghost"))


def _nodes(connection: Json) -> list[Json]:
    return [node for node in connection["nodes"] or () if node is not None]


def _cut(connection: Json, what: str) -> tuple[str, ...]:
    """`what` as unknown when the connection has more than the page that was asked for."""
    info = connection["pageInfo"]
    more = info.get("hasNextPage") or info.get("hasPreviousPage")
    return (f"{what}, of which there are more than a page holds",) if more else ()
