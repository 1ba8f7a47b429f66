"""How a project's own programs are started: agent, set-up, verify and checks alike.

All of them execute what an agent may have written, so all get the same environment allow-list, limits and box.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refinery.containment import Box, available, wrap
from refinery.core.config import ProjectConfig
from refinery.errors import UsageError
from refinery.process import ProcessSpec, child_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where programs of one attempt run: the worktree, the mirror that it borrows from, and further writable paths.

    `marker` names the attempt in every process's environment, so that strays can be found. A boxed program sees an
    empty folder where the person's home is.
    """

    config: ProjectConfig
    mirror: Path
    worktree: Path
    marker: str
    writable: tuple[Path, ...] = ()

    def spec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        allow: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
        read_only: Sequence[str] = (),
    ) -> ProcessSpec:
        """The program with everything around it; `timeout` in seconds."""
        limits = self.config.limits
        env = child_environment(os.environ, allow, extra)
        return ProcessSpec(
            argv=self._boxed(tuple(argv), env, read_only),
            cwd=self.worktree,
            env=env,
            stdin=stdin,
            timeout=timeout,
            memory_bytes=limits.memory,
            processes=limits.processes,
            marker=self.marker,
        )

    def _boxed(
        self, argv: tuple[str, ...], env: Mapping[str, str], read_only: Sequence[str]
    ) -> tuple[str, ...]:
        if not is_boxed(self.config):
            return argv
        box = Box(
            worktree=self.worktree,
            home=Path(env.get("HOME") or Path.home()),
            path=env.get("PATH", os.defpath),
            writable=self.writable,
            read_only=(self.mirror / "objects", *(Path(path).expanduser() for path in read_only)),
        )
        return wrap(argv, box)


def is_boxed(config: ProjectConfig) -> bool:
    """Whether programs run in bubblewrap.

    Raises:
        UsageError: the configuration wants it and this machine has none that works.
    """
    if config.sandbox == "none":
        return False
    why = available()
    if why and config.sandbox == "bubblewrap":
        raise UsageError(
            f"`sandbox: bubblewrap` does not work here: {why}",
            remedy="install bubblewrap, or set `sandbox: none` and read what that means",
        )
    return not why
