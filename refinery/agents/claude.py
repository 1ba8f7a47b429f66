"""The `claude` command line, non-interactive: https://code.claude.com/docs/en/headless ."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from refinery.agents import lines
from refinery.agents.command import environment
from refinery.core.agent import (
    AgentCommand,
    AgentRequest,
    AgentResult,
    AgentSettings,
    AgentStatus,
    CostSource,
    Finished,
    process_failure,
)

_API_KEY: Final = "ANTHROPIC_API_KEY"
_ALLOWED: Final = (
    _API_KEY,
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_MODEL",
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_CODE_USE_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
)
_TOOLS: Final = "Bash,Edit,MultiEdit,Write,NotebookEdit,Read,Glob,Grep,LS,TodoWrite,Task,WebFetch,WebSearch"
_TOKENS: Final = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_creation_input_tokens": "cache_write",
    "cache_read_input_tokens": "cache_read",
}
_ENDINGS: Final = {
    "error_max_turns": "the agent used up its turns",
    "error_max_budget_usd": "the agent used up its budget",
    "error_during_execution": "the agent met an error",
}


@dataclass(slots=True)
class ClaudeAgent:
    """Claude Code, without the repository's hooks, settings and MCP servers: an agent may have written those."""

    name: str = "claude"
    settings: AgentSettings = field(default_factory=AgentSettings)

    def command(self, request: AgentRequest) -> AgentCommand:
        """The command line; the prompt goes to standard input. `--bare` would not read a subscriber's login."""
        program = self.settings.command or ("claude",)
        argv = [*program, "-p", "--output-format", "stream-json", "--verbose"]
        argv += ["--permission-mode", "acceptEdits", "--allowedTools", _TOOLS]
        if _API_KEY in request.known:
            argv.append("--bare")
        else:
            argv += ["--setting-sources", "user", "--strict-mcp-config", "--mcp-config", '{"mcpServers":{}}']
        argv += _limits(self.settings)
        return AgentCommand(
            argv=(*argv, *self.settings.arguments),
            stdin=request.prompt.encode("utf-8", "surrogateescape"),
            env=environment(request),
            allow=(*_ALLOWED, *self.settings.environment),
        )

    def result(self, finished: Finished) -> AgentResult:
        """What its last `result` line says. Without one the run is a failure, whatever the exit code."""
        events = list(lines.events(finished.tail))
        report = lines.last(events, "result")
        failure = process_failure(finished)
        if report is None:
            session = next((lines.text_of(event, "session_id") for event in reversed(events)), "")
            silent = AgentResult(status=AgentStatus.FAILED, reason="the agent ended without a result line")
            return replace(failure or silent, session_id=session)
        recorded = _record(report)
        complaint = _complaint(report)
        if failure is not None:
            reason = f"{failure.reason}: {complaint}" if complaint else failure.reason
            return replace(recorded, status=failure.status, reason=reason)
        if complaint:
            return replace(recorded, status=AgentStatus.FAILED, reason=complaint)
        return recorded


def _limits(settings: AgentSettings) -> Sequence[str]:
    options = []
    if settings.model:
        options += ["--model", settings.model]
    if settings.max_turns is not None:
        options += ["--max-turns", str(settings.max_turns)]
    if settings.max_budget_usd is not None:
        options += ["--max-budget-usd", f"{settings.max_budget_usd:g}"]
    return options


def _complaint(report: lines.Event) -> str:
    """Why a result line is no success: `success` may come with `is_error`, and then is none."""
    subtype = lines.text_of(report, "subtype")
    if subtype == "success" and not report.get("is_error"):
        return ""
    if subtype == "success":
        return f"the agent reported an error: {lines.text_of(report, 'result')[:300] or 'without a message'}"
    return _ENDINGS.get(subtype, f"the agent ended with {subtype or 'no subtype'}")


def _record(report: lines.Event) -> AgentResult:
    usage = lines.counts(lines.object_of(report, "usage"), _TOKENS)
    cost = lines.amount_of(report, "total_cost_usd")
    return AgentResult(
        status=AgentStatus.SUCCESS,
        session_id=lines.text_of(report, "session_id"),
        turns=lines.count_of(report, "num_turns"),
        tokens=usage,
        total_tokens=sum(usage.values()) if usage else None,
        cost_usd=cost,
        cost_source=CostSource.UNKNOWN if cost is None else CostSource.ESTIMATED,
        final_text=lines.text_of(report, "result"),
    )
