"""Tasks as Markdown files in a folder: found recursively, read with a cache, changed byte by byte."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from refinery.core import tasks, text
from refinery.core.lease import Lease
from refinery.core.model import Problem, Status, Task, TaskList
from refinery.core.reasons import printable
from refinery.core.status_comment import Note
from refinery.errors import TaskFileError, UsageError
from refinery.tasks import cache as caches
from refinery.tasks.rewrite import create, read, rewrite
from refinery.tasks.scan import Scan, scan

_SETTLED: Final = 2_000_000_000  # ns; a younger file may still change without a change of its times
_WORTH: Final = 64  # the cache is written again when more than one file in so many has changed


class FileTasks:
    """A folder of tasks. `cache` is a file of this user's own, or None; several processes may share both."""

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder = folder.resolve()
        self._cache = cache
        self._known: caches.Known | None = None
        self._tasks: Mapping[str, Task] = {}

    def all(self, *, now: float | None = None) -> TaskList:
        """Every task below the folder and every problem, in one look. `now` is when the look begins, if not now.

        Raises:
            UsageError: the folder is missing or cannot be read.
        """
        began = time.time_ns() if now is None else int(now * 1e9)
        found = scan(str(self.folder))
        with _no_collector():
            self._known = self._look(found, began)
        listed = _listed(self._known, found)
        self._tasks = listed.tasks
        return listed

    def get(self, task_id: str) -> Task:
        """One task, read from its file now.

        Raises:
            TaskFileError: it is gone, cannot be read, or is not the only one of its id.
        """
        known = self._tasks.get(task_id)
        task = _read(known.source) if known is not None else None
        if isinstance(task, Task) and task.id == task_id:
            return task
        look = self.all()
        if task_id in look.tasks:
            return look.tasks[task_id]
        for problem in look.problems:
            if problem.task == task_id:
                raise TaskFileError(problem.text, remedy=problem.remedy)
        raise TaskFileError(
            f"there is no task {task_id!r} below {printable(str(self.folder))}",
            remedy=text.did_you_mean(task_id, look.tasks) or "see `refinery task list`",
        )

    def update(self, task_id: str, changes: Mapping[str, str]) -> None:
        """Set front matter values of a task, and `modified` where the file has it; every other byte is kept.

        Raises:
            TaskFileError: as `get`; a value is not understood; somebody else changed the file meanwhile.
        """
        if "id" in changes:
            raise UsageError(
                "a task's id cannot be changed: its claim and branch carry it",
                remedy="add a new task, and cancel this one",
            )
        self._rewrite(task_id, lambda _: changes)

    def set_status(self, task: Task, status: Status, note: str = "") -> None:  # noqa: ARG002 - files carry no notes
        """Write a status, unless the file says so already in some spelling.

        `done` and `cancelled` stay until a person changes them, and `failed` gives way to `done` alone.

        Raises:
            TaskFileError: as `update`.
        """

        def changes(now: Task) -> Mapping[str, str]:
            is_kept = now.status in (Status.DONE, Status.CANCELLED) or (
                now.status is Status.FAILED and status is not Status.DONE
            )
            return {} if is_kept or now.status is status else {"status": status.value}

        self._rewrite(task.id, changes)

    def mirror(self, lease: Lease, task: Task, status: Status, note: Note | None = None) -> None:  # noqa: ARG002 - files carry no notes
        """Show `status` in the task's file, under the lease on that task.

        Raises:
            TaskFileError: as `update`.
            ValueError: the lease is on something else.
        """
        if lease.key != task.key:
            raise ValueError(f"a lease on {lease.key} permits no write for {task.key}")
        self.set_status(task, status)

    def add(self, task: Task, folder: Path | None = None) -> Path:
        """Create a file for a new task, in `folder` (the task folder, or below it); returns its path.

        Raises:
            UsageError: the id is taken, the folder is elsewhere, or the file cannot be written.
        """
        directory = (folder or self.folder).resolve()
        if not directory.is_relative_to(self.folder):
            raise UsageError(f"{directory} is not below the task folder {self.folder}")
        raw = tasks.new_task_file(task)
        parsed = tasks.parse(raw, "the new task", task.id)
        if not isinstance(parsed, Task):
            raise TaskFileError(str(parsed), remedy="give another value")
        stem = tasks.slug(task.id) or tasks.slug(task.title) or "task"
        path, number = directory / f"{stem}.md", 1
        self._refuse_taken(task.id)
        while not create(path, raw):
            number += 1
            path = directory / f"{stem}-{number}.md"
            self._refuse_taken(task.id)
        return path

    def _look(self, found: Scan, began: int) -> caches.Known:
        """What every file holds now; the cache file follows when that is worth it."""
        known = self._known
        if known is None:
            known = caches.load(self._cache) if self._cache is not None else {}
        fresh, changed = _look(found, known, began)
        gone = len(known) - len(fresh)
        if self._cache is not None and max(changed, gone) * _WORTH > len(fresh):
            caches.save(self._cache, fresh)
        return fresh

    def _refuse_taken(self, task_id: str) -> None:
        look = self.all()
        taken = look.tasks.get(task_id)
        where = taken.source if taken else next((p.path for p in look.problems if p.task == task_id), None)
        if where is not None:
            raise UsageError(f"the id {task_id!r} is taken by {printable(where)}", remedy="give another id")

    def _rewrite(self, task_id: str, changes: Callable[[Task], Mapping[str, str]]) -> None:
        path = self.get(task_id).source

        def change(raw: bytes) -> bytes:
            now = tasks.parse(raw, path, _stem(path))
            if not isinstance(now, Task) or now.id != task_id:
                raise TaskFileError(
                    f"{printable(path)} no longer holds the task {task_id!r}", remedy="try again"
                )
            after = tasks.edit(raw, changes(now), printable(path))
            return after if after == raw else tasks.stamped(after, time.time())

        rewrite(Path(path), change)


@contextmanager
def _no_collector() -> Iterator[None]:
    """Thousands of lasting objects are made at once: the cycle collector would walk them again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _look(found: Scan, known: caches.Known, began: int) -> tuple[caches.Known, int]:
    """What every file holds now, and how many of them had to be read and may be remembered."""
    fresh: caches.Known = {}
    changed = 0
    for path, sign in found.files.items():
        hit = known.get(path)
        if hit is not None and hit[0] == sign:
            fresh[path] = hit
            continue
        thing = _read(path, sign[2])
        is_settled = max(sign[0], sign[1]) < began - _SETTLED
        fresh[path] = (sign if is_settled else None, thing)
        changed += is_settled
    return fresh, changed


def _read(path: str, size: int | None = None) -> caches.Found:
    """What the file holds; None also when it is gone since it was listed."""
    try:
        raw = read(path, size)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Problem(
            path=printable(path), message=f"cannot be read: {error.strerror}", remedy="make the file readable"
        )
    return tasks.parse(raw, path, _stem(path))


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".md")


def _listed(fresh: caches.Known, found: Scan) -> TaskList:
    """The tasks by id. An id that two files share is a problem, and neither is a task: who would own the claim?"""
    listed: dict[str, Task] = {}
    twice: dict[str, list[str]] = {}
    problems = list(found.problems)
    for _, thing in fresh.values():
        if isinstance(thing, Task):
            first = listed.setdefault(thing.id, thing)
            if first is not thing:
                twice.setdefault(thing.id, [first.source]).append(thing.source)
        elif thing is not None:
            problems.append(thing)
    for task_id, paths in twice.items():
        del listed[task_id]
        problems.append(_duplicate(task_id, sorted(paths)))
    return TaskList(tasks=listed, problems=tuple(sorted(problems, key=lambda problem: problem.path)))


def _duplicate(task_id: str, paths: list[str]) -> Problem:
    return Problem(
        path=printable(paths[0]),
        message=f"the id {task_id!r} is used by {text.listing(printable(path) for path in paths)}",
        task=task_id,
        remedy="give each file an id of its own; until then none of them is run",
    )
