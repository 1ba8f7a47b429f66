"""Reviews of a pull, the latest of each person, and what they come to."""

from dataclasses import dataclass
from typing import Any

from refinery.testing.graphql.ids import Given, named_id
from refinery.testing.graphql.issues import page_of
from refinery.testing.graphql.objects import Commit
from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.pulls import row_of
from refinery.testing.graphql.registry import answers, is_kind, reads, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.shapes import association
from refinery.testing.state import Account, Issue

_OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")


@dataclass(frozen=True)
class Asked:
    """Somebody who was asked to review a pull, and did not yet."""

    issue: Issue
    reviewer: Account


is_kind(Given, "PullRequestReview")

reads(
    "PullRequestReview",
    author="review.author",
    body="review.body",
    bodyText="review.body",
    databaseId="review.id",
    state="review.state",
    pullRequest="issue",
    repository="issue.repository",
    **dict.fromkeys(("createdAt", "publishedAt", "submittedAt", "updatedAt"), "review.submitted_at"),
)


def _page(node: Given) -> str:
    return f"{page_of(node.issue)}#pullrequestreview-{node.review.id}"


def _writes(node: Given, scope: Scope) -> bool:
    return scope.world.may(node.issue.repository, node.review.author, "write")


answers(
    "PullRequestReview",
    {
        "id": lambda node, scope: scope.node_id(node),
        "fullDatabaseId": lambda node, _: str(node.review.id),
        "authorAssociation": lambda node, _: association(node.issue.repository, node.review.author),
        "authorCanPushToRepository": _writes,
        "commit": lambda node, _: Commit(node.issue.repository, node.review.commit),
        "url": lambda node, scope: scope.url(_page(node)),
        "resourcePath": lambda node, _: "/" + _page(node),
        "viewerDidAuthor": lambda node, scope: node.review.author is scope.account,
        "viewerCanUpdate": lambda node, scope: node.review.author is scope.account,
        "viewerCanMinimize": lambda node, scope: scope.may(node.issue.repository, "pull_requests"),
        **dict.fromkeys(("editor", "lastEditedAt", "minimizedReason"), lambda _node, _scope: None),
        **dict.fromkeys(("includesCreatedEdit", "isMinimized"), lambda _node, _scope: False),
    },
)


def _all(issue: Issue) -> list[Given]:
    return [Given(issue, review) for review in row_of(issue).reviews]


def _latest(issue: Issue, states: tuple[str, ...] = ()) -> list[Given]:
    """The last review of each person, of these states or of all, in the order in which they were given."""
    newest: dict[str, Given] = {}
    for node in _all(issue):
        if not states or node.review.state in states:
            newest.pop(node.review.author.login, None)
            newest[node.review.author.login] = node
    return list(newest.values())


@resolves("PullRequestReview", "userContentEdits")
def _edits(_node: Given, _scope: Scope, **bounds: Any) -> Window:
    return window([], bounds, "userContentEdits")


@resolves("PullRequest", "reviews")
def _reviews(
    issue: Issue, scope: Scope, author: str | None = None, states: list[str] | None = None, **bounds: Any
) -> Window:
    found = [
        node
        for node in _all(issue)
        if author in (None, scope.login(node.review.author)) and (not states or node.review.state in states)
    ]
    return window(found, bounds, "reviews", key=lambda node: (node.review.id,))


@resolves("PullRequest", "latestReviews")
def _latest_reviews(issue: Issue, _scope: Scope, **bounds: Any) -> Window:
    return window(_latest(issue), bounds, "latestReviews")


@resolves("PullRequest", "latestOpinionatedReviews")
def _opinions(issue: Issue, scope: Scope, *, writers_only: bool = False, **bounds: Any) -> Window:
    found = [node for node in _latest(issue, _OPINIONS) if not writers_only or _writes(node, scope)]
    return window(found, bounds, "latestOpinionatedReviews")


@resolves("PullRequest", "reviewDecision")
def _decision(issue: Issue, scope: Scope) -> str | None:
    """None where the base asks for no review and no writer asked for changes."""
    states = [node.review.state for node in _latest(issue, _OPINIONS) if _writes(node, scope)]
    if "CHANGES_REQUESTED" in states:
        return "CHANGES_REQUESTED"
    needed = issue.repository.protection.get(row_of(issue).base_ref, {}).get("reviews", 0)
    if not needed:
        return None
    return "APPROVED" if states.count("APPROVED") >= needed else "REVIEW_REQUIRED"


reads("ReviewRequest", pullRequest="issue", requestedReviewer="reviewer")
answers(
    "ReviewRequest",
    {
        "asCodeOwner": lambda _asked, _scope: False,
        "id": lambda asked, _: named_id("ReviewRequest", asked.issue.id, asked.reviewer.id),
    },
)


@resolves("PullRequest", "reviewRequests")
def _requests(issue: Issue, _scope: Scope, **bounds: Any) -> Window:
    return window([Asked(issue, who) for who in row_of(issue).reviewers], bounds, "reviewRequests")
