"""What lies in a prepared worktree, written down by stat data, so that whatever touched it since shows.

Tracked files are looked after by our own index of the checkout, everything else (what set-up made, folders, the
agent's git directory) by a list beside it. A changed file shows by its ctime, which nobody can set back, an added or
removed one by its folder's. To be sure of that, `record` lets the clock's second pass first: git compares seconds.
"""

import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refinery.errors import GitError, UsageError
from refinery.git import Git
from refinery.mirror import Mirror
from refinery.worktree import Worktree, digest

NAME: Final = "inventory"
_COARSE: Final = 0.02  # seconds that a file system's time stamps may lag behind the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What `record` saw: digests of kept index and list, the tracked files that set-up changed, bytes on disk."""

    index_digest: str
    list_digest: str
    changed: tuple[str, ...]
    size: int


def record(mirror: Mirror, worktree: Worktree) -> Inventory:
    """Write the list, and bring the kept index up to date with the files as they are; takes up to a second.

    Only stat data of unchanged files go into the index: a file that set-up changed stays a changed one.

    Raises:
        UsageError: there is something that cannot be written down, such as a folder that cannot be listed.
        GitError: git cannot read the files.
    """
    time.sleep(1.0 - time.time() % 1.0 + _COARSE)
    git = mirror.git(work_tree=worktree.tree, index=worktree.kept_index)
    done = git.attempt("update-index", "-q", "--ignore-submodules", "--refresh")
    if done.code not in (0, 1):
        raise GitError(f"git update-index failed ({done.code})", code=done.code, stderr=done.err)
    changed = _changed(git)
    tracked = {os.fsdecode(name) for name in git.run("ls-files", "-z").split(b"\0")} - set(changed)
    try:
        rows, size = _listed(worktree.tree, tracked)
    except OSError as error:
        raise UsageError(
            f"set-up left what cannot be listed: {error}",
            remedy="attempts go without prepared worktrees; see what setup leaves there",
        ) from error
    target = worktree.folder / NAME
    target.write_text(json.dumps(rows))
    return Inventory(
        index_digest=digest(worktree.kept_index), list_digest=digest(target), changed=changed, size=size
    )


def difference(mirror: Mirror, worktree: Worktree, inventory: Inventory) -> str:
    """What is no longer as recorded, in words; empty when all is."""
    target = worktree.folder / NAME
    try:
        if digest(worktree.kept_index) != inventory.index_digest or digest(target) != inventory.list_digest:
            return "what was written down about it was changed"
        rows = json.loads(target.read_bytes())
    except OSError as error:
        return f"what was written down about it cannot be read: {error}"
    root = f"{worktree.tree}/"
    for path, *seen in rows:
        if _seen(root + path) != seen:
            return f"{path or 'its folder'} was changed"
    changed = _changed(mirror.git(work_tree=worktree.tree, index=worktree.kept_index))
    return "a file of the base was changed" if changed != inventory.changed else ""


def _changed(git: Git) -> tuple[str, ...]:
    """The tracked files that differ from our checkout; git looks at their stat data side by side."""
    out = git.run("diff-files", "-z", "--name-only", "--ignore-submodules=all")
    return tuple(os.fsdecode(name) for name in out.split(b"\0") if name)


def _listed(tree: Path, tracked: set[str]) -> tuple[list[list[object]], int]:
    """A row for the folder itself and for everything below it that git's index does not watch, and bytes on disk."""
    rows: list[list[object]] = [["", *_row(tree.lstat())]]
    size = 0
    for path, seen in _walk(tree):
        size += seen.st_blocks * 512
        if stat.S_ISDIR(seen.st_mode) or path not in tracked:
            rows.append([path, *_row(seen)])
    return rows, size


def _walk(tree: Path) -> Iterator[tuple[str, os.stat_result]]:
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(tree / folder) as entries:
            listed = list(entries)
        for entry in listed:
            path = f"{folder}/{entry.name}" if folder else entry.name
            yield path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)


def _seen(path: str) -> list[int] | None:
    try:
        return _row(os.lstat(path))
    except OSError:
        return None


def _row(seen: os.stat_result) -> list[int]:
    return [seen.st_mode, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns]
