"""`refinery clean`: retention. Only what nobody needs any more goes; worktrees are the reconciler's."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from refinery.core.config import RetentionConfig
    from refinery.home import Home


_SETTLED: Final = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Old:
    """A file or folder that retention no longer covers; `size` in bytes, `age` in seconds."""

    kind: str
    path: Path
    size: int
    age: float


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@json_option
@common_options(git=False)
def command(settings: Settings, dry_run: bool) -> None:
    """Remove old transcripts and logs, and worktrees that were discarded.

    How long each is kept is set under `retention:` in the home's config.yml. Worktrees of attempts are only counted:
    `refinery reconcile` preserves their work before it removes them.
    """
    from refinery.cli import output
    from refinery.configured import read_user

    home = settings.open_home(create=False)
    found = [*_expired(home, read_user(home).retention, time.time()), *_trash(home)]
    left = [path for path in sorted(home.worktrees.rglob("meta.json")) if not path.is_symlink()]
    if not dry_run:
        _remove(home, found)
    if settings.json:
        output.print_json(
            {
                "removed": [] if dry_run else found,
                "would_remove": found if dry_run else [],
                "bytes": sum(old.size for old in found),
                "worktrees": [path.parent for path in left],
            }
        )
        return
    _tell(found, len(left), dry_run=dry_run)


def _tell(found: list[Old], worktrees: int, *, dry_run: bool) -> None:
    from refinery.core.text import approximate_duration, approximate_size, plural

    for old in found if dry_run else []:
        click.echo(f"{old.path}  {approximate_size(old.size)}, {approximate_duration(old.age)} old")
    size = approximate_size(sum(old.size for old in found))
    click.echo(f"{'would remove' if dry_run else 'removed'} {plural(len(found), 'entry', 'entries')}, {size}")
    if worktrees:
        click.echo(f"{plural(worktrees, 'worktree')} left alone; `refinery reconcile` looks after them")


def _expired(home: "Home", keep: "RetentionConfig", now: float) -> Iterator[Old]:
    for kind, folder, seconds in (
        ("transcript", home.transcripts, keep.transcripts),
        ("log", home.logs, keep.logs),
        ("cache", home.cache, keep.logs),
    ):
        for path, seen in _files(folder):
            if now - seen.st_mtime > seconds:
                yield Old(kind, path, seen.st_size, now - seen.st_mtime)


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file below `folder`, links themselves and not what they point to."""
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(root, name)
            try:
                seen = path.lstat()
            except FileNotFoundError:  # somebody else cleaned it away
                continue
            if not stat.S_ISDIR(seen.st_mode):
                yield path, seen


def _trash(home: "Home") -> Iterator[Old]:
    now = time.time()
    for path in sorted(home.trash.iterdir()):
        size = sum(seen.st_size for _, seen in _files(path)) if path.is_dir() else path.lstat().st_size
        yield Old("discarded worktree", path, size, now - path.lstat().st_mtime)


def _remove(home: "Home", found: list[Old]) -> None:
    from refinery.home import explained
    from refinery.worktree import empty_trash

    for old in found:
        if old.kind == "discarded worktree":
            continue
        with explained(old.path):
            old.path.unlink(missing_ok=True)
    for folder in (home.transcripts, home.logs, home.cache):
        _remove_empty(folder)
    empty_trash(home.path)


def _remove_empty(folder: Path) -> None:
    """Remove empty folders, but no young one: its maker may be about to write into it."""
    for root, _, _ in os.walk(folder, topdown=False):
        path = Path(root)
        if path != folder and time.time() - path.stat().st_mtime > _SETTLED:
            with suppress(OSError):  # not empty
                path.rmdir()
