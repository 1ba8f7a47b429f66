"""Our git over the agent's files: an index filled from them, starting from the one of our own checkout.

What must not or cannot be committed is moved out of git's sight meanwhile, and its entry is put back to what the
checkout had: left out is not deleted.
"""

import os
import shutil
import stat
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from refinery import lfs
from refinery.aside import Aside
from refinery.carry import has_plain_parents, ignored
from refinery.errors import GitError
from refinery.git import Completed
from refinery.mirror import Mirror
from refinery.scan import LeftOut, Reason, Scan
from refinery.worktree import Worktree

_GITLINK: Final = b"160000 "
_GITLINK_IN_INDEX: Final = b"\0\0\xe0\0"  # the same mode as an index file stores it


class Entries:
    """The entries of our own checkout: path → `mode SP sha SP stage TAB path`, as `update-index` reads them."""

    def __init__(self, listing: bytes) -> None:
        rows = [row for row in listing.split(b"\0") if row]
        self._rows = {row.split(b"\t", 1)[1]: row for row in rows}
        self._paths = sorted(self._rows)
        self.gitlinks = frozenset(
            os.fsdecode(path) for path, row in self._rows.items() if row.startswith(_GITLINK)
        )

    def __contains__(self, path: str) -> bool:
        return os.fsencode(path) in self._rows

    def within(self, paths: Iterable[str]) -> bytes:
        """The rows at and below these paths, each ended by NUL."""
        found: dict[bytes, bytes] = {}
        for path in map(os.fsencode, paths):
            inside = self._paths[
                bisect_left(self._paths, path + b"/") : bisect_left(self._paths, path + b"0")
            ]
            found |= {name: self._rows[name] for name in (path, *inside) if name in self._rows}
        return b"".join(row + b"\0" for row in found.values())


class Overlay:
    """One run of git over an agent's files; `timeout` (seconds) is that of reading them."""

    def __init__(self, mirror: Mirror, worktree: Worktree, aside: Aside, timeout: float | None) -> None:
        self._mirror = mirror
        self._worktree = worktree
        self._tree = worktree.tree
        self._aside = aside
        self._timeout = timeout
        self._index = worktree.folder / "index"
        self._git = mirror.git(work_tree=worktree.tree, index=self._index)

    @cached_property
    def _entries(self) -> Entries:
        return Entries(replace(self._git, index=self._worktree.kept_index).run("ls-files", "-s", "-z"))

    def build(self, seen: Scan) -> tuple[str, tuple[LeftOut, ...]]:
        """The tree of the files, and what is not in it (without what is ignored anyway).

        Raises:
            GitError: git could not read the files, or not within the time limit.
        """
        self._fresh_index()
        left_out, kept = self._move_out(seen)
        done = self._add_all()
        if done.code == 128 and (attributes := self._move_attributes(seen)):
            left_out += attributes
            done = self._add_all()
        if done.code == 1:
            left_out += self._refused(done)
        elif done.code != 0:
            raise _failed(done)
        gitlinks = self._gitlinks()
        self._restore([*(one.path for one in left_out), *kept, *gitlinks])
        left_out = [one for one in left_out if one.path not in gitlinks]
        return self._git.text("write-tree"), self._reportable(left_out)

    def _fresh_index(self) -> None:
        """A copy with the same time stamp: git trusts the stat data of entries older than their index (racy git)."""
        self._index.with_name("index.lock").unlink(missing_ok=True)  # of a git that was killed here
        shutil.copy2(self._worktree.kept_index, self._index)

    def _gitlinks(self) -> frozenset[str]:
        """The submodules of our checkout; no process where the index holds no byte of them."""
        may_exist = _GITLINK_IN_INDEX in self._worktree.kept_index.read_bytes()
        return self._entries.gitlinks if may_exist else frozenset()

    def _move_out(self, seen: Scan) -> tuple[list[LeftOut], frozenset[str]]:
        """What is left out, and the paths that keep their entry because only their form changed (LFS)."""
        first = [*(one for one in seen.left_out if one.reason is not Reason.TOO_BIG), *self._carried(seen)]
        self._aside.move(one.path for one in first)  # from here on git may read the tree
        big = [one for one in seen.left_out if one.reason is Reason.TOO_BIG]
        has_pointers = lfs.is_used(self._tree, seen.attributes)
        changed = self._changed() if has_pointers or any(one.path in self._entries for one in big) else {}
        kept = lfs.filled_in(self._mirror, self._tree, changed) if has_pointers else frozenset[str]()
        second = [
            one
            for one in big
            if one.path not in kept and (one.path in changed or one.path not in self._entries)
        ]
        self._aside.move([*kept, *(one.path for one in second)])
        return [*first, *second], kept

    def _carried(self, seen: Scan) -> list[LeftOut]:
        """Files copied from the user's checkout, wherever the agent left them in place, ignored or not."""
        known = {one.path for one in seen.left_out}
        return [
            LeftOut(path, Reason.CARRIED)
            for path in self._worktree.carried
            if has_plain_parents(self._tree, path)
            and known.isdisjoint((path, *map(str, Path(path).parents)))
            and os.path.lexists(self._tree / path)
            and not stat.S_ISDIR((self._tree / path).lstat().st_mode)
        ]

    def _changed(self) -> dict[str, str]:
        """Tracked files that differ from our checkout → the blob they had there."""
        out = self._git.run("diff-files", "-z", "--ignore-submodules=all", timeout=self._timeout).split(b"\0")
        rows = zip(out[::2], out[1::2], strict=False)
        words = ((row.decode().split(" "), os.fsdecode(path)) for row, path in rows if row)
        return {
            path: blob for (mode, _, blob, _, status), path in words if mode[:4] == ":100" and status in "MT"
        }

    def _add_all(self) -> Completed:
        return self._git.attempt("add", "--all", "--ignore-errors", "--", ".", timeout=self._timeout)

    def _move_attributes(self, seen: Scan) -> list[LeftOut]:
        """An attribute such as `working-tree-encoding` can make every file unreadable to git: do without them."""
        moved = [
            LeftOut(path, Reason.ATTRIBUTES) for path in seen.attributes if os.path.lexists(self._tree / path)
        ]
        self._aside.move(one.path for one in moved)
        self._fresh_index()
        return moved

    def _refused(self, done: Completed) -> list[LeftOut]:
        """What `add` did not take is what still differs from the index."""
        options = ("-z", "--others", "--modified", "--exclude-standard")
        names = dict.fromkeys(self._git.run("ls-files", *options, timeout=self._timeout).split(b"\0"))
        refused = [LeftOut(os.fsdecode(name), Reason.REFUSED) for name in names if name]
        if not refused:
            raise _failed(done)
        return refused

    def _restore(self, paths: Sequence[str]) -> None:
        """Put the entries at and below `paths` back to what our checkout had."""
        rows = self._entries.within(paths) if paths else b""
        if rows:
            self._git.run("update-index", "--replace", "-z", "--index-info", stdin=rows)

    def _reportable(self, left_out: Sequence[LeftOut]) -> tuple[LeftOut, ...]:
        """Without those that `.gitignore` leaves out anyway, such as a nested repository in an installed package."""
        if not left_out:
            return ()
        asked = {one.path + "/" * one.is_folder: one for one in left_out}
        hidden = ignored(self._git, tuple(asked))
        return tuple(one for path, one in asked.items() if path not in hidden)


def _failed(done: Completed) -> GitError:
    words = done.err.strip().splitlines()
    return GitError(
        f"git could not read the worktree ({done.code}): {words[-1] if words else 'no message'}",
        code=done.code,
        stderr=done.err,
        remedy="the worktree was kept; look at the file named here",
    )
