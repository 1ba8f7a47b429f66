"""The home folder: what this machine keeps between runs. Nothing in it decides anything; the forge does.

Layout: `version`, `config.yml`, `mirrors/`, `pool/`, `worktrees/`, `transcripts/`, `logs/`, `locks/`, `cache/`,
`trash/`. Files appear whole or not at all. Lock files are never removed, so that two holders always meet (F1).
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import platformdirs

from refinery.core.keys import key_for
from refinery.core.text import approximate_size
from refinery.errors import BusyError, ConfigError, RefineryError, UsageError

VERSION: Final = 1
FOLDERS: Final = ("mirrors", "pool", "worktrees", "transcripts", "logs", "locks", "cache", "trash")
_OWN: Final = frozenset({*FOLDERS, "version", "config.yml"})
PASSING: Final = (
    ".try-",
    ".version-",
    ".config.yml-",
)  # files of another process that makes this home just now
_MIGRATIONS: Final[Mapping[int, Callable[[Path], None]]] = {}  # from a version to the next one
ROOM: Final = 20_000_000  # bytes that must be free before a task is claimed
_MAKE_ROOM: Final = (
    "free some space (`refinery clean` removes old transcripts, logs and worktrees), then run again"
)
_POLL: Final = 0.05  # seconds between two looks at a lock that somebody holds


def default_path() -> Path:
    """`$REFINERY_HOME`, else the platform's folder for a program's data."""
    named = os.environ.get("REFINERY_HOME")
    return Path(named).expanduser() if named else platformdirs.user_data_path("refinery", appauthor=False)


@dataclass(frozen=True, slots=True)
class Home:
    """An opened home folder, of this program's version."""

    path: Path

    @classmethod
    def open(cls, path: Path | None = None, *, create: bool = True) -> "Home":
        """The home at `path` (by default `default_path()`), made or migrated as needed, and writable.

        Raises:
            UsageError: it is newer than this program, is something else, cannot be written, or does not exist and
                `create` is False.
        """
        path = _absolute(path)
        with explained(path):
            if not create and not path.is_dir():
                raise UsageError(
                    f"there is no home folder at {path}",
                    remedy="`refinery init SLUG --repo PATH_OR_URL --tasks FOLDER` makes it with the first project",
                )
            _check_foreign(path)
            _make(path)
            _check_writable(path)
            _bring_up(path)
            for name in FOLDERS:
                (path / name).mkdir(exist_ok=True)
        return cls(path)

    @property
    def config_file(self) -> Path:
        """The person's configuration."""
        return self.path / "config.yml"

    @property
    def mirrors(self) -> Path:
        """Bare repositories that worktrees borrow objects from."""
        return self.path / "mirrors"

    @property
    def pool(self) -> Path:
        """Worktrees prepared ahead of need, by project; an attempt that takes one works in it there."""
        return self.path / "pool"

    @property
    def worktrees(self) -> Path:
        """Worktrees of attempts."""
        return self.path / "worktrees"

    @property
    def transcripts(self) -> Path:
        """What agents printed."""
        return self.path / "transcripts"

    @property
    def logs(self) -> Path:
        """What workers noted."""
        return self.path / "logs"

    @property
    def locks(self) -> Path:
        """Lock files; never removed."""
        return self.path / "locks"

    @property
    def cache(self) -> Path:
        """What can be computed again."""
        return self.path / "cache"

    @property
    def trash(self) -> Path:
        """Removed worktrees, waiting to be deleted."""
        return self.path / "trash"

    def register(self, slug: str, *, repository: str, tasks: str, base: str = "") -> None:
        """Write a project into `config.yml`, leaving everything else in it as it is. Idempotent.

        Raises:
            ConfigError: the file, or what it would become, has mistakes; it was left as it is.
        """
        values = {"repository": repository, "tasks": tasks, **({"base": base} if base else {})}
        with locked(self, "config"), explained(self.config_file):
            before = self.config_file.read_bytes() if self.config_file.exists() else b""
            after = _registered(before, slug, values, str(self.config_file))
            if after != before:
                write_atomic(self.config_file, after)

    def ensure_room(self) -> None:
        """Refuse to begin what could not end well: an attempt that fails for lack of space is nobody's failure.

        Raises:
            RefineryError: less than `ROOM` bytes are free.
        """
        free = shutil.disk_usage(self.path).free
        if free < ROOM:
            raise RefineryError(
                f"the disk of {self.path} is full: {approximate_size(free)} left, and nothing was claimed",
                remedy=_MAKE_ROOM,
            )

    def check_slug(self, slug: str) -> None:
        """Refuse a name that could not be registered, before anything is made of it.

        Raises:
            UsageError: as it says.
        """
        from refinery.core.config_types import slug as checked  # noqa: PLC0415  (opening a home needs no parser)

        try:
            checked(slug)
        except ValueError as error:
            raise UsageError(str(error), remedy="choose another name for the project") from error


def _registered(before: bytes, slug: str, values: dict[str, str], source: str) -> bytes:
    """The new bytes of `config.yml`, proven to hold the project and to leave the others alone."""
    from refinery.core.config_edit import set_project  # noqa: PLC0415  (opening a home needs no YAML)
    from refinery.core.config_model import parse_user  # noqa: PLC0415  (and no pydantic)

    old = parse_user(before, source)
    try:
        after = set_project(before.decode(), slug, values).encode()
    except (ValueError, UnicodeError) as error:
        raise ConfigError(f"{source}: {slug} could not be added: {error}", remedy=_BY_HAND) from error
    new = parse_user(after, source)
    entry = asdict(new.projects[slug])
    others = {name: project for name, project in new.projects.items() if name != slug}
    kept = {name: project for name, project in old.projects.items() if name != slug}
    if others != kept or any(entry.get(name) != value for name, value in values.items()):
        raise ConfigError(f"{source}: {slug} could not be added without changing the rest", remedy=_BY_HAND)
    return after


_BY_HAND: Final = "write the project below `projects:` by hand, with `repository` and `tasks`"


def _absolute(path: Path | None) -> Path:
    try:
        return Path(os.path.abspath((path or default_path()).expanduser()))  # noqa: PTH100  (symlinks stay as named)
    except RuntimeError as error:
        raise UsageError("this user has no home folder on this machine", remedy=_ELSEWHERE) from error


_ELSEWHERE: Final = "name a folder by --home or REFINERY_HOME"


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileNotFoundError as error:  # a parent takes no folders: /proc, for one
        raise UsageError(f"{path} cannot be made there", remedy=_ELSEWHERE) from error


def _check_foreign(path: Path) -> None:
    """Refuse a folder that holds other things: it would be littered, and `clean` would later delete in it."""
    if not path.exists() or (path / "version").exists():
        return
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder", remedy="name another folder by --home or REFINERY_HOME")
    names = sorted(entry.name for entry in path.iterdir())
    foreign = [name for name in names if name not in _OWN and not name.startswith(PASSING)]
    if foreign:
        raise UsageError(
            f"{path} is not a home of Refinery: it holds {foreign[0]}",
            remedy="name an empty or new folder by --home or REFINERY_HOME",
        )


def _check_writable(path: Path) -> None:
    """Create a file and remove it: the one test that also tells the superuser about a read-only mount."""
    handle, name = tempfile.mkstemp(prefix=".try-", dir=path)
    os.close(handle)
    Path(name).unlink()


def _bring_up(path: Path) -> None:
    """Write the version of a new home; migrate an older one, one step at a time; refuse a newer one."""
    if _version(path) == VERSION:
        return
    (path / "locks").mkdir(exist_ok=True)
    with _flock(path / "locks" / "version.lock", None):
        version = _version(path)
        while version is not None and version < VERSION:
            step = _MIGRATIONS.get(version)
            if step is None:
                raise UsageError(
                    f"{path} has version {version}, which cannot be brought up to {VERSION}", remedy=_NEW
                )
            step(path)
            version += 1
            write_atomic(path / "version", f"{version}\n".encode())
        if version is None:
            write_atomic(path / "version", f"{VERSION}\n".encode())
        elif version > VERSION:
            raise UsageError(
                f"{path} has version {version}: a newer Refinery made it (this one knows {VERSION})",
                remedy="update Refinery, or name another folder by --home or REFINERY_HOME",
            )


_NEW: Final = "start with a new folder by --home or REFINERY_HOME, and register the projects again"


def _version(path: Path) -> int | None:
    try:
        words = (path / "version").read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    if not words.isdecimal():
        raise UsageError(f"{path / 'version'} does not hold a number", remedy=_NEW)
    return int(words)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, durably, so that every reader sees the old or the new content, even after a crash.

    A symlink keeps pointing where it does; an existing file keeps its mode, a new one is the owner's alone.
    """
    target = path.resolve() if path.is_symlink() else path
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o600
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked(home: Home, name: str, *, wait: float | None = None) -> Iterator[None]:
    """Hold the lock `name` of this home; `wait` seconds at most (None: as long as it takes, 0: not at all).

    The kernel lets go when the holder ends, however it ends; the file stays.

    Raises:
        BusyError: somebody else holds it and `wait` has passed.
    """
    path = home.locks / f"{key_for(name)}.lock"
    with explained(path):
        home.locks.mkdir(exist_ok=True)
    with _flock(path, wait):
        yield


@contextmanager
def _flock(path: Path, wait: float | None) -> Iterator[None]:
    with explained(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(handle, path, wait)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, wait: float | None) -> None:
    if wait is None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + wait
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() >= deadline:
            raise BusyError(
                f"another process holds {path.stem} and did not finish within {wait:g} seconds",
                remedy=f"wait for it and try again; `fuser {path}` names it",
            )
        time.sleep(_POLL)


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EEXIST,
        errno.ENAMETOOLONG,
    }
)


def explain(error: OSError, path: Path | None = None) -> RefineryError | None:
    """What an operating system's refusal means to a person; None if it is nothing ordinary.

    `path` stands in where the error names no file.
    """
    where = error.filename or path or "a file"
    words = (os.strerror(error.errno) if error.errno else str(error)).lower()
    if error.errno in _FULL:
        return RefineryError(
            f"no space is left for {where}: {words}; what was there before is unharmed",
            remedy=_MAKE_ROOM,
        )
    if error.errno in _DENIED:
        return UsageError(
            f"{where} cannot be used: {words}",
            remedy="check its permissions and mount, or name another folder by --home or REFINERY_HOME",
        )
    return None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a full disk and refused access within the block into errors that a person understands."""
    try:
        yield
    except OSError as error:
        known = explain(error, path)
        if known is None:
            raise
        raise known from error
