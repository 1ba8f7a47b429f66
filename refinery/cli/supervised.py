"""`run`, `merge` and `sync` with `--events`: the same work for a supervisor, with hidden options."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from refinery.cli.common import Settings

if TYPE_CHECKING:
    from refinery.admission import Thresholds
    from refinery.merger import Merger, Row
    from refinery.process import StopFlag
    from refinery.worker import Worker


def _duration(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    from refinery.core.text import parse_duration

    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _size(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    from refinery.core.text import parse_size

    try:
        return parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def drain_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """How long a drained agent may go on."""
    return click.option(
        "--drain-timeout",
        default="10m",
        show_default=True,
        metavar="DURATION",
        callback=_duration,
        help="After a first Ctrl+C the agent may go on for so long; then it is stopped and its work kept.",
    )(function)


def admission_options(*, hidden: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What has to be free on this machine before a task is claimed."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option(
                "--min-disk",
                default="512MiB",
                show_default=True,
                metavar="SIZE",
                callback=_size,
                hidden=hidden,
                help="Claim nothing while less of the home's disk is free.",
            ),
            click.option(
                "--min-memory",
                default="256MiB",
                show_default=True,
                metavar="SIZE",
                callback=_size,
                hidden=hidden,
                help="Claim nothing while less memory is free.",
            ),
            click.option(
                "--max-load",
                default=8.0,
                show_default=True,
                type=click.FloatRange(min=0),
                metavar="N",
                hidden=hidden,
                help="Claim nothing while the load per core is higher; 0: whatever it is.",
            ),
        ):
            function = option(function)
        return function

    return add


def thresholds(options: Mapping[str, Any]) -> "Thresholds":
    """The values of `admission_options`."""
    from refinery.admission import Thresholds

    return Thresholds(
        min_memory=options["min_memory"], min_disk=options["min_disk"], max_load=options["max_load"]
    )


def events_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Work for a supervisor: events on standard output, news on standard input."""
    return click.option("--events", is_flag=True, hidden=True)(function)


def work(
    settings: Settings,
    stop: "StopFlag",
    options: Mapping[str, Any],
    open_workers: "Callable[..., list[Worker]]",
) -> int:
    """Work until the supervisor ends us or is gone. `open_workers` takes where to report, as `WorkOptions` has it."""
    from refinery.admission import obstacle
    from refinery.events import Line, Note
    from refinery.supervised import Channel, WorkLoop

    room, home = thresholds(options), settings.open_home(create=False).path
    with Channel(stop) as channel:
        loop = WorkLoop(channel, stop, lambda: obstacle(home, room))
        quiet = options["quiet"]
        return loop.run(
            lambda: open_workers(
                echo=lambda text: channel.emit(Note(text=text)),
                stream=None if quiet else lambda text: channel.emit(Line(text=text)),
                event=loop.report,
            )
        )


def merge(settings: Settings, stop: "StopFlag", options: Mapping[str, Any]) -> int:
    """Judge and land, pass after pass, until the supervisor ends us or is gone."""
    from socket import gethostname

    from refinery.cli.shared import caller_of, holder, projects
    from refinery.core.swarm import end_of_dead_merger
    from refinery.events import Note, Passed
    from refinery.merger import MergeOptions, Merger
    from refinery.supervised import Channel, watch

    with Channel(stop) as channel:
        how = MergeOptions(
            holder=holder(caller_of(settings, "")),
            delete_branches=options["delete_branch"],
            stop=stop,
            echo=lambda text: channel.emit(Note(text=text)),
        )
        mergers = [Merger(project, how) for project in projects(settings, afresh=True)]

        def judge(epoch: int) -> Passed:
            rows: dict[str, list[Mapping[str, Any]]] = {"merged": [], "waiting": [], "refused": []}
            instants = []
            for merger in mergers:
                report = merger.merge()
                rows["merged"] += [_row(merger, row) for row in report.merged]
                rows["waiting"] += [_row(merger, row) for row in report.waiting]
                rows["refused"] += [_row(merger, row) for row in report.refused]
                if report.waiting:
                    instants.append(end_of_dead_merger(merger.project.forge.observe(), gethostname()))
            return Passed(epoch=epoch, next_at=min(filter(None, instants), default=None), **rows)

        return watch(channel, stop, judge, options["interval"])


def prepare(settings: Settings, stop: "StopFlag", options: Mapping[str, Any]) -> int:
    """Fill the pool once, as the least urgent thing on this machine, or until the supervisor ends us or is gone."""
    import os

    from refinery.admission import obstacle
    from refinery.cli.shared import projects
    from refinery.errors import RefineryError
    from refinery.events import Note
    from refinery.refill import refill
    from refinery.supervised import Channel

    os.nice(10)
    room, home = thresholds(options), settings.open_home(create=False).path
    with Channel(stop) as channel:
        try:
            for project in projects(settings):
                done = refill(project, stop, lambda: obstacle(home, room))
                if done.made or done.why:
                    channel.emit(Note(text=f"{project.slug}: {done}"))
        except RefineryError as error:
            channel.emit(Note(text=f"no worktrees are prepared: {error.message}"))
            return error.exit_code
    return 0


def _row(merger: "Merger", row: "Row") -> dict[str, Any]:
    why = "; ".join(each.text for each in row.verdict.reasons)
    return {"project": merger.project.slug, **row.to_json(), "why": why}
