"""Mutations of pulls: opened, reviewed, queued, merged."""

from typing import Any

from refinery.testing import pulls as acts
from refinery.testing.graphql.changes import mutates, named
from refinery.testing.graphql.ids import Given, node_id
from refinery.testing.graphql.paging import Edge
from refinery.testing.graphql.problems import unprocessable
from refinery.testing.graphql.pulls import entry_of, row_of
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Issue, Repository

_REVIEWS = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def _pull(scope: Scope, name: str, *permissions: str, role: str = "write") -> Issue:
    """A pull that the viewer may change: in the role, or as its author where that is enough."""
    found = scope.issue(name, is_pull=True)
    for permission in permissions or ("pull_requests",):
        scope.demand(found.repository, permission, role)
    return found


def _own(scope: Scope, name: str) -> Issue:
    is_author = scope.issue(name, is_pull=True).author is scope.account
    return _pull(scope, name, role="read" if is_author else "write")


@mutates("createPullRequest")
def create_pull(
    scope: Scope,
    repository_id: str,
    title: str,
    head_ref_name: str,
    base_ref_name: str,
    **more: Any,
) -> dict[str, Any]:
    """Open a pull, from a branch of the same repository or of the one named."""
    repository = named(scope, repository_id, Repository)
    source = named(scope, more.get("head_repository_id", repository_id), Repository)
    scope.demand(repository, "pull_requests", "read")
    scope.demand(source, "pull_requests")
    issue = acts.open_pull(
        scope.world,
        repository,
        scope.account,
        title=title,
        head=head_ref_name.rpartition(":")[2],
        base=base_ref_name,
        body=more.get("body", ""),
        draft=more.get("draft", False),
        head_repository=source,
    )
    row_of(issue).can_maintainer_modify = more.get("maintainer_can_modify", True)
    return {"pullRequest": issue}


@mutates("updatePullRequest")
def update_pull(
    scope: Scope, pull_request_id: str, title: str | None = None, body: str | None = None, state: str = ""
) -> dict[str, Any]:
    """Change title, body or state."""
    issue = _own(scope, pull_request_id)
    scope.world.edit_issue(issue, scope.account, title=title, body=body)
    if state:
        _set_state(scope, issue, state.lower())
    return {"pullRequest": issue, "actor": scope.account}


@mutates("closePullRequest")
def close_pull(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """Close it unmerged."""
    return {"pullRequest": _set_state(scope, _own(scope, pull_request_id), "closed")}


@mutates("reopenPullRequest")
def reopen_pull(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """Open it again, unless it was merged."""
    return {"pullRequest": _set_state(scope, _own(scope, pull_request_id), "open")}


def _set_state(scope: Scope, issue: Issue, state: str) -> Issue:
    if row_of(issue).merged:
        raise unprocessable(f"Could not {'open' if state == 'open' else 'close'} the pull request.")
    scope.world.set_state(issue, scope.account, state)
    return issue


@mutates("convertPullRequestToDraft")
def to_draft(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """Make a draft of it."""
    return {"pullRequest": _drafted(scope, _own(scope, pull_request_id), is_draft=True)}


@mutates("markPullRequestReadyForReview")
def ready(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """No longer a draft."""
    return {"pullRequest": _drafted(scope, _own(scope, pull_request_id), is_draft=False)}


def _drafted(scope: Scope, issue: Issue, *, is_draft: bool) -> Issue:
    row = row_of(issue)
    if row.draft is not is_draft:
        row.draft = is_draft
        scope.world.event(issue, "convert_to_draft" if is_draft else "ready_for_review", scope.account)
    return issue


@mutates("addPullRequestReview")
def add_review(
    scope: Scope, pull_request_id: str, event: str = "", body: str = "", commit_oid: str = ""
) -> dict[str, Any]:
    """Approve, ask for changes, or comment; the fake keeps no review that is not handed in."""
    issue = _pull(scope, pull_request_id, role="read")
    if event not in _REVIEWS:
        raise unprocessable(
            "The fake takes reviews with one of the events APPROVE, REQUEST_CHANGES and COMMENT."
        )
    made = acts.review(scope.world, issue, scope.account, _REVIEWS[event], body, commit_oid)
    given = Given(issue, made)
    return {"pullRequestReview": given, "reviewEdge": Edge(node_id(given), given)}


@mutates("mergePullRequest")
def merge(
    scope: Scope,
    pull_request_id: str,
    expected_head_oid: str = "",
    commit_headline: str = "",
    commit_body: str = "",
    merge_method: str = "MERGE",
) -> dict[str, Any]:
    """Merge it, if its head is still the expected one."""
    issue = _pull(scope, pull_request_id, "contents")
    acts.merge(
        scope.world,
        issue,
        scope.account,
        sha=expected_head_oid,
        method=merge_method.lower(),
        title=commit_headline,
        message=commit_body,
    )
    return {"pullRequest": issue, "actor": scope.account}


@mutates("enqueuePullRequest")
def enqueue(scope: Scope, pull_request_id: str, expected_head_oid: str = "") -> dict[str, Any]:
    """Put it into the merge queue."""
    issue = _pull(scope, pull_request_id, "contents")
    acts.enqueue(scope.world, issue, scope.account, expected_head_oid)
    return {"mergeQueueEntry": entry_of(issue)}


@mutates("dequeuePullRequest")
def dequeue(scope: Scope, id: str) -> dict[str, Any]:  # noqa: A002  (GitHub's name)
    """Take it out again."""
    issue = _pull(scope, id, "contents")
    entry = entry_of(issue)
    if entry is None:
        raise unprocessable("Pull request is not in the merge queue")
    row_of(issue).is_queued = False
    scope.world.event(issue, "removed_from_merge_queue", scope.account)
    return {"mergeQueueEntry": entry}


@mutates("enablePullRequestAutoMerge")
def arm(scope: Scope, pull_request_id: str, expected_head_oid: str = "") -> dict[str, Any]:
    """Arm auto-merge: here so that a test can show that nobody does."""
    issue = _pull(scope, pull_request_id, "contents")
    row = row_of(issue)
    if expected_head_oid not in ("", row.head_sha):
        raise unprocessable("Expected head oid does not match")
    row.auto_merge_by = scope.account
    return {"pullRequest": issue, "actor": scope.account}


@mutates("disablePullRequestAutoMerge")
def disarm(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """Disarm it."""
    issue = _pull(scope, pull_request_id, "contents")
    row_of(issue).auto_merge_by = None
    return {"pullRequest": issue, "actor": scope.account}
