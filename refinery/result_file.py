"""Reading what an agent left in a place of its choosing, without being held or led astray by it."""

import os
import stat
from pathlib import Path

from refinery.core.result_file import LARGEST, ResultFile, ResultFileError, parse_result


def read_result(path: Path) -> ResultFile | None:
    """The result that an agent left at `path`; None when it left nothing there, or an empty file.

    A symbolic link, FIFO, device or folder is refused, and none of them is waited for.

    Raises:
        ResultFileError: what is there is no result file.
    """
    raw = read_untrusted(path, LARGEST + 1)
    return parse_result(raw) if raw and raw.strip() else None


def read_untrusted(path: Path, most: int) -> bytes | None:
    """The first `most` bytes of a regular file; None when there is nothing at `path`.

    Raises:
        ResultFileError: something else than a regular file is there, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultFileError(f"cannot be opened: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ResultFileError("is not a regular file")
        return _read(descriptor, most)
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int) -> bytes:
    found = b""
    while len(found) < most and (piece := os.read(descriptor, most - len(found))):
        found += piece
    return found
