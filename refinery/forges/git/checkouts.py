"""Moving a base that somebody has checked out: its branch, index and files go together.

While the branch moves, the checkout's own `index.lock` is ours, so that a person's `git commit` cannot put the old
index on top of the new base. Only a path that the landing changes and that is locally changed or untracked is in
the way; everything else in the working tree stays as it is.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refinery.core.model import BRANCHES
from refinery.errors import ForgeUnavailableError, InTheWayError
from refinery.forges.git.refs import RefUpdate
from refinery.git import Git

_PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree whose HEAD is the base: its root, its own git directory, and a name for its lock's note."""

    root: Path
    git_dir: Path
    marker: str

    @property
    def note(self) -> Path:
        """The index whose lock we take."""
        return self.git_dir / "index"


def checkouts_of(common: Path, branch: str) -> list[Checkout]:
    """The checkouts of `branch` in the repository with git directory `common`: its own and linked ones."""
    found = []
    head = f"ref: {BRANCHES}{branch}"
    if common.name == ".git" and _first_line(common / "HEAD") == head:
        found.append(Checkout(common.parent, common, secrets.token_hex(20)))
    for linked in sorted((common / "worktrees").glob("*")):
        root = Path(_first_line(linked / "gitdir")).parent
        if _first_line(linked / "HEAD") == head and root.is_dir():
            found.append(Checkout(root, linked, secrets.token_hex(20)))
    return found


def notes(common: Path, checkouts: Sequence[Checkout]) -> list[RefUpdate]:
    """What a dead writer's note must say for these checkouts' index locks to be recognised as ours."""
    return [RefUpdate(os.path.relpath(each.note, common), None, each.marker) for each in checkouts]


def obstacles(checkout: Checkout, paths: Sequence[str]) -> list[str]:
    """Those of `paths` that are changed, staged, untracked or ignored there."""
    if not paths:
        return []
    wanted = "\0".join(f":(top,literal){path}" for path in paths).encode("utf-8", "surrogateescape")
    git = _git(checkout)
    flags = ("--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignored=matching")
    listed = git.run("status", *flags, "--", *wanted.decode("utf-8", "surrogateescape").split("\0"))
    rows = listed.decode("utf-8", "surrogateescape").split("\0")
    return sorted({row[3:] for row in rows if row})


@contextmanager
def moving(checkouts: Sequence[Checkout], old: str, new: str) -> Iterator[None]:
    """Hold the checkouts' index locks around a branch update, then bring their files from `old` to `new`.

    Raises:
        InTheWayError: a local change would be lost; nothing was moved.
    """
    with ExitStack() as stack:
        for checkout in checkouts:
            stack.enter_context(_locked(checkout))
            _read_tree(checkout, old, new, "-n")
        yield
        for checkout in checkouts:
            with suppress(InTheWayError):  # it passed the rehearsal; if a person was faster, `repair` tells
                finish(checkout, old, new)


def finish(checkout: Checkout, old: str, new: str) -> None:
    """Bring one checkout's index and files from `old` to `new`, in a copy of the index that then replaces it."""
    _read_tree(checkout, old, new, "-u")
    (checkout.git_dir / "refinery.index").replace(checkout.note)


def _read_tree(checkout: Checkout, old: str, new: str, flag: str) -> None:
    copy = checkout.git_dir / "refinery.index"
    if checkout.note.exists():
        shutil.copy2(checkout.note, copy)
    git = _git(checkout, copy)
    git.attempt("update-index", "-q", "--refresh")
    args = ("-m", "-n", "-u") if flag == "-n" else ("-m", "-u")
    done = git.attempt("read-tree", *args, old, new)
    if done.code != 0:
        words = (done.err.strip().splitlines() or ["no message"])[0]
        raise InTheWayError(
            f"the checkout {checkout.root} has changes in the way: {words}",
            remedy="commit, stash or remove them; the pull lands on the next merge",
        )


@contextmanager
def _locked(checkout: Checkout) -> Iterator[None]:
    lock = checkout.note.with_name("index.lock")
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                raise ForgeUnavailableError(
                    f"{lock} is held by another git process",
                    remedy="wait for it to end; if none is running, remove the file",
                ) from None
            time.sleep(0.02)
    try:
        os.write(descriptor, checkout.marker.encode())
        os.close(descriptor)
        yield
    finally:
        lock.unlink(missing_ok=True)


def _git(checkout: Checkout, index: Path | None = None) -> Git:
    safe = (f"safe.directory={checkout.root}", f"safe.directory={checkout.git_dir}")
    return Git(checkout.git_dir, work_tree=checkout.root, index=index, extra=safe, user_config=True)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return ""
