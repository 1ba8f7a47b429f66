"""`refinery status`: tasks, claims, pulls and verdicts."""

from typing import TYPE_CHECKING

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from refinery.cli.shared import Connections
    from refinery.overview import Overview


@click.command("status")
@click.option("--caller", default="", metavar="NAME", help="Judge readiness for this caller (default: bot).")
@json_option
@common_options
def command(settings: Settings, /, caller: str) -> int:
    """Show where each task and each pull stands, and why what does not move does not; and what is left of limits."""
    from refinery.cli.output import print_json
    from refinery.cli.shared import Connections, caller_of, projects
    from refinery.overview import overview

    connections = Connections(settings)
    opened = projects(settings, connections=connections)
    found = [overview(project, caller_of(settings, caller)) for project in opened]
    limits = [_limits(connections, each.project) for each in found]
    if settings.json:
        told = [{**each.to_json(), "limits": left} for each, left in zip(found, limits, strict=True)]
        print_json(told[0] if len(told) == 1 else {"projects": told})
        return 0
    for number, (each, left) in enumerate(zip(found, limits, strict=True)):
        click.echo("\n" * bool(number), nl=False)
        _show(settings, each)
        _show_limits(left)
    return 0


def _limits(connections: "Connections", slug: str) -> dict[str, dict[str, float]]:
    """What GitHub said last of each of its quotas; where two identities work for a project, the one with less left."""
    quotas = [quota for each in connections.of(slug) for quota in each.client.usage.quotas.items()]
    return {
        name: {"remaining": quota.remaining, "limit": quota.limit, "reset": quota.reset}
        for name, quota in sorted(quotas, key=lambda each: -each[1].remaining)
    }


def _show_limits(limits: dict[str, dict[str, float]]) -> None:
    from refinery.core.standing import clock

    if limits:
        told = (
            f"{name} {left['remaining']:.0f} of {left['limit']:.0f} until {clock(left['reset'])}"
            for name, left in sorted(limits.items())
        )
        click.echo(f"\nleft of GitHub's limits: {', '.join(told)}")


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
