"""How verbs speak: JSON for scripts, tables and progress for people, errors with their remedy.

Everything shown comes from tasks, agents and forges, so control characters and secrets are taken out on the way.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from refinery.core.sanitise import redact, visible

if TYPE_CHECKING:
    from rich.console import Console

    from refinery.cli.common import Settings
    from refinery.errors import RefineryError

_QUIET_FOR: Final = 1.0  # seconds between two lines of progress where there is no terminal


def print_json(value: Any) -> None:
    """One JSON value on standard output: dataclasses, enumerations, paths and sets included; UTF-8 where it can be."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=2)
    try:
        data = text.encode()
    except UnicodeEncodeError:  # an undecodable byte of a file name: escaped, so that the output stays UTF-8
        data = json.dumps(value, default=_plain, indent=2).encode()
    click.echo(data)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def console(settings: "Settings", *, stderr: bool = False) -> "Console":
    """A rich console that takes no text for markup, and uses no colour or width of its own in a pipe."""
    from rich.console import Console

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        no_color=True if settings.color is False else None,
        width=None if is_terminal else int(os.environ.get("COLUMNS") or 10_000),
        soft_wrap=not is_terminal,
    )


def table(settings: "Settings", headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns: fitted to a terminal, whole in a pipe."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        grid.add_column(header, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(shown(cell)) for cell in row))
    console(settings).print(grid)


def say(text: str) -> None:
    """Lines for people on standard error, so that standard output stays what scripts asked for."""
    click.echo(shown(text), err=True)


def print_error(error: "RefineryError", settings: "Settings") -> None:
    """`error: message`, and the remedy below it, on standard error."""
    colour = False if settings.color is False or os.environ.get("NO_COLOR") else None
    click.echo(
        click.style("error:", fg="red", bold=True) + " " + shown(error.message), err=True, color=colour
    )
    if error.remedy:
        click.echo("  → " + shown(error.remedy), err=True, color=colour)


def shown(value: object) -> str:
    """`value` as it may appear on a terminal: without secrets and control characters."""
    return visible(redact(str(value)))


class Progress(Protocol):
    """What long work tells people while it runs."""

    def step(self, text: str, done: int | None = None) -> None:
        """What is being done now, and how many of all are done."""


@contextmanager
def progress(settings: "Settings", label: str, total: int | None = None) -> Iterator[Progress]:
    """Show long work: a live line on a terminal, at most one plain line a second elsewhere, nothing with `--json`."""
    if settings.json:
        yield _Silent()
    elif not sys.stderr.isatty():
        yield _Lines(label, total)
    else:
        with console(settings, stderr=True).status(label) as status:
            yield _Live(label, total, status.update)


class _Silent:
    def step(self, text: str, done: int | None = None) -> None:
        pass


class _Lines:
    """Plain lines; the first at once."""

    def __init__(self, label: str, total: int | None) -> None:
        self._label, self._total, self._last = label, total, 0.0

    def step(self, text: str, done: int | None = None) -> None:
        now = time.monotonic()
        if now - self._last >= _QUIET_FOR or (done is not None and done == self._total):
            self._last = now
            say(_line(self._label, text, done, self._total))


class _Live:
    """A spinner whose words change."""

    def __init__(self, label: str, total: int | None, update: Any) -> None:
        self._label, self._total, self._update = label, total, update

    def step(self, text: str, done: int | None = None) -> None:
        from rich.text import Text

        self._update(Text(shown(_line(self._label, text, done, self._total))))


def _line(label: str, text: str, done: int | None, total: int | None) -> str:
    count = "" if done is None else f" {done}/{total}" if total is not None else f" {done}"
    return f"{label}{count}: {text}"
