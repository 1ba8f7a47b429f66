"""Bringing an attempt's work to the forge and giving the claim back: push → pull → mirror → release.

Order matters: the branch and the claim's next commit move together; only then is the pull opened; the task's mirror is
written before the release, which records it. A crash in between leaves a held claim with head and outcome on it, which
reconcile completes without running the agent again.
"""

from dataclasses import dataclass, replace
from typing import Final

from refinery.attempt import Leftover, mark_saved, snapshot_leftover
from refinery.core import claims
from refinery.core.config import ProjectConfig
from refinery.core.endings import ON_BRANCH
from refinery.core.lease import Lease
from refinery.core.model import Pull, Status, Task
from refinery.core.outcomes import Outcome
from refinery.core.sanitise import one_line, public_line
from refinery.core.status_comment import Note
from refinery.errors import LeaseLostError, PushRefusedError, RefMovedError, UsageError
from refinery.lease import MARGIN, Keeper, write
from refinery.ports import BranchPush, PullDraft
from refinery.project import Project
from refinery.worktree import remove

_UNFENCED: Final = 30.0  # seconds that a write which cannot be fenced may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What an attempt made: the outcome so far, and its one commit in the mirror ("" if it changed nothing).

    `base` is the commit it builds on, `tip` the branch's commit before it, `title` and `body` are for the pull;
    `agent` made it at the cost of `cost_usd`, None where nobody knows.
    """

    outcome: Outcome
    reason: str
    base: str
    tip: str
    commit: str = ""
    has_markers: bool = False
    title: str = ""
    body: str = ""
    agent: str = ""
    cost_usd: float | None = None


def keep(project: Project, keeper: Keeper, task: Task, product: Product) -> Product:
    """Bring the commit to the task's branch, or beside it under `preserved/`; nothing local is needed after.

    The outcome becomes `push-refused` where the forge will never take it, `conflict` where the branch was moved by
    somebody else.
    """
    if not product.commit or product.commit == product.tip:
        return product
    if product.outcome not in ON_BRANCH or product.has_markers:
        preserve(project, keeper.lease, product.commit)
        return product
    keeper.ensure(project.forge.now(), MARGIN)
    lease = keeper.settled()
    claim = replace(
        lease.claim,
        branch=task.branch,
        base=product.base,
        head=product.commit,
        outcome=product.outcome,
        work_outcome=product.outcome,
    )
    push = BranchPush(branch=task.branch, old=product.tip, new=product.commit, base=product.base)
    try:
        keeper.lease = project.forge.push(lease, claim, push)
    except RefMovedError as error:
        if error.ref == lease.ref:
            raise LeaseLostError(f"the lease on {task.id} went to somebody else before the push") from error
        preserve(project, lease, product.commit)
        moved = (
            f"{task.branch} was moved by somebody else while the agent worked; the work is under preserved/"
        )
        return replace(product, outcome=Outcome.CONFLICT, reason=moved, commit="")
    except PushRefusedError as error:
        where = bundle(project, lease, product)
        return replace(
            product, outcome=Outcome.PUSH_REFUSED, reason=f"{error.message} (work kept in {where})"
        )
    return product


def preserve(project: Project, lease: Lease, commit: str) -> str:
    """Save a commit, create-only, under the attempt's own name."""
    return project.forge.preserve(lease.key, lease.claim.attempt, lease.tip, commit)


def rescue(project: Project, leftover: Leftover, commit: str = "") -> str:
    """Save the work of an attempt that did not end as it should, and remove its worktree: needs no lease.

    `commit` is the attempt's, where it came so far. Returns the ref, or nothing where there was no work.

    Raises:
        RefineryError: it cannot be saved now; the worktree stays.
    """
    if leftover.meta is None:
        raise UsageError(leftover.problem, remedy=f"look at {leftover.folder} by hand")
    work, ref = leftover.meta.work, ""
    if not commit:
        commit = snapshot_leftover(project.mirror, leftover, project.forge.now()) or ""
    if commit and commit != work.tip:
        ref = project.forge.preserve(work.key, work.attempt, work.claim, commit)
        mark_saved(leftover.folder)
    remove(leftover.folder, project.home.path)
    return ref


def bundle(project: Project, lease: Lease, product: Product) -> str:
    """Keep work that the forge refuses as a bundle in the home folder; returns its path."""
    folder = project.home.path / "bundles"
    folder.mkdir(exist_ok=True)
    path = folder / f"{project.folder}-{lease.key}-{lease.claim.attempt}-{product.commit[:12]}.bundle"
    git = project.mirror.git()
    name = f"refs/refinery/bundled/{lease.key}"
    git.run("update-ref", name, product.commit)
    try:
        git.run("bundle", "create", "-q", str(path), name, f"^{product.base}")
    finally:
        git.run("update-ref", "-d", name)
    return str(path)


def conclude(
    project: Project, keeper: Keeper, task: Task, product: Product, config: ProjectConfig
) -> tuple[Lease, Pull | None]:
    """Open the pull where there is something to review, write the mirror, release."""
    limits = config.limits
    claim = claims.released(
        keeper.lease.claim, product.outcome, project.forge.now(), backoff=limits.backoff, cap=limits.attempts
    )
    status = claims.mirror_after(product.outcome, claim.failures, limits.attempts)
    pull = None
    if status is Status.REVIEW and keeper.lease.claim.head:
        pull = _open(project, keeper, task, product, config.label)
        claim = replace(claim, pull=pull.number)
    if status is not None:
        note = Note(
            outcome=product.outcome,
            reason=product.reason,
            agent=product.agent,
            cost_usd=product.cost_usd,
            pull=claim.pull,
        )
        claim = replace(claim, mirror=_mirrored(project, keeper, task, status, note))
    lease = keeper.settled()
    claim = replace(claim, reason=one_line(product.reason, 500), branch=lease.claim.branch)
    return write(project.forge, lease, claim), pull


def _mirrored(project: Project, keeper: Keeper, task: Task, status: Status, note: Note) -> Status | None:
    """The status now shown; None where the source cannot show it, which must not keep the claim from its release."""
    try:
        project.tasks.mirror(keeper.ensure(project.forge.now(), _UNFENCED), task, status, note)
    except UsageError:
        return None
    return status


def _open(project: Project, keeper: Keeper, task: Task, product: Product, label: str) -> Pull:
    lease = keeper.ensure(project.forge.now(), _UNFENCED)
    is_finished = product.outcome is Outcome.PUBLISHED
    draft = PullDraft(
        task=task.id,
        branch=task.branch,
        base=project.base,
        head=lease.claim.head,
        title=product.title or public_line(task.title),
        body=product.body,
        labels=(label,),
        draft=not is_finished,
    )
    pull = project.forge.open_pull(lease, draft)
    if lease.claim.repairs:
        said = f"Attempt {lease.claim.attempt} ended with {product.outcome}; the head is {pull.head[:12]}."
        project.forge.comment(lease, pull.number, said)
    return pull
