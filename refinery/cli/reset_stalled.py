"""`refinery reset-stalled`: give back tasks whose worker is gone."""

import click

from refinery.cli.common import Settings, common_options, json_option


@click.command("reset-stalled")
@click.option(
    "--hours", default=4.0, show_default=True, type=click.FloatRange(min=0), help="Stalled for so long."
)
@click.option("--dry-run", is_flag=True, help="Say what would be reset, and reset nothing.")
@json_option
@common_options
def command(settings: Settings, /, hours: float, dry_run: bool) -> int:
    """Make tasks ready again that say in_progress while nobody holds them. A live claim is never touched."""
    from refinery.cli.reconcile import report
    from refinery.cli.shared import caller_of, holder, projects
    from refinery.reconciler import ReconcileOptions, Reconciler, failed

    done = []
    for project in projects(settings):
        options = ReconcileOptions(holder=holder(caller_of(settings, "")), is_rehearsal=dry_run)
        done += Reconciler(project, options).reset_stalled(hours)
    report(settings, done, is_rehearsal=dry_run)
    return 1 if failed(done) else 0
