"""Issues, comments, and what pulls and reviews share with them."""

from dataclasses import dataclass
from typing import Any

from refinery.testing.graphql.ids import named_id
from refinery.testing.graphql.lists import labels_window, listed
from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.registry import answers, is_kind, reads, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.pulls import closing_issues
from refinery.testing.shapes import association
from refinery.testing.state import Account, Comment, Issue

is_kind(Issue, lambda issue: "PullRequest" if issue.is_pull else "Issue")
is_kind(Comment, "IssueComment")


@dataclass(frozen=True)
class Edit:
    """One version of a body: when and by whom; the first is how it was written."""

    of: Issue | Comment
    at: str
    editor: Account | None
    text: str | None


def page_of(node: Issue | Comment) -> str:
    """The path of an issue's, pull's or comment's page."""
    if isinstance(node, Comment):
        return f"{page_of(node.issue)}#issuecomment-{node.id}"
    return f"{node.repository.full_name}/{'pull' if node.is_pull else 'issues'}/{node.number}"


def _is_writer(issue: Issue, scope: Scope) -> bool:
    return scope.may(issue.repository, "pull_requests" if issue.is_pull else "issues", "triage")


reads(
    "Issue PullRequest IssueComment",
    author="author",
    body="body",
    bodyText="body",
    createdAt="created_at",
    publishedAt="created_at",
    updatedAt="updated_at",
    editor="editor",
    lastEditedAt="last_edited_at",
)
answers(
    "Issue PullRequest IssueComment",
    {
        "id": lambda node, scope: scope.node_id(node),
        "fullDatabaseId": lambda node, _: str(node.id),
        "includesCreatedEdit": lambda _node, _scope: False,
        "resourcePath": lambda node, _: "/" + page_of(node),
        "url": lambda node, scope: scope.url(page_of(node)),
        "viewerDidAuthor": lambda node, scope: node.author is scope.account,
    },
)
reads("Issue PullRequest", closedAt="closed_at", locked="locked", number="number", title="title")
reads("Issue PullRequest", repository="repository")
reads("Issue IssueComment", databaseId="id")
answers(
    "Issue PullRequest",
    {
        "activeLockReason": lambda _issue, _scope: None,
        "authorAssociation": lambda issue, _: association(issue.repository, issue.author),
        "closed": lambda issue, _: issue.state == "closed",
        "viewerCanClose": _is_writer,
        "viewerCanLabel": _is_writer,
        "viewerCanReopen": _is_writer,
        "viewerCanUpdate": _is_writer,
    },
)
answers(
    "Issue",
    {
        "bodyUrl": lambda issue, scope: scope.url(f"{page_of(issue)}#issue-{issue.id}"),
        "state": lambda issue, _: issue.state.upper(),
        "issueDependenciesSummary": lambda issue, _: issue,
    },
)
answers(
    "IssueComment",
    {
        "authorAssociation": lambda comment, _: association(comment.issue.repository, comment.author),
        "isMinimized": lambda comment, _: comment.is_minimized,
        "minimizedReason": lambda comment, _: "outdated" if comment.is_minimized else None,
        "pullRequest": lambda comment, _: comment.issue if comment.issue.is_pull else None,
        "viewerCanMinimize": lambda comment, scope: scope.may(comment.issue.repository, "issues"),
        "viewerCanUpdate": lambda comment, scope: (
            comment.author is scope.account or scope.may(comment.issue.repository, "issues")
        ),
    },
)
reads("IssueComment", issue="issue", repository="issue.repository")
answers(
    "IssueDependenciesSummary",
    {
        "blockedBy": lambda issue, _: sum(each.state == "open" for each in issue.blocked_by),
        "totalBlockedBy": lambda issue, _: len(issue.blocked_by),
        "blocking": lambda issue, scope: sum(each.state == "open" for each in _blocked(issue, scope)),
        "totalBlocking": lambda issue, scope: len(_blocked(issue, scope)),
    },
)
reads("UserContentEdit", createdAt="at", editedAt="at", updatedAt="at", editor="editor", diff="text")
answers(
    "UserContentEdit",
    {
        "id": lambda edit, scope: named_id("UserContentEdit", scope.node_id(edit.of), edit.at),
        "deletedAt": lambda _edit, _scope: None,
    },
)


def _blocked(issue: Issue, scope: Scope) -> list[Issue]:
    everything = (each for repository in scope.repositories for each in repository.issues.values())
    return [each for each in everything if issue in each.blocked_by]


@resolves("Issue", "stateReason")
def _state_reason(issue: Issue, _scope: Scope, *, enable_duplicate: bool = False) -> str | None:
    reason = issue.state_reason
    if reason == "duplicate" and not enable_duplicate:
        reason = "not_planned"
    return reason.upper() if reason else None


@resolves("Issue", "assignees")
@resolves("PullRequest", "assignees")
def _assignees(issue: Issue, _scope: Scope, **bounds: Any) -> Window:
    return window(issue.assignees, bounds, "assignees")


@resolves("Issue", "labels")
@resolves("PullRequest", "labels")
def _labels(issue: Issue, _scope: Scope, **asked: Any) -> Window:
    return labels_window(issue.labels, asked)


@resolves("Issue", "comments")
@resolves("PullRequest", "comments")
def _comments(issue: Issue, _scope: Scope, **bounds: Any) -> Window:
    return window(issue.comments, bounds, "comments", key=lambda comment: (comment.id,))


@resolves("Issue", "blockedBy")
def _blocked_by(issue: Issue, _scope: Scope, **bounds: Any) -> Window:
    return window(issue.blocked_by, bounds, "blockedBy")


@resolves("Issue", "blocking")
def _blocking(issue: Issue, scope: Scope, **bounds: Any) -> Window:
    return window(_blocked(issue, scope), bounds, "blocking")


@resolves("Issue", "closedByPullRequestsReferences")
def _closed_by(issue: Issue, scope: Scope, *, include_closed_prs: bool = False, **bounds: Any) -> Window:
    found = [
        each
        for each in issue.repository.issues.values()
        if each.is_pull and issue in closing_issues(each) and (include_closed_prs or each.state == "open")
    ]
    return listed(scope, found, bounds, "closedByPullRequestsReferences")


@resolves("Issue", "userContentEdits")
@resolves("PullRequest", "userContentEdits")
@resolves("IssueComment", "userContentEdits")
def _edits(node: Issue | Comment, _scope: Scope, **bounds: Any) -> Window:
    edits = []
    if node.last_edited_at is not None:
        edits = [
            Edit(node, node.last_edited_at, node.editor, node.body),
            Edit(node, node.created_at, node.author, None),
        ]
    return window(edits, bounds, "userContentEdits")
