"""From an observed state to verdicts.

One judge serves `merge`, `explain` and `status`, so that what is printed is what is acted on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from refinery.core.keys import key_for
from refinery.core.model import ForgeState, Pull, PullState, Status, Task, TaskList
from refinery.core.policy import to_policy
from refinery.core.verdict import Policy, Snapshot, Verdict, judge
from refinery.errors import GitError
from refinery.project import Project, View


@dataclass(frozen=True, slots=True)
class Judged:
    """A pull with its verdict, the snapshot that it was made from, and the base's commit at that moment."""

    pull: Pull
    base: str
    snapshot: Snapshot
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges pulls of one project."""

    project: Project

    def judge(self, pull: Pull, seen: View) -> Judged:
        """The verdict on one pull, from one look."""
        snapshot = self._snapshot(pull, seen)
        base = seen.state.heads.get(pull.base, "")
        return Judged(pull, base, snapshot, judge(snapshot, self.policy(seen), seen.now))

    def policy(self, seen: View) -> Policy:
        """What may merge, as the base configures it."""
        return to_policy(seen.config, self.project.protected)

    def _snapshot(self, pull: Pull, seen: View) -> Snapshot:
        state, task = seen.state, seen.tasks.tasks.get(pull.task)
        plain = Snapshot(
            pull=pull,
            claim=state.claims.get(pull.key),
            head=state.heads.get(pull.branch, ""),
            default_base=self.project.base,
            freeze=state.freezes.get(key_for(pull.base)),
            required=state.required.get(pull.base, ()),
            dependencies=dependencies(task, seen.tasks, state),
            task_status=task.status if task is not None else None,
            unknown=() if task is not None else (f"the task {pull.task}",),
        )
        base = state.heads.get(pull.base)
        if base is None or pull.state is not PullState.OPEN:
            return plain
        try:
            return self._compared(plain, base, state)
        except GitError as error:
            return replace(
                plain, unknown=(*plain.unknown, f"what git makes of {pull.branch} ({error.message})")
            )

    def _compared(self, plain: Snapshot, base: str, state: ForgeState) -> Snapshot:
        pull, known = plain.pull, self.project.predictions
        self.project.forge.sync(state, [pull.base, pull.branch])
        bases = known.bases(base, pull.head)
        if len(bases) != 1:
            return replace(plain, merge_bases=bases)
        prediction = known.merge(base, pull.head)
        clean = not prediction.conflicts
        return replace(
            plain,
            merge_bases=bases,
            change=known.step(bases[0], pull.head),
            conflicts=prediction.conflicts,
            tree=prediction.tree if clean else "",
            result=known.step(base, prediction.tree) if clean else None,
            checks=(
                *state.checks.get(pull.head, ()),
                *(state.checks.get(prediction.tree, ()) if clean else ()),
            ),
        )


def dependencies(task: Task | None, tasks: TaskList, state: ForgeState) -> Mapping[str, Status | None]:
    """What must land first: the status of each dependency, DONE when it landed or its source says so."""
    if task is None:
        return {}
    return {name: _landed(tasks.tasks.get(name), state) for name in task.depends_on}


def _landed(task: Task | None, state: ForgeState) -> Status | None:
    if task is None:
        return None
    pull = state.pull_of(task.key)
    return Status.DONE if pull is not None and pull.state is PullState.MERGED else task.status
