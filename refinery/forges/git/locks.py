"""One writer at a time in a path repository, and the lock files that a killed one of ours left behind.

All our writers hold a `flock` on a file in the repository's own git directory, so two homes and two users agree on
it. A person's git takes no flock of ours: its `.lock` files are waited for, never removed. Before a transaction its
refs and new SHAs are noted; a writer that finds a note whose writer is gone removes a `.lock` only where the file
holds the noted SHA, or is empty and a minute old.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from refinery.errors import ForgeUnavailableError, UsageError
from refinery.forges.git.refs import RefUpdate

LOCK: Final = "refinery.lock"
NOTE: Final = "refinery.journal"
_EMPTY_LOCK_AGE: Final = 60.0


@contextmanager
def writing(git_dir: Path) -> Iterator[None]:
    """Say what it means when the operating system refuses a write in `git_dir`.

    Raises:
        ForgeUnavailableError: its disk is full, or it is not there any more.
        UsageError: this user, or anybody, must not write there.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(git_dir) from error
        if not (git_dir / "objects").is_dir():
            raise gone(git_dir) from error
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise UsageError(
            f"{git_dir} cannot be written: {error.strerror}", remedy="run as a user who may push to it"
        ) from error


def gone(git_dir: Path) -> ForgeUnavailableError:
    """The error for a repository that was moved away or unmounted."""
    return ForgeUnavailableError(
        f"the repository {git_dir} is not there", remedy="mount or restore it; nothing was changed"
    )


def disk_full(git_dir: Path) -> ForgeUnavailableError:
    """The error for a repository that has no room left: passing, so nobody's work is refused for it."""
    return ForgeUnavailableError(
        f"no space is left on the disk of {git_dir}",
        remedy="free some space there, then run again; no ref was moved",
    )


@contextmanager
def exclusive(git_dir: Path, timeout: float = 30.0) -> Iterator[int]:
    """Hold the repository's flock; yields its descriptor, for the git child to inherit.

    Raises:
        UsageError: the git directory cannot be written.
        ForgeUnavailableError: another writer held it for `timeout` seconds.
    """
    with writing(git_dir):
        descriptor = os.open(git_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _wait(descriptor, git_dir, timeout)
        _clear_stale(git_dir)
        yield descriptor
    finally:
        os.close(descriptor)


def recover(git_dir: Path) -> list[str]:
    """The lock files of a dead writer, as they were removed."""
    noted_by_dead = git_dir / NOTE
    before = noted_by_dead.read_text(encoding="utf-8") if noted_by_dead.exists() else ""
    locks = [git_dir / f"{ref}.lock" for ref, _ in _entries(before)] if before else []
    there = [lock for lock in locks if lock.exists()]
    with exclusive(git_dir):
        return [str(lock.relative_to(git_dir)) for lock in there if not lock.exists()]


def _wait(descriptor: int, git_dir: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ForgeUnavailableError(
                    f"another writer has held {git_dir / LOCK} for {timeout:g} seconds",
                    remedy="look for a stopped or hanging refinery process on this repository",
                ) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        else:
            return


@contextmanager
def noted(git_dir: Path, updates: Sequence[RefUpdate]) -> Iterator[None]:
    """Write the transaction's refs and new SHAs beside the lock, and clear the note afterwards, also on failure."""
    note = git_dir / NOTE
    note.write_text(json.dumps([[update.ref, update.new] for update in updates]), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):  # a note that stays, on a full disk, only explains locks that are not there
            note.write_text("", encoding="utf-8")


def _clear_stale(git_dir: Path) -> None:
    """Remove the lock files that a dead writer's note explains. Needs the flock."""
    try:
        text = (git_dir / NOTE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    if not text:
        return
    for ref, new in _entries(text):
        lock = git_dir / f"{ref}.lock"
        if _is_ours(lock, new):
            lock.unlink(missing_ok=True)
    (git_dir / NOTE).write_text("", encoding="utf-8")


def _entries(text: str) -> list[tuple[str, str | None]]:
    try:
        noted_refs = [(str(ref), new) for ref, new in json.loads(text)]
    except (ValueError, TypeError):
        return []  # the writer died while writing its note, hence before it took any lock
    return [*noted_refs, ("HEAD", None), ("packed-refs", None)]


def _is_ours(lock: Path, new: str | None) -> bool:
    try:
        held = lock.read_bytes().strip()
        age = time.time() - lock.stat().st_mtime
    except OSError:
        return False
    if not held:
        return age > _EMPTY_LOCK_AGE
    return new is not None and held == new.encode()
