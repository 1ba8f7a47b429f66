"""The one seam to git: a scrubbed environment, fixed configuration, explicit git directories.

Nothing here reads a config, hook or attribute file outside the named git directory, except `user_config` calls, which
network commands to a plain git URL make for the person's own credentials and proxies. Commands to a forge whose
credentials are ours get them through a pipe (`git_credentials`).
"""

import hashlib
import os
import re
import signal
import subprocess
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from git import Git as GitCommand

from refinery.errors import GitError, UsageError
from refinery.git_credentials import GitCredentials, without_secrets

ZERO: Final = "0" * 40
EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
MINIMUM: Final = (2, 38)
_FIXED: Final = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_CONFIG: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.commitGraph=false",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "merge.directoryRenames=conflict",
    "protocol.ext.allow=never",
    "safe.bareRepository=all",
    "advice.graftFileDeprecated=false",
)
_DURABLE: Final = "core.fsync=loose-object,reference"


_FULL: Final = ("No space left on device", "Out of diskspace", "Disk quota exceeded")
_FREE_SPACE: Final = "free some space on that disk, then run again; what was there before is unharmed"


def is_full(words: str) -> bool:
    """Whether git's words say that a disk is full."""
    return any(each in words for each in _FULL)


def scrub_environment() -> None:
    """Remove every `GIT_*` variable from this process: called once at entry (GitPython cannot unset a name)."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"


@cache
def check_version() -> tuple[int, int]:
    """The installed git's major and minor version.

    Raises:
        UsageError: git is missing, or older than 2.38 (`merge-tree --write-tree` came with it).
    """
    try:
        text = subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError("git could not be started", remedy="install git 2.38 or newer") from error
    found = re.search(r"(\d+)\.(\d+)", text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < MINIMUM:
        raise UsageError(f"{text.strip()} is too old", remedy="install git 2.38 or newer")
    return version


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished git command: exit code, raw standard output, decoded standard error."""

    code: int
    out: bytes
    err: str


@dataclass(frozen=True, slots=True)
class Git:
    """Git on one explicit git directory, with an optional work tree and index file.

    `extra` are further `-c` values; `user_config` lets the person's global configuration in (network only); a lock
    held through one of `pass_fds` stays held until the command itself is dead, even when we die first; `credentials`
    are offered to this command alone.
    """

    git_dir: Path
    work_tree: Path | None = None
    index: Path | None = None
    extra: tuple[str, ...] = ()
    user_config: bool = False
    durable: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    credentials: GitCredentials | None = None

    def run(self, *args: str, stdin: bytes | None = None, timeout: float | None = None) -> bytes:
        """Standard output of a command that must succeed.

        Raises:
            GitError: it exited with another code than 0; the message holds its first words.
        """
        done = self.attempt(*args, stdin=stdin, timeout=timeout)
        if done.code != 0:
            words = done.err.strip().splitlines()
            raise GitError(
                f"git {args[0]} failed ({done.code}): {words[-1] if words else 'no message'}",
                code=done.code,
                stderr=done.err,
                remedy=_FREE_SPACE if is_full(done.err) else "",
            )
        return done.out

    def text(self, *args: str, stdin: bytes | None = None, timeout: float | None = None) -> str:
        """`run`, decoded and stripped of the final newline. Undecodable bytes become surrogates."""
        return self.run(*args, stdin=stdin, timeout=timeout).decode("utf-8", "surrogateescape").rstrip("\n")

    def attempt(self, *args: str, stdin: bytes | None = None, timeout: float | None = None) -> Completed:
        """Run a command in a process group of its own, and return how it ended; `timeout` (seconds) kills the group."""
        process = self._start(args, stdin is not None)
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            process.communicate()
            return Completed(124, b"", f"no answer within {timeout:g} seconds")
        except BaseException:
            _kill_group(process)
            process.communicate()
            raise
        return Completed(process.returncode, out or b"", (err or b"").decode("utf-8", "replace"))

    def _start(self, args: Sequence[str], has_input: bool) -> "subprocess.Popen[bytes]":
        if self.credentials is None:
            return _launch(self, args, has_input)
        with self.credentials.offered() as descriptor:
            armed = replace(
                self,
                extra=(*self.extra, *self.credentials.settings(descriptor)),
                env={**self.env, **self.credentials.environment()},
                pass_fds=(*self.pass_fds, descriptor),
                user_config=False,
            )
            return _launch(armed, args, has_input)

    def argv(self, *args: str) -> list[str]:
        """The whole command line."""
        config = [*_CONFIG, *([_DURABLE] if self.durable else []), *self.extra]
        return ["git", *(part for value in config for part in ("-c", value)), *args]

    def environment(self) -> dict[str, str]:
        """What this command's environment has beyond ours."""
        env = {**_FIXED, "GIT_DIR": str(self.git_dir), **self.env}
        if not self.user_config:  # a person's own helper may need them
            env |= {"GIT_CONFIG_GLOBAL": os.devnull, **without_secrets(os.environ)}
        if self.work_tree is not None:
            env["GIT_WORK_TREE"] = str(self.work_tree)
        if self.index is not None:
            env["GIT_INDEX_FILE"] = str(self.index)
        return env


def _launch(git: Git, args: Sequence[str], has_input: bool) -> "subprocess.Popen[bytes]":
    started = GitCommand(str(git.work_tree or git.git_dir)).execute(
        git.argv(*args),
        istream=subprocess.PIPE if has_input else subprocess.DEVNULL,
        as_process=True,
        env=git.environment(),
        # A session has no terminal to ask on, but Linux schedules each as a group: on a busy machine that makes
        # a short command wait for milliseconds. Only what may ask for credentials needs one.
        start_new_session=git.user_config,
        process_group=None if git.user_config else 0,
        pass_fds=git.pass_fds,
    )
    process: subprocess.Popen[bytes] | None = started.proc
    started.proc = None  # ours to end: GitPython's destructor would terminate it
    if process is None:
        raise GitError(f"git {args[0]} could not be started")
    return process


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


@dataclass(frozen=True, slots=True)
class Signature:
    """An author or committer with an instant, in seconds since the epoch, UTC."""

    name: str
    email: str
    at: float

    def encode(self) -> str:
        """The header value of a commit object."""
        clean = re.sub(r"[<>\n\0]", "", self.name).strip() or "unknown"
        email = re.sub(r"[<>\s]", "", self.email)
        return f"{clean} <{email}> {int(self.at)} +0000"


def commit_bytes(
    tree: str, parents: Sequence[str], author: Signature, committer: Signature, message: str
) -> bytes:
    """The raw body of a commit object (https://git-scm.com/docs/git-commit-tree): a pure function."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {author.encode()}", f"committer {committer.encode()}", "", message]
    return "\n".join(lines).encode("utf-8", "surrogateescape").replace(b"\0", b"")


def object_name(kind: str, body: bytes) -> str:
    """The SHA-1 name of an object."""
    return hashlib.sha1(f"{kind} {len(body)}\0".encode() + body, usedforsecurity=False).hexdigest()


def write_object(git_dir: Path, kind: str, body: bytes, *, durable: bool = True) -> str:
    """Write a loose object, atomically, and return its name: saves the process of `hash-object -w`."""
    name = object_name(kind, body)
    folder = git_dir / "objects" / name[:2]
    target = folder / name[2:]
    if target.exists():
        return name
    folder.mkdir(exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix="tmp_obj_", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(zlib.compress(f"{kind} {len(body)}\0".encode() + body, 1))
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, target)  # noqa: PTH105  (one call that the crash tests can see)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return name
