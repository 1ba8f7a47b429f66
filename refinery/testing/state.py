"""What the fake GitHub knows: plain values that only `refinery.testing.world` changes.

Instants are GitHub's text, `2026-01-01T00:00:00Z`. Refs, commits, trees and files are not here: they are in each
repository's real bare git repository at `path`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True, eq=False)
class App:
    """A GitHub App; `key` is its public key in PEM, `permissions` what an installation may do."""

    id: int
    slug: str
    name: str
    owner: "Account"
    key: str = ""
    permissions: dict[str, str] = field(default_factory=dict)
    created_at: str = ""


@dataclass(slots=True, eq=False)
class Account:
    """A `User`, an `Organization` or a `Bot`; a bot's login ends with `[bot]`."""

    id: int
    login: str
    kind: str
    created_at: str
    app: App | None = None


@dataclass(slots=True, eq=False)
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str = "ededed"
    description: str = ""


@dataclass(slots=True, eq=False)
class Event:
    """One entry of a timeline; `kind` in REST's words (`labeled`, `renamed`, `closed`, …)."""

    id: int
    kind: str
    actor: Account | None
    at: str
    label: str = ""
    before: str = ""
    after: str = ""
    commit: str = ""


@dataclass(slots=True, eq=False)
class Comment:
    """A remark on an issue or pull."""

    id: int
    author: Account
    body: str
    created_at: str
    updated_at: str
    issue: "Issue"
    last_edited_at: str | None = None
    editor: Account | None = None
    is_minimized: bool = False
    reactions: list[tuple[Account, str]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Review:
    """A review of a pull: `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED` or `DISMISSED`."""

    id: int
    author: Account
    state: str
    body: str
    commit: str
    submitted_at: str


@dataclass(slots=True, eq=False)
class Pull:
    """What a pull has beyond an issue.

    `mergeable` is None until GitHub has found out for `judged`, (head, base); how often it was `asked` for that.
    """

    id: int
    head_ref: str
    head_sha: str
    head_repository: "Repository | None"
    base_ref: str
    base_sha: str
    draft: bool = False
    merged: bool = False
    merged_at: str | None = None
    merged_by: Account | None = None
    merge_commit_sha: str | None = None
    mergeable: bool | None = None
    judged: tuple[str, str] = ("", "")
    asked: int = 0
    reviews: list[Review] = field(default_factory=list)
    reviewers: list[Account] = field(default_factory=list)
    is_queued: bool = False
    auto_merge_by: Account | None = None
    can_maintainer_modify: bool = False


@dataclass(slots=True, eq=False)
class Issue:
    """An issue, or with `pull` a pull. `state_reason`: `completed`, `not_planned`, `duplicate` or `reopened`."""

    id: int
    number: int
    repository: "Repository"
    title: str
    body: str
    author: Account
    created_at: str
    updated_at: str
    state: str = "open"
    state_reason: str | None = None
    closed_at: str | None = None
    closed_by: Account | None = None
    labels: list[Label] = field(default_factory=list)
    assignees: list[Account] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    last_edited_at: str | None = None
    editor: Account | None = None
    blocked_by: list["Issue"] = field(default_factory=list)
    locked: bool = False
    pull: Pull | None = None

    @property
    def is_pull(self) -> bool:
        """Whether it is a pull."""
        return self.pull is not None


@dataclass(slots=True, eq=False)
class CheckSuite:
    """The runs of one App on one commit."""

    id: int
    app: App
    head_sha: str
    created_at: str


@dataclass(slots=True, eq=False)
class CheckRun:
    """A check run, in REST's words (`status` `queued|in_progress|completed`, `conclusion` lower-case)."""

    id: int
    name: str
    head_sha: str
    suite: CheckSuite
    status: str
    conclusion: str | None
    started_at: str
    completed_at: str | None
    title: str = ""
    summary: str = ""
    text: str = ""
    external_id: str = ""

    @property
    def app(self) -> App:
        """Who reported it."""
        return self.suite.app


@dataclass(slots=True, eq=False)
class Status:
    """A commit status: `error`, `failure`, `pending` or `success`."""

    id: int
    context: str
    state: str
    sha: str
    description: str
    creator: Account
    created_at: str
    target_url: str = ""


@dataclass(slots=True, eq=False)
class Repository:
    """A repository; `issues` are by number, pulls among them, `labels` by folded name, `permissions` by login.

    A pull's mergeability is unknown for the first `unknown_answers` that ask about a head and base.
    `known` are the branches whose moves were seen to; `refusals` patterns of refs that no push may move, and why.
    """

    id: int
    owner: Account
    name: str
    path: Path
    created_at: str
    private: bool = False
    archived: bool = False
    has_issues: bool = True
    default_branch: str = "main"
    allow_squash_merge: bool = True
    allow_merge_commit: bool = True
    allow_rebase_merge: bool = True
    delete_branch_on_merge: bool = False
    unknown_answers: int = 1
    default_workflow_permissions: str = "read"
    fork_of: "Repository | None" = None
    permissions: dict[str, str] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    suites: list[CheckSuite] = field(default_factory=list)
    checks: list[CheckRun] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    protection: dict[str, dict[str, Any]] = field(default_factory=dict)
    rulesets: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    environments: dict[str, str] = field(default_factory=dict)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner.login}/{self.name}"


@dataclass(slots=True, eq=False)
class Installation:
    """An App where it is installed, with which repositories."""

    id: int
    app: App
    account: Account
    repositories: list[Repository] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Token:
    """A credential. `permissions` None: all that its account may; `repositories` None: all of them.

    `kind`: `user`, `installation` or `actions`.
    """

    value: str
    account: Account
    kind: str = "user"
    permissions: dict[str, str] | None = None
    repositories: list[Repository] | None = None
    expires_at: float | None = None
    is_revoked: bool = False
    installation: Installation | None = None


@dataclass(slots=True, eq=False)
class Delivery:
    """One webhook delivery: what was sent, and how it was answered (0: not at all)."""

    id: int
    guid: str
    event: str
    action: str
    payload: dict[str, Any]
    delivered_at: str
    status_code: int = 0
    is_redelivery: bool = False


@dataclass(slots=True)
class Quirks:
    """What nobody knows of the real one, or what differs between its versions; a client must stand either way.

    `refuses_empty_tree`: a commit on the empty tree is refused until that tree was uploaded. `rewrites_commits`: a
    commit made through the API differs from the one that was asked for. A recursive listing of a tree is cut off
    after `tree_limit` entries.
    """

    refuses_empty_tree: bool = False
    tree_limit: int = 100_000
    rewrites_commits: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """An event that workflows listen to, on a commit; without `starts_ci` none ran for it, since a job caused it."""

    event: str
    repository: str
    sha: str
    starts_ci: bool
