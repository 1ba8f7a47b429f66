"""Moving a base that somebody has checked out: its branch, index and files go together.

While the branch moves, the checkout's own `index.lock` is ours, so that a person's `git commit` cannot put the old
index on top of the new base: also after a crash, until a repair has brought the checkout along. The lock names its
kind of owner, and is only ever taken under the repository's flock, so whoever holds that flock knows a lock of ours
for a dead one's. Only a path that the landing changes and that is locally changed or untracked is in the way;
everything else in the working tree stays as it is.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from refinery.core.model import BRANCHES
from refinery.errors import ForgeUnavailableError, InTheWayError
from refinery.git import Git

_PATIENCE: Final = 10.0
_MARK: Final = b"refinery moves this checkout\n"
_REGULAR: Final = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree whose HEAD is the base: its root and its own git directory."""

    root: Path
    git_dir: Path

    @property
    def index(self) -> Path:
        """What is staged there."""
        return self.git_dir / "index"

    @property
    def lock(self) -> Path:
        """The lock of its index."""
        return self.git_dir / "index.lock"

    @property
    def copy(self) -> Path:
        """The index as it will be."""
        return self.git_dir / "refinery.index"


@dataclass(frozen=True, slots=True)
class Move:
    """From one commit to another, by a process that holds the repository's flock `held`."""

    old: str
    new: str
    held: int


def checkouts_of(common: Path, branch: str) -> list[Checkout]:
    """The checkouts of `branch` in the repository with git directory `common`: its own and linked ones."""
    found = []
    head = f"ref: {BRANCHES}{branch}"
    if common.name == ".git" and _first_line(common / "HEAD") == head:
        found.append(Checkout(common.parent, common))
    for linked in sorted((common / "worktrees").glob("*")):
        root = Path(_first_line(linked / "gitdir")).parent
        if _first_line(linked / "HEAD") == head and root.is_dir():
            found.append(Checkout(root, linked))
    return found


def is_left_behind(checkout: Checkout) -> bool:
    """Whether a process of ours died while it moved this checkout. Needs the repository's flock."""
    try:
        return checkout.lock.read_bytes() == _MARK
    except OSError:
        return False


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
def moving(checkouts: Sequence[Checkout], move: Move) -> Iterator[None]:
    """Hold the checkouts' index locks around a branch update, then bring their files along.

    Raises:
        InTheWayError: a local change would be lost; nothing was moved.
    """
    with ExitStack() as stack:
        for checkout in checkouts:
            stack.enter_context(_locked(checkout))
            _read_tree(checkout, move, "-n")
        yield
        for checkout in checkouts:
            with suppress(InTheWayError):  # it passed the rehearsal; if a person was faster, `repair` tells
                finish(checkout, move)


def finish(checkout: Checkout, move: Move, *, is_resumed: bool = False) -> None:
    """Bring one checkout's index and files along, in a copy of the index that then replaces it."""
    _read_tree(checkout, move, is_resumed=is_resumed)
    checkout.copy.replace(checkout.index)


def bring_along(checkout: Checkout, move: Move) -> None:
    """Finish what a dead process left undone; files that it had written already are taken for what they are.

    Raises:
        InTheWayError: a person has changed a path of the move since.
    """
    with ExitStack() as stack:
        if is_left_behind(checkout):
            stack.callback(checkout.lock.unlink, missing_ok=True)
        else:
            stack.enter_context(_locked(checkout))
        if move.old != move.new:
            finish(checkout, move, is_resumed=True)


def _read_tree(checkout: Checkout, move: Move, *rehearsal: str, is_resumed: bool = False) -> None:
    checkout.copy.with_name("refinery.index.lock").unlink(missing_ok=True)  # of a read-tree that was killed
    if checkout.index.exists():
        shutil.copy2(checkout.index, checkout.copy)
    git = replace(_git(checkout, checkout.copy), pass_fds=(move.held,))
    if is_resumed:
        _adopt(git, checkout, move)
    git.attempt("update-index", "-q", "--refresh")
    done = git.attempt("read-tree", "-m", *rehearsal, "-u", move.old, move.new)
    if done.code != 0:
        words = (done.err.strip().splitlines() or ["no message"])[0]
        raise InTheWayError(
            f"the checkout {checkout.root} has changes in the way: {words}",
            remedy="commit, stash or remove them; the pull lands on the next merge",
        )


def _adopt(git: Git, checkout: Checkout, move: Move) -> None:
    """Note those files in the index that already are what they are to become: git takes them for obstacles."""
    listed = git.text("diff-tree", "-r", "-z", "--no-renames", move.old, move.new).split("\0")
    for head, path in zip(listed[::2], listed[1::2], strict=False):
        _, mode, _, blob, _ = head.split(" ")
        file = checkout.root / path
        if mode not in _REGULAR or file.is_symlink() or not file.is_file():
            continue
        done = git.attempt("hash-object", "--", path)
        if done.code == 0 and done.out.decode().strip() == blob:
            git.run("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")


@contextmanager
def _locked(checkout: Checkout) -> Iterator[None]:
    deadline = time.monotonic() + _PATIENCE
    while not _take(checkout.lock):
        if time.monotonic() > deadline:
            raise ForgeUnavailableError(
                f"{checkout.lock} is held by another git process",
                remedy="wait for it to end; `refinery reconcile` removes one of ours; if none runs, remove the file",
            ) from None
        time.sleep(0.02)
    try:
        yield
    finally:
        checkout.lock.unlink(missing_ok=True)


def _take(lock: Path) -> bool:
    """Create the lock with its mark in it: both appear at once, so that a crash leaves no lock of nobody's."""
    marked = lock.with_name("refinery.mark")
    marked.write_bytes(_MARK)
    try:
        os.link(marked, lock)
    except FileExistsError:
        return False
    finally:
        marked.unlink(missing_ok=True)
    return True


def _git(checkout: Checkout, index: Path | None = None) -> Git:
    safe = (f"safe.directory={checkout.root}", f"safe.directory={checkout.git_dir}")
    env = {"GIT_OPTIONAL_LOCKS": "0"}  # a killed `status` would leave a lock of nobody's in a checkout
    return Git(checkout.git_dir, work_tree=checkout.root, index=index, extra=safe, user_config=True, env=env)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return ""
