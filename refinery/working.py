"""One attempt inside its worktree: set-up, agent, stop everything, snapshot, verify.

Nothing here writes to the forge but the renewals of the lease. The worktree is removed only after its work was saved
there; whatever else happens, the next reconcile finds it.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from refinery.attempt import Leftover, Work, check_note, mark_saved, read_meta
from refinery.boxed import Place
from refinery.core.agent import AgentRequest, AgentResult
from refinery.core.endings import Facts, ending_of, stopped_ending
from refinery.core.model import PullState, Task
from refinery.core.outcomes import Outcome
from refinery.core.result_file import ResultFile, ResultFileError
from refinery.core.text import approximate_duration
from refinery.errors import RefineryError
from refinery.events import Event, Phase, Renewed
from refinery.git import Signature
from refinery.lease import Keeper, write
from refinery.pool import Taken
from refinery.ports import Agent
from refinery.process import Ended, Stop, StopFlag, run
from refinery.project import Project, View
from refinery.prompting import prompt_for
from refinery.publish import Product, rescue
from refinery.queue import failed_checks
from refinery.refill import worktree_for
from refinery.result_file import read_result
from refinery.snapshot import Snapshot, Stamp, commit_snapshot, snapshot
from refinery.transcript import Transcript, prefix_of, transcript_path
from refinery.wording import Wording, finished, how
from refinery.worktree import Worktree, remove

_TICK: Final = 1.0  # seconds between two looks at lease and drain deadline


class Options(Protocol):
    """What an attempt needs to know of how to work."""

    @property
    def stop(self) -> StopFlag | None:
        """Somebody's wish to stop: draining lets the agent finish, forcing ends it."""

    @property
    def drain_seconds(self) -> float:
        """How long a drained worker lets its agent go on."""

    @property
    def echo(self) -> Callable[[str], None]:
        """Takes one line for people."""

    @property
    def stream(self) -> Callable[[str], None] | None:
        """Takes the agent's output, line by line."""

    @property
    def event(self) -> Callable[[Event], None]:
        """Takes what a supervisor wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A held task, and who is to work on it."""

    project: Project
    task: Task
    seen: View
    keeper: Keeper
    agent_name: str
    agent: Agent
    options: Options


@dataclass(slots=True)
class Done:
    """What an attempt made; call `saved` once the forge has it."""

    product: Product
    folder: Path
    result: AgentResult | None = None
    is_saved: bool = field(default=False, init=False)

    def saved(self) -> None:
        """The forge holds the work: the worktree may go."""
        mark_saved(self.folder)
        self.is_saved = True


@contextmanager
def carry_out(job: Job) -> Iterator[Done]:
    """Prepare, work and snapshot; the worktree goes to the trash when the block ends and the work was saved."""
    tip = _tip_to_continue(job)
    work = _work(job, tip)
    worktree, taken = worktree_for(job.project, job.seen.config, work, job.options.echo)
    done = None
    try:
        done = _Attempt(job, work, worktree, taken).run()
        yield done
    finally:
        if done is not None and done.is_saved:
            remove(worktree.folder, job.project.home.path)
        else:
            _rescue(job, worktree.folder, done.product.commit if done is not None else "")


def _rescue(job: Job, folder: Path, commit: str) -> None:
    """Put the work of an attempt that lost its lease, or failed by a mistake of ours, under `preserved/` (F9)."""
    try:
        ref = rescue(job.project, Leftover(folder, read_meta(folder)), commit)
    except RefineryError as error:
        job.options.echo(
            f"{job.task.id}: its work stays in {folder} ({error.message}); reconcile will save it"
        )
    else:
        job.options.echo(f"{job.task.id}: {'its work is at ' + ref if ref else 'there was no work to keep'}")


def _tip_to_continue(job: Job) -> str:
    """The branch's commit if an attempt continues from it; a branch whose pull has ended is put aside first."""
    state, task = job.seen.state, job.task
    tip = state.heads.get(task.branch, "")
    pull = state.pull_of(task.key)
    if tip and (pull is None or pull.state is PullState.OPEN):
        job.project.forge.sync(state, [job.project.base, task.branch])
        return tip
    job.project.forge.sync(state, [job.project.base])
    lease = job.keeper.lease
    claim = replace(lease.claim, head="", branch="", pull=None)  # a new start: an ended pull is history
    if tip:
        job.keeper.lease = job.project.forge.retire(lease, claim, task.branch, tip)
    elif lease.claim != claim:
        job.keeper.lease = write(job.project.forge, lease, claim)
    return ""


def _work(job: Job, tip: str) -> Work:
    lease = job.keeper.lease
    return Work(
        project=job.project.slug,
        task=job.task.id,
        key=job.task.key,
        attempt=lease.claim.attempt,
        claim=lease.tip,
        branch=job.task.branch,
        base=job.project.base_tip(job.seen.state),
        tip=tip,
        base_branch=job.project.base,
    )


class _Attempt:
    """The phases of one attempt, in order."""

    def __init__(self, job: Job, work: Work, worktree: Worktree, taken: Taken | None) -> None:
        self.job = job
        self.taken = taken
        self.work = work
        self.worktree = worktree
        self.config = job.seen.config
        self.files = worktree.folder / "files"  # prompt and result: outside the tree, never in a snapshot
        self.files.mkdir()
        self.place = Place(
            config=self.config,
            mirror=job.project.mirror.path,
            worktree=worktree.tree,
            marker=work.id,
            writable=(self.files,),
        )
        self.child_stop = StopFlag()
        self.drain_at: float | None = None

    def run(self) -> Done:
        """All phases; the transcript keeps what every process printed."""
        job, home = self.job, self.job.project.home
        path = transcript_path(
            home.transcripts, self.job.project.folder, self.work.key, self.work.attempt, self.work.claim
        )
        prefix = prefix_of(job.agent_name, os.getpid())
        echo = job.options.stream
        try:
            with Transcript(
                path, redact=job.project.redactor().line, echo=echo, prefix=prefix
            ) as self.transcript:
                return self._phases()
        finally:
            self.child_stop.close()

    def _phases(self) -> Done:
        failed = self._set_up()
        if failed:
            return Done(
                self._product(*self._unless_stopped(Outcome.SETUP_FAILED, failed)), self.worktree.folder
            )
        ended, result = self._run_agent()
        said, problem = self._said()
        taken = self._snapshot()
        facts = Facts(
            result=result,
            said=said,
            is_changed=taken.tree != self._base_tree() and (taken.is_changed or not self._is_mere_repair()),
            is_forced=ended.stopped is Stop.FORCE,
            is_drained=ended.stopped is Stop.DRAIN,
            markers=taken.markers,
            result_problem=problem,
        )
        outcome, reason = ending_of(facts)
        product = replace(self._product(outcome, reason, said, taken), cost_usd=result.cost_usd)
        product = self._commit(product, taken, said)
        if outcome is Outcome.PUBLISHED:
            refused = self._verify()
            if refused:
                outcome, reason = self._unless_stopped(Outcome.VERIFY_FAILED, refused)
                product = replace(product, outcome=outcome, reason=self._words(said).reason(reason))
        return Done(product, self.worktree.folder, result)

    def _unless_stopped(self, outcome: Outcome, why: str) -> tuple[Outcome, str]:
        """How a command of ours that failed ends the attempt: one that we ended ourselves is nobody's failure (F15)."""
        return stopped_ending(
            is_forced=self.child_stop.state is Stop.FORCE, is_drained=self.child_stop.state is Stop.DRAIN
        ) or (outcome, why)

    def _is_mere_repair(self) -> bool:
        """Whether the attempt started at the head of an open pull, exactly: leaving that as it was mends nothing."""
        pull = self.job.seen.state.pull_of(self.work.key)
        is_open = pull is not None and pull.state is PullState.OPEN
        return (
            is_open
            and bool(self.job.keeper.lease.claim.repairs)
            and self.worktree.parents == (self.work.tip,)
        )

    def _base_tree(self) -> str:
        return self.job.project.mirror.tree_of(self.work.base)

    def _set_up(self) -> str:
        """Run the set-up commands, if they did not run ahead of need; why they failed, or nothing."""
        if self.taken is not None:
            self._tell_set_up(self.taken)
            return ""
        for argv in self.config.setup:
            ended = self._run("setup", argv, self.config.limits.setup_timeout)
            if not ended.succeeded:
                return f"setup {how(ended)}: {self._last_words()}"
        return ""

    def _tell_set_up(self, taken: Taken) -> None:
        age = approximate_duration(max(0.0, time.time() - taken.made_at))
        self.job.options.echo(f"{self.job.task.id}: its worktree was prepared {age} ago")
        self.transcript.end(f"the worktree was prepared {age} ago")
        self.transcript.write(taken.printed)

    def _verify(self) -> str:
        """Early advice: why it is bad, or nothing. It can only worsen an outcome."""
        for argv in self.config.verify:
            ended = self._run("verify", argv, self.config.limits.check_timeout)
            if not ended.succeeded:
                return f"verify {how(ended)}: {self._last_words()}"
        return ""

    def _run_agent(self) -> tuple[Ended, AgentResult]:
        job = self.job
        prompt = prompt_for(
            job.task,
            job.seen,
            self.worktree,
            failed=failed_checks(job.project, job.task, job.seen),
            attempt=self.work.attempt,
            base=job.project.base,
            result_file=str(self.files / "result.json"),
        )
        prompt_file = self.files / "prompt.md"
        prompt_file.write_text(prompt, encoding="utf-8")
        request = AgentRequest(
            task=job.task.id,
            attempt=self.work.attempt,
            prompt=prompt,
            prompt_file=prompt_file,
            worktree=self.worktree.tree,
            result_file=self.files / "result.json",
            known=frozenset(os.environ),
        )
        command = job.agent.command(request)
        settings = self.config.agents.get(job.agent_name)
        timeout = (settings.timeout if settings is not None else None) or self.config.limits.timeout
        spec = self.place.spec(
            command.argv,
            timeout=timeout,
            stdin=command.stdin,
            allow=command.allow,
            extra=command.env,
            read_only=settings.read_only if settings is not None else (),
        )
        job.options.event(Phase(name="agent", agent=job.agent_name))
        self._tick()  # who was told to stop starts no agent
        self.transcript.begin(f"agent {job.agent_name}", command.argv)
        ended = run(
            spec, on_output=self.transcript.write, stop=self.child_stop, tick=self._tick, tick_seconds=_TICK
        )
        self.transcript.end(how(ended))
        return ended, job.agent.result(finished(ended, self.transcript.tail()))

    def _run(self, what: str, argv: Sequence[str], timeout: float) -> Ended:
        self.job.options.event(Phase(name=what, agent=self.job.agent_name))
        self.transcript.begin(what, argv)
        spec = self.place.spec(argv, timeout=timeout)
        ended = run(
            spec, on_output=self.transcript.write, stop=self.child_stop, tick=self._tick, tick_seconds=_TICK
        )
        self.transcript.end(how(ended))
        return ended

    def _tick(self) -> None:
        """Renew the lease; pass a wish to stop on, a drain only after its deadline."""
        until = self.job.keeper.lease.claim.expires_at
        self.job.keeper.tick(self.job.project.forge.now())
        if self.job.keeper.lease.claim.expires_at != until:
            self.job.options.event(Renewed(until=self.job.keeper.lease.claim.expires_at))
        stop = self.job.options.stop
        if stop is None or stop.state is Stop.NONE:
            return
        if stop.state is Stop.FORCE:
            self.child_stop.request(Stop.FORCE)
            return
        self.drain_at = self.drain_at or time.monotonic() + self.job.options.drain_seconds
        if time.monotonic() >= self.drain_at:
            self.child_stop.request(Stop.DRAIN)

    def _said(self) -> tuple[ResultFile | None, str]:
        try:
            return read_result(self.files / "result.json"), ""
        except ResultFileError as error:
            return None, error.message

    def _snapshot(self) -> Snapshot:
        check_note(self.worktree.folder, self.work)
        return snapshot(self.job.project.mirror, self.worktree, max_file=self.config.limits.max_file)

    def _product(
        self,
        outcome: Outcome,
        reason: str,
        said: ResultFile | None = None,
        taken: Snapshot | None = None,
    ) -> Product:
        words = self._words(said)
        left_out = taken.left_out if taken is not None else ()
        return Product(
            outcome=outcome,
            reason=words.reason(reason),
            base=self.work.base,
            tip=self.work.tip,
            has_markers=bool(taken is not None and taken.markers),
            title=words.title,
            body=words.body(self.work.attempt, self.job.agent_name, left_out),
            agent=self.job.agent_name,
        )

    def _words(self, said: ResultFile | None) -> Wording:
        return Wording(self.job.task, said, self.job.project.redactor())

    def _commit(self, product: Product, taken: Snapshot, said: ResultFile | None) -> Product:
        """The one commit of the attempt; none when the tree is the base's, or the branch holds it already."""
        if taken.tree == self._base_tree():
            return product
        if not taken.is_changed and self.worktree.parents == (self.work.tip,):
            return replace(product, commit=self.work.tip)
        job = self.job
        commit = commit_snapshot(
            job.project.mirror,
            taken,
            self.worktree.parents,
            Stamp(task=job.task.id, attempt=self.work.attempt, claim=self.work.claim),
            Signature(f"{job.agent_name} (polecat)", "polecat@localhost", job.project.forge.now()),
            self._words(said).message,
        )
        return replace(product, commit=commit)

    def _last_words(self) -> str:
        lines = [line for line in self.transcript.tail() if line.strip()]
        return lines[-1] if lines else "it printed nothing"
