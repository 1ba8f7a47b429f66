"""Mutations of issues, labels and comments."""

from collections.abc import Sequence
from typing import Any

from refinery.testing.graphql.changes import all_named, mutates, named
from refinery.testing.graphql.paging import Edge
from refinery.testing.graphql.problems import unprocessable
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Account, Comment, Issue, Label, Repository


def permission_of(issue: Issue) -> str:
    """Which of a token's permissions a change of it needs."""
    return "pull_requests" if issue.is_pull else "issues"


def _subject(scope: Scope, name: str, role: str = "triage") -> Issue:
    """An issue or pull that the viewer may change: in the role, or as its author where that is enough."""
    found = named(scope, name, Issue)
    scope.demand(found.repository, permission_of(found), role)
    return found


def _own(scope: Scope, name: str) -> Issue:
    found = named(scope, name, Issue)
    return _subject(scope, name, "read" if found.author is scope.account else "triage")


def _comment(scope: Scope, name: str) -> Comment:
    found = named(scope, name, Comment)
    role = "read" if found.author is scope.account else "write"
    scope.demand(found.issue.repository, permission_of(found.issue), role)
    return found


def _labels(scope: Scope, names: Sequence[str]) -> list[str]:
    return [label.name for label in all_named(scope, names, Label)]


@mutates("addComment")
def add_comment(scope: Scope, subject_id: str, body: str) -> dict[str, Any]:
    """Say something."""
    issue = _subject(scope, subject_id, "read")
    made = scope.world.comment(issue, body, scope.account)
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
    issue = _subject(scope, labelable_id)
    scope.world.add_labels(issue, _labels(scope, label_ids), scope.account)
    return {"labelable": issue}


@mutates("removeLabelsFromLabelable")
def remove_labels(scope: Scope, labelable_id: str, label_ids: list[str]) -> dict[str, Any]:
    """Take labels off; one that is not on is no problem."""
    issue = _subject(scope, labelable_id)
    for label in all_named(scope, label_ids, Label):
        if label in issue.labels:
            scope.world.remove_label(issue, label.name, scope.account)
    return {"labelable": issue}


@mutates("addAssigneesToAssignable")
def add_assignees(scope: Scope, assignable_id: str, assignee_ids: list[str]) -> dict[str, Any]:
    """Assign people."""
    issue = _subject(scope, assignable_id)
    for who in all_named(scope, assignee_ids, Account):
        scope.world.assign(issue, who, scope.account)
    return {"assignable": issue}


@mutates("removeAssigneesFromAssignable")
def remove_assignees(scope: Scope, assignable_id: str, assignee_ids: list[str]) -> dict[str, Any]:
    """No longer assign them."""
    issue = _subject(scope, assignable_id)
    for who in all_named(scope, assignee_ids, Account):
        scope.world.assign(issue, who, scope.account, is_on=False)
    return {"assignable": issue}


@mutates("createIssue")
def create_issue(
    scope: Scope,
    repository_id: str,
    title: str,
    body: str = "",
    label_ids: Sequence[str] = (),
    assignee_ids: Sequence[str] = (),
) -> dict[str, Any]:
    """Open an issue; labels and assignees only by those who may triage."""
    repository = named(scope, repository_id, Repository)
    scope.demand(repository, "issues", "read")
    may_triage = scope.may(repository, "issues", "triage")
    labels, people = _labels(scope, label_ids), all_named(scope, assignee_ids, Account)
    issue = scope.world.open_issue(repository, title, body, scope.account, labels if may_triage else ())
    for who in people if may_triage else ():
        scope.world.assign(issue, who, scope.account)
    return {"issue": issue}


@mutates("updateIssue")
def update_issue(scope: Scope, id: str, **changes: Any) -> dict[str, Any]:  # noqa: A002  (GitHub's name)
    """Change title, body, state, labels or assignees."""
    issue = _own(scope, id)
    scope.world.edit_issue(issue, scope.account, title=changes.get("title"), body=changes.get("body"))
    if "label_ids" in changes:
        scope.world.set_labels(issue, _labels(scope, changes["label_ids"]), scope.account)
    if "assignee_ids" in changes:
        scope.world.set_assignees(issue, all_named(scope, changes["assignee_ids"], Account), scope.account)
    if "state" in changes:
        scope.world.set_state(issue, scope.account, changes["state"].lower())
    return {"issue": issue, "actor": scope.account}


@mutates("closeIssue")
def close_issue(scope: Scope, issue_id: str, state_reason: str = "COMPLETED") -> dict[str, Any]:
    """Close an issue, with why."""
    issue = _own(scope, issue_id)
    scope.world.set_state(issue, scope.account, "closed", state_reason.lower())
    return {"issue": issue}


@mutates("reopenIssue")
def reopen_issue(scope: Scope, issue_id: str) -> dict[str, Any]:
    """Open it again."""
    issue = _own(scope, issue_id)
    scope.world.set_state(issue, scope.account, "open")
    return {"issue": issue}


@mutates("createLabel")
def create_label(
    scope: Scope, repository_id: str, name: str, color: str, description: str = ""
) -> dict[str, Any]:
    """A new label."""
    repository = named(scope, repository_id, Repository)
    scope.demand(repository, "issues", "triage")
    if name.casefold() in repository.labels:
        raise unprocessable("Name has already been taken")
    made = scope.world.label(repository, name)
    made.color, made.description = color, description
    return {"label": made}


@mutates("addBlockedBy")
def add_blocked_by(scope: Scope, issue_id: str, blocking_issue_id: str) -> dict[str, Any]:
    """Say that it waits for another one."""
    issue, other = _subject(scope, issue_id), named(scope, blocking_issue_id, Issue)
    if other not in issue.blocked_by:
        issue.blocked_by.append(other)
        scope.world.event(issue, "blocked_by_added", scope.account)
    return {"issue": issue, "blockingIssue": other}


@mutates("removeBlockedBy")
def remove_blocked_by(scope: Scope, issue_id: str, blocking_issue_id: str) -> dict[str, Any]:
    """It no longer waits for that one."""
    issue, other = _subject(scope, issue_id), named(scope, blocking_issue_id, Issue)
    if other in issue.blocked_by:
        issue.blocked_by.remove(other)
        scope.world.event(issue, "blocked_by_removed", scope.account)
    return {"issue": issue, "blockingIssue": other}
