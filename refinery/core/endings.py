"""Which outcome an attempt has, from what its processes and its worktree say. Never from prose (F11)."""

from dataclasses import dataclass
from typing import Final

from refinery.core.agent import AgentResult, AgentStatus
from refinery.core.outcomes import Outcome
from refinery.core.result_file import ResultFile, ResultStatus

ON_BRANCH: Final = frozenset(
    {
        Outcome.PUBLISHED,
        Outcome.TIMED_OUT,
        Outcome.VERIFY_FAILED,
        Outcome.DRAINED,
        Outcome.FORCE_STOPPED,
        Outcome.BLOCKED,
        Outcome.OVER_BUDGET,
    }
)
"""Outcomes whose work so far goes to the task's branch, for the next attempt; others' work is preserved beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when the agent's last process is dead.

    `is_forced` and `is_drained`: we stopped it. `is_changed`: its tree differs from the base's. `markers`: files that
    still hold conflict markers. `result_problem`: why its result file cannot be used.
    """

    result: AgentResult
    said: ResultFile | None
    is_changed: bool
    is_forced: bool = False
    is_drained: bool = False
    markers: tuple[str, ...] = ()
    result_problem: str = ""


def ending_of(facts: Facts) -> tuple[Outcome, str]:
    """The outcome before `verify`, and its reason in words."""
    stopped = _stopped(facts)
    if stopped is not None:
        return stopped
    if facts.result_problem:
        return Outcome.AGENT_FAILED, facts.result_problem
    if facts.said is not None and facts.said.status is ResultStatus.BLOCKED:
        return Outcome.BLOCKED, facts.said.reason or "the agent is blocked and did not say why"
    if facts.markers:
        return Outcome.CONFLICT, f"conflict markers are left in {', '.join(facts.markers[:5])}"
    if not facts.is_changed:
        said = facts.said.reason if facts.said is not None else ""
        return Outcome.NO_CHANGES, said or "the agent ended well and changed nothing"
    return Outcome.PUBLISHED, ""


def stopped_ending(*, is_forced: bool, is_drained: bool) -> tuple[Outcome, str] | None:
    """The outcome of an attempt that we stopped ourselves, and its reason in words; None when we did not."""
    if is_forced:
        return Outcome.FORCE_STOPPED, "the run was stopped at once"
    if is_drained:
        return Outcome.DRAINED, "the run was drained before it was done"
    return None


def _stopped(facts: Facts) -> tuple[Outcome, str] | None:
    if ours := stopped_ending(is_forced=facts.is_forced, is_drained=facts.is_drained):
        return ours
    if facts.result.status is AgentStatus.TIMED_OUT:
        return Outcome.TIMED_OUT, facts.result.reason
    if facts.result.status is AgentStatus.FAILED:
        return Outcome.AGENT_FAILED, facts.result.reason
    return None
