"""Which tasks may be started now, in which order, and why the others may not.

Properties: adding a blocker never makes a task ready; no task under a live claim is ready; the order is total; the work
is linear in the number of tasks and dependencies. A record that could not be read counts against its task (F6).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from refinery.core.blockers import Blocker, Reason, reason
from refinery.core.dependencies import circles
from refinery.core.model import (
    CLAIMS,
    LEAF_TYPES,
    PULLS,
    ClaimTip,
    ForgeState,
    Problem,
    Pull,
    Status,
    Task,
    TaskList,
)
from refinery.core.standing import Limits, Readiness, Seen, has_landed, standing
from refinery.core.text import listing

_ANYBODY: Final = frozenset({"", "polecat", "bot"})
_DEAD: Final = frozenset({Status.CANCELLED, Status.FAILED})
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """The ready tasks in the order in which they are to be started, and the readiness of every task by id."""

    ready: tuple[Task, ...]
    readiness: Mapping[str, Readiness]

    @property
    def skipped(self) -> dict[str, tuple[Reason, ...]]:
        """The reasons of every task that is not ready."""
        return {name: each.reasons for name, each in self.readiness.items() if each.reasons}


def plan(
    tasks: TaskList,
    state: ForgeState,
    now: float,
    *,
    caller: str,
    attempts: int,
    repairable: frozenset[int] = frozenset(),
) -> QueuePlan:
    """Judge every task. `attempts` is the cap on failures; `repairable` are open pulls that an attempt could mend."""
    view = _View(tasks, state, Limits(attempts=attempts, repairable=repairable), caller)
    judged = {name: view.readiness(task, now) for name, task in tasks.tasks.items()}
    ready = [task for name, task in tasks.tasks.items() if judged[name].is_ready]
    return QueuePlan(tuple(sorted(ready, key=order)), judged)


def readiness(
    task: Task,
    tasks: TaskList,
    state: ForgeState,
    now: float,
    *,
    caller: str,
    attempts: int,
    repairable: frozenset[int] = frozenset(),
) -> Readiness:
    """Judge one task, as read last, among the others. After acquiring, pass the state through `unclaimed` first."""
    among = replace(tasks, tasks={**tasks.tasks, task.id: task})
    view = _View(among, state, Limits(attempts=attempts, repairable=repairable), caller)
    return view.readiness(task, now)


def unclaimed(state: ForgeState, key: str, before: ClaimTip | None) -> ForgeState:
    """`state` as it was before the caller's own acquisition: with the tip that it took over, or none."""
    others = {name: tip for name, tip in state.claims.items() if name != key}
    return replace(state, claims=others if before is None else {**others, key: before})


def order(task: Task) -> tuple[int, float, bool, str, str, str]:
    """The sort key: priority, order, created (undated last), id (numbers by value)."""
    by_value = task.id.zfill(20) if task.id.isdecimal() else task.id
    return task.priority, task.order, not task.created, task.created, by_value, task.id


class _View:
    """One snapshot, indexed. What only some tasks need is built when the first of them asks."""

    def __init__(self, tasks: TaskList, state: ForgeState, limits: Limits, caller: str) -> None:
        self._tasks = tasks.tasks
        self._problems = tasks.problems
        self._state = state
        self._limits = limits
        self._assignees = _ANYBODY | {caller.casefold()}
        self._is_forge_empty = not (state.claims or state.pulls or state.problems)
        self._bare: dict[Status, Readiness] = {}

    def readiness(self, task: Task, now: float) -> Readiness:
        """The readiness of one task."""
        reasons = self._itself(task)
        if task.depends_on:
            reasons += self._dependencies(task)
        stands = self._explained(task, self._standing(task, now))
        return replace(stands, reasons=(*reasons, *stands.reasons)) if reasons else stands

    def _explained(self, task: Task, stands: Readiness) -> Readiness:
        """A task that its source blocks (an issue that nobody trusted handed over) is blocked for that reason."""
        problem = self._broken.get(task.id) if task.status is Status.BLOCKED else None
        if problem is None:
            return stands
        told = reason(Blocker.BLOCKED, why=problem.message)
        return replace(
            stands, reasons=tuple(told if each.code is Blocker.BLOCKED else each for each in stands.reasons)
        )

    def _standing(self, task: Task, now: float) -> Readiness:
        """Most tasks have neither claim nor pull: then the status alone decides, alike for all."""
        seen = self._seen(task)
        if seen.tip is not None or seen.pulls:
            return standing(seen, self._limits, now)
        if task.status not in self._bare:
            self._bare[task.status] = standing(seen, self._limits, now)
        return self._bare[task.status]

    def _itself(self, task: Task) -> list[Reason]:
        reasons = []
        if task.type not in LEAF_TYPES:
            reasons.append(reason(Blocker.WRONG_TYPE, type=task.type))
        if task.id in self._children:
            reasons.append(reason(Blocker.NOT_A_LEAF, children=_some(self._children[task.id])))
        if task.assignee and task.assignee.removeprefix("@").casefold() not in self._assignees:
            reasons.append(reason(Blocker.ASSIGNED, assignee=task.assignee))
        return reasons

    def _dependencies(self, task: Task) -> list[Reason]:
        found = (self._dependency(name) for name in task.depends_on)
        reasons = [each for each in found if each is not None]
        if reasons and task.id in self._circles:
            reasons.append(reason(Blocker.DEPENDENCY_CYCLE, cycle=self._circles[task.id]))
        return reasons

    def _dependency(self, name: str) -> Reason | None:
        task = self._tasks.get(name)
        if task is None:
            problem = self._broken.get(name)
            if problem is not None:
                return reason(Blocker.DEPENDENCY_UNREADABLE, task=name, where=problem.path)
            return reason(Blocker.DEPENDENCY_UNKNOWN, task=name)
        if task.status in _DEAD:
            return reason(Blocker.DEPENDENCY_DEAD, task=name, status=str(task.status))
        if self._is_done(task):
            return None
        return reason(Blocker.DEPENDENCY_WAITING, task=name, status=str(task.status))

    def _is_done(self, task: Task) -> bool:
        if task.status is Status.DONE:
            return True
        return not self._is_forge_empty and has_landed(self._seen(task))

    def _seen(self, task: Task) -> Seen:
        if self._is_forge_empty:
            return Seen(task=task)
        key = task.key
        tip = self._state.claims.get(key)
        if CLAIMS + key in self._unreadable:
            tip = ClaimTip("", None, self._unreadable[CLAIMS + key])
        number = tip.claim.pull if tip is not None and tip.claim is not None else None
        return Seen(
            task=task,
            tip=tip,
            pulls=self._pulls.get(key, ()),
            heads=self._state.heads,
            is_pull_unreadable=number is not None and f"{PULLS}{number}" in self._unreadable,
        )

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = defaultdict(list)
        for task in self._tasks.values():
            if task.parent and task.parent != task.id:
                children[task.parent].append(task.id)
        return dict(children)

    @cached_property
    def _circles(self) -> dict[str, str]:
        waiting = [task for task in self._tasks.values() if task.depends_on and not self._is_done(task)]
        return circles({task.id: task.depends_on for task in waiting})

    @cached_property
    def _pulls(self) -> dict[str, list[Pull]]:
        pulls: dict[str, list[Pull]] = defaultdict(list)
        for pull in self._state.pulls.values():
            pulls[pull.key].append(pull)
        return dict(pulls)

    @cached_property
    def _broken(self) -> dict[str, Problem]:
        return {problem.task: problem for problem in self._problems if problem.task}

    @cached_property
    def _unreadable(self) -> dict[str, str]:
        """The refs that `problems` begin with, each with the whole message."""
        return {
            problem.split()[0].rstrip(":"): problem for problem in self._state.problems if problem.strip()
        }


def _some(names: list[str]) -> str:
    return listing(names if len(names) <= _SHOWN else [*names[:_SHOWN], f"{len(names) - _SHOWN} more"])
