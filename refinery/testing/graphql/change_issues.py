"""Mutations of issues, labels and comments."""

from collections.abc import Sequence
from typing import Any

from refinery.testing.graphql.changes import mutates
from refinery.testing.graphql.paging import Edge
from refinery.testing.graphql.problems import unprocessable, unresolved
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Account, Comment, Issue, Label, Repository
from refinery.testing.world import ProblemError


def _subject(scope: Scope, name: str, role: str = "read") -> Issue:
    found = scope.node(name)
    if not isinstance(found, Issue):
        raise unresolved("a node with the global id of", f"'{name}'")
    scope.demand(found.repository, "pull_requests" if found.is_pull else "issues", role)
    return found


def _comment(scope: Scope, name: str) -> Comment:
    found = scope.node(name)
    if not isinstance(found, Comment):
        raise unresolved("a node with the global id of", f"'{name}' as IssueComment")
    role = "read" if found.author is scope.account else "write"
    scope.demand(found.issue.repository, "pull_requests" if found.issue.is_pull else "issues", role)
    return found


def _labels(scope: Scope, names: Sequence[str]) -> list[str]:
    found = [scope.node(name) for name in names]
    if not all(isinstance(label, Label) for label in found):
        raise unresolved("a node with the global id of", f"{list(names)} as Label")
    return [label.name for label in found]


def _accounts(scope: Scope, names: Sequence[str]) -> list[Account]:
    found = [scope.node(name) for name in names]
    return [account for account in found if isinstance(account, Account)]


@mutates("addComment")
def add_comment(scope: Scope, subject_id: str, body: str) -> dict[str, Any]:
    """Say something."""
    issue = _subject(scope, subject_id)
    try:
        made = scope.world.comment(issue, body, scope.account)
    except ProblemError as error:
        raise unprocessable(error.message) from error
    return {"commentEdge": Edge(str(made.id), made), "subject": issue}


@mutates("updateIssueComment")
def update_comment(scope: Scope, id: str, body: str) -> dict[str, Any]:  # noqa: A002  (GitHub's name)
    """Change what was said."""
    found = _comment(scope, id)
    scope.world.edit_comment(found, body, scope.account)
    return {"issueComment": found}


@mutates("deleteIssueComment")
def delete_comment(scope: Scope, id: str) -> dict[str, Any]:  # noqa: A002  (GitHub's name)
    """Take it back."""
    scope.world.delete_comment(_comment(scope, id), scope.account)
    return {}


@mutates("addLabelsToLabelable")
def add_labels(scope: Scope, labelable_id: str, label_ids: list[str]) -> dict[str, Any]:
    """Put labels on."""
    issue = _subject(scope, labelable_id, "triage")
    scope.world.add_labels(issue, _labels(scope, label_ids), scope.account)
    return {"labelable": issue}


@mutates("removeLabelsFromLabelable")
def remove_labels(scope: Scope, labelable_id: str, label_ids: list[str]) -> dict[str, Any]:
    """Take labels off; one that is not on is no problem."""
    issue = _subject(scope, labelable_id, "triage")
    on = {label.name for label in issue.labels}
    for name in _labels(scope, label_ids):
        if name in on:
            scope.world.remove_label(issue, name, scope.account)
    return {"labelable": issue}


@mutates("addAssigneesToAssignable")
def add_assignees(scope: Scope, assignable_id: str, assignee_ids: list[str]) -> dict[str, Any]:
    """Assign people."""
    issue = _subject(scope, assignable_id, "triage")
    issue.assignees += [who for who in _accounts(scope, assignee_ids) if who not in issue.assignees]
    scope.world.event(issue, "assigned", scope.account)
    return {"assignable": issue}


@mutates("removeAssigneesFromAssignable")
def remove_assignees(scope: Scope, assignable_id: str, assignee_ids: list[str]) -> dict[str, Any]:
    """No longer assign them."""
    issue = _subject(scope, assignable_id, "triage")
    gone = _accounts(scope, assignee_ids)
    issue.assignees = [who for who in issue.assignees if who not in gone]
    scope.world.event(issue, "unassigned", scope.account)
    return {"assignable": issue}


@mutates("createIssue")
def create_issue(
    scope: Scope,
    repository_id: str,
    title: str,
    body: str = "",
    label_ids: Sequence[str] = (),
    assignee_ids: Sequence[str] = (),
    **_unused: Any,
) -> dict[str, Any]:
    """Open an issue; labels only by those who may triage."""
    repository = scope.node(repository_id)
    if not isinstance(repository, Repository):
        raise unresolved("a node with the global id of", f"'{repository_id}' as Repository")
    scope.demand(repository, "issues", "read")
    labels = _labels(scope, label_ids) if scope.may(repository, "issues", "triage") else []
    try:
        issue = scope.world.open_issue(repository, title, body, scope.account, labels)
    except ProblemError as error:
        raise unprocessable(error.message) from error
    issue.assignees = _accounts(scope, assignee_ids)
    return {"issue": issue}


@mutates("updateIssue")
def update_issue(
    scope: Scope,
    id: str,
    title: str | None = None,
    body: str | None = None,
    **_unused: Any,  # noqa: A002  (as above)
) -> dict[str, Any]:
    """Change title or body."""
    issue = _subject(scope, id)
    if issue.author is not scope.account:
        _subject(scope, id, "triage")
    scope.world.edit_issue(issue, scope.account, title=title, body=body)
    return {"issue": issue}


@mutates("closeIssue")
def close_issue(scope: Scope, issue_id: str, state_reason: Any = None, **_unused: Any) -> dict[str, Any]:
    """Close an issue, with why."""
    issue = _subject(scope, issue_id, "triage")
    reason = str(state_reason or "COMPLETED").lower()
    scope.world.set_state(issue, scope.account, "closed", reason)
    return {"issue": issue}


@mutates("reopenIssue")
def reopen_issue(scope: Scope, issue_id: str) -> dict[str, Any]:
    """Open it again."""
    issue = _subject(scope, issue_id, "triage")
    scope.world.set_state(issue, scope.account, "open")
    return {"issue": issue}


@mutates("createLabel")
def create_label(
    scope: Scope, repository_id: str, name: str, color: str, description: str | None = None
) -> dict[str, Any]:
    """A new label."""
    repository = scope.node(repository_id)
    if not isinstance(repository, Repository):
        raise unresolved("a node with the global id of", f"'{repository_id}' as Repository")
    scope.demand(repository, "issues", "triage")
    if name.casefold() in repository.labels:
        raise unprocessable("Name has already been taken")
    made = scope.world.label(repository, name)
    made.color, made.description = color, description or ""
    return {"label": made}


def _issues(scope: Scope, issue_id: str, blocking_issue_id: str) -> tuple[Issue, Issue]:
    other = scope.node(blocking_issue_id)
    if not isinstance(other, Issue):
        raise unresolved("a node with the global id of", f"'{blocking_issue_id}' as Issue")
    return _subject(scope, issue_id, "triage"), other


@mutates("addBlockedBy")
def add_blocked_by(scope: Scope, issue_id: str, blocking_issue_id: str) -> dict[str, Any]:
    """Say that it waits for another one."""
    issue, other = _issues(scope, issue_id, blocking_issue_id)
    if other not in issue.blocked_by:
        issue.blocked_by.append(other)
        scope.world.event(issue, "blocked_by_added", scope.account)
    return {"issue": issue, "blockingIssue": other}


@mutates("removeBlockedBy")
def remove_blocked_by(scope: Scope, issue_id: str, blocking_issue_id: str) -> dict[str, Any]:
    """It no longer waits for that one."""
    issue, other = _issues(scope, issue_id, blocking_issue_id)
    if other in issue.blocked_by:
        issue.blocked_by.remove(other)
        scope.world.event(issue, "blocked_by_removed", scope.account)
    return {"issue": issue, "blockingIssue": other}
