"""One landing after the other on one base, under one landing lease.

Properties: what lands is exactly the tree that the checks ran on (F23), of the head that was judged (F20), on the
base that it was predicted for; if any of these moved, nothing lands and the pull is judged again on what is there
now. The landing claim carries the intent before anything moves, so a crash at any point is finished by reconcile (F22).
Accepted race: a person may push to the base between two landings; the next prediction starts from there.
"""

from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

from refinery import lease as leases
from refinery.checks import CheckRun, run_checks
from refinery.core.lease import Lease
from refinery.core.model import Freeze, Role, Status
from refinery.core.outcomes import Outcome
from refinery.core.reasons import Code, Reason, reason
from refinery.core.verdict import CHECKS_APP, POLL, Decision, Verdict, policy_digest
from refinery.errors import ClaimLostError, InTheWayError, RefineryError, RefMovedError
from refinery.git import Signature
from refinery.judging import Judge, Judged
from refinery.ports import Landed, LandingItem, LandingPlan
from refinery.process import Stop, StopFlag
from refinery.project import Project, View, view

LEASE: Final = 900.0  # seconds of the landing claim and of a task's claim while it lands
_TRIES: Final = 5  # times that a pull is judged again because something moved meanwhile


class Options(Protocol):
    """What a line needs to know of how to merge."""

    @property
    def holder(self) -> str:
        """As whom to hold claims."""

    @property
    def delete_branches(self) -> bool:
        """Whether a landed branch goes."""

    @property
    def stop(self) -> StopFlag | None:
        """Somebody's wish to stop: what lands is finished, nothing new is begun."""

    @property
    def echo(self) -> Callable[[str], None]:
        """Takes one line for people."""


class Line:
    """A context manager: holds the base from the first landing to the last."""

    def __init__(self, project: Project, judge: Judge, landing: Lease, options: Options) -> None:
        self.project = project
        self.forge = project.forge
        self.judge = judge
        self.options = options
        self.keeper = leases.Keeper(self.forge, landing, LEASE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            leases.release(self.forge, self.keeper.settled(), Outcome.WAITING, self.forge.now())
        except RefineryError as problem:
            self.options.echo(f"the landing claim could not be released: {problem.message}; it will expire")

    def land(self, first: Judged) -> tuple[Judged, str]:
        """Judge one pull on the present base, check it, land it; the verdict, and the commit if it landed."""
        judged = first
        for _ in range(_TRIES):
            if self._is_stopping():
                return self._waits(
                    judged, reason(Code.UNKNOWN, what="the result: the merger was stopped")
                ), ""
            judged = self._judge_now(first.pull.number)
            if judged.verdict.decision is not Decision.MERGE:
                return judged, ""
            try:
                return judged, self._land(judged)
            except (RefMovedError, ClaimLostError, InTheWayError) as error:
                self.options.echo(f"pull {first.pull.number}: {error.message}; it is judged again")
        return self._waits(judged, reason(Code.UNKNOWN, what="a base that stands still")), ""

    def _waits(self, judged: Judged, *reasons: Reason) -> Judged:
        return replace(judged, verdict=Verdict(Decision.WAIT, reasons, self.forge.now() + POLL))

    def _is_stopping(self) -> bool:
        return self.options.stop is not None and self.options.stop.state is not Stop.NONE

    def _judge_now(self, number: int) -> Judged:
        """The verdict on what is there now; checks run first where only their results are missing."""
        self.keeper.ensure(self.forge.now())
        seen = view(self.project)
        judged = self.judge.judge(seen.state.pulls[number], seen)
        if judged.verdict.decision is Decision.MERGE or _lacks_only_checks(judged):
            obstructed = self._obstructed(judged)
            if obstructed is not None:
                return obstructed
        if _lacks_only_checks(judged):
            self._check(judged, seen)
            seen = view(self.project)
            judged = self.judge.judge(seen.state.pulls[number], seen)
        return judged

    def _obstructed(self, judged: Judged) -> Judged | None:
        """The pull as waiting, where somebody's local changes in a checkout of the base are in its way."""
        result = judged.snapshot.result
        found = self.forge.obstacles(judged.pull.base, result.paths) if result is not None else ()
        reasons = [reason(Code.IN_THE_WAY, path=path, base=judged.pull.base) for path in found]
        return self._waits(judged, *reasons) if reasons else None

    def _check(self, judged: Judged, seen: View) -> None:
        self.options.echo(f"pull {judged.pull.number}: checking the predicted result")
        results = run_checks(
            self.project,
            seen.config,
            CheckRun(
                commit=self._commit(judged, seen),
                tree=judged.snapshot.tree,
                tick=lambda: self.keeper.tick(self.forge.now()),
                stop=self.options.stop,
            ),
        )
        if not self._is_stopping():
            self.forge.set_checks(self.keeper.ensure(self.forge.now()), judged.snapshot.tree, results)

    def _commit(self, judged: Judged, seen: View) -> str:
        """The commit that would land: squashed, or a merge where the policy says so."""
        pull, policy = judged.pull, self.judge.policy(seen)
        parents = [judged.base] if policy.squash else [judged.base, pull.head]
        checks = ", ".join(sorted(check.name for check in judged.snapshot.checks))
        trailers = {
            "Refinery-Task": pull.task,
            "Refinery-Pull": str(pull.number),
            "Refinery-Base": judged.base,
            "Refinery-Head": pull.head,
            "Refinery-Tree": judged.snapshot.tree,
            "Refinery-Checks": checks or "none",
            "Refinery-Policy": policy_digest(policy)[:16],
        }
        tail = "\n".join(f"{name}: {' '.join(value.split())}" for name, value in trailers.items())
        body = f"{pull.body.strip()}\n\n" if pull.body.strip() else ""
        message = f"{pull.title} (#{pull.number})\n\n{body}{tail}\n"
        committer = Signature("Refinery", "refinery@localhost", self.forge.now())
        author = replace(self._author(pull.head), at=committer.at)
        return self.project.mirror.commit(judged.snapshot.tree, parents, author, committer, message)

    def _author(self, head: str) -> Signature:
        shown = self.project.mirror.git().text("log", "-1", "--format=%an%x00%ae", head, "--")
        name, _, email = shown.partition("\0")
        return Signature(name, email, 0)

    def _land(self, judged: Judged) -> str:
        seen = view(self.project)
        commit = self._commit(judged, seen)
        lease = self._acquire_task(judged)
        plan = LandingPlan(
            base=judged.pull.base,
            old=judged.base,
            commit=commit,
            tree=judged.snapshot.tree,
            items=(LandingItem(pull=judged.pull, lease=lease, commit=commit),),
            delete_branches=self.options.delete_branches,
        )
        try:
            landed = self._move(plan)
        except (RefMovedError, InTheWayError):
            leases.release(self.forge, lease, Outcome.WAITING, self.forge.now(), reason="moved while landing")
            raise
        self._verify(plan, landed)
        self._finish(judged, landed)
        self.options.echo(f"pull {judged.pull.number}: merged into {plan.base} as {commit[:12]}")
        return commit

    def _acquire_task(self, judged: Judged) -> Lease:
        wanted = leases.Wanted(
            key=judged.pull.key,
            task=judged.pull.task,
            role=Role.MERGE,
            holder=self.options.holder,
            seconds=LEASE,
        )
        return leases.acquire(self.forge, judged.snapshot.claim, wanted, self.forge.now())

    def _move(self, plan: LandingPlan) -> Landed:
        """Land, with the plan as the landing claim's intent; two crash points, both told by the forge's refs."""
        landing = self.keeper.ensure(self.forge.now())
        intent = {
            "base": plan.base,
            "old": plan.old,
            "commit": plan.commit,
            "tree": plan.tree,
            "pulls": [item.pull.number for item in plan.items],
            "heads": [item.pull.head for item in plan.items],
            "claims": [item.lease.tip for item in plan.items],
        }
        self.keeper.lease = leases.advance(self.forge, landing, intent=intent)
        claim = replace(self.keeper.lease.claim, outcome=Outcome.MERGED)
        landed = self.forge.land(self.keeper.lease, claim, plan, self.forge.now())
        self.keeper.lease = landed.landing
        return landed

    def _verify(self, plan: LandingPlan, landed: Landed) -> None:
        """The landed tree is read back and compared; anything unexpected freezes the base (F23)."""
        if landed.tip == plan.commit and landed.tree == plan.tree and landed.parent == plan.old:
            return
        if self._contains(plan):
            return  # somebody pushed on top of it right after
        why = f"{plan.base} is at {landed.tip[:12]} with tree {landed.tree[:12]}, not the predicted {plan.tree[:12]}"
        freeze = Freeze(base=plan.base, reason=why, by=self.options.holder, at=self.forge.now())
        self.forge.freeze(self.keeper.lease, freeze)
        raise RefineryError(
            f"{plan.base} is frozen: {why}", remedy=f"find out why, then `refinery unfreeze {plan.base}`"
        )

    def _contains(self, plan: LandingPlan) -> bool:
        state = self.forge.observe()
        self.forge.sync(state, [plan.base])
        return self.project.mirror.is_ancestor(plan.commit, state.heads[plan.base])

    def _finish(self, judged: Judged, landed: Landed) -> None:
        """Mirror first, then the release that records it; what fails here is mended by reconcile, since it landed."""
        lease, name = landed.leases[0], judged.pull.task
        claim = lease.claim
        try:
            self.project.tasks.mirror(lease, self.project.tasks.get(name), Status.DONE)
            claim = replace(claim, mirror=Status.DONE)
        except RefineryError as error:
            self.options.echo(f"{name}: landed, and its task does not show it: {error.message}")
        try:
            done = replace(lease, claim=claim)
            leases.release(self.forge, done, Outcome.MERGED, self.forge.now())
        except RefineryError as error:
            self.options.echo(f"{name}: landed, and its claim is not given back: {error.message}")


def _lacks_only_checks(judged: Judged) -> bool:
    reasons = judged.verdict.reasons
    return bool(reasons) and all(
        each.code is Code.CHECK_MISSING and each.facts.get("app") == CHECKS_APP for each in reasons
    )
