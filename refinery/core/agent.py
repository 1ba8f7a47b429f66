"""What passes between a worker and an agent's adapter: the request, the command line, the ending, the result.

An agent's result is a record, never a decision: whether an attempt succeeded is read from the exit code, from the
agent's own structured result line and from what it left in the worktree, never from prose (F11).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the configuration says of one agent.

    `command` is an argv template (for `command` agents). `environment` names further variables, or patterns with
    `*`, that the agent may see. `read_only` lists further paths that its box binds. `arguments` are appended as
    they are.
    """

    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    model: str = ""
    max_turns: int | None = None
    max_budget_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRequest:
    """One attempt, as an adapter needs to see it. `known` names the variables set in the worker's environment."""

    task: str
    attempt: int
    prompt: str
    prompt_file: Path
    worktree: Path
    result_file: Path
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCommand:
    """What to start: argv, standard input, variables to set, and names to let through from our environment."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How an agent's process ended. `exit_code` is None after a signal; `tail` holds its last output lines.

    `start_error` is not empty when it never ran; `stopped` means that we ended it (drain or force-stop).
    """

    exit_code: int | None
    signal: int | None = None
    timed_out: bool = False
    stopped: bool = False
    start_error: str = ""
    tail: tuple[str, ...] = ()


class AgentStatus(StrEnum):
    """How an agent's run ended, by its own structured report and its exit code."""

    SUCCESS = "success"
    FAILED = "failed"
    TIMED_OUT = "timed-out"


class CostSource(StrEnum):
    """How far a cost can be trusted."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentResult:
    """What is recorded of an agent's run. `tokens` by kind (`input`, `output`, …); `cost_usd` None: unknown."""

    status: AgentStatus
    reason: str = ""
    session_id: str = ""
    turns: int | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    total_tokens: int | None = None
    cost_usd: float | None = None
    cost_source: CostSource = CostSource.UNKNOWN
    final_text: str = ""


def process_failure(finished: Finished) -> AgentResult | None:
    """The result that the process's ending alone dictates: None only for an exit code of 0 (F10)."""
    if finished.timed_out:
        return AgentResult(status=AgentStatus.TIMED_OUT, reason="the agent ran into its time limit")
    reason = _failure_reason(finished)
    return AgentResult(status=AgentStatus.FAILED, reason=reason) if reason else None


def _failure_reason(finished: Finished) -> str:
    if finished.start_error:
        return f"the agent did not run: {finished.start_error}"
    if finished.stopped:
        return "the agent was stopped"
    if finished.exit_code in {126, 127}:
        return f"the agent did not run: its command exited with {finished.exit_code}"
    if finished.exit_code is None:
        return f"the agent was ended by signal {finished.signal}"
    return f"the agent exited with {finished.exit_code}" if finished.exit_code else ""
