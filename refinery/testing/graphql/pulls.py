"""Pull requests: branches, files, commits, mergeability and the merge queue."""

from dataclasses import dataclass
from typing import Any

from refinery.git import Git
from refinery.testing import checking
from refinery.testing import pulls as acts
from refinery.testing.graphql.checks import report_on, reported
from refinery.testing.graphql.ids import named_id
from refinery.testing.graphql.issues import page_of
from refinery.testing.graphql.lists import instant, listed, state_of
from refinery.testing.graphql.objects import Commit, Ref
from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.problems import unresolved
from refinery.testing.graphql.registry import Resolver, answers, is_kind, reads, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Event, Issue, Pull, Repository

FILE_LIMIT = 3_000  # GitHub lists no more files of a pull
COMMIT_LIMIT = 250  # nor more commits
CHANGES = {"added": "ADDED", "modified": "MODIFIED", "removed": "DELETED", "changed": "CHANGED"}


@dataclass(frozen=True)
class PullCommit:
    """A commit as part of a pull."""

    issue: Issue
    commit: Commit


@dataclass(frozen=True)
class Queue:
    """The merge queue of a branch."""

    repository: Repository
    branch: str


@dataclass(frozen=True)
class Queued:
    """A pull's place in the queue, from 1."""

    queue: Queue
    issue: Issue
    position: int


is_kind(PullCommit, "PullRequestCommit")
is_kind(Queue, "MergeQueue")
is_kind(Queued, "MergeQueueEntry")


def row_of(issue: Issue) -> Pull:
    """What a pull has beyond an issue."""
    if issue.pull is None:
        raise unresolved("a PullRequest", f"with the number of {issue.number}")
    return issue.pull


def merge_state(issue: Issue, scope: Scope) -> str:
    """What a merge button would say: the worst that stands in the way."""
    row = row_of(issue)
    can = _can_merge(issue, scope)
    if can is None:
        return "UNKNOWN"
    if not can:
        return "DIRTY"
    unmet = checking.unmet(issue)
    if row.draft:
        return "DRAFT"
    if unmet:
        return "BEHIND" if "out of date" in unmet else "BLOCKED"
    report = report_on(Commit(issue.repository, row.head_sha))
    return "UNSTABLE" if report.contexts and report.state != "SUCCESS" else "CLEAN"


def queue_of(repository: Repository, branch: str) -> Queue | None:
    """The queue of a branch whose rules want one."""
    return Queue(repository, branch) if checking.has_queue(repository, branch) else None


def entries_of(queue: Queue) -> list[Queued]:
    """Those that wait, in the order in which they were put in."""

    def since(issue: Issue) -> tuple[float, int]:
        joined = [event for event in issue.events if event.kind == "added_to_merge_queue"]
        return (instant(joined[-1].at), joined[-1].id) if joined else (0.0, 0)

    waiting = [
        issue
        for issue in acts.pulls(queue.repository)
        if row_of(issue).is_queued and row_of(issue).base_ref == queue.branch
    ]
    return [Queued(queue, issue, place) for place, issue in enumerate(sorted(waiting, key=since), start=1)]


def entry_of(issue: Issue) -> Queued | None:
    """A pull's place in the queue, if it is in one."""
    queue = queue_of(issue.repository, row_of(issue).base_ref)
    return next((each for each in entries_of(queue) if each.issue is issue), None) if queue else None


def _branch(repository: Repository | None, scope: Scope, name: str) -> Ref | None:
    return scope.ref(repository, f"refs/heads/{name}") if repository is not None else None


def _commit(issue: Issue, oid: str | None) -> Commit | None:
    return Commit(issue.repository, oid) if oid else None


def _can_merge(issue: Issue, scope: Scope) -> bool | None:
    """None for the first who asks about this head and base, and when it is not open; the same in one question."""
    if issue.state == "open" and issue not in scope.judged:
        scope.judged[issue] = acts.mergeable(issue)
    return scope.judged.get(issue)


def _mergeable(issue: Issue, scope: Scope) -> str:
    return {None: "UNKNOWN", True: "MERGEABLE", False: "CONFLICTING"}[_can_merge(issue, scope)]


reads(
    "PullRequest",
    databaseId="pull.id",
    headRefName="pull.head_ref",
    headRefOid="pull.head_sha",
    headRepository="pull.head_repository",
    baseRefName="pull.base_ref",
    baseRepository="repository",
    isDraft="pull.draft",
    isInMergeQueue="pull.is_queued",
    merged="pull.merged",
    mergedAt="pull.merged_at",
    mergedBy="pull.merged_by",
    maintainerCanModify="pull.can_maintainer_modify",
)
answers(
    "PullRequest",
    {
        "state": lambda issue, _: state_of(issue),
        "additions": lambda issue, _: sum(each[2] for each in acts.changed_files(issue)),
        "deletions": lambda issue, _: sum(each[3] for each in acts.changed_files(issue)),
        "changedFiles": lambda issue, _: len(acts.changed_files(issue)),
        "baseRef": lambda issue, scope: _branch(issue.repository, scope, row_of(issue).base_ref),
        "baseRefOid": lambda issue, _: row_of(issue).base_sha,
        "headRef": lambda issue, scope: _branch(row_of(issue).head_repository, scope, row_of(issue).head_ref),
        "headRepositoryOwner": lambda issue, _: (
            source.owner if (source := row_of(issue).head_repository) is not None else None
        ),
        "isCrossRepository": lambda issue, _: row_of(issue).head_repository is not issue.repository,
        "isMergeQueueEnabled": lambda issue, _: checking.has_queue(issue.repository, row_of(issue).base_ref),
        "mergeCommit": lambda issue, _: _commit(issue, row_of(issue).merge_commit_sha),
        "mergeQueue": lambda issue, _: queue_of(issue.repository, row_of(issue).base_ref),
        "mergeQueueEntry": lambda issue, _: entry_of(issue),
        "mergeable": _mergeable,
        "mergeStateStatus": merge_state,
        "permalink": lambda issue, scope: scope.url(page_of(issue)),
        "potentialMergeCommit": lambda _issue, _scope: None,
        "statusCheckRollup": lambda issue, scope: reported(
            Commit(issue.repository, row_of(issue).head_sha), scope
        ),
        "totalCommentsCount": lambda issue, _: len(issue.comments) + len(row_of(issue).reviews),
        "autoMergeRequest": lambda issue, _: issue if row_of(issue).auto_merge_by is not None else None,
    },
)
reads("AutoMergeRequest", enabledBy="pull.auto_merge_by")
answers(
    "AutoMergeRequest",
    {
        **dict.fromkeys(("authorEmail", "commitBody", "commitHeadline"), lambda _issue, _scope: None),
        "enabledAt": lambda issue, _: issue.updated_at,
        "mergeMethod": lambda _issue, _scope: "MERGE",
        "pullRequest": lambda issue, _: issue,
    },
)
reads("PullRequestCommit", commit="commit", pullRequest="issue")
answers(
    "PullRequestCommit",
    {
        "id": lambda node, _: named_id("PullRequestCommit", node.issue.id, node.commit.oid),
        "url": lambda node, scope: scope.url(f"{page_of(node.issue)}/commits/{node.commit.oid}"),
        "resourcePath": lambda node, _: f"/{page_of(node.issue)}/commits/{node.commit.oid}",
    },
)
answers(
    "PullRequestChangedFile",
    {
        "changeType": lambda file, _: CHANGES[file[0]],
        "path": lambda file, _: file[1],
        "additions": lambda file, _: file[2],
        "deletions": lambda file, _: file[3],
    },
)
reads("MergeQueue", repository="repository")
answers(
    "MergeQueue",
    {
        "id": lambda queue, _: named_id("MergeQueue", queue.repository.id, queue.branch),
        "configuration": lambda queue, _: queue,
        "url": lambda queue, scope: scope.url(f"{queue.repository.full_name}/queue/{queue.branch}"),
        "resourcePath": lambda queue, _: f"/{queue.repository.full_name}/queue/{queue.branch}",
    },
)
reads("MergeQueueEntry", mergeQueue="queue", position="position", pullRequest="issue")
answers(
    "MergeQueueEntry",
    {
        "id": lambda entry, _: named_id("MergeQueueEntry", entry.issue.id),
        "baseCommit": lambda entry, scope: scope.tip(entry.issue.repository, row_of(entry.issue).base_ref),
        "headCommit": lambda entry, _: _commit(entry.issue, row_of(entry.issue).head_sha),
        "enqueuedAt": lambda entry, _: _joined(entry).at,
        "enqueuer": lambda entry, _: _joined(entry).actor,
        "jump": lambda _entry, _scope: False,
        "solo": lambda _entry, _scope: False,
        "state": lambda _entry, _scope: "QUEUED",
    },
)


def _joined(entry: Queued) -> Event:
    return [event for event in entry.issue.events if event.kind == "added_to_merge_queue"][-1]


@resolves("PullRequest", "commits")
def _commits(issue: Issue, _scope: Scope, **bounds: Any) -> Window:
    row = row_of(issue)
    path = issue.repository.path
    found = Git(path).text("rev-list", "--reverse", row.head_sha, f"^{row.base_sha}").split()[-COMMIT_LIMIT:]
    return window([PullCommit(issue, Commit(issue.repository, oid)) for oid in found], bounds, "commits")


@resolves("PullRequest", "files")
def _files(issue: Issue, _scope: Scope, **bounds: Any) -> Window:
    return window(acts.changed_files(issue)[:FILE_LIMIT], bounds, "files")


@resolves("PullRequest", "closingIssuesReferences")
def _closing(issue: Issue, scope: Scope, **bounds: Any) -> Window:
    return listed(scope, acts.closing_issues(issue), bounds, "closingIssuesReferences")


@resolves("Repository", "mergeQueue")
def _queue(repository: Repository, _scope: Scope, branch: str | None = None) -> Queue | None:
    return queue_of(repository, branch or repository.default_branch)


@resolves("MergeQueue", "entries")
def _entries(queue: Queue, _scope: Scope, **bounds: Any) -> Window:
    return window(entries_of(queue), bounds, "entries")


def _parameter(name: str, scale: int = 1) -> Resolver:
    """A setting of the rule that made the queue; None when the rule does not say."""

    def read(queue: Queue, _scope: Scope) -> Any:
        for rule in checking.rules_of(queue.repository, queue.branch):
            if rule["type"] == "merge_queue":
                value = (rule.get("parameters") or {}).get(name)
                return value * scale if isinstance(value, int) else value
        return None

    return read


answers(
    "MergeQueueConfiguration",
    {
        "checkResponseTimeout": _parameter("check_response_timeout_minutes", 60),
        "maximumEntriesToBuild": _parameter("max_entries_to_build"),
        "maximumEntriesToMerge": _parameter("max_entries_to_merge"),
        "mergeMethod": _parameter("merge_method"),
        "mergingStrategy": _parameter("grouping_strategy"),
        "minimumEntriesToMerge": _parameter("min_entries_to_merge"),
        "minimumEntriesToMergeWaitTime": _parameter("min_entries_to_merge_wait_minutes", 60),
    },
)
