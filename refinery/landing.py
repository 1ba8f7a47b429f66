"""Landing on one base, under one landing lease: batches of pulls, checked as one tree, moved in one step.

Properties: what lands is exactly the tree that the checks ran on (F23), of the heads that were judged (F20), on the
base that it was predicted for; if any of these moved, nothing lands and all are judged again on what is there now. The
landing claim carries the intent before anything moves, so a crash at any point is finished by reconcile (F22).
Accepted race: a person may push to the base between two landings; the next prediction starts from there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

from refinery import lease as leases
from refinery.batch import Step, did_run, green_prefix, stack
from refinery.checks import CheckRun, run_checks
from refinery.core.lease import Lease
from refinery.core.model import Check, Conclusion, Freeze, Role, Status
from refinery.core.outcomes import Outcome
from refinery.core.reasons import CHECKS_APP, Code, Reason, reason
from refinery.core.verdict import POLL, Decision, Verdict, policy_digest, tree_reasons
from refinery.errors import (
    ClaimLostError,
    FrozenError,
    GitError,
    InTheWayError,
    LandingRefusedError,
    LeaseLostError,
    RefineryError,
    RefMovedError,
)
from refinery.git import Signature
from refinery.judging import Judge, Judged
from refinery.ports import BranchPush, Landed, LandingItem, LandingPlan
from refinery.process import Stop, StopFlag
from refinery.project import Project, View, view

LEASE: Final = 900.0  # seconds of the landing claim, and of a task's claim while it lands, at the most
_BATCH: Final = 32  # pulls that are checked as one tree
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
        self._seconds = landing.claim.expires_at - landing.claim.acquired_at
        self.keeper = leases.Keeper(self.forge, landing, self._seconds)
        self._results: dict[str, tuple[Check, ...]] = {}
        self._at_once = _BATCH

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            leases.release(self.forge, self.keeper.settled(), Outcome.WAITING, self.forge.now())
        except RefineryError as problem:
            self.options.echo(f"the landing claim could not be released: {problem.message}; it will expire")

    def land(self, first: Sequence[Judged]) -> Iterator[tuple[Judged, str]]:
        """Land what may of these pulls, in their order: each with its verdict, and its commit if it landed."""
        waiting = {each.pull.number: each for each in first}
        for _ in range(len(first) + _TRIES):  # each round settles a pull, unless something moved meanwhile
            if not waiting or self._is_stopping():
                break
            for judged, commit in self._round(list(waiting)):
                del waiting[judged.pull.number]
                yield judged, commit
        why = "the merger was stopped" if self._is_stopping() else "the base did not stand still"
        for each in waiting.values():
            yield self._waits(each, reason(Code.UNKNOWN, what=f"the result: {why}")), ""

    def _round(self, numbers: Sequence[int]) -> Iterator[tuple[Judged, str]]:
        """Judge all of them on the present base; settle what will not land, and land a batch of the rest."""
        self.keeper.ensure(self.forge.now())
        seen = view(self.project)
        ready = []
        for number in numbers:
            judged = self.judge.judge(seen.state.pulls[number], seen)
            settled = judged if self._is_settled(judged) else self._obstructed(judged)
            if settled is None:
                ready.append(judged)
            else:
                yield settled, ""
        if ready:
            yield from self._batch(ready, seen)

    def _is_settled(self, judged: Judged) -> bool:
        """Whether nothing that this pass may still do changes the verdict."""
        if judged.verdict.decision is Decision.MERGE:
            return False
        return not lacks_only_checks(judged) or judged.snapshot.tree in self._results

    def _obstructed(self, judged: Judged) -> Judged | None:
        """The pull as waiting, where somebody's local changes in a checkout of the base are in its way."""
        result = judged.snapshot.result
        found = self.forge.obstacles(judged.pull.base, result.paths) if result is not None else ()
        reasons = [reason(Code.IN_THE_WAY, path=path, base=judged.pull.base) for path in found]
        return self._waits(judged, *reasons) if reasons else None

    def _waits(self, judged: Judged, *reasons: Reason) -> Judged:
        return replace(judged, verdict=Verdict(Decision.WAIT, reasons, self.forge.now() + POLL))

    def _is_stopping(self) -> bool:
        return self.options.stop is not None and self.options.stop.state is not Stop.NONE

    def _batch(self, ready: Sequence[Judged], seen: View) -> Iterator[tuple[Judged, str]]:
        """Land the longest prefix on whose tree the checks pass; the first pull behind it is judged alone next."""
        policy = self.judge.policy(seen)

        def commit_of(judged: Judged, tree: str, parent: str) -> str:
            return self._commit(judged, tree, parent, seen)

        at_once = self._at_once if self.forge.lands_together or not seen.config.checks else 1
        steps = stack(self.project.predictions, ready[0].base, ready[:at_once], policy, commit_of)
        green = steps[: green_prefix(steps, lambda step: self._passes(step, seen))]
        for group in [green] if self.forge.lands_together else [[step] for step in green]:
            if not group or self._is_stopping():
                return
            try:
                commit = self._land(group, seen)
            except (RefMovedError, ClaimLostError, InTheWayError) as error:
                self.options.echo(f"{error.message}; what was about to land is judged again")
                return
            except LandingRefusedError as error:
                if not error.is_behind:  # else its branch was brought up to date: judged again
                    yield self._refused(group[0].judged, error), ""
                return
            for step in group:
                yield replace(step.judged, verdict=Verdict(Decision.MERGE)), commit or step.commit

    def _refused(self, judged: Judged, error: LandingRefusedError) -> Judged:
        """The pull with the forge's own words against landing it."""
        if error.is_queued:
            return self._waits(judged, reason(Code.QUEUED))
        refused = (reason(Code.FORGE_REFUSES, why=error.why),)
        return replace(judged, verdict=Verdict(Decision.REFUSE, refused))

    def _passes(self, step: Step, seen: View) -> bool:
        """Whether the checks pass on a step's tree; they run only where nobody knows yet (F24)."""
        if self._is_stopping():
            return False
        checks = self._results.get(step.tree) or seen.state.checks.get(step.tree, ())
        missing = set(seen.config.checks) - {check.name for check in checks}
        if missing or (step.tree not in self._results and not did_run(checks)):
            checks = self._check(step, seen)
        if not did_run(checks):
            self._at_once = 1
        policy = self.judge.policy(seen)
        return step.verdict(step.tree, checks, policy, self.forge.now()).decision is Decision.MERGE

    def _check(self, step: Step, seen: View) -> tuple[Check, ...]:
        self.options.echo(f"pull {step.judged.pull.number}: checking the predicted result")
        what = CheckRun(
            commit=step.commit,
            tree=step.tree,
            tick=self._tick,
            stop=self.options.stop,
        )
        results = run_checks(self.project, seen.config, what)
        if not self._is_stopping():
            self.forge.set_checks(self.keeper.ensure(self.forge.now()), step.tree, results)
            self._results[step.tree] = results
        return results

    def _tick(self) -> None:
        self.keeper.tick(self.forge.now())

    def _commit(self, judged: Judged, tree: str, parent: str, seen: View) -> str:
        """The commit that would land: squashed, or a merge where the policy says so."""
        pull, policy = judged.pull, self.judge.policy(seen)
        trailers = {
            "Refinery-Task": pull.task,
            "Refinery-Pull": str(pull.number),
            "Refinery-Base": parent,
            "Refinery-Head": pull.head,
            "Refinery-Tree": tree,
            "Refinery-Checks": ", ".join(sorted(seen.config.checks)),
            "Refinery-Policy": policy_digest(policy)[:16],
        }
        tail = "\n".join(f"{name}: {' '.join(value.split())}" for name, value in trailers.items())
        body = f"{pull.body.strip()}\n\n" if pull.body.strip() else ""
        message = f"{pull.title} (#{pull.number})\n\n{body}{tail}\n"
        parents = [parent] if policy.squash else [parent, pull.head]
        committer = Signature("Refinery", "refinery@localhost", self.forge.now())
        author = replace(self._author(pull.head), at=committer.at)
        return self.project.mirror.commit(tree, parents, author, committer, message)

    def _author(self, head: str) -> Signature:
        shown = self.project.mirror.git().text("log", "-1", "--format=%an%x00%ae", head, "--")
        name, _, email = shown.partition("\0")
        return Signature(name, email, 0)

    def _land(self, steps: Sequence[Step], seen: View) -> str:
        """Take the tasks' claims, move everything at once, read back, then mirrors and releases.

        Returns the landed commit where the forge made one of its own.
        """
        held = self._acquire([step.judged for step in steps])
        last = steps[-1]
        plan = LandingPlan(
            base=last.judged.pull.base,
            old=steps[0].parent,
            commit=last.commit,
            tree=last.tree,
            items=tuple(
                LandingItem(pull=step.judged.pull, lease=lease, commit=step.commit)
                for step, lease in zip(steps, held, strict=True)
            ),
            delete_branches=self.options.delete_branches,
        )
        try:
            landed = self._move(plan)
        except LandingRefusedError as error:
            self._give_back([self._catch_up(plan)] if error.is_behind else held)
            raise
        except (RefMovedError, InTheWayError):
            self._give_back(held)
            raise
        self._verify(plan, landed, seen)
        made = "" if landed.tip == plan.commit or self.forge.lands_together else landed.tip
        for step, lease in zip(steps, landed.leases, strict=True):
            self._finish(step.judged.pull.task, lease)
            self.options.echo(
                f"pull {step.judged.pull.number}: merged into {plan.base} as {(made or step.commit)[:12]}"
            )
        return made

    def _acquire(self, judged: Sequence[Judged]) -> list[Lease]:
        """The tasks' claims in role `merge`, all or none."""
        held: list[Lease] = []
        for each in judged:
            wanted = leases.Wanted(
                key=each.pull.key,
                task=each.pull.task,
                role=Role.MERGE,
                holder=self.options.holder,
                seconds=self._seconds,
            )
            try:
                held.append(leases.acquire(self.forge, each.snapshot.claim, wanted, self.forge.now()))
            except ClaimLostError:
                self._give_back(held)
                raise
        return held

    def _catch_up(self, plan: LandingPlan) -> Lease:
        """Merge the base into the branch, fenced, and record the new head: its checks begin anew, then it may land."""
        (item,) = plan.items
        pull, mirror, state = item.pull, self.project.mirror, self.forge.observe()
        base = state.heads[plan.base]
        self.forge.sync(state, [plan.base])
        predicted = mirror.predict(base, pull.head)
        if predicted.conflicts:
            return item.lease
        who = Signature("Refinery", "refinery@localhost", self.forge.now())
        words = f"Merge {plan.base} into {pull.branch}\n"
        merged = mirror.commit(predicted.tree, [pull.head, base], who, who, words)
        push = BranchPush(branch=pull.branch, old=pull.head, new=merged, base=base)
        try:
            lease = self.forge.push(item.lease, replace(item.lease.claim, head=merged), push)
        except RefMovedError as error:
            self.options.echo(error.message)
            return item.lease
        self.options.echo(
            f"pull {pull.number}: its branch was behind {plan.base}, which is now merged into it"
        )
        return lease

    def _give_back(self, held: Sequence[Lease]) -> None:
        why = "moved while landing"
        for lease in held:
            try:
                leases.release(self.forge, lease, Outcome.WAITING, self.forge.now(), reason=why)
            except LeaseLostError as error:  # a worker was faster: nothing to give back
                self.options.echo(error.message)

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

    def _verify(self, plan: LandingPlan, landed: Landed, seen: View) -> None:
        """The landed tree is read back and compared; anything unexpected freezes the base (F23)."""
        if self._is_as_predicted(plan, landed) or self._contains(plan) or self._raced(plan, landed, seen):
            return
        why = f"{plan.base} is at {landed.tip[:12]} with tree {landed.tree[:12]}, not the predicted {plan.tree[:12]}"
        freeze = Freeze(base=plan.base, reason=why, by=self.options.holder, at=self.forge.now())
        self.forge.freeze(self.keeper.lease, freeze)
        raise FrozenError(
            f"{plan.base} is frozen: {why}", remedy=f"find out why, then `refinery unfreeze {plan.base}`"
        )

    def _is_as_predicted(self, plan: LandingPlan, landed: Landed) -> bool:
        if landed.tree != plan.tree:
            return False
        mirror = self.project.mirror
        return landed.tip == plan.commit or mirror.tree_of(landed.parent) == mirror.tree_of(plan.old)

    def _raced(self, plan: LandingPlan, landed: Landed, seen: View) -> bool:
        """Whether the base had moved on before the forge merged, to a parent on which the verdict is the same.

        Recomputed from the actual parent: the same tree, still admitted by the policy, and by checks of ours.
        """
        if self.forge.lands_together or len(plan.items) != 1:
            return False
        known, head, parent = self.project.predictions, plan.items[0].pull.head, landed.parent
        policy = self.judge.policy(seen)
        try:
            predicted = known.merge(parent, head)
            against = tree_reasons([known.step(parent, predicted.tree)], policy)
        except GitError:
            return False
        if predicted.conflicts or predicted.tree != landed.tree or against:
            return False
        self.options.echo(f"{plan.base} had moved on to {parent[:12]}: raced, with the predicted result")
        what = CheckRun(commit=landed.tip, tree=landed.tree, tick=self._tick)
        results = run_checks(self.project, seen.config, what) if seen.config.checks else ()
        return all(each.conclusion is Conclusion.SUCCESS for each in results)

    def _contains(self, plan: LandingPlan) -> bool:
        """Whether somebody pushed on top of what landed, right after."""
        if not self.forge.lands_together:
            return False
        state = self.forge.observe()
        self.forge.sync(state, [plan.base])
        return self.project.mirror.is_ancestor(plan.commit, state.heads[plan.base])

    def _finish(self, name: str, lease: Lease) -> None:
        """Mirror first, then the release that records it; what fails here is mended by reconcile, since it landed."""
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


def lacks_only_checks(judged: Judged) -> bool:
    """Whether nothing speaks against a pull but checks of ours without a result, or that did not run."""
    reasons = judged.verdict.reasons
    unknown = (Code.CHECK_MISSING, Code.CHECK_NOT_RUN)
    return bool(reasons) and all(
        each.code in unknown and each.facts.get("app") == CHECKS_APP for each in reasons
    )
