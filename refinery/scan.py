"""What lies in an agent's folder, looked at before git is: what git must not open, and what cannot be committed.

Git opens `.gitignore`, `.gitattributes` and `.gitmodules` wherever it finds them: a FIFO of that name hangs it, and a
nested repository's files are read as one. No symbolic link is followed here, and file contents are not read.
"""

import contextlib
import os
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

_PATH_MARGIN: Final = 512  # bytes kept free for our own folder names


class Reason(StrEnum):
    """Why something in the worktree is not part of the snapshot."""

    NESTED = "a nested repository"
    SPECIAL = "not a file, folder or symbolic link"
    TOO_BIG = "larger than the limit for one file"
    TOO_DEEP = "its path is too long"
    UNREADABLE = "it cannot be read"
    REFUSED = "git refuses this name"
    CARRIED = "it was copied from the user's checkout"
    ATTRIBUTES = "git could not read the files with these attributes"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder of the worktree that the snapshot has as the starting tree had it."""

    path: str
    reason: Reason
    is_folder: bool = False


@dataclass(slots=True)
class Scan:
    """What was found: things to leave out, and the paths of all `.gitattributes` files."""

    left_out: list[LeftOut] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)


def scan(tree: Path, max_file: int) -> Scan:
    """Walk `tree` without following links; files above `max_file` bytes are left out.

    Files and folders of ours that lack permissions are given them: what an agent wrote is kept, mode bits that git
    does not record are not.
    """
    found = Scan()
    longest = os.pathconf(tree, "PC_PATH_MAX") - len(os.fsencode(tree)) - _PATH_MARGIN
    folders = [""]
    while folders:
        folder = folders.pop()
        entries = _entries(tree / folder)
        problem = _folder_problem(folder, entries, longest)
        if entries is None or problem:
            found.left_out.append(LeftOut(folder, problem or Reason.UNREADABLE, is_folder=True))
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path == ".git":
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif reason := _file_problem(entry, max_file):
                found.left_out.append(LeftOut(path, reason))
            elif entry.name == ".gitattributes":
                found.attributes.append(path)
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]] | None:
    for _ in range(2):
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
            if os.access(folder, os.W_OK | os.X_OK):
                return listed
        except PermissionError:
            pass
        except OSError:
            return None
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
    return None


def _folder_problem(folder: str, entries: list[os.DirEntry[str]] | None, longest: int) -> Reason | None:
    if len(os.fsencode(folder)) > longest:
        return Reason.TOO_DEEP
    if entries is None:
        return Reason.UNREADABLE
    names = {entry.name.lower() for entry in entries}
    return Reason.NESTED if folder and ".git" in names else None


def _file_problem(entry: os.DirEntry[str], max_file: int) -> Reason | None:
    if entry.is_symlink():
        # Git reads `.gitmodules` through the link, and refuses to add it.
        return Reason.REFUSED if entry.name.lower() == ".gitmodules" else None
    if not entry.is_file(follow_symlinks=False):
        return Reason.SPECIAL
    status = entry.stat(follow_symlinks=False)
    if status.st_size > max_file:
        return Reason.TOO_BIG
    if not status.st_mode & stat.S_IRUSR:
        with contextlib.suppress(OSError):
            Path(entry.path).chmod(stat.S_IMODE(status.st_mode) | stat.S_IRUSR)
    return None if os.access(entry.path, os.R_OK) else Reason.UNREADABLE
