"""The project's own checks, run on a fresh worktree of a predicted merge result.

A command that could not run has not passed and has not failed: it "did not run" (F19), and nothing merges on that.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from refinery.attempt import scratch_name
from refinery.boxed import Place
from refinery.core.config import ProjectConfig
from refinery.core.model import Check, Conclusion
from refinery.core.reasons import CHECKS_APP
from refinery.core.sanitise import clean
from refinery.process import Ended, Job, StopFlag, run, run_all
from refinery.project import Project
from refinery.worktree import prepare, remove

_TAIL: Final = 40  # lines of output that a result keeps
_TICK: Final = 1.0  # seconds between two looks at the lease


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """What to check: the mirror's commit whose tree is the predicted result, and what to call meanwhile."""

    commit: str
    tree: str
    tick: Callable[[], None]
    stop: StopFlag | None = None


def run_checks(project: Project, config: ProjectConfig, what: CheckRun) -> tuple[Check, ...]:
    """Run set-up, then all of `checks:` in parallel up to the limit; results name the tree that they are of."""
    folder = project.home.worktrees / scratch_name("check")
    try:
        worktree = prepare(project.mirror, folder, base=what.commit, branch="refinery/check")
        place = Place(
            config=config,
            mirror=project.mirror.path,
            worktree=worktree.tree,
            marker=folder.name,
        )
        return _Checks(project, place, what).results()
    finally:
        remove(folder, project.home.path)


class _Checks:
    """One run of all checks in one worktree."""

    def __init__(self, project: Project, place: Place, what: CheckRun) -> None:
        self.project, self.place, self.what = project, place, what
        self.config = place.config

    def results(self) -> tuple[Check, ...]:
        failed = self._set_up()
        if failed:
            return tuple(self._check(name, Conclusion.DID_NOT_RUN, failed) for name in self.config.checks)
        tails: dict[str, deque[bytes]] = {name: deque(maxlen=_TAIL) for name in self.config.checks}
        jobs = [
            Job(
                self.place.spec(check.command, timeout=check.timeout or self.config.limits.check_timeout),
                tails[name].append,
            )
            for name, check in self.config.checks.items()
        ]
        ended = run_all(
            jobs,
            parallel=self.config.limits.parallel_checks,
            stop=self.what.stop,
            tick=self.what.tick,
            tick_seconds=_TICK,
        )
        return tuple(
            self._check(name, conclusion_of(one), self._shown(tails[name]), one.seconds)
            for name, one in zip(self.config.checks, ended, strict=True)
        )

    def _set_up(self) -> str:
        """Why a check cannot run; empty when set-up succeeded."""
        for argv in self.config.setup:
            tail: deque[bytes] = deque(maxlen=_TAIL)
            spec = self.place.spec(argv, timeout=self.config.limits.setup_timeout)
            ended = run(
                spec, on_output=tail.append, stop=self.what.stop, tick=self.what.tick, tick_seconds=_TICK
            )
            if not ended.succeeded:
                return f"setup failed: {self._shown(tail)}"
        return ""

    def _check(self, name: str, conclusion: Conclusion, summary: str, seconds: float = 0.0) -> Check:
        return Check(
            name=name,
            app=CHECKS_APP,
            subject=self.what.tree,
            conclusion=conclusion,
            summary=summary,
            seconds=round(seconds, 3),
        )

    def _shown(self, tail: deque[bytes]) -> str:
        return self.project.redactor().text(clean(b"".join(tail).decode("utf-8", "replace")))[-4000:]


def conclusion_of(ended: Ended) -> Conclusion:
    """What a check's ending means; anything but an exit code of its own did not run to its end (F19)."""
    if ended.timed_out:
        return Conclusion.TIMED_OUT
    if ended.did_not_run or ended.exit_code is None or ended.stopped or ended.lost:
        return Conclusion.DID_NOT_RUN
    return Conclusion.SUCCESS if ended.exit_code == 0 else Conclusion.FAILURE
