"""`refinery sync`: fetch what changed on the forge into the mirrors, and prepare worktrees ahead of need."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from refinery.cli.common import Settings, common_options, json_option
from refinery.cli.supervised import admission_options, events_option

if TYPE_CHECKING:
    from refinery.process import StopFlag
    from refinery.project import Project
    from refinery.refill import Refilled


@click.command("sync")
@click.option("--pool", is_flag=True, help="Also prepare worktrees, as many as `limits.pool` says.")
@events_option
@admission_options(hidden=True)
@json_option
@common_options
def command(settings: Settings, /, pool: bool, events: bool, **options: Any) -> int:
    """Fetch every branch of each project's repository into its mirror. Nothing that the mirror holds is lost.

    With --pool, worktrees are checked out and set up ahead of need; an attempt that takes one starts at once.
    """
    from refinery.process import StopFlag

    stop = StopFlag()
    try:
        with stop.on_signals():
            if events:
                from refinery.cli.supervised import prepare

                return prepare(settings, stop, options)
            return _sync(settings, partial(_refilled, settings, stop, options) if pool else None)
    finally:
        stop.close()


def _sync(settings: Settings, refill: "Callable[[Project], Refilled] | None") -> int:
    from refinery.cli.output import print_json, progress, say
    from refinery.cli.shared import projects

    rows = []
    found = projects(settings)
    with progress(settings, "syncing", len(found)) as shown:
        for number, project in enumerate(found, 1):
            shown.step(project.slug, number)
            state = project.forge.observe()
            project.forge.sync(state, sorted(state.heads))
            row = {"project": project.slug, "base": project.base, "branches": len(state.heads)}
            rows.append({**row, "pool": refill(project)} if refill else row)
    if settings.json:
        print_json({"projects": rows})
    else:
        for row in rows:
            say(f"{row['project']}: {row['branches']} branches, base {row['base']}{_told(row)}")
    return 0


def _told(row: Mapping[str, Any]) -> str:
    return f"; {row['pool']}" if "pool" in row else ""


def _refilled(
    settings: Settings, stop: "StopFlag", options: Mapping[str, Any], project: "Project"
) -> "Refilled":
    from refinery.admission import obstacle
    from refinery.cli.supervised import thresholds
    from refinery.refill import refill

    return refill(project, stop, lambda: obstacle(settings.open_home().path, thresholds(options)))
