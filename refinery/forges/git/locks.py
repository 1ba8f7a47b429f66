"""One writer at a time in a path repository, and the lock files that a killed one of ours left behind.

All our writers hold a `flock` on a file in the repository's own git directory, so two homes and two users agree on
it. A person's git takes no flock of ours: its `.lock` files are waited for, never removed. Before a transaction its
refs and new SHAs are noted; a writer that finds a note whose writer is gone, or whose git was killed, removes a `.lock`
only where the file holds the noted SHA, or is empty and a minute old. Until then an empty one stays noted.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
    there = [lock for ref, _ in _suspects(git_dir) if (lock := git_dir / f"{ref}.lock").exists()]
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


@dataclass(slots=True)
class Note:
    """A transaction's note; `was_killed`: its git was, so the note stays for the next writer to clear up."""

    was_killed: bool = False


@contextmanager
def noted(git_dir: Path, updates: Sequence[RefUpdate]) -> Iterator[Note]:
    """Write the transaction's refs and new SHAs beside the lock, and clear the note afterwards, also on failure."""
    before = _read(git_dir)
    ours = [(update.ref, update.new) for update in updates]
    (git_dir / NOTE).write_text(json.dumps([*before, *ours]), encoding="utf-8")
    note = Note()
    try:
        yield note
    finally:
        with suppress(OSError):  # a note that stays, on a full disk, only explains locks that are not there
            _write(git_dir, [*before, *ours] if note.was_killed else before)


def _clear_stale(git_dir: Path) -> None:
    """Remove the lock files that a dead writer's note explains. Needs the flock."""
    young = []
    for ref, new in _suspects(git_dir):
        lock = git_dir / f"{ref}.lock"
        try:
            held, age = lock.read_bytes().strip(), time.time() - lock.stat().st_mtime
        except OSError:
            continue
        if (age > _EMPTY_LOCK_AGE) if not held else (new is not None and held == new.encode()):
            lock.unlink(missing_ok=True)
        elif not held:
            young.append((ref, new))
    if young or _has_note(git_dir):
        _write(git_dir, young)


def _has_note(git_dir: Path) -> bool:
    try:
        return (git_dir / NOTE).stat().st_size > 0
    except FileNotFoundError:
        return False


def _suspects(git_dir: Path) -> list[tuple[str, str | None]]:
    """The refs, with their new SHAs, whose locks a dead writer may have left."""
    found = _read(git_dir)
    return list(dict.fromkeys([*found, ("HEAD", None), ("packed-refs", None)])) if found else []


def _read(git_dir: Path) -> list[tuple[str, str | None]]:
    try:
        return [(str(ref), new) for ref, new in json.loads((git_dir / NOTE).read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError, TypeError):
        return []  # no note, or its writer died while writing it, hence before it took any lock


def _write(git_dir: Path, entries: Sequence[tuple[str, str | None]]) -> None:
    (git_dir / NOTE).write_text(json.dumps(entries) if entries else "", encoding="utf-8")
