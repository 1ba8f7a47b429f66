"""Keeping the warm pool full, ahead of need and out of everybody's way, and taking from it.

Properties
- One process at a time fills a project's share; takers never wait for it, nor it for them.
- Nothing is prepared beyond `limits.pool` worktrees and `limits.pool_bytes`, nor without room on the disk.
- A set-up that fails, or leaves what cannot be kept, is not tried again for an hour, or until its base or its commands
  change: an attempt then runs it itself, and its outcome says what is wrong.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from refinery import __version__, pool
from refinery.attempt import Work, begin
from refinery.boxed import Place, is_boxed
from refinery.core.config import ProjectConfig
from refinery.core.pooling import has_room, is_worth_it, kind_of, surplus
from refinery.core.text import approximate_size, plural
from refinery.errors import BusyError, RefineryError
from refinery.home import locked, write_atomic
from refinery.pool import Entry, Taken, Wanted
from refinery.process import Stop, StopFlag, child_environment, kill_strays, run
from refinery.project import Project
from refinery.transcript import Transcript
from refinery.wording import how
from refinery.worktree import Worktree, empty_trash, remove

_PAUSE: Final = 3600.0  # seconds before what went wrong is tried again
_LOG: Final = 256 * 1024  # bytes of what set-up printed that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Refilled:
    """What one `refill` did: how many are ready now, were prepared, were thrown away, and why there are not more."""

    ready: int = 0
    made: int = 0
    dropped: int = 0
    why: str = ""

    def __str__(self) -> str:
        made = f" ({self.made} just now)" if self.made else ""
        why = f"; no more are: {self.why}" if self.why else ""
        return f"{plural(self.ready, 'worktree is', 'worktrees are')} prepared{made}{why}"


def wanted_by(project: Project, config: ProjectConfig, base: str) -> Wanted:
    """What an attempt at `base` needs a worktree to be prepared for.

    Raises:
        UsageError: the configuration wants a box and there can be none.
    """
    env = child_environment(os.environ)
    return Wanted(
        project=project.folder,
        kind=kind_of(config, env, is_boxed=is_boxed(config), version=__version__),
        base=base,
        base_branch=project.base,
        config=config,
        checkout=project.checkout,
    )


def worktree_for(
    project: Project, config: ProjectConfig, work: Work, tell: Callable[[str], None]
) -> tuple[Worktree, Taken | None]:
    """The worktree of an attempt: one of the pool's, set up already, or a new one; errors as `attempt.begin`.

    Only what starts at the base takes one of the pool's; `tell` hears of those that were found unfit.
    """
    if config.limits.pool and work.tip in ("", work.base):
        wanted = wanted_by(project, config, work.base)
        taken = pool.take(project.mirror, project.home.path, wanted, work, tell)
        if taken is not None:
            return taken.worktree, taken
    return begin(project.mirror, project.home.path, work, carry_from=project.checkout), None


def is_wanted(project: Project, config: ProjectConfig, base: str) -> bool:
    """Whether a project gains anything from prepared worktrees."""
    if not config.limits.pool:
        return False
    names = b"" if config.setup else project.mirror.git().run("ls-tree", "-r", "-z", "--name-only", base)
    return is_worth_it(config, names.count(b"\0"))


def refill(project: Project, stop: StopFlag, obstacle: Callable[[], str]) -> Refilled:
    """Throw away what serves nobody any more, and prepare what is lacking, until `stop`.

    `obstacle` says why nothing may be prepared now, or nothing. Somebody else who fills the same share is left to it.

    Raises:
        ForgeUnavailableError: the forge does not say where the base is.
        UsageError: the configuration does not hold.
    """
    try:
        with locked(project.home, f"pool {project.slug}", wait=0):
            return _Filler(project, stop, obstacle).run()
    except BusyError:
        entries = pool.ready(project.home.path, project.folder)
        return Refilled(ready=len(entries), why="another process prepares them")


class _Filler:
    """One pass; its caller holds the lock."""

    def __init__(self, project: Project, stop: StopFlag, obstacle: Callable[[], str]) -> None:
        self.project, self.stop, self.obstacle = project, stop, obstacle
        self.home = project.home.path
        self.setback = _Setback(project)
        self.made = self.dropped = 0

    def run(self) -> Refilled:
        """One worktree after the other, with a fresh look before each: a base may move while set-up runs."""
        self._clear()
        wanted = self._look()
        entries, why = self._kept(wanted), ""
        while not why and self._lacks(wanted, entries):
            why = self._hindrance(wanted, entries) or self._fill(wanted)
            wanted = self._look()
            entries = self._kept(wanted)
        if self.dropped:
            with suppress(RefineryError):  # whoever empties it next tries again
                empty_trash(self.home)
        return Refilled(ready=len(entries), made=self.made, dropped=self.dropped, why=why)

    def _clear(self) -> None:
        """Throw away what a killed one of us was preparing, and end what it had started."""
        dead = pool.dead_entries(self.home, self.project.folder)
        kill_strays([pool.marker_of(folder) for folder in dead])
        for folder in dead:
            remove(folder, self.home)
        self.dropped += len(dead)

    def _look(self) -> Wanted:
        state = self.project.forge.observe()
        config = self.project.config(state)
        return wanted_by(self.project, config, self.project.base_tip(state))

    def _kept(self, wanted: Wanted) -> list[Entry]:
        """The entries that are of use, the oldest first; the others go."""
        limits, found = wanted.config.limits, pool.ready(self.home, self.project.folder)
        kept = [entry for entry in found if limits.pool and pool.serves(self.project.mirror, entry, wanted)]
        over = surplus([entry.inventory.size for entry in kept], limits.pool, limits.pool_bytes)
        staying = kept[over:]
        for entry in found:
            if entry not in staying:
                self.dropped += pool.discard(self.home, entry.folder)
        return staying

    def _lacks(self, wanted: Wanted, entries: list[Entry]) -> bool:
        is_short = len(entries) < wanted.config.limits.pool
        return is_short and is_wanted(self.project, wanted.config, wanted.base)

    def _hindrance(self, wanted: Wanted, entries: list[Entry]) -> str:
        """Why none is prepared now, or nothing."""
        limits, sizes = wanted.config.limits, [entry.inventory.size for entry in entries]
        if self.stop.state is not Stop.NONE:
            return "it was stopped"
        if not has_room(sizes, limits.pool, limits.pool_bytes):
            return f"another one would need more than {approximate_size(limits.pool_bytes)} in all"
        if shutil.disk_usage(self.home).free < 2 * max(sizes, default=0):
            return "there is too little room on the disk"
        return self.obstacle() or self.setback.read(wanted)

    def _fill(self, wanted: Wanted) -> str:
        """Prepare one; what went wrong, or nothing."""
        try:
            entry, why = pool.fill(
                self.project.mirror, self.home, wanted, lambda worktree: self._set_up(wanted, worktree)
            )
        except RefineryError as error:
            entry, why = None, error.message
        most = wanted.config.limits.pool_bytes
        if entry is not None and entry.inventory.size > most:
            pool.discard(self.home, entry.folder)
            size = approximate_size(entry.inventory.size)
            why = f"one takes {size}, more than `limits.pool_bytes` allows"
        self.made += not why
        self.dropped += bool(why)
        if why and self.stop.state is Stop.NONE:
            self.setback.write(wanted, why)
        return why

    def _set_up(self, wanted: Wanted, worktree: Worktree) -> str:
        """Run the set-up commands as an attempt does; why they failed, or nothing."""
        config = wanted.config
        place = Place(
            config=config,
            mirror=self.project.mirror.path,
            worktree=worktree.tree,
            marker=pool.marker_of(worktree.folder),
        )
        log = worktree.folder / pool.LOG
        with Transcript(log, redact=self.project.redactor().line, limit=_LOG) as printed:
            for argv in config.setup:
                printed.begin("setup", argv)
                spec = place.spec(argv, timeout=config.limits.setup_timeout)
                ended = run(spec, on_output=printed.write, stop=self.stop)
                printed.end(how(ended))
                if not ended.succeeded:
                    return f"setup {how(ended)}"
        return ""


class _Setback:
    """What went wrong the last time, for whom: kept in the home's cache, so that no process tries it at once again."""

    def __init__(self, project: Project) -> None:
        self._path = project.home.cache / f"pool-{project.folder}.json"

    def read(self, wanted: Wanted) -> str:
        """Why not to try; empty when it may be tried."""
        try:
            kept = json.loads(self._path.read_bytes())
            is_over = time.time() - kept["at"] > _PAUSE
            is_same = [kept["kind"], kept["base"]] == [wanted.kind, wanted.base]
            return "" if is_over or not is_same else str(kept["why"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def write(self, wanted: Wanted, why: str) -> None:
        """Remember."""
        told = {"kind": wanted.kind, "base": wanted.base, "at": time.time(), "why": why}
        with suppress(OSError):
            write_atomic(self._path, json.dumps(told).encode())
