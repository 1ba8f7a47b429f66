"""One task from claim to pull: acquire → read again → attempt → push → pull → release.

Properties: nothing is spent before the claim is ours and the task was read again (F5); the attempt's work is on the
forge before anything local is removed (F9); whatever happens, the run ends with one outcome of the closed list (F10).
A process killed at any point leaves a claim that expires, and a worktree that reconcile saves.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from refinery import lease as leases
from refinery.core import claims
from refinery.core.blockers import Blocker
from refinery.core.config import ProjectConfig
from refinery.core.lease import Lease
from refinery.core.model import ClaimTip, Pull, Role, Status, Task, TaskList
from refinery.core.outcomes import ENDINGS, After, Outcome
from refinery.core.standing import Readiness
from refinery.core.status_comment import Note
from refinery.core.text import did_you_mean, plural
from refinery.errors import (
    ClaimLostError,
    ForgeUnavailableError,
    LeaseLostError,
    RefineryError,
    TaskFileError,
    UsageError,
)
from refinery.events import Claimed, Event, looked
from refinery.home import explain
from refinery.ports import Agent
from refinery.project import Project, View, view
from refinery.queue import Queue, attempt_after, queue, still_ready, without_claim
from refinery.report import RunResult
from refinery.stop import Stop, StopFlag

if TYPE_CHECKING:
    from refinery.publish import Product
    from refinery.working import Job

DRAIN_SECONDS: Final = 600.0  # how long a drained worker lets its agent go on


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions:
    """How to work: under which caller's name, as which holder, with which agent ("" lets the task choose)."""

    caller: str
    holder: str
    agent: str = ""
    stop: StopFlag | None = None
    drain_seconds: float = DRAIN_SECONDS
    echo: Callable[[str], None] = lambda _: None
    stream: Callable[[str], None] | None = None
    event: Callable[[Event], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class _Held:
    """A claimed task, and the look at the queue that it was chosen from."""

    task: Task
    keeper: leases.Keeper
    seen: View
    before: ClaimTip | None


class Worker:
    """Runs tasks of one project, one at a time."""

    def __init__(self, project: Project, options: WorkOptions) -> None:
        self.project = project
        self.forge = project.forge
        self.options = options
        self._told: set[str] = set()

    def run(self, task_id: str = "") -> RunResult:
        """Take the next ready task, or the one named, from claim to release.

        Raises:
            UsageError: no such task, or the project cannot be worked on.
            ForgeUnavailableError: the forge did not answer before anything was claimed.
        """
        started = time.monotonic()
        seen, found = self.look()
        if task_id and task_id not in seen.tasks.tasks:
            raise _no_such_task(task_id, seen.tasks)
        ready = [task for task in found.ready if not task_id or task.id == task_id]
        if not ready:
            return self._nothing(task_id, seen, found.skipped)
        able, unable = self._with_agents(ready, seen.config)
        if not able:
            raise next(iter(unable.values()))
        self._tell_once(unable)
        self.project.home.ensure_room()
        lost = ""
        for task, name, agent in able:
            if self.options.stop is not None and self.options.stop.state is not Stop.NONE:
                return RunResult(outcome=Outcome.DRAINED, reason="stopped before anything was claimed")
            try:
                held = self._claim(task, seen, found.plan.readiness[task.id])
            except ClaimLostError as error:
                lost = error.message
                continue
            done = self._hold(self._job(held, name, agent), held)
            return replace(done, seconds=time.monotonic() - started)
        return RunResult(outcome=Outcome.CLAIM_LOST, task_id=task_id, reason=lost)

    def look(self) -> tuple[View, Queue]:
        """One look at the queue, reported."""
        seen = view(self.project)
        found = queue(self.project, seen, self.options.caller)
        self.options.event(looked(self.project.slug, seen, found))
        return seen, found

    def _with_agents(
        self, tasks: Iterable[Task], config: ProjectConfig
    ) -> tuple[list[tuple[Task, str, Agent]], dict[str, UsageError]]:
        """The tasks whose agent can be started, and what is wrong with the others': known before any claim (F10)."""
        able: list[tuple[Task, str, Agent]] = []
        unable: dict[str, UsageError] = {}
        for task in tasks:
            name = self.options.agent or task.agent or self.project.default_agent(config)
            try:
                able.append((task, name, startable(name, self.project, config)))
            except UsageError as error:
                unable[task.id] = error
        return able, unable

    def _tell_once(self, unable: Mapping[str, UsageError]) -> None:
        for task_id, error in unable.items():
            if task_id not in self._told:
                self.options.echo(f"{task_id} is left out: {error.message}")
        self._told.update(unable)

    def knows(self, task_id: str) -> bool:
        """Whether the project has a task of that id, readable or not."""
        listed = self.project.tasks.all()
        return task_id in listed.tasks or any(each.task == task_id for each in listed.problems)

    def until_next(self) -> float:
        """Seconds until the next task's back-off ends; infinite when no task waits for that alone."""
        seen = view(self.project)
        made = queue(self.project, seen, self.options.caller).plan
        waiting = [
            tip.claim.not_before - seen.now
            for name, reasons in made.skipped.items()
            if {each.code for each in reasons} == {Blocker.BACKING_OFF}
            and (tip := seen.state.claims.get(seen.tasks.tasks[name].key)) is not None
            and tip.claim is not None
        ]
        return min(waiting, default=float("inf"))

    def _nothing(self, task_id: str, seen: View, skipped: Mapping[str, str]) -> RunResult:
        """Nothing to do, and why; a named task that somebody holds is claim-lost."""
        if not task_id:
            unusable = sum(each.task not in seen.tasks.tasks for each in seen.tasks.problems)
            why = _why(skipped, unusable)
            return RunResult(outcome=Outcome.NOTHING_READY, reason=why, skipped=skipped)
        tip = seen.state.claims.get(seen.tasks.tasks[task_id].key)
        taken = claims.is_live(tip, seen.now)
        outcome = Outcome.CLAIM_LOST if taken else Outcome.NOTHING_READY
        return RunResult(outcome=outcome, task_id=task_id, reason=skipped.get(task_id, "not ready"))

    def _claim(self, task: Task, seen: View, found: Readiness) -> _Held:
        """Acquire, then read the task again before anything is spent (F5, F29)."""
        before = seen.state.claims.get(task.key)
        seconds = seen.config.limits.lease
        wanted = leases.Wanted(
            key=task.key,
            task=task.id,
            role=Role.WORK,
            holder=self.options.holder,
            seconds=seconds,
            attempt=attempt_after(task, seen.state),
            task_sha256=claims.task_sha256(task),
            is_restarted=found.is_restarted,
            is_repair=found.repairs is not None,
        )
        lease = leases.acquire(self.forge, before, wanted, self.forge.now())
        self.options.echo(f"claimed {task.id} (attempt {lease.claim.attempt}): {task.title}")
        told = lease.claim
        self.options.event(
            Claimed(task=task.id, title=task.title, attempt=told.attempt, until=told.expires_at)
        )
        held = _Held(task, leases.Keeper(self.forge, lease, seconds), seen, before)
        try:
            return self._read_again(held)
        except RefineryError as error:
            with suppress(LeaseLostError, ForgeUnavailableError):  # it expires where it cannot be given back
                leases.give_back(self.forge, lease, before, self.forge.now(), error.message)
            raise

    def _read_again(self, held: _Held) -> _Held:
        seen = view(self.project)
        try:
            task = self.project.tasks.get(held.task.id)  # by itself: a look may be a moment old
        except TaskFileError as error:
            raise ClaimLostError(f"{held.task.id} is gone: {error.message}") from error
        if claims.task_sha256(task) != held.keeper.lease.claim.task_sha256:
            raise ClaimLostError(f"{held.task.id} was changed while it was being claimed")
        found = still_ready(self.project, seen, self.options.caller, task, held.before)
        if not found.is_ready:
            why = "; ".join(each.text for each in found.reasons)
            raise ClaimLostError(f"{task.id} is no longer ready: {why}")
        return replace(held, task=task, seen=without_claim(seen, task, held.before))

    def _hold(self, job: "Job", held: _Held) -> RunResult:
        """Everything between claim and release; every error becomes an outcome, and a mistake of ours is raised too."""
        from refinery.publish import keep  # noqa: PLC0415  (a look that finds nothing ready goes without)
        from refinery.working import carry_out  # noqa: PLC0415  (as above: a fifth of the time of such a look)

        result = RunResult(
            outcome=Outcome.INTERNAL_ERROR,
            task_id=held.task.id,
            attempt=held.keeper.lease.claim.attempt,
            agent=job.agent_name,
            branch=held.task.branch,
        )
        try:
            self._show_progress(held, job.agent_name)
            with carry_out(job) as done:
                product = keep(self.project, held.keeper, held.task, done.product)
                done.saved()
                lease, pull = self._conclude(held, product)
        except LeaseLostError as error:
            return replace(result, outcome=Outcome.LEASE_LOST, reason=error.message)
        except RefineryError as error:
            return self._failed(held, result, error)
        except Exception as error:
            known = explain(error) if isinstance(error, OSError) else None
            if known is not None:
                return self._failed(held, result, known)
            self._failed(held, result, RefineryError(f"unexpected {type(error).__name__}: {error}"))
            raise
        return replace(
            result,
            outcome=product.outcome,
            reason=product.reason,
            commit=product.commit,
            pull=pull.number if pull is not None else lease.claim.pull,
            tokens=done.result.total_tokens if done.result is not None else None,
            cost_usd=done.result.cost_usd if done.result is not None else None,
        )

    def _conclude(self, held: _Held, product: "Product") -> tuple[Lease, Pull | None]:
        """Pull, mirror and release; once more where the forge was silent in the middle: each step reads back."""
        from refinery.publish import conclude  # noqa: PLC0415  (as above)

        what = (self.project, held.keeper, held.task, product, held.seen.config)
        try:
            return conclude(*what)
        except ForgeUnavailableError:
            return conclude(*what)

    def _show_progress(self, held: _Held, agent: str) -> None:
        """Mirror the claim; a file that cannot be written stops no work, for the claim is the truth."""
        try:
            note = Note(agent=agent)
            self.project.tasks.mirror(held.keeper.lease, held.task, Status.IN_PROGRESS, note)
        except UsageError as error:
            self.options.echo(f"{held.task.id}: its file does not show the claim: {error.message}")

    def _job(self, held: _Held, name: str, agent: Agent) -> "Job":
        from refinery.working import Job  # noqa: PLC0415  (as above)

        return Job(
            project=self.project,
            task=held.task,
            seen=held.seen,
            keeper=held.keeper,
            agent_name=name,
            agent=agent,
            options=self.options,
        )

    def _failed(self, held: _Held, result: RunResult, error: RefineryError) -> RunResult:
        """Release with the error's own outcome where the forge still answers.

        An outcome that leaves a task as it was would have it tried again at once, for ever: here it is a failure.
        Work that was pushed with its own outcome keeps that: only pull and release are missing, which reconcile adds.
        """
        from refinery.publish import Product, conclude  # noqa: PLC0415  (as above)

        if error.remedy:
            self.options.echo(f"{held.task.id}: {error.remedy}")
        if isinstance(error, ForgeUnavailableError) and held.keeper.lease.claim.outcome is not None:
            self.options.echo(f"{held.task.id}: its work was pushed; reconcile will finish it")
            return replace(result, outcome=error.outcome, reason=error.message)
        is_ours = ENDINGS[error.outcome].after is not After.UNCHANGED
        outcome = error.outcome if is_ours else Outcome.INTERNAL_ERROR
        product = Product(outcome=outcome, reason=error.message, base="", tip="")
        try:
            conclude(self.project, held.keeper, held.task, product, held.seen.config)
        except RefineryError as second:
            self.options.echo(
                f"{held.task.id}: the claim could not be released ({second.message}); it will expire"
            )
        return replace(result, outcome=outcome, reason=error.message)


def _why(skipped: Mapping[str, str], problems: int) -> str:
    """In words; a file that cannot be read is not "no task" (F6)."""
    words = f"{plural(len(skipped), 'task is', 'tasks are')} not ready" if skipped else "there are no tasks"
    if not problems:
        return words
    return f"{words}, and {plural(problems, 'file')} cannot be used (`refinery status` says why)"


def _no_such_task(task_id: str, listed: TaskList) -> UsageError:
    for problem in listed.problems:
        if problem.task == task_id:
            return UsageError(str(replace(problem, remedy="")), remedy=problem.remedy)
    unread = f"; {plural(len(listed.problems), 'file')} cannot be used" if listed.problems else ""
    return UsageError(
        f"there is no task {task_id}{unread}",
        remedy=did_you_mean(task_id, listed.tasks)
        or "`refinery status` lists the tasks, and what is wrong with files",
    )


def startable(name: str, project: Project, config: ProjectConfig) -> Agent:
    """The agent of that name.

    Raises:
        UsageError: nobody defines it, or its program is not installed here.
    """
    agent = project.agent(name, config)
    settings = config.agents.get(name)
    program = settings.command[0] if settings is not None and settings.command else name
    is_path = "/" in program  # a relative one lies in the worktree: whether it is there shows later
    if "{" in program or (is_path and not program.startswith("/")) or shutil.which(program) is not None:
        return agent
    lack = f"{program} is no executable file" if is_path else f"there is no program {program} on PATH"
    raise UsageError(
        f"the agent {name} cannot be started: {lack}",
        remedy=f"install {program}, or choose another agent with --agent or `agent:` in the configuration",
    )
