"""`.worktreeinclude`: ignored files of the user's checkout (`.env`, caches) that a fresh worktree needs.

The patterns are those of the *base*, never of a branch that an agent wrote. A file is carried only if it is untracked,
matches, is ignored in the worktree too, and is a regular file with no symbolic link on its way.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from refinery.errors import GitError
from refinery.git import Git
from refinery.mirror import Mirror

INCLUDE: Final = ".worktreeinclude"


def carry_over(mirror: Mirror, folder: Path, base: str, source: Path) -> tuple[str, ...]:
    """Copy the named files of the checkout `source` into `folder`/tree; returns their relative paths.

    Git runs with the mirror as its git directory over both, so the user's own config and hooks play no part.
    """
    tree = folder / "tree"
    wanted = [name for name in _offered(mirror, folder, base, source) if _is_free(tree, name)]
    if not wanted:
        return ()
    carried = tuple(sorted(ignored(mirror.git(work_tree=tree, index=folder / "kept-index"), wanted)))
    for name in carried:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, tree / name, follow_symlinks=False)
    return carried


def offer_digest(mirror: Mirror, folder: Path, base: str, source: Path) -> str:
    """What the checkout `source` has to carry over now, with its stat data, as a digest: no file is read."""
    found = hashlib.sha256()
    for name in sorted(_offered(mirror, folder, base, source)):
        seen = (source / name).lstat()
        stats = (seen.st_mode, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        found.update(repr((name, stats)).encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _offered(mirror: Mirror, folder: Path, base: str, source: Path) -> tuple[str, ...]:
    """The untracked plain files of the checkout `source` that the base's patterns name."""
    index = folder / "kept-index"
    if INCLUDE.encode() not in index.read_bytes():
        return ()
    patterns = mirror.read_file(base, INCLUDE)
    if not patterns:
        return ()
    listed = folder / "include"
    listed.write_bytes(patterns)
    names = mirror.git(work_tree=source, index=index).run(
        "ls-files", "-z", "--others", "--ignored", f"--exclude-from={listed}"
    )
    return tuple(name for name in _names(names) if _is_plain(source, name))


def ignored(git: Git, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths` that the `.gitignore` files of the work tree leave out; a folder's path ends in a slash.

    Raises:
        GitError: git could not tell.
    """
    query = b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths)  # `./`: no pathspec magic
    done = git.attempt("check-ignore", "-z", "--stdin", stdin=query)
    if done.code not in (0, 1):
        raise GitError(
            f"git check-ignore failed ({done.code}): {done.err.strip()}", code=done.code, stderr=done.err
        )
    return frozenset(os.fsdecode(path)[2:] for path in done.out.split(b"\0") if path)


def _names(listing: bytes) -> tuple[str, ...]:
    """Paths of a `-z` listing; those ending in a slash are nested repositories."""
    return tuple(os.fsdecode(name) for name in listing.split(b"\0") if name and not name.endswith(b"/"))


def _is_plain(root: Path, name: str) -> bool:
    return stat.S_ISREG((root / name).lstat().st_mode) and has_plain_parents(root, name)


def _is_free(root: Path, name: str) -> bool:
    return not os.path.lexists(root / name) and has_plain_parents(root, name)


def has_plain_parents(root: Path, name: str) -> bool:
    """Whether no parent is a symbolic link or a file: a branch may hold a link to outside where a folder was."""
    parents = [root / parent for parent in Path(name).parents if parent != Path()]
    return all(not os.path.lexists(parent) or stat.S_ISDIR(parent.lstat().st_mode) for parent in parents)
