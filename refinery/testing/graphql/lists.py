"""Which issues and pulls a connection holds, and in which order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Issue, Label


def instant(text: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def state_of(issue: Issue) -> str:
    """`OPEN`, `CLOSED`, or `MERGED` for a pull."""
    return "MERGED" if issue.pull is not None and issue.pull.merged else issue.state.upper()


def listed(scope: Scope, issues: Iterable[Issue], asked: Mapping[str, Any], field: str) -> Window:
    """The part of `issues` that a connection's arguments ask for: labels, states, head, base, filter and order."""
    tests = list(_tests(scope, asked)) + list(_tests(scope, asked.get("filter_by") or {}))
    found = [issue for issue in issues if all(test(issue) for test in tests)]
    order = asked.get("order_by") or {"field": "CREATED_AT", "direction": "ASC"}
    sign = -1 if order["direction"] == "DESC" else 1

    def key(issue: Issue) -> tuple[float, ...]:
        by = {
            "CREATED_AT": 0.0,  # numbers ascend with creation, also within a second
            "UPDATED_AT": instant(issue.updated_at),
            "COMMENTS": float(len(issue.comments)),
        }[order["field"]]
        return sign * by, sign * issue.number

    return window(sorted(found, key=key), asked, field, key)


def _tests(scope: Scope, asked: Mapping[str, Any]) -> Iterable[Callable[[Issue], bool]]:
    if (labels := asked.get("labels")) is not None:
        wanted = {name.casefold() for name in labels}
        yield lambda issue: bool(wanted & {label.name.casefold() for label in issue.labels})
    if states := asked.get("states"):
        yield lambda issue: state_of(issue) in states
    if (head := asked.get("head_ref_name")) is not None:
        yield lambda issue: issue.pull is not None and issue.pull.head_ref == head
    if (base := asked.get("base_ref_name")) is not None:
        yield lambda issue: issue.pull is not None and issue.pull.base_ref == base
    if (author := asked.get("created_by")) is not None:
        yield lambda issue: scope.login(issue.author).casefold() == author.casefold()
    if (since := asked.get("since")) is not None:
        yield lambda issue: instant(issue.updated_at) >= instant(since)
    if (assignee := asked.get("assignee")) is not None:
        yield lambda issue: _is_assigned(issue, assignee)


def _is_assigned(issue: Issue, assignee: str) -> bool:
    """`*` is anybody; an empty name nobody."""
    logins = {account.login.casefold() for account in issue.assignees}
    return bool(logins) if assignee == "*" else not logins if not assignee else assignee.casefold() in logins


def labels_window(labels: Sequence[Label], asked: Mapping[str, Any]) -> Window:
    """Labels in the order that is asked for; by creation otherwise."""
    order = asked.get("order_by") or {"field": "CREATED_AT", "direction": "ASC"}
    by_name = order["field"] == "NAME"
    found = sorted(labels, key=lambda label: label.name.casefold() if by_name else label.id)
    return window(found[::-1] if order["direction"] == "DESC" else found, asked, "labels")
