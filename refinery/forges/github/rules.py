"""What GitHub itself asks for before something lands on a branch: classic protection and rulesets together."""

import time
from dataclasses import dataclass
from typing import Final

from refinery.forges.github.client import Client
from refinery.forges.github.shapes import required_of

_AGE: Final = 60.0  # seconds; looking again costs no quota while nothing changed


@dataclass(frozen=True, slots=True)
class Rules:
    """The required checks of a branch, by name and App id (0: any), and whether it has a merge queue."""

    checks: tuple[tuple[str, int], ...]
    has_queue: bool

    def named(self, apps: dict[int, str]) -> tuple[tuple[str, str], ...]:
        """The checks with Apps by slug; one never seen here keeps its number, which no result matches."""
        return tuple((name, apps.get(app, f"#{app}") if app else "") for name, app in self.checks)


class RuleBook:
    """The rules of a repository's branches."""

    def __init__(self, client: Client, repository: str) -> None:
        self._client = client
        self._repository = repository
        self._seen: dict[str, tuple[float, Rules]] = {}

    def of(self, branch: str) -> Rules:
        """The rules of one branch, at most a minute old.

        Raises:
            ForgeUnavailableError, RejectedError: they cannot be read, which is not "none".
        """
        at, known = self._seen.get(branch, (0.0, None))
        if known is not None and time.monotonic() - at < _AGE:
            return known
        path = f"/repos/{self._repository}"
        shown = self._client.get(f"{path}/branches/{branch}", "rules").body
        rules = self._client.pages(f"{path}/rules/branches/{branch}", "rules")
        checks, has_queue = required_of(shown, rules)
        found = Rules(checks, has_queue)
        self._seen[branch] = (time.monotonic(), found)
        return found
