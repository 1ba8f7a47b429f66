"""Adapters to coding programs: pure translators between an attempt and a command line."""

import difflib
from collections.abc import Callable, Mapping
from typing import Final

from refinery.agents.claude import ClaudeAgent
from refinery.agents.command import CommandAgent
from refinery.agents.gemini import GeminiAgent
from refinery.core.agent import AgentSettings
from refinery.errors import UsageError

AnyAgent = ClaudeAgent | GeminiAgent | CommandAgent

BUILT_IN: Final[Mapping[str, Callable[[str, AgentSettings], AnyAgent]]] = {
    "claude": ClaudeAgent,
    "gemini": GeminiAgent,
}


def find(name: str, configured: Mapping[str, AgentSettings]) -> AnyAgent:
    """The agent of that name. A configured one with a built-in's name adjusts the built-in.

    Raises:
        UsageError: there is none; the message names those that there are.
    """
    settings = configured.get(name)
    if name in BUILT_IN:
        return BUILT_IN[name](name, settings or AgentSettings())
    if settings is not None:
        return CommandAgent(name, settings)
    known = sorted({*BUILT_IN, *configured})
    near = difflib.get_close_matches(name, known, n=1)
    raise UsageError(
        f"there is no agent {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        remedy=f"use one of {', '.join(known)}, or define it under `agents:` in the configuration",
    )
