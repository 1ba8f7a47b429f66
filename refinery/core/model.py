"""The values that everything else speaks in: tasks, claims, pulls, checks and what was observed.

All are frozen. Instants are seconds since the UNIX epoch; SHAs are full lower-case hexadecimal object names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from refinery.core.keys import key_for
from refinery.core.outcomes import Outcome

NS: Final = "refs/refinery/"
CLAIMS: Final = NS + "claims/"
PULLS: Final = NS + "pulls/"
CHECKS: Final = NS + "checks/"
LANDING: Final = NS + "landing/"
FREEZE: Final = NS + "freeze/"
PRESERVED: Final = NS + "preserved/"
BRANCHES: Final = "refs/heads/"
LABEL: Final = "polecat"
BRANCH_PREFIX: Final = "polecat/"


class Status(StrEnum):
    """Where a task stands, as its file or labels say."""

    INBOX = "inbox"
    READY = "ready"
    IN_PROGRESS = "in_progress"
    REVIEW = "review"
    BLOCKED = "blocked"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DORMANT = "dormant"


ALIASES: Final[dict[str, Status]] = {
    "active": Status.READY,
    "todo": Status.READY,
    "open": Status.READY,
    "merge_ready": Status.REVIEW,
    "waiting": Status.BLOCKED,
    "closed": Status.DONE,
    "completed": Status.DONE,
}
FINAL: Final = frozenset({Status.DONE, Status.FAILED, Status.CANCELLED})
LEAF_TYPES: Final = frozenset({"task", "action", "bug", "feature"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit of work: a labelled issue, or a Markdown file with front matter. `order` sorts within a priority."""

    id: str
    title: str
    body: str = ""
    status: Status = Status.INBOX
    type: str = "task"
    priority: int = 2
    order: float = 0.0
    project: str = ""
    assignee: str = ""
    depends_on: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    agent: str = ""
    parent: str = ""
    complexity: str = ""
    created: str = ""
    modified: str = ""
    source: str = ""

    @property
    def key(self) -> str:
        """The task's name in refs."""
        return key_for(self.id)

    @property
    def branch(self) -> str:
        """The name of the task's branch, without `refs/heads/`."""
        return BRANCH_PREFIX + self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A task source entry that could not be used: where, what is wrong, and how to mend it."""

    path: str
    message: str
    line: int | None = None
    task: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return self.text + (f" ({self.remedy})" if self.remedy else "")

    @property
    def text(self) -> str:
        """Where, and what is wrong; the remedy apart."""
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskList:
    """One look at a task source: the tasks that parse, by id, and the problems of the rest."""

    tasks: Mapping[str, Task]
    problems: tuple[Problem, ...] = ()


class Role(StrEnum):
    """What a lease is held for."""

    WORK = "work"
    MERGE = "merge"
    PERSON = "person"


class ClaimState(StrEnum):
    """Whether a claim is held or was given back."""

    HELD = "held"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one commit of a claim's chain says. `outcome` is of this tip; `work_outcome` the last of role `work`.

    `head` is the commit the task's branch held when this was written; `mirror` the status written to the task's
    file before a release; `repairs` counts attempts on an open pull; `intent` is a landing's plan (under `landing/`).
    """

    task: str
    attempt: int
    holder: str
    role: Role
    nonce: str
    acquired_at: float
    expires_at: float
    state: ClaimState = ClaimState.HELD
    failures: int = 0
    outcome: Outcome | None = None
    work_outcome: Outcome | None = None
    reason: str = ""
    not_before: float = 0.0
    task_sha256: str = ""
    branch: str = ""
    base: str = ""
    head: str = ""
    pull: int | None = None
    mirror: Status | None = None
    repairs: int = 0
    intent: Mapping[str, object] | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class ClaimTip:
    """The tip of a claim ref. `claim` is None when it cannot be read, which counts as held; `problem` says why."""

    sha: str
    claim: Claim | None
    problem: str = ""


class PullState(StrEnum):
    """Where a pull stands."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


class ReviewState(StrEnum):
    """What a reviewer decided."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes-requested"
    COMMENTED = "commented"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review, given on commit `head`. `is_trusted`: by somebody who may write; others' words reach no prompt."""

    author: str
    state: ReviewState
    head: str
    at: float
    body: str = ""
    is_trusted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A remark on a pull; `claim` carries the SHA of the lease it was written under, for deduplication."""

    author: str
    body: str
    at: float
    claim: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request. `head` is the branch's commit at the last publication, `base` a branch name, `tip` its own ref.

    `same_repository` is False for a fork's pull; `merged_as` is the landed commit. `is_queued`: it waits in the
    forge's own merge queue. `unknown` names what the forge did not tell of it.
    """

    number: int
    task: str
    branch: str
    head: str
    base: str
    title: str
    body: str = ""
    labels: tuple[str, ...] = (LABEL,)
    draft: bool = False
    state: PullState = PullState.OPEN
    reviews: tuple[Review, ...] = ()
    comments: tuple[Comment, ...] = ()
    merged_as: str = ""
    claim: str = ""
    opened_at: float = 0.0
    closed_at: float = 0.0
    same_repository: bool = True
    is_queued: bool = False
    unknown: tuple[str, ...] = ()
    tip: str = ""

    @property
    def key(self) -> str:
        """The key of the pull's task."""
        return key_for(self.task)


class Conclusion(StrEnum):
    """How a check ended. Only SUCCESS counts as passed; SKIPPED and DID_NOT_RUN never do."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMED_OUT = "timed-out"
    DID_NOT_RUN = "did-not-run"
    SKIPPED = "skipped"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A named result on one commit or one predicted tree (`subject`), by `app` (`refinery` for our own runs)."""

    name: str
    app: str
    subject: str
    conclusion: Conclusion
    summary: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A base nobody may land on until a person lifts it."""

    base: str
    reason: str
    by: str
    at: float
    sha: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeState:
    """Everything of a forge that rules look at, observed once. Keys: claims by task key, landing/freezes by base key.

    `heads` maps branch names to SHAs. `preserved` lists refs below `refs/refinery/preserved/`. `checks` are by
    subject. `required` are the checks, by name and App, that the forge itself asks for on a base; an empty App means
    any. `problems` names refs that could not be read.
    """

    claims: Mapping[str, ClaimTip] = field(default_factory=dict)
    pulls: Mapping[int, Pull] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    landing: Mapping[str, ClaimTip] = field(default_factory=dict)
    freezes: Mapping[str, Freeze] = field(default_factory=dict)
    preserved: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)
    required: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def pull_of(self, key: str) -> Pull | None:
        """The newest pull of a task, whatever its state."""
        mine = [pull for pull in self.pulls.values() if pull.key == key]
        return max(mine, key=lambda pull: pull.number, default=None)
