"""The snapshot: what an agent left in its worktree, as a tree that our own git built.

Taken after the last process of the attempt is dead. Git runs with the mirror as its git directory and a copy of the
index that we kept from our own checkout; the agent's `.git`, its config, hooks, attributes outside the tree, objects
and commits play no part. Properties:
- Stat data hide a change from us only if size, inode, mtime *and* ctime are equal, in an entry older than the index.
- What cannot be committed is named, and the snapshot has it as the starting tree had it: left out is not deleted.
- A submodule's entry stays what it was; so does an LFS pointer whose content was merely downloaded.
"""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from refinery.aside import set_aside
from refinery.errors import TamperedError
from refinery.git import Signature
from refinery.mirror import Mirror
from refinery.overlay import Overlay
from refinery.scan import LeftOut, scan
from refinery.worktree import EMAIL, REFINERY, Worktree, digest

MAX_FILE: Final = 100 * 1024 * 1024
_MARKER: Final = re.compile(rb"^(<{7}|>{7}|\|{7})( |$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tree of what an agent left. `is_changed`: it differs from the tree that the attempt started with.

    `left_out` names what is not in it; ignored files are not named. `markers` are files that were in conflict at the
    start and still hold conflict markers.
    """

    tree: str
    is_changed: bool
    left_out: tuple[LeftOut, ...] = ()
    markers: tuple[str, ...] = ()


def snapshot(
    mirror: Mirror, worktree: Worktree, *, max_file: int = MAX_FILE, timeout: float | None = 900
) -> Snapshot:
    """Build the tree of the agent's files; those above `max_file` bytes are left out, `timeout` (seconds) is git's.

    Raises:
        TamperedError: the mirror, the kept index or the worktree's folder is not what was prepared.
        GitError: git could not read the files, or not in time.
    """
    mirror.verify_untouched()
    _check_boundary(worktree)
    with set_aside(worktree.folder) as aside:
        seen = scan(worktree.tree, max_file)
        tree, left_out = Overlay(mirror, worktree, aside, timeout).build(seen)
    markers = _markers(mirror, tree, worktree.conflicts)
    return Snapshot(tree, tree != worktree.start_tree, left_out, markers)


def _check_boundary(worktree: Worktree) -> None:
    problem = ""
    if not os.path.lexists(worktree.tree) or not stat.S_ISDIR(worktree.tree.lstat().st_mode):
        problem = "its folder is gone, or was replaced"
    elif not worktree.kept_index.is_file() or digest(worktree.kept_index) != worktree.index_digest:
        problem = "the index that Refinery kept was changed"
    if problem:
        raise TamperedError(
            f"the worktree {worktree.folder} cannot be trusted: {problem}",
            remedy="nothing of it was taken; look at the folder, then run the task again",
        )


def _markers(mirror: Mirror, tree: str, conflicts: Sequence[str]) -> tuple[str, ...]:
    if not conflicts:
        return ()
    found = mirror.read_files(tree, conflicts)
    return tuple(path for path, body in found.items() if body is not None and _MARKER.search(body))


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a commit is the work of: the task's id, the attempt's number, the SHA of its claim."""

    task: str
    attempt: int
    claim: str


def commit_snapshot(
    mirror: Mirror, taken: Snapshot, parents: Sequence[str], stamp: Stamp, author: Signature, message: str
) -> str:
    """Write the one commit of an attempt, durably, and return its SHA; no ref moves."""
    committer = Signature(REFINERY, EMAIL, author.at)
    return mirror.commit(taken.tree, parents, author, committer, with_trailers(message, stamp))


def with_trailers(message: str, stamp: Stamp) -> str:
    """`message` with a last paragraph of `Refinery-…` trailers, in which a value can start no line of its own."""
    values = {"Task": stamp.task, "Attempt": str(stamp.attempt), "Claim": stamp.claim}
    lines = [f"Refinery-{name}: {' '.join(value.split())}" for name, value in values.items()]
    return message.rstrip() + "\n\n" + "\n".join(lines) + "\n"
