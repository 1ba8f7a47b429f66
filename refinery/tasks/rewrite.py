"""Writing task files so that nobody's change is lost.

Properties: a file is whole at every instant (written beside, then renamed); our own writers queue on a `flock` of the
file itself, taken again whenever the name has moved to another inode, so that no lock file lies about (F1: none is
ever unlinked) and hosts on a shared file system agree; a change by anybody else that comes before the rename is seen
and wins. Race accepted: an editor that takes no lock and writes between that last comparison and the rename.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from refinery.core.reasons import printable
from refinery.errors import TaskFileError

_PATIENCE: Final = 10.0  # seconds; our own writers hold the lock for milliseconds
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_AGAIN: Final = "try again"


def read(path: str | Path, size: int | None = None) -> bytes:
    """The file's bytes, `size` of them it is thought. Raises OSError. Half the time of `open`, over a whole folder."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _read_all(handle, os.fstat(handle).st_size if size is None else size)
    finally:
        os.close(handle)


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Replace the file's bytes by `change` of them; equal bytes write nothing. Mode and owner are kept.

    Raises:
        TaskFileError: the file is gone, cannot be written, or was changed by somebody else meanwhile; it is as it was.
    """
    try:
        with _locked(path) as handle:
            before = _read_all(handle, os.fstat(handle).st_size)
            after = change(before)
            if after != before:
                _replace(path, handle, before, after)
    except FileNotFoundError:
        raise TaskFileError(f"{_shown(path)} is gone", remedy=_AGAIN) from None
    except OSError as error:
        raise TaskFileError(
            f"{_shown(path)} could not be written: {error.strerror}; it is as it was",
            remedy="make room, or make the file and its folder writable",
        ) from error


def create(path: Path, raw: bytes) -> bool:
    """Create the file with these bytes, whole or not at all, and its folder; False when the name is taken.

    Raises:
        TaskFileError: it cannot be written.
    """
    temporary = path.parent / f".refinery-{secrets.token_hex(8)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, raw)
        _publish(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        raise TaskFileError(
            f"{_shown(path)} could not be created: {error.strerror}",
            remedy="make room, or make the folder writable",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _publish(temporary: Path, path: Path) -> None:
    """Give the finished file its name, unless that is taken. A link never replaces, and never shows half a task."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.touch(exist_ok=False)  # an empty file is no task, should we be killed now
        temporary.replace(path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    deadline = time.monotonic() + _PATIENCE
    while True:
        # Read-write, since network file systems want that for a lock.
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _lock(handle, path, deadline)
            if os.path.samestat(os.fstat(handle), path.stat()):
                yield handle
                return
        finally:
            os.close(handle)


def _lock(handle: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            if time.monotonic() > deadline:
                raise TaskFileError(f"{_shown(path)} is locked by another program", remedy=_AGAIN) from None
            time.sleep(0.005)
        else:
            return


def _replace(path: Path, handle: int, before: bytes, after: bytes) -> None:
    status = os.fstat(handle)
    # One name per inode: what a killed writer left is overwritten by the next one, under the same lock.
    temporary = path.parent / f".refinery-{status.st_ino}.tmp"
    try:
        _write(temporary, after, status)
        if read(path) != before:
            raise TaskFileError(f"{_shown(path)} was changed by somebody else meanwhile", remedy=_AGAIN)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, raw: bytes, like: os.stat_result | None = None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o666 if like is None else 0o600), "wb") as file:
        file.write(raw)
        file.flush()
        if like is not None:
            _resemble(file.fileno(), like)
        os.fsync(file.fileno())


def _resemble(handle: int, like: os.stat_result) -> None:
    if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):
            os.fchown(handle, like.st_uid, like.st_gid)
    os.fchmod(handle, stat.S_IMODE(like.st_mode))


def _read_all(handle: int, size: int) -> bytes:
    """Everything; one call suffices if the file is `size` bytes long: a regular file gives less only at its end."""
    raw = os.read(handle, size + 1)
    if len(raw) <= size:
        return raw
    chunks = [raw]
    while chunks[-1]:
        chunks.append(os.read(handle, 1 << 20))
    return b"".join(chunks)


def _shown(path: Path) -> str:
    return printable(str(path))
