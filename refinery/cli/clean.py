"""`refinery clean`: retention. Only what nobody needs any more goes; worktrees are the reconciler's."""

import os
import stat
import time
from collections.abc import Collection, Iterator
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
    """Remove old transcripts and logs, and worktrees that were discarded, or prepared too long ago.

    How long each is kept is set under `retention:` in the home's config.yml. Worktrees of attempts are only counted:
    `refinery reconcile` preserves their work before it removes them.
    """
    from refinery.cli import output
    from refinery.configured import read_user
    from refinery.project import folder_of

    home = settings.open_home(create=False)
    user = read_user(home)
    pooled = list(_pooled(home, {folder_of(slug) for slug in user.projects}))
    found = [*_expired(home, user.retention, time.time()), *_trash(home), *pooled]
    notes = [*home.worktrees.glob("*/meta.json"), *home.pool.glob("*/*/meta.json")]
    left = [path for path in sorted(notes) if not path.is_symlink()]
    if not dry_run:
        _discard(home, pooled)
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
    yield from _cut_off(home, now)


def _cut_off(home: "Home", now: float) -> Iterator[Old]:
    """What a process that was killed had only begun to write into the home."""
    from refinery.home import PASSING

    for path in sorted(home.path.iterdir()):
        if path.name.startswith(PASSING) and now - (seen := path.lstat()).st_mtime > _SETTLED:
            yield Old("cut-off file", path, seen.st_size, now - seen.st_mtime)


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


def _pooled(home: "Home", projects: Collection[str]) -> Iterator[Old]:
    """Prepared worktrees that are too old, or whose project is gone, and what a killed process was preparing."""
    from refinery.core.pooling import FRESH
    from refinery.pool import dead_entries, ready

    now = time.time()
    for entry in ready(home.path):
        if now - entry.made_at > FRESH or entry.project not in projects:
            yield Old("prepared worktree", entry.folder, entry.inventory.size, now - entry.made_at)
    for folder in dead_entries(home.path):
        size = sum(seen.st_size for _, seen in _files(folder))
        yield Old("prepared worktree", folder, size, now - folder.lstat().st_mtime)


def _discard(home: "Home", pooled: list[Old]) -> None:
    """Into the trash, unless somebody took one meanwhile."""
    from refinery.pool import dead_entries, discard
    from refinery.worktree import remove

    for old in pooled:
        discard(home.path, old.path)
    for folder in dead_entries(home.path):
        remove(folder, home.path)


def _remove(home: "Home", found: list[Old]) -> None:
    from refinery.home import explained
    from refinery.worktree import empty_trash

    for old in found:
        if old.kind in ("discarded worktree", "prepared worktree"):
            continue  # folders: they are in the trash by now
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
