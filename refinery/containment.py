"""A minimal box around a program: bubblewrap, with the worktree as the only place of the person's that can be written.

What a boxed program sees: the system's folders read-only, an empty home, an empty /tmp, its own processes, the
network, the worktree, and the listed paths. It cannot reach other projects, the home folder of Refinery, credentials,
or a repository given by path; everything that it started ends with it, since its process numbers are a world of
their own (https://man7.org/linux/man-pages/man7/pid_namespaces.7.html).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from refinery.errors import UsageError

_SYSTEM: Final = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
)
_FIXED: Final = (
    "--unshare-user-try",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
)
_EMPTY: Final = ("/tmp", "/var/tmp")  # noqa: S108  (the box's own, empty and private)
_BESIDE_BIN: Final = ("lib", "lib64", "libexec", "include", "pyvenv.cfg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What one program may reach. `home` is the path of the home folder that it gets empty.

    `writable` and `read_only` are further paths (the folder of the result file; the mirror's objects); `path` is the
    PATH on which the program finds its tools, whose folders become readable.
    """

    worktree: Path
    home: Path
    path: str = os.defpath
    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    has_network: bool = True


@cache
def available() -> str:
    """Empty if a box can be made here (one was), else the reason why not."""
    if not sys.platform.startswith("linux"):
        return "bubblewrap exists for Linux only"
    if shutil.which("bwrap") is None:
        return "bwrap was not found; install the package bubblewrap"
    try:
        trial = ["bwrap", *_FIXED, *_system(), "--proc", "/proc", "--dev", "/dev", "true"]
        done = subprocess.run(trial, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap could not be run: {error}"
    if done.returncode != 0:
        return f"bwrap does not work here: {done.stderr.strip() or f'it exited with {done.returncode}'}"
    return ""


def wrap(argv: Sequence[str], box: Box) -> tuple[str, ...]:
    """The command line that runs `argv` in `box`, with the worktree as its folder.

    Raises:
        UsageError: no box can be made here, or one of its writable paths is the home folder or stands above it.
    """
    reason = available()
    if reason:
        raise UsageError(f"no box can be made: {reason}", remedy="install bubblewrap, or switch the box off")
    for path in (box.worktree, *box.writable, *box.read_only):
        if box.home.is_relative_to(path):
            raise UsageError(
                f"{path} would put the whole home folder into the box",
                remedy="name a folder inside it instead",
            )
    network = () if box.has_network else ("--unshare-net",)
    own = ["--proc", "/proc", "--dev", "/dev", *(word for path in _EMPTY for word in ("--tmpfs", path))]
    if box.home != Path("/"):
        own += ["--tmpfs", str(box.home)]
    folder = ("--chdir", str(box.worktree))
    return ("bwrap", *_FIXED, *network, *_system(), *own, *_binds(argv[0], box), *folder, "--", *argv)


def _system() -> tuple[str, ...]:
    """The system's folders: links stay links, so that `/bin/sh` is where programs expect it."""
    options: list[str] = []
    for name in map(Path, _SYSTEM):
        if name.is_symlink():
            options += ["--symlink", str(name.readlink()), str(name)]
        elif name.exists():
            options += ["--ro-bind", str(name), str(name)]
    resolver = Path("/etc/resolv.conf").resolve()  # often a link into /run
    if resolver.exists() and not _is_system(resolver):
        options += ["--ro-bind", str(resolver), str(resolver)]
    return tuple(options)


def _binds(program: str, box: Box) -> Iterator[str]:
    """The mounts, parents first, so that none hides another; at one place the writable one wins."""
    readable = {*_tools(program, box), *box.read_only}
    mounts = [(path, "--ro-bind-try") for path in readable] + [(box.worktree, "--bind")]
    mounts += [(path, "--bind") for path in box.writable]
    for path, option in sorted(
        mounts, key=lambda mount: (len(mount[0].parts), mount[0], mount[1] == "--bind")
    ):
        yield from (option, str(path), str(path))


def _tools(program: str, box: Box) -> set[Path]:
    """What has to be readable for the program and its tools to start: their folders outside the system's."""
    folders = [Path(entry) for entry in box.path.split(os.pathsep) if entry.startswith("/")]
    found = shutil.which(program, path=box.path)
    folders += [link.parent for link in _links(found)] if found else []
    wanted = {path for folder in folders for path in _with_libraries(folder)}
    return {path for path in wanted if not _is_system(path) and not box.home.is_relative_to(path)}


def _links(program: str) -> Iterator[Path]:
    """The program, each link on the way to its real file, and the same of the interpreter that it names."""
    path = Path(program).absolute()
    for _ in range(40):
        yield path
        if path.is_symlink():
            path = Path(os.path.normpath(path.parent / path.readlink()))
            continue
        interpreter = _interpreter(path)
        if interpreter is None:
            return
        path = interpreter


def _interpreter(path: Path) -> Path | None:
    try:
        with path.open("rb") as file:
            first = file.readline(256)
    except OSError:
        return None
    words = first[2:].split() if first.startswith(b"#!") else []
    return Path(os.fsdecode(words[0])) if words and words[0].startswith(b"/") else None


def _with_libraries(folder: Path) -> Iterable[Path]:
    yield folder
    if folder.name in {"bin", "sbin"}:
        yield from (folder.parent / name for name in _BESIDE_BIN)


def _is_system(path: Path) -> bool:
    return path == Path("/") or any(path.is_relative_to(name) for name in _SYSTEM)
