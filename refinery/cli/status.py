"""`refinery status`: tasks, claims, pulls and verdicts."""

import click

from refinery.cli.common import Settings, common_options, json_option


@click.command("status")
@click.option("--caller", default="", metavar="NAME", help="Judge readiness for this caller (default: bot).")
@json_option
@common_options
def command(settings: Settings, /, caller: str) -> int:
    """Show where each task and each pull stands, and why what does not move does not."""
    from refinery.cli.output import print_json, say, table
    from refinery.cli.shared import caller_of, projects
    from refinery.overview import overview

    found = [overview(project, caller_of(settings, caller)) for project in projects(settings)]
    if settings.json:
        print_json(found[0] if len(found) == 1 else {"projects": found})
        return 0
    for each in found:
        say(f"{each.project}, base {each.base}" + (f", FROZEN: {each.frozen}" if each.frozen else ""))
        rows = [
            (row.id, row.status, row.attempt or "", row.holder or "", row.pull or "", row.reason)
            for row in each.tasks
        ]
        if rows:
            table(settings, ("task", "status", "attempt", "holder", "pull", "why not"), rows)
        pulls = [
            (row.number, row.task, row.state, row.verdict or "", "; ".join(row.texts)) for row in each.pulls
        ]
        if pulls:
            table(settings, ("pull", "task", "state", "verdict", "reasons"), pulls)
        for problem in each.problems:
            say(f"problem: {problem}")
    return 0
