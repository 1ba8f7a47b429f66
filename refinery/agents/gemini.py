"""The `gemini` command line, non-interactive: https://geminicli.com/docs/cli/headless/ ."""

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
    Finished,
    process_failure,
)

_ALLOWED: Final = (
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_GENAI_USE_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
)
_TOKENS: Final = {"input_tokens": "input", "output_tokens": "output", "cached": "cache_read"}
_EXITS: Final = {
    41: "it is not logged in",
    42: "it refused its input",
    44: "its sandbox failed",
    52: "its configuration is wrong",
    53: "it used up its turns",
    54: "a tool failed",
    55: "it does not trust the folder",
    130: "it was interrupted",
}
_POINTER: Final = "Do the task that is described above."


@dataclass(slots=True)
class GeminiAgent:
    """Gemini CLI. It reports tokens, but no dollars, and takes no limit of turns or budget on its command line."""

    name: str = "gemini"
    settings: AgentSettings = field(default_factory=AgentSettings)

    def command(self, request: AgentRequest) -> AgentCommand:
        """The command line. The program puts standard input, our prompt, before `-p`: an argument has a size limit."""
        program = self.settings.command or ("gemini",)
        model = ("-m", self.settings.model) if self.settings.model else ()
        argv = (*program, "-p", _POINTER, "--approval-mode=yolo", "--skip-trust", "-o", "stream-json", *model)
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
        recorded = _record(events, report or {})
        if failure is not None:
            cause = _EXITS.get(finished.exit_code or 0, "") or _error(events, report or {})
            return replace(
                recorded, status=failure.status, reason=failure.reason + (f": {cause}" if cause else "")
            )
        if report is None:
            return replace(
                recorded, status=AgentStatus.FAILED, reason="the agent ended without a result line"
            )
        if lines.text_of(report, "status") != "success":
            cause = _error(events, report) or "without a message"
            return replace(
                recorded, status=AgentStatus.FAILED, reason=f"the agent reported an error: {cause}"
            )
        return recorded


def _error(events: Sequence[lines.Event], report: lines.Event) -> str:
    told = lines.object_of(report, "error") or lines.last(events, "error") or {}
    return lines.text_of(told, "message")[:300]


def _record(events: Sequence[lines.Event], report: lines.Event) -> AgentResult:
    stats = lines.object_of(report, "stats")
    said = [lines.text_of(event, "content") for event in events if _is_answer(event)]
    session = [lines.text_of(event, "session_id", "sessionId") for event in events]
    return AgentResult(
        status=AgentStatus.SUCCESS,
        session_id=next(filter(None, session), ""),
        tokens=lines.counts(stats, _TOKENS),
        total_tokens=lines.count_of(stats, "total_tokens"),
        final_text="".join(said),
    )


def _is_answer(event: lines.Event) -> bool:
    return event.get("type") == "message" and event.get("role") == "assistant"
