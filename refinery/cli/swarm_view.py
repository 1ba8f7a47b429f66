"""How a swarm shows itself: a live picture on a terminal, plain prefixed lines elsewhere, a table at the end."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from refinery.cli.output import console, shown
from refinery.core.sanitise import one_line
from refinery.core.text import approximate_duration, plural
from refinery.notify import notify

if TYPE_CHECKING:
    from refinery.cli.common import Settings
    from refinery.report import RunResult
    from refinery.swarm_board import Board, PullRow, WorkerRow

_OFTEN: Final = 0.25  # seconds between two pictures
_PULLS: Final = 5  # recent pulls in a picture
_LINE: Final = 500
_STATES: Final = {"working": "green", "waiting": "yellow", "dead": "red", "stopped": "red"}
_ENDS: Final = {
    "published": "green",
    "merged": "green",
    "refuse": "yellow",
    "wait": "cyan",
    "drained": "yellow",
}
_COUNTED: Final = {
    "backing-off": "backing off",
    "claimed": "claimed",
    "dependency-waiting": "waiting for others",
    "in-review": "in review",
    "pull-open": "in review",
    "finished": "finished",
    "landed": "finished",
    "pull-merged": "finished",
}


class Silent:
    """Nothing at all, for `--json`: the report has it."""

    def line(self, prefix: str, text: str) -> None:
        """As `Show`."""

    def news(self, prefix: str, text: str) -> None:
        """As `Show`."""

    def alert(self, text: str) -> None:
        """The desktop may still tell."""
        notify(text)

    def refresh(self, board: "Board") -> None:
        """As `Show`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Plain(Silent):
    """One line for everything, each with its prefix."""

    def line(self, prefix: str, text: str) -> None:
        """A line of an agent, or of a process."""
        _print(f"{prefix} {text}" if prefix else text)

    def news(self, prefix: str, text: str) -> None:
        """As `line`."""
        _print(f"{prefix} {text}")

    def alert(self, text: str) -> None:
        """On standard error too, where scripts look."""
        _print(f"[swarm] ALERT: {text}", err=True)
        notify(text)


class Picture(Silent):
    """The live view. What ended stays above it; agents' lines show only as each worker's last one.

    A terminal that was closed meanwhile is no reason to stop: the signal that comes of it drains.
    """

    def __init__(self, settings: "Settings") -> None:
        self._console = console(settings)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._next = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._live.stop()

    def news(self, prefix: str, text: str) -> None:
        """A line above the picture, as long as the terminal is wide."""
        line = _cell(f"{prefix} {text}")
        line.stylize("dim", 0, len(prefix))
        with suppress(OSError):
            self._console.print(line, no_wrap=True, overflow="ellipsis")

    def alert(self, text: str) -> None:
        """Above the picture, whole."""
        with suppress(OSError):
            self._console.print(Text(shown(f"ALERT: {text}"), style="bold red"))
        notify(text)

    def refresh(self, board: "Board") -> None:
        """Draw, but not too often."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _OFTEN
            with suppress(OSError):
                self._live.update(picture(board, self._console.height, now), refresh=True)


def _print(text: str, *, err: bool = False) -> None:
    """A line; somebody who does not listen any more is no reason to stop."""
    with suppress(OSError):
        click.echo(shown(text), err=err)


def picture(board: "Board", height: int, now: float) -> Group:
    """The picture in at most `height` lines, one of them left for the cursor."""
    pulls = list(board.pulls.values())[-_PULLS:][::-1]
    others = 3 + bool(board.alerts)
    room = height - others - (len(pulls) + 1 if pulls else 0)
    if room < 4:
        pulls, room = [], height - others
    parts: list[Text | Table] = [_head(board, now), _counts(board), *_workers(board, room, now)]
    if pulls:
        parts.append(_pulls(pulls))
    if board.alerts:
        parts.append(_line(f"alert: {board.alerts[-1]}", "bold red"))
    return Group(*parts)


def _cell(text: str, style: str = "") -> Text:
    return Text(one_line(shown(text), _LINE), style=style)


def _line(text: str, style: str = "") -> Text:
    return Text(one_line(shown(text), _LINE), style=style, no_wrap=True, overflow="ellipsis")


def _head(board: "Board", now: float) -> Text:
    working = sum(row.state == "working" for row in board.workers)
    words = [f"{working} of {plural(len(board.workers), 'worker')} at work"]
    words.append(f"{len(board.merged)} merged" if board.has_merger else "no merger")
    words += [plural(len(board.results), "run"), _whole(now - board.started)]
    if board.cost_usd:
        words.append(f"${board.cost_usd:.2f}")
    if board.closing:
        words.append(f"ending ({board.closing})")
    return _line("swarm: " + ", ".join(words), "bold")


def _counts(board: "Board") -> Text:
    named: dict[str, int] = {}
    counts = board.looks.skipped
    for code in sorted(counts, key=[*_COUNTED, *counts].index):
        name = _COUNTED.get(code, "not ready")
        named[name] = named.get(name, 0) + counts[code]
    words = [f"{board.looks.ready} ready", *(f"{count} {name}" for name, count in named.items())]
    text = "queue: " + ", ".join(words)
    return _line(f"{text}; merger waits: {board.merger}" if board.merger else text)


def _workers(board: "Board", room: int, now: float) -> list[Text | Table]:
    """A line for each worker; where there is no room, those at work first, and how many are left out."""
    grid = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for header, least, ratio in (("worker", 3, None), ("task", 8, 2), ("try", 3, None), ("age", 5, None)):
        grid.add_column(header, no_wrap=True, overflow="ellipsis", min_width=least, ratio=ratio)
    grid.add_column("lease", no_wrap=True, min_width=5)
    grid.add_column("last output", no_wrap=True, overflow="ellipsis", ratio=3)
    rows = list(board.workers)
    if len(rows) > room - 1:
        rows = sorted(rows, key=lambda row: row.state != "working")[: max(1, room - 2)]
    for row in rows:
        grid.add_row(*_worker(row, now))
    left_out = len(board.workers) - len(rows)
    return [grid, _line(f"and {left_out} more", "dim")] if left_out else [grid]


def _whole(seconds: float) -> str:
    """Seconds without fractions, which would flicker."""
    whole = max(0, int(seconds))
    return f"{whole}s" if whole < 10 else approximate_duration(whole)


def _worker(row: "WorkerRow", now: float) -> list[Text]:
    is_busy = row.state == "working"
    lease = _whole(row.lease_until - time.time()) if is_busy else ""
    age = _whole(now - row.since) if row.since else ""
    return [
        _cell(f"{row.number + 1} {row.agent}"),
        _cell(f"{row.task} {row.title}" if is_busy else row.state, _STATES.get(row.state, "dim")),
        Text(str(row.attempt or "")),
        Text(age),
        Text(lease),
        _cell(row.last, "dim"),
    ]


def _pulls(pulls: "Sequence[PullRow]") -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for header, ratio in (("pull", 0), ("verdict", 0), ("task", 2), ("why", 5)):
        grid.add_column(header, no_wrap=True, overflow="ellipsis", ratio=ratio or None)
    for row in pulls:
        grid.add_row(
            str(row.number),
            Text(row.verdict, style=_ENDS.get(row.verdict, "")),
            _cell(row.task),
            _cell(row.why, "dim"),
        )
    return grid


def summary(settings: "Settings", board: "Board") -> None:
    """The table of the ended runs, and what came of them."""
    page = console(settings)
    if board.results:
        grid = Table(box=None, pad_edge=False, header_style="bold")
        for header in ("task", "try", "agent", "outcome", "pull", "time", "tokens", "cost", "why"):
            grid.add_column(header, overflow="fold", no_wrap=header in ("outcome", "time"))
        for result in board.results:
            grid.add_row(*_result(result))
        page.print(grid)
    seconds = approximate_duration(time.monotonic() - board.started)
    published = sum(result.outcome == "published" for result in board.results)
    words = [plural(len(board.results), "run"), f"{published} published"]
    words += [f"{len(board.merged)} merged"] if board.has_merger else []
    page.print(Text(f"{', '.join(words)} in {seconds}", style="bold"))
    for pull in board.pulls.values():
        if pull.verdict != "merged":
            page.print(Text(shown(f"pull {pull.number} ({pull.task}) {pull.sentence}")))
    for alert in board.alerts:
        page.print(Text(shown(f"alert: {alert}"), style="red"))


def _result(result: "RunResult") -> list[Text]:
    return [
        Text(shown(result.task_id)),
        Text(str(result.attempt or "")),
        Text(shown(result.agent)),
        Text(str(result.outcome), style=_ENDS.get(str(result.outcome), "red")),
        Text(str(result.pull or "")),
        Text(approximate_duration(result.seconds)),
        Text(str(result.tokens or "")),
        Text("" if result.cost_usd is None else f"${result.cost_usd:.2f}"),
        Text(shown(result.reason), style="dim"),
    ]


def show_for(settings: "Settings") -> Silent:
    """The way that fits: nothing with `--json`, a picture on a terminal, else lines."""
    if settings.json:
        return Silent()
    return Picture(settings) if sys.stdout.isatty() else Plain()
