"""What happened to an issue or a pull, as typed entries in the order of time."""

from typing import Any

from refinery.testing.graphql.ids import Given, Happened
from refinery.testing.graphql.issues import page_of
from refinery.testing.graphql.lists import instant
from refinery.testing.graphql.objects import Commit, Ref
from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.pulls import row_of
from refinery.testing.graphql.registry import answers, is_kind, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Account, Comment, Issue, Label, Pull

# REST's word for an event, and GraphQL's type; others are not in the slice and are left out.
TYPES = {
    "labeled": "LabeledEvent",
    "unlabeled": "UnlabeledEvent",
    "renamed": "RenamedTitleEvent",
    "closed": "ClosedEvent",
    "reopened": "ReopenedEvent",
    "assigned": "AssignedEvent",
    "unassigned": "UnassignedEvent",
    "transferred": "TransferredEvent",
    "merged": "MergedEvent",
    "head_ref_force_pushed": "HeadRefForcePushedEvent",
    "head_ref_deleted": "HeadRefDeletedEvent",
    "ready_for_review": "ReadyForReviewEvent",
    "convert_to_draft": "ConvertToDraftEvent",
}
Item = Happened | Comment | Given

is_kind(Happened, lambda item: TYPES[item.event.kind])

answers(
    " ".join(TYPES.values()),
    {
        "id": lambda item, scope: scope.node_id(item),
        "actor": lambda item, _: item.event.actor,
        "createdAt": lambda item, _: item.event.at,
        **dict.fromkeys(
            ("labelable", "subject", "closable", "assignable", "pullRequest", "issue"),
            lambda item, _: item.issue,
        ),
        "url": lambda item, scope: scope.url(f"{page_of(item.issue)}#event-{item.event.id}"),
        "resourcePath": lambda item, _: f"/{page_of(item.issue)}#event-{item.event.id}",
    },
)
answers(
    "RenamedTitleEvent",
    {
        "previousTitle": lambda item, _: item.event.before,
        "currentTitle": lambda item, _: item.event.after,
    },
)
answers("ReopenedEvent", {"stateReason": lambda _item, _scope: None})
answers("TransferredEvent", {"fromRepository": lambda _item, _scope: None})
answers("ClosedEvent", {"stateReason": lambda item, _: (item.issue.state_reason or "").upper() or None})
answers(
    "MergedEvent",
    {
        "commit": lambda item, _: _commit(item, item.event.commit),
        "mergeRefName": lambda item, _: _pull(item).base_ref,
        "mergeRef": lambda item, scope: _head(item, scope, _pull(item).base_ref),
    },
)
answers(
    "HeadRefForcePushedEvent",
    {
        "beforeCommit": lambda item, _: _commit(item, item.event.before),
        "afterCommit": lambda item, _: _commit(item, item.event.after),
        "ref": lambda item, scope: _head(item, scope, _pull(item).head_ref),
    },
)
answers(
    "HeadRefDeletedEvent",
    {
        "headRefName": lambda item, _: _pull(item).head_ref,
        "headRef": lambda _item, _scope: None,
    },
)


def _pull(item: Happened) -> Pull:
    return row_of(item.issue)


def _commit(item: Happened, oid: str) -> Commit | None:
    return Commit(item.issue.repository, oid) if oid else None


def _head(item: Happened, scope: Scope, branch: str) -> Ref | None:
    return scope.ref(item.issue.repository, f"refs/heads/{branch}")


@resolves("LabeledEvent", "label")
@resolves("UnlabeledEvent", "label")
def _label(item: Happened, _scope: Scope) -> Label:
    """The label as it is now, or of that name when it was deleted since."""
    name = item.event.label
    return item.issue.repository.labels.get(name.casefold()) or Label(item.event.id, name)


@resolves("AssignedEvent", "assignee")
@resolves("UnassignedEvent", "assignee")
def _assignee(item: Happened, scope: Scope) -> Account | None:
    return scope.world.accounts.get(item.event.after.casefold())


@resolves("AssignedEvent", "user")
@resolves("UnassignedEvent", "user")
def _assigned_user(item: Happened, scope: Scope) -> Account | None:
    found = _assignee(item, scope)
    return found if found is not None and found.kind == "User" else None


@resolves("ClosedEvent", "closer")
def _closer(item: Happened, _scope: Scope) -> Issue | Commit | None:
    """The pull whose merge closed it, or the commit."""
    commit = item.event.commit
    for other in item.issue.repository.issues.values():
        if commit and other.pull is not None and other.pull.merge_commit_sha == commit:
            return other
    return _commit(item, commit)


def _items(issue: Issue) -> list[Item]:
    """Events, comments and reviews by time; what is of one second by number."""
    events = [Happened(issue, event) for event in issue.events if event.kind in TYPES]
    reviews = [Given(issue, review) for review in (issue.pull.reviews if issue.pull else ())]
    return sorted([*events, *issue.comments, *reviews], key=_when)


def _when(item: Item) -> tuple[float, int]:
    if isinstance(item, Happened):
        return instant(item.event.at), item.event.id
    if isinstance(item, Comment):
        return instant(item.created_at), item.id
    return instant(item.review.submitted_at), item.review.id


def _type(item: Item) -> str:
    """The type as `itemTypes` spells it."""
    if isinstance(item, Comment):
        return "ISSUE_COMMENT"
    return "PULL_REQUEST_REVIEW" if isinstance(item, Given) else f"{item.event.kind.upper()}_EVENT"


@resolves("Issue", "timelineItems")
@resolves("PullRequest", "timelineItems")
def _timeline(
    issue: Issue,
    _scope: Scope,
    item_types: list[str] | None = None,
    since: str | None = None,
    skip: int | None = None,
    **bounds: Any,
) -> Window:
    found = _items(issue)
    if since:
        found = [item for item in found if _when(item)[0] >= instant(since)]
    if item_types is not None:
        found = [item for item in found if _type(item) in item_types or _alias(item) in item_types]
    return window(found[skip or 0 :], bounds, "timelineItems", key=_when, of=issue)


def _alias(item: Item) -> str:
    """`RenamedTitleEvent` is asked for as RENAMED_TITLE_EVENT, which REST calls `renamed`."""
    return "RENAMED_TITLE_EVENT" if isinstance(item, Happened) and item.event.kind == "renamed" else ""


answers(
    "IssueTimelineItemsConnection PullRequestTimelineItemsConnection",
    {
        "filteredCount": lambda found, _: len(found.everything),
        "pageCount": lambda found, _: len(found.edges),
        "updatedAt": lambda found, _: found.of.updated_at,
    },
)
