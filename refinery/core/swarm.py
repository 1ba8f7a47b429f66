"""When a swarm's worker is stopped, when the whole swarm is, when a dead process starts again, when all is done.

Rules over what the processes reported; the supervisor acts on them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refinery.core.blockers import Blocker, Reason
from refinery.core.claims import SKEW
from refinery.core.model import Claim, ClaimState, ForgeState, Role, Task
from refinery.core.outcomes import ENDINGS, Outcome, exit_code

FAILURES: Final = 3  # different tasks in a row that a worker, or everybody, may fail on
_RESTARTS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before a dead process is started again
_WORKED: Final = frozenset(
    {Outcome.PUBLISHED, Outcome.NO_CHANGES, Outcome.BLOCKED, Outcome.VERIFY_FAILED, Outcome.CONFLICT}
)
"""Outcomes that prove a working agent, whatever became of the task."""
_UNANSWERED: Final = frozenset({Outcome.FORGE_UNAVAILABLE, Outcome.LEASE_LOST})


class Cause(StrEnum):
    """Why every task fails alike: not the task's fault, and waiting does not cure it."""

    CANNOT_START = "the agent cannot be started"
    CREDENTIALS = "the agent is not logged in"
    QUOTA = "the agent's quota is used up"
    DISK = "the disk is full"
    SETUP = "the set-up commands fail"
    FORGE = "runs end without the forge's answer, or with their lease lost"


_WORDS: Final = {
    Cause.DISK: r"no space (is )?left|disk quota|\bdisk( of .*)? is full",
    Cause.CANNOT_START: r"the agent did not run|cannot be started",
    Cause.CREDENTIALS: r"\b401\b|\b403\b|unauthori[sz]ed|authenticat|api.?key|log(ged)? ?in\b|credential|oauth",
    Cause.QUOTA: r"quota|rate.?limit|usage limit|too many requests|\b429\b|credit balance|billing",
}
_PATTERNS: Final = {cause: re.compile(words, re.IGNORECASE) for cause, words in _WORDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One ended run: the number of its worker, its task, and how it ended."""

    worker: int
    task: str
    outcome: Outcome
    reason: str = ""


def cause_of(run: Run) -> Cause | None:
    """What everybody would fail of, if this run failed of it; text from an agent stops a swarm at the most."""
    if run.outcome is Outcome.OVER_BUDGET:
        return Cause.QUOTA
    if not ENDINGS[run.outcome].is_failure or run.outcome in _WORKED:
        return None
    found = next((cause for cause, words in _PATTERNS.items() if words.search(run.reason)), None)
    return found or (Cause.SETUP if run.outcome is Outcome.SETUP_FAILED else None)


def bars_everybody(message: str) -> Cause | None:
    """What ends everybody's process alike, if the words that one of ours died with say so: a full disk."""
    return Cause.DISK if _PATTERNS[Cause.DISK].search(message) else None


def broken_for_all(runs: Sequence[Run], workers: int, limit: int = FAILURES) -> Cause | None:
    """The breaker: one cause on `limit` different tasks by different workers, and no success since.

    `runs` in the order of their ends; of a swarm of one, one worker is enough. Runs whose work reached nobody count
    by themselves: nobody's failure, yet each of them was paid for.
    """
    unanswered = 0
    tasks: dict[Cause, set[str]] = {}
    who: dict[Cause, set[int]] = {}
    for run in reversed(runs):
        if run.outcome in _WORKED:
            return None
        unanswered += run.outcome in _UNANSWERED
        if unanswered > limit * workers:
            return Cause.FORGE
        cause = cause_of(run)
        if cause is None:
            continue
        tasks.setdefault(cause, set()).add(run.task)
        who.setdefault(cause, set()).add(run.worker)
        if len(tasks[cause]) >= limit and len(who[cause]) >= min(2, workers):
            return cause
    return None


def keeps_failing(runs: Sequence[Run], worker: int, limit: int = FAILURES) -> bool:
    """Whether a worker's latest runs failed in a row, on `limit` different tasks: it, rather than a task, is broken."""
    tasks: set[str] = set()
    for run in reversed(runs):
        if run.worker != worker:
            continue
        if not ENDINGS[run.outcome].is_failure:
            return False
        tasks.add(run.task)
        if len(tasks) >= limit:
            return True
    return False


def restart_after(deaths: int) -> float | None:
    """Seconds until a process that died for the n-th time in a row is started again; None: it is given up."""
    return _RESTARTS[deaths - 1] if 0 < deaths <= len(_RESTARTS) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One process, as it last reported. `epoch` is the newest news that it had seen before it looked.

    `is_idle`: it found nothing to do. `is_waiting_for_time`: something becomes ready by itself, later.
    """

    epoch: int
    is_idle: bool
    is_waiting_for_time: bool = False


def is_finished(workers: Iterable[Standing], merger: Standing | None, epoch: int) -> bool:
    """Whether all looked after the last thing that happened, found nothing, and nothing comes by waiting."""
    everybody = [*workers, *([merger] if merger is not None else [])]
    return all(each.is_idle and each.epoch >= epoch and not each.is_waiting_for_time for each in everybody)


def next_instant(
    tasks: Iterable[Task], why: Mapping[str, Sequence[Reason]], state: ForgeState, host: str
) -> float | None:
    """When the first of `tasks` becomes ready by itself: a back-off ends, or the lease of somebody on `host`.

    Leases of other hosts are theirs to finish; a dead process of this host leaves one that has to be waited for (F3).
    """
    found = []
    for task in tasks:
        tip = state.claims.get(task.key)
        claim = tip.claim if tip is not None else None
        if claim is None:
            continue
        codes = {each.code for each in why.get(task.id, ())}
        if codes == {Blocker.BACKING_OFF}:
            found.append(claim.not_before)
        elif codes & {Blocker.CLAIMED} and f"@{host}:" in claim.holder and _is_to_be_done(task, claim, state):
            found.append(claim.expires_at + SKEW)
    return min(found, default=None)


def _is_to_be_done(task: Task, claim: Claim, state: ForgeState) -> bool:
    """Whether the end of the lease brings work: of a worker, or of a reconciler that was giving the task back."""
    return claim.role is Role.WORK or (claim.role is Role.MERGE and state.pull_of(task.key) is None)


def end_of_dead_merger(state: ForgeState, host: str) -> float | None:
    """When the last lease of role `merge` on `host` ends; in between two passes of the one merger there, it is dead."""
    tips = (*state.landing.values(), *state.claims.values())
    claims = [tip.claim for tip in tips if tip.claim is not None and tip.claim.state is ClaimState.HELD]
    ends = [
        each.expires_at + SKEW for each in claims if each.role is Role.MERGE and f"@{host}:" in each.holder
    ]
    return max(ends, default=None)


class Ended(StrEnum):
    """Why a swarm came to its end."""

    DONE = "done"
    DRAINED = "drained"
    FORCED = "forced"
    BROKEN = "broken"
    GIVEN_UP = "given-up"
    UNAVAILABLE = "unavailable"
    USAGE = "usage"


def swarm_exit_code(ended: Ended, runs: Sequence[Run]) -> int:
    """0 when all that could be done was and no task's last run failed; else the exit code of docs/design.md."""
    codes = {
        Ended.DRAINED: Outcome.DRAINED,
        Ended.FORCED: Outcome.FORCE_STOPPED,
        Ended.UNAVAILABLE: Outcome.FORGE_UNAVAILABLE,
        Ended.USAGE: Outcome.USAGE,
    }
    if ended in codes:
        return exit_code(codes[ended])
    last = {run.task: run.outcome for run in runs}
    failed = any(ENDINGS[outcome].is_failure for outcome in last.values())
    return exit_code(Outcome.AGENT_FAILED) if failed or ended is not Ended.DONE else 0
