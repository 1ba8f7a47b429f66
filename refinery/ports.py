"""The Protocols that services speak to: where tasks live, where code lives, and which program does the work.

Every write for a task takes the `Lease` that permits it and moves the claim in the same step where the forge can.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from refinery.core.agent import AgentCommand, AgentRequest, AgentResult, Finished
from refinery.core.lease import Lease
from refinery.core.model import (
    LABEL,
    Check,
    Claim,
    ForgeState,
    Freeze,
    Pull,
    Review,
    Status,
    Task,
    TaskList,
)
from refinery.core.status_comment import Note


class Tasks(Protocol):
    """A source of tasks: a folder of Markdown files, or a repository's issues."""

    def all(self) -> TaskList:
        """Every task and every problem, in one look."""

    def get(self, task_id: str) -> Task:
        """One task, read afresh; TaskFileError when it is gone or cannot be read."""

    def mirror(self, lease: Lease, task: Task, status: Status, note: Note | None = None) -> None:
        """Show `status` in the source, with `note` where there is room; a mirror is never read back as truth."""


class Agent(Protocol):
    """A coding program: translates a request into a command line, and what the program did into a result."""

    name: str

    def command(self, request: AgentRequest) -> AgentCommand:
        """The argv, standard input and environment additions for one attempt."""

    def result(self, finished: Finished) -> AgentResult:
        """What the finished program reported; a missing report is a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullDraft:
    """What a worker wants a pull to be; opening it again for the same branch updates it."""

    task: str
    branch: str
    base: str
    head: str
    title: str
    body: str
    labels: tuple[str, ...] = (LABEL,)
    draft: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchPush:
    """Move `branch` from `old` (empty: absent) to the mirror's commit `new`, which builds on `base`."""

    branch: str
    old: str
    new: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingItem:
    """One pull of a landing, the role-`merge` lease on its task, and the commit that carries it."""

    pull: Pull
    lease: Lease
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingPlan:
    """Move `base` from `old` to the mirror's commit `commit`, whose tree was predicted and checked as `tree`."""

    base: str
    old: str
    commit: str
    tree: str
    items: tuple[LandingItem, ...]
    delete_branches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What a landing left: the advanced leases, and what was read back from the forge: commit, tree, first parent.

    `tip` is the base's commit or, where the forge makes landed commits itself, the one that it made.
    """

    landing: Lease
    leases: tuple[Lease, ...]
    tip: str
    tree: str
    parent: str


class Forge(Protocol):
    """The host of claims, branches, pulls and checks. Unanswered reads and writes raise ForgeUnavailableError."""

    kind: str
    lands_together: bool  # whether several pulls land in one move, so that no other tree is ever the base

    def now(self) -> float:
        """The forge's clock, in seconds since the epoch."""

    def observe(self) -> ForgeState:
        """Everything that rules look at, once; a truncated listing is an error, never a shorter one."""

    def write_claim(self, ref: str, claim: Claim, parent: str | None) -> str:
        """Move `ref` from `parent` (None: create-only) to a commit of `claim`; the same claim makes the same SHA.

        Raises:
            RefMovedError: read back after the attempt, somebody else's commit is there.
        """

    def sync(self, state: ForgeState, branches: Sequence[str]) -> None:
        """Bring the commits of these branches into the mirror."""

    def push(self, lease: Lease, claim: Claim, push: BranchPush) -> Lease:
        """Move a branch together with the claim's next commit: both or neither."""

    def retire(self, lease: Lease, claim: Claim, branch: str, old: str) -> Lease:
        """Move an old branch tip to `preserved/` and delete the branch, together with the claim's next commit."""

    def preserve(self, key: str, attempt: int, claim: str, commit: str) -> str:
        """Save work, create-only, at `preserved/<key>/<attempt>-<claim>`: the one write that needs no lease."""

    def open_pull(self, lease: Lease, draft: PullDraft) -> Pull:
        """Open the pull of the lease's task, or update the open one of the same branch and base."""

    def comment(self, lease: Lease, pull: int, body: str) -> None:
        """Say something on a pull, once per claim commit and text."""

    def review(self, pull: int, review: Review) -> Pull:
        """Record a person's review."""

    def set_checks(self, landing: Lease, subject: str, checks: Sequence[Check]) -> None:
        """Record check results on a predicted tree."""

    def obstacles(self, base: str, paths: Sequence[str]) -> tuple[str, ...]:
        """Those of `paths` that somebody has changed, or has untracked, where the base is checked out."""

    def land(self, landing: Lease, claim: Claim, plan: LandingPlan, now: float) -> Landed:
        """Land a plan. `claim` is the landing claim's next commit, with the plan as its intent.

        Raises:
            RefMovedError: the base, a claim or a pull is no longer what the plan was made on; nothing landed.
            InTheWayError: a checkout of the base has local changes that it would overwrite; nothing landed.
            LandingRefusedError: the forge's own rules are against it, or its merge queue took it over.
        """

    def freeze(self, landing: Lease, freeze: Freeze) -> None:
        """Stop all landing on a base until a person lifts it."""

    def unfreeze(self, base: str) -> Freeze | None:
        """Lift a freeze; returns what was lifted."""

    def delete_refs(self, refs: Mapping[str, str]) -> None:
        """Delete refs of ours, each pinned to the SHA seen (the reconciler's alone)."""

    def repair(self, base: str) -> tuple[str, ...]:
        """Finish or clear what a killed writer left in the repository itself; returns what was done."""
