"""The files that `setup` proposes to a repository on GitHub, as text."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from refinery.core.config import PROJECT_FILES
from refinery.core.text import listing

_HEAD: Final = """\
# What Refinery may do here. It is read from this branch alone; `refinery config schema` describes every key.
# agent: claude        # for tasks that name none
# setup: [npm ci]      # prepares a fresh worktree, before the agent
"""
_NONE: Final = """\
# Nothing merges by itself without a check. A check of this repository's CI, and the App that reports it:
# policy: {required: [{name: tests, app: github-actions}]}
# Or a command, run by Refinery on what would land:
# checks: {tests: make test}
"""


def starter_files(required: Iterable[tuple[str, str]], seen: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Contents by path. Checks are pairs of name and App: those that GitHub requires, and those reported lately."""
    return {PROJECT_FILES[0]: _HEAD + _checks([name for name, _ in required], sorted(seen))}


def _checks(required: list[str], seen: list[tuple[str, str]]) -> str:
    if required:
        return f"# The branch rules require {listing(required)}, and so does Refinery.\n"
    rows = [
        f"    - {{name: {json.dumps(name)}, app: {json.dumps(app)}}}\n"
        for name, app in seen
        if app and not app.startswith("@")
    ]
    if not rows:
        return _NONE
    return (
        "policy:\n  required:   # these were reported lately; a pull merges once all of them succeeded\n"
        + "".join(rows)
    )
