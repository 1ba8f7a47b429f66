"""`refinery reconcile`: find and repair what killed processes left behind."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from refinery.reconciler import Done


@click.command("reconcile")
@click.option("--dry-run", is_flag=True, help="Say what would be mended, and mend nothing.")
@json_option
@common_options
def command(settings: Settings, /, dry_run: bool) -> int:
    """Mend what dead workers and mergers left: claims, mirrors, pulls, worktrees, locks, stray processes.

    What somebody still works on is never touched. Running it twice does nothing more.
    """
    from refinery.cli.shared import caller_of, holder, projects
    from refinery.reconciler import ReconcileOptions, Reconciler, failed

    done = []
    for project in projects(settings):
        options = ReconcileOptions(holder=holder(caller_of(settings, "")), is_rehearsal=dry_run)
        done += Reconciler(project, options).reconcile()
    report(settings, done, is_rehearsal=dry_run)
    return 1 if failed(done) else 0


def report(settings: Settings, done: "Sequence[Done]", *, is_rehearsal: bool) -> None:
    """Print what was mended."""
    from refinery.cli.output import print_json, say

    if settings.json:
        print_json({"repairs": list(done), "dry_run": is_rehearsal})
        return
    for each in done:
        outcome = f"FAILED: {each.error}" if each.error else each.why
        say(f"{'would ' if is_rehearsal else ''}{each.what} {each.subject}: {outcome}")
    if not done:
        say("nothing to mend")
