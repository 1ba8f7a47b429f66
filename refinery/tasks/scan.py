"""Finding the Markdown files below a folder, whatever else lies there.

Hidden names are skipped. A symbolic link is followed once, to its real path, unless that path was found already or
holds the folder itself (a loop). Only regular files count: a FIFO called `x.md` would block whoever opens it.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from refinery.core.model import Problem
from refinery.core.reasons import printable
from refinery.errors import UsageError

Signature = tuple[int, int, int, int]


@dataclass(slots=True)
class Scan:
    """What was found: each file's real path with its signature, and the folders that could not be read."""

    files: dict[str, Signature] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def scan(folder: str) -> Scan:
    """Every `*.md` below the real path `folder`.

    Raises:
        UsageError: the folder itself is missing or cannot be read.
    """
    found = Scan()
    seen: set[str] = set()
    links: list[str] = []
    _walk(folder, found, seen, links)
    if found.problems and folder not in seen:
        raise UsageError(
            f"no tasks: {found.problems[0].path}: {found.problems[0].message}",
            remedy="create that folder, or give another one with `refinery init NAME --tasks FOLDER`",
        )
    while links:
        _follow(links.pop(), folder, found, seen, links)
    return found


def signature(status: os.stat_result) -> Signature:
    """What changes whenever a file's content does: modification and change time (ns), size in bytes, inode."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _walk(top: str, found: Scan, seen: set[str], links: list[str]) -> None:
    pending = [top]
    while pending:
        directory = pending.pop()
        if directory in seen:
            continue
        try:
            with os.scandir(directory) as entries:
                listing = list(entries)
        except OSError as error:
            if directory == top or not isinstance(error, FileNotFoundError):
                found.problems.append(_unreadable(directory, error))
            continue
        seen.add(directory)
        _sort_out(listing, found, pending, links)


def _sort_out(listing: list[os.DirEntry[str]], found: Scan, pending: list[str], links: list[str]) -> None:
    for entry in listing:
        name = entry.name
        if name[0] == ".":
            continue
        if entry.is_symlink():
            links.append(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            pending.append(entry.path)
        elif name.endswith(".md") and entry.is_file(follow_symlinks=False):
            try:
                found.files[entry.path] = signature(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue  # removed since it was listed
            except OSError as error:
                found.problems.append(_unreadable(entry.path, error))


def _follow(link: str, folder: str, found: Scan, seen: set[str], links: list[str]) -> None:
    real = os.path.realpath(link)
    try:
        status = Path(real).stat()
    except OSError:
        return  # it leads nowhere, or in circles
    if stat.S_ISREG(status.st_mode):
        if link.endswith(".md"):
            found.files.setdefault(real, signature(status))
    elif stat.S_ISDIR(status.st_mode) and os.path.commonpath((real, folder)) != real:
        _walk(real, found, seen, links)


def _unreadable(path: str, error: OSError) -> Problem:
    return Problem(
        path=printable(path),
        message=f"cannot be read: {error.strerror}",
        remedy="its tasks are not seen until it can be read",
    )
