"""Any program as an agent: an argv template, the prompt on standard input and in a file, an exit code."""

import re
from dataclasses import dataclass, field
from typing import Final

from refinery.core.agent import (
    AgentCommand,
    AgentRequest,
    AgentResult,
    AgentSettings,
    AgentStatus,
    Finished,
    process_failure,
)
from refinery.errors import UsageError

PLACEHOLDERS: Final = ("task", "attempt", "prompt_file", "worktree", "result_file")
_PLACEHOLDER: Final = re.compile("{(" + "|".join(PLACEHOLDERS) + ")}")


def environment(request: AgentRequest) -> dict[str, str]:
    """What every agent is told by its environment."""
    return {
        "REFINERY_TASK": request.task,
        "REFINERY_ATTEMPT": str(request.attempt),
        "REFINERY_PROMPT_FILE": str(request.prompt_file),
        "REFINERY_RESULT_FILE": str(request.result_file),
    }


def fill(template: str, request: AgentRequest) -> str:
    """`template` with our placeholders replaced, in one pass; every other brace stays as it is."""
    values = {
        "task": request.task,
        "attempt": str(request.attempt),
        "prompt_file": str(request.prompt_file),
        "worktree": str(request.worktree),
        "result_file": str(request.result_file),
    }
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


@dataclass(slots=True)
class CommandAgent:
    """An agent that is whatever its configured command is."""

    name: str
    settings: AgentSettings = field(default_factory=AgentSettings)

    def command(self, request: AgentRequest) -> AgentCommand:
        """The configured command line.

        Raises:
            UsageError: the configuration gives none.
        """
        if not self.settings.command:
            raise UsageError(
                f"the agent {self.name!r} has no command",
                remedy=f"add `agents: {{{self.name}: {{command: [program, argument]}}}}` to the configuration",
            )
        template = (*self.settings.command, *self.settings.arguments)
        return AgentCommand(
            argv=tuple(fill(part, request) for part in template),
            stdin=request.prompt.encode("utf-8", "surrogateescape"),
            env=environment(request),
            allow=self.settings.environment,
        )

    def result(self, finished: Finished) -> AgentResult:
        """Success is an exit code of 0, whatever was printed (F10, F11)."""
        failure = process_failure(finished)
        return failure if failure is not None else AgentResult(status=AgentStatus.SUCCESS)
