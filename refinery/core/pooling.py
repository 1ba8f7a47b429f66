"""Prepared worktrees as rules see them: what they were prepared for, whom they serve, and which are too many."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from refinery.core.config import ProjectConfig
from refinery.core.protected import matches, scripts_named

FRESH: Final = 86400.0  # seconds that one may wait: what set-up fetched from elsewhere grows old
MANY_FILES: Final = (
    2000  # in a base without set-up; a smaller one is checked out as quickly as a prepared one is taken
)
_CHANGES_OTHERS: Final = frozenset(
    {".gitattributes", ".gitmodules"}
)  # they decide how other files are checked out
_CARRIES: Final = ".worktreeinclude"


def kind_of(config: ProjectConfig, env: Mapping[str, str], *, is_boxed: bool, version: str) -> str:
    """A digest of all that decides, beside the files, what set-up makes of a worktree: commands, limits, box, `env`."""
    told = {
        "version": version,
        "setup": config.setup,
        "timeout": config.limits.setup_timeout,
        "memory": config.limits.memory,
        "processes": config.limits.processes,
        "boxed": is_boxed,
        "env": dict(env),
    }
    text = json.dumps(told, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def may_move(changed: Iterable[str], config: ProjectConfig) -> bool:
    """Whether what was set up at one base serves at another one, whose paths `changed` differ.

    Without set-up it does. With it only where `setup_inputs` says what set-up reads, and nothing of that changed, nor a
    script that the commands name.
    """
    paths = tuple(changed)
    if any(path == _CARRIES or path.rpartition("/")[2] in _CHANGES_OTHERS for path in paths):
        return False
    if not config.setup:
        return True
    inputs = [*config.setup_inputs, *scripts_named(shlex.join(command) for command in config.setup)]
    return bool(config.setup_inputs) and not any(matches(path, inputs) for path in paths)


def is_worth_it(config: ProjectConfig, files: int) -> bool:
    """Whether preparing worktrees of a base with so many files gains anything over making one when it is needed."""
    return config.limits.pool > 0 and (bool(config.setup) or files >= MANY_FILES)


def surplus(sizes: Sequence[int], count: int, most_bytes: int) -> int:
    """How many of the oldest have to go so that `count` stay, with `most_bytes` in all; `sizes` oldest first."""
    over = max(0, len(sizes) - count)
    while sum(sizes[over:]) > most_bytes:
        over += 1
    return over


def has_room(sizes: Sequence[int], count: int, most_bytes: int) -> bool:
    """Whether one more fits, taken to be as large as the largest so far."""
    return len(sizes) < count and sum(sizes) + max(sizes, default=0) <= most_bytes
