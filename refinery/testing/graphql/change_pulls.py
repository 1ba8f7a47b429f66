"""Mutations of pulls: opened, reviewed, queued, merged."""

from collections.abc import Callable
from typing import Any

from refinery.testing import pulls as acts
from refinery.testing.graphql.changes import mutates
from refinery.testing.graphql.ids import Given
from refinery.testing.graphql.problems import unprocessable, unresolved
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Issue, Pull, Repository
from refinery.testing.world import ProblemError


def _pull(scope: Scope, name: str, role: str = "write") -> tuple[Issue, Pull]:
    found = scope.issue(name, is_pull=True)
    scope.demand(found.repository, "pull_requests", role)
    if found.pull is None:
        raise unresolved("a node with the global id of", f"'{name}' as PullRequest")
    return found, found.pull


def _done(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except ProblemError as error:
        words = [
            str(each.get("message", each)) if isinstance(each, dict) else str(each) for each in error.errors
        ]
        raise unprocessable("; ".join([error.message, *words])) from error


@mutates("createPullRequest")
def create_pull(
    scope: Scope,
    repository_id: str,
    title: str,
    head_ref_name: str,
    base_ref_name: str,
    body: str = "",
    *,
    draft: bool = False,
    **_unused: Any,
) -> dict[str, Any]:
    """Open a pull."""
    repository = scope.node(repository_id)
    if not isinstance(repository, Repository):
        raise unresolved("a node with the global id of", f"'{repository_id}' as Repository")
    scope.demand(repository, "pull_requests")
    made = _done(
        lambda: acts.open_pull(
            scope.world,
            repository,
            scope.account,
            title=title,
            head=head_ref_name,
            base=base_ref_name,
            body=body,
            draft=draft,
        )
    )
    return {"pullRequest": made}


@mutates("updatePullRequest")
def update_pull(
    scope: Scope, pull_request_id: str, title: str | None = None, body: str | None = None, **_unused: Any
) -> dict[str, Any]:
    """Change title or body."""
    issue, _ = _pull(scope, pull_request_id)
    scope.world.edit_issue(issue, scope.account, title=title, body=body)
    return {"pullRequest": issue}


@mutates("closePullRequest")
def close_pull(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """Close it unmerged."""
    issue, _ = _pull(scope, pull_request_id)
    scope.world.set_state(issue, scope.account, "closed")
    return {"pullRequest": issue}


@mutates("reopenPullRequest")
def reopen_pull(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """Open it again, unless it was merged."""
    issue, row = _pull(scope, pull_request_id)
    if row.merged:
        raise unprocessable("Could not open the pull request.")
    scope.world.set_state(issue, scope.account, "open")
    return {"pullRequest": issue}


def _drafted(scope: Scope, name: str, *, is_draft: bool) -> dict[str, Any]:
    issue, row = _pull(scope, name)
    if row.draft is not is_draft:
        row.draft = is_draft
        scope.world.event(issue, "convert_to_draft" if is_draft else "ready_for_review", scope.account)
    return {"pullRequest": issue}


@mutates("convertPullRequestToDraft")
def to_draft(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """Make a draft of it."""
    return _drafted(scope, pull_request_id, is_draft=True)


@mutates("markPullRequestReadyForReview")
def ready(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """No longer a draft."""
    return _drafted(scope, pull_request_id, is_draft=False)


@mutates("addPullRequestReview")
def add_review(
    scope: Scope,
    pull_request_id: str,
    event: Any = None,
    body: str = "",
    commit_oid: str = "",
    **_unused: Any,
) -> dict[str, Any]:
    """Review it."""
    issue, _ = _pull(scope, pull_request_id, "read")
    states = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}
    state = states.get(str(event), "COMMENTED")
    made = _done(lambda: acts.review(scope.world, issue, scope.account, state, body, commit_oid))
    return {"pullRequestReview": Given(issue, made)}


@mutates("mergePullRequest")
def merge(
    scope: Scope,
    pull_request_id: str,
    expected_head_oid: str = "",
    commit_headline: str = "",
    commit_body: str = "",
    merge_method: Any = "MERGE",
    **_unused: Any,
) -> dict[str, Any]:
    """Merge it, if its head is still the expected one."""
    issue, _ = _pull(scope, pull_request_id)
    _done(
        lambda: acts.merge(
            scope.world,
            issue,
            scope.account,
            sha=expected_head_oid,
            method=str(merge_method).lower(),
            title=commit_headline,
            message=commit_body,
        )
    )
    return {"pullRequest": issue, "actor": scope.account}


@mutates("enqueuePullRequest")
def enqueue(
    scope: Scope, pull_request_id: str, expected_head_oid: str = "", **_unused: Any
) -> dict[str, Any]:
    """Put it into the merge queue."""
    issue, _ = _pull(scope, pull_request_id)
    _done(lambda: acts.enqueue(scope.world, issue, scope.account, expected_head_oid))
    return {"mergeQueueEntry": None}


@mutates("dequeuePullRequest")
def dequeue(scope: Scope, id: str) -> dict[str, Any]:  # noqa: A002  (GitHub's name)
    """Take it out again."""
    issue, row = _pull(scope, id)
    row.is_queued = False
    scope.world.event(issue, "removed_from_merge_queue", scope.account)
    return {"mergeQueueEntry": None}


@mutates("enablePullRequestAutoMerge")
def arm(scope: Scope, pull_request_id: str, **_unused: Any) -> dict[str, Any]:
    """Arm auto-merge: here so that a test can show that nobody does."""
    issue, row = _pull(scope, pull_request_id)
    row.auto_merge_by = scope.account
    return {"pullRequest": issue, "actor": scope.account}


@mutates("disablePullRequestAutoMerge")
def disarm(scope: Scope, pull_request_id: str) -> dict[str, Any]:
    """Disarm it."""
    issue, row = _pull(scope, pull_request_id)
    row.auto_merge_by = None
    return {"pullRequest": issue, "actor": scope.account}
