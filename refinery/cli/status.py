"""`refinery status`: tasks, claims, pulls and verdicts."""

from typing import TYPE_CHECKING

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from refinery.overview import Overview


@click.command("status")
@click.option("--caller", default="", metavar="NAME", help="Judge readiness for this caller (default: bot).")
@json_option
@common_options
def command(settings: Settings, /, caller: str) -> int:
    """Show where each task and each pull stands, and why what does not move does not."""
    from refinery.cli.output import print_json
    from refinery.cli.shared import caller_of, projects
    from refinery.overview import overview

    found = [overview(project, caller_of(settings, caller)) for project in projects(settings)]
    if settings.json:
        print_json(found[0] if len(found) == 1 else {"projects": found})
        return 0
    for number, each in enumerate(found):
        click.echo("\n" * bool(number), nl=False)
        _show(settings, each)
    return 0


def _show(settings: Settings, each: "Overview") -> None:
    from refinery.cli.output import shown, table

    click.echo(
        shown(f"{each.project}, base {each.base}" + (f", FROZEN: {each.frozen}" if each.frozen else ""))
    )
    tasks = [
        (row.id, row.status, row.attempt or "", row.holder or "", row.pull or "", row.reason)
        for row in each.tasks
    ]
    pulls = [(row.number, row.task, row.state, row.verdict or "", "; ".join(row.texts)) for row in each.pulls]
    if tasks:
        click.echo()
        table(settings, ("task", "status", "attempt", "holder", "pull", "why not"), tasks)
    else:
        click.echo("no tasks")
    if pulls:
        click.echo()
        table(settings, ("pull", "task", "state", "verdict", "reasons"), pulls)
    if each.problems:
        click.echo()
    for problem in each.problems:
        click.echo(shown(f"problem: {problem}"))
