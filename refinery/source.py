"""A repository given by path or URL, looked at before anything is made of it.

What a person typed is judged here, with words that say what to do about it; nothing is written.
"""

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refinery.errors import ForgeUnavailableError, RefineryError, UsageError
from refinery.git import Completed, Git

_PAUSES: Final = (0.2, 1.0)  # seconds before the second and third try
_PASSING: Final = re.compile(
    r"returned error: 5\d\d|RPC failed|early EOF|hung up|disconnect|reset by peer|Empty reply|Recv failure"
)
_HEAD_LINE = re.compile(r"^ref: refs/heads/(.+)\tHEAD$", re.MULTILINE)
_BRANCH_LINE = re.compile(r"^[0-9a-f]{40,64}\trefs/heads/(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LocalRepository:
    """A repository on this machine. `work_tree` is None for a bare one; `common_dir` differs in a linked worktree."""

    path: Path
    git_dir: Path
    common_dir: Path
    work_tree: Path | None


def local_repository(path: Path, absent: type[RefineryError] = UsageError) -> LocalRepository:
    """The repository at `path`, found without starting git; `absent` is raised where there is none.

    Raises:
        UsageError: there is nothing, no repository, or a shallow one.
    """
    if not path.is_dir():
        raise absent(f"{path} does not exist or is not a folder", remedy="check the path of the repository")
    git_dir = _git_dir(path)
    if git_dir is None:
        raise absent(
            f"{path} is not a git repository",
            remedy="give the top folder of a checkout or a bare repository, or run `git init` there first",
        )
    common_dir = _common_dir(git_dir)
    if (common_dir / "shallow").exists():
        raise UsageError(
            f"{path} is a shallow clone: its history is cut off, so merge bases cannot be trusted",
            remedy=f"run `git -C {shlex.quote(str(path))} fetch --unshallow`, or give the full repository",
        )
    return LocalRepository(path, git_dir, common_dir, None if git_dir == path else path)


def _git_dir(path: Path) -> Path | None:
    dot_git = path / ".git"
    if dot_git.is_file():
        words = dot_git.read_text("utf-8", "surrogateescape").strip()
        found = path / words.removeprefix("gitdir:").strip()
        return found if words.startswith("gitdir:") and found.is_dir() else None
    for folder in (dot_git, path):
        if (folder / "HEAD").is_file() and (_common_dir(folder) / "objects").is_dir():
            return folder
    return None


def _common_dir(git_dir: Path) -> Path:
    try:
        return git_dir / (git_dir / "commondir").read_text("utf-8", "surrogateescape").strip()
    except OSError:
        return git_dir


def transport_options(source: str, is_url: bool) -> tuple[str, ...]:
    """Options that admit a path of another owner, for that path alone.

    `git -c safe.directory=…` does not reach the `upload-pack` child, which is the one that asks.
    """
    if is_url:
        return ()
    found = local_repository(Path(source))
    names = dict.fromkeys(str(folder) for folder in (found.path, found.git_dir, found.common_dir.resolve()))
    settings = " ".join("-c " + shlex.quote(f"safe.directory={name}") for name in names)
    return (f"--upload-pack=git {settings} upload-pack",)


def asked(git: Git, *args: str, timeout: float | None = None) -> Completed:
    """A network read by git, asked again where a server merely stumbled; a write is read back instead."""
    done = git.attempt(*args, timeout=timeout)
    for pause in _PAUSES:
        if done.code == 0 or not _PASSING.search(done.err):
            break
        time.sleep(pause)
        done = git.attempt(*args, timeout=timeout)
    return done


def pick_default(source: str, listing: str) -> str:
    """The default branch in the answer of `ls-remote --symref SOURCE HEAD refs/heads/*`: a pure function.

    Raises:
        UsageError: the repository is empty, or its HEAD is unborn or detached.
    """
    head = _HEAD_LINE.search(listing)
    branches = _BRANCH_LINE.findall(listing)
    if head and head[1] in branches:
        return head[1]
    if not branches:
        raise UsageError(
            f"{source} is empty: it has no commit on any branch",
            remedy="make a first commit there, then try again",
        )
    has_head = re.search(r"\tHEAD$", listing, re.MULTILINE) is not None
    problem = "is detached" if has_head else "names a branch that has no commit yet"
    raise UsageError(
        f"the HEAD of {source} {problem}, so it has no default branch",
        remedy=f"name the base with `refinery init … --base BRANCH`, or check a branch out there: {_some(branches)}",
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def fetch_error(source: str, code: int, stderr: str) -> RefineryError:
    """What a failed `fetch` or `ls-remote` means: a pure function from git's words."""
    if found := re.search(r"couldn't find remote ref (\S+)", stderr):
        return UsageError(f"{source} has no {found[1]}", remedy="check the name of the branch")
    if "shallow update not allowed" in stderr:
        return UsageError(f"{source} is a shallow clone", remedy="run `git fetch --unshallow` there")
    if re.search(r"returned error: 30\d|update url base from redirection", stderr):
        return UsageError(
            f"{source} has moved: its server points somewhere else",
            remedy="was the repository renamed? then register it under its new name with `refinery init`",
        )
    if "mismatched algorithms" in stderr:
        return UsageError(
            f"{source} names objects by SHA-256, which is not supported yet", remedy="use a SHA-1 repository"
        )
    lines = [line for line in stderr.splitlines() if re.match(r"(fatal|error|remote|ssh)\b", line)] or [
        stderr.strip()
    ]
    return ForgeUnavailableError(
        f"{source} did not answer git ({code}): {lines[0]}",
        remedy="check that `git ls-remote` reaches it from this machine, with your credentials",
    )
