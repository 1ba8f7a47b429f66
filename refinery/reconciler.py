"""Observe, plan, repair: what makes the system correct after any process died at any point (F3, F22).

Each repair takes the claim over in role `merge` first, so two reconcilers, or one beside a worker, never both act; what
needs no lease is create-only. Running it again after it succeeded does nothing.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from refinery import lease as leases
from refinery.attempt import Leftover, dead_scratch, leftovers
from refinery.core import claims
from refinery.core.claims import is_live
from refinery.core.lease import Lease
from refinery.core.model import CLAIMS, Claim, ClaimState, Role, Status, Task
from refinery.core.outcomes import Outcome
from refinery.core.repairs import Mend, Repair, outdated, repairs, stalled
from refinery.errors import ClaimLostError, RefineryError
from refinery.pool import dead_entries, marker_of
from refinery.ports import PullDraft
from refinery.process import find_strays, kill_strays
from refinery.project import Project, View, view
from refinery.publish import rescue
from refinery.worktree import empty_trash, remove

_LEASE = 300.0  # seconds that a repair may take, at the most


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that was (or would be) mended; `error` when it could not be."""

    what: str
    subject: str
    why: str
    error: str = ""

    def to_json(self) -> dict[str, object]:
        """`{repair, subject, why, error}`."""
        return {"repair": self.what, "subject": self.subject, "why": self.why, "error": self.error or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileOptions:
    """As whom to mend, and whether only to say what would be."""

    holder: str
    is_rehearsal: bool = False
    echo: Callable[[str], None] = lambda _: None


class Reconciler:
    """Mends one project, on the forge and on this machine."""

    def __init__(self, project: Project, options: ReconcileOptions) -> None:
        self.project = project
        self.forge = project.forge
        self.options = options

    def reconcile(self) -> list[Done]:
        """Everything that there is to mend; first this machine's, so that no work is behind a released claim."""
        done = self._this_machine()
        done += self._repository()
        seen = view(self.project)
        done += [self._mend(each, seen) for each in repairs(seen.tasks, seen.state, seen.now)]
        done += self._delete(seen)
        return done

    def reset_stalled(self, hours: float) -> list[Done]:
        """Give back what nobody has worked on for `hours`; a live claim is never touched (F3)."""
        done = self._this_machine()
        seen = view(self.project)
        ages = {name: _age(task, seen.now) for name, task in seen.tasks.tasks.items()}
        return done + [
            self._mend(each, seen) for each in stalled(seen.tasks, seen.state, seen.now, hours, ages)
        ]

    def _this_machine(self) -> list[Done]:
        """Strays of dead attempts end, their work is preserved, their folders go."""
        home = self.project.home
        mine = [each for each in leftovers(home.path) if _is_of(each, self.project.slug)]
        unfinished = dead_entries(home.path)
        scratch = dead_scratch(home.path) + unfinished
        ids = [each.meta.work.id for each in mine if each.meta is not None]
        ids += [folder.name for folder in scratch] + [marker_of(folder) for folder in unfinished]
        done = [Done("end-stray", str(pid), "its attempt is dead") for pid in find_strays(ids)]
        if not self.options.is_rehearsal:
            kill_strays(ids)
        done += [self._save(each) for each in mine]
        if not self.options.is_rehearsal:
            for folder in scratch:
                remove(folder, home.path)
            empty_trash(home.path)
        return done

    def _save(self, leftover: Leftover) -> Done:
        if leftover.meta is None:
            return Done("keep", leftover.folder.name, "its note cannot be read", leftover.problem)
        work = leftover.meta.work
        try:
            if self.options.is_rehearsal:
                return Done("preserve", work.id, "its worker is dead")
            ref = rescue(self.project, leftover)
        except RefineryError as error:
            return Done("keep", work.id, "its work could not be saved", error.message)
        return Done(
            "preserve", work.id, f"its worker is dead; {'work is at ' + ref if ref else 'it had no work'}"
        )

    def _repository(self) -> list[Done]:
        if self.options.is_rehearsal:
            return []
        return [Done("repair", self.project.base, each) for each in self.forge.repair(self.project.base)]

    def _mend(self, repair: Repair, seen: View) -> Done:
        told = Done(repair.kind, repair.task.id, repair.why)
        if self.options.is_rehearsal:
            return told
        try:
            lease = self._take(repair, min(_LEASE, seen.config.limits.lease))
            self._carry_out(repair, lease, seen)
        except RefineryError as error:
            return replace(told, error=error.message)
        self.options.echo(f"{repair.task.id}: {repair.kind} ({repair.why})")
        return told

    def _take(self, repair: Repair, seconds: float) -> Lease:
        """The claim, in role `merge`, for so many seconds; a broken lease is taken over although it looks live."""
        now = self.forge.now()
        tip = repair.tip
        if tip is not None and is_live(tip, now) and not claims.is_broken(tip, now):
            raise ClaimLostError(f"{repair.task.id} was claimed meanwhile")
        if tip is not None and tip.claim is not None and is_live(tip, now):
            ended = replace(
                tip.claim, state=ClaimState.RELEASED, expires_at=now, reason="its lease was broken"
            )
            moved = self.forge.write_claim(CLAIMS + repair.task.key, ended, tip.sha)
            tip = replace(tip, sha=moved, claim=ended)
        wanted = leases.Wanted(
            key=repair.task.key,
            task=repair.task.id,
            role=Role.MERGE,
            holder=self.options.holder,
            seconds=seconds,
            attempt=0,
            outcome=repair.outcome,
            reason=tip.claim.reason if repair.outcome and tip is not None and tip.claim is not None else "",
        )
        return leases.acquire(self.forge, tip, wanted, now)

    def _carry_out(self, repair: Repair, lease: Lease, seen: View) -> None:
        old = repair.tip.claim if repair.tip is not None else None
        if repair.kind in (Mend.FINISH_LANDING, Mend.SHOW_DONE):
            self._end(repair, lease, Outcome.MERGED, Status.DONE)
        elif repair.kind is Mend.FINISH_WORK and old is not None and old.outcome is not None:
            self._finish_work(repair, lease, old, seen)
        elif repair.kind is Mend.SHOW_STATUS and old is not None and old.mirror is not None:
            self._end(replace(repair, why=old.reason), lease, Outcome.FORCE_STOPPED, old.mirror)
        elif repair.task.status is Status.IN_PROGRESS or old is None or old.mirror is None:
            self._end(repair, lease, Outcome.FORCE_STOPPED, Status.READY)
        else:
            self._end(repair, lease, Outcome.FORCE_STOPPED, old.mirror)

    def _end(self, repair: Repair, lease: Lease, outcome: Outcome, status: Status) -> None:
        """Mirror, then the release that records it."""
        self.project.tasks.mirror(lease, repair.task, status)
        recorded = replace(lease, claim=replace(lease.claim, mirror=status))
        leases.release(self.forge, recorded, outcome, self.forge.now(), reason=repair.why)

    def _finish_work(self, repair: Repair, lease: Lease, old: Claim, seen: View) -> None:
        """What the dead worker had left to do after its push: pull, mirror, release."""
        limits, outcome = seen.config.limits, old.outcome or Outcome.FORCE_STOPPED
        work = replace(old, role=Role.WORK)  # whoever died over it last, it is the worker's ending
        final = claims.released(work, outcome, self.forge.now(), backoff=limits.backoff, cap=limits.attempts)
        status = claims.mirror_after(outcome, final.failures, limits.attempts) or Status.READY
        if status is Status.REVIEW:
            draft = PullDraft(
                task=repair.task.id,
                branch=repair.task.branch,
                base=self.project.base,
                head=old.head,
                title=repair.task.title,
                body=f"Task {repair.task.id}, attempt {old.attempt}. Its worker died after the push.",
                labels=(seen.config.label,),
                draft=outcome is not Outcome.PUBLISHED,
            )
            final = replace(final, pull=self.forge.open_pull(lease, draft).number)
        self.project.tasks.mirror(lease, repair.task, status)
        leases.write(self.forge, lease, replace(final, mirror=status, reason=repair.why))

    def _delete(self, seen: View) -> list[Done]:
        refs = outdated(seen.tasks, seen.state, seen.now)
        if refs and not self.options.is_rehearsal:
            self.forge.delete_refs(refs)
        return [Done("delete", ref, "its task is finished for a day") for ref in refs]


def _is_of(leftover: Leftover, slug: str) -> bool:
    return leftover.meta is None or leftover.meta.work.project == slug


def _age(task: Task, now: float) -> float:
    """Seconds since the task's file was changed, or since the issue says it was."""
    try:
        return time.time() - Path(task.source).stat().st_mtime
    except OSError:
        with suppress(ValueError):
            return now - datetime.fromisoformat(task.modified).timestamp()
        return 0.0


def failed(done: Sequence[Done]) -> bool:
    """Whether anything could not be mended."""
    return any(each.error for each in done)
