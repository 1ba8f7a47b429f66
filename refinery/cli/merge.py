"""`refinery merge`: land the pulls that may merge, and give the reasons of the rest."""

from typing import TYPE_CHECKING, Any

import click

from refinery.cli.common import Settings, common_options, json_option
from refinery.cli.supervised import events_option

if TYPE_CHECKING:
    from refinery.merger import MergeReport, Row
    from refinery.process import StopFlag


@click.command("merge")
@click.argument("pulls", nargs=-1, type=click.IntRange(min=1), metavar="[PULL]...")
@click.option(
    "--squash", is_flag=True, help="Land each pull as one commit (the default; the policy decides)."
)
@click.option("--delete-branch", is_flag=True, help="Delete the branch of what landed.")
@click.option("--dry-run", is_flag=True, help="Judge only: run no checks, land nothing.")
@click.option("--watch", is_flag=True, help="Go on until stopped, looking again every few seconds.")
@click.option(
    "--interval", default=10.0, show_default=True, metavar="SECONDS", help="How often --watch looks."
)
@events_option
@json_option
@common_options
def command(settings: Settings, /, **options: Any) -> int:
    """Merge PULLs, or all open ones, that are clean, additive and whose checks pass on the predicted result.

    Everything else stays open, with its reasons. The exit code is 0 when nothing is left, 6 if something waits,
    7 if something was refused, 8 if a base is frozen.
    """
    from refinery.cli.output import print_json
    from refinery.process import StopFlag

    stop = StopFlag()
    try:
        with stop.on_signals():
            if options["events"]:
                from refinery.cli.supervised import merge

                return merge(settings, stop, options)
            report = _merge(settings, stop, options)
            while options["watch"] and not _is_stopped_within(stop, options["interval"]):
                report = _merge(settings, stop, options)
    finally:
        stop.close()
    if settings.json:
        print_json(report)
    return report.exit_code


def _is_stopped_within(stop: "StopFlag", seconds: float) -> bool:
    import select

    from refinery.process import Stop

    select.select([stop], [], [], seconds)
    return stop.state is not Stop.NONE


def _merge(settings: Settings, stop: "StopFlag", options: dict[str, Any]) -> "MergeReport":
    from refinery.cli.shared import caller_of, echo_for, holder, projects
    from refinery.merger import MergeOptions, Merger, MergeReport

    report = MergeReport()
    how = MergeOptions(
        holder=holder(caller_of(settings, "")),
        pulls=tuple(options["pulls"]),
        delete_branches=options["delete_branch"],
        is_rehearsal=options["dry_run"],
        stop=stop,
        echo=echo_for(settings),
    )
    found = projects(settings, afresh=True)
    if how.pulls and len(found) > 1:
        from refinery.errors import UsageError

        raise UsageError("pull numbers belong to one project", remedy="name it with -p")
    for project in found:
        report.extend(Merger(project, how).merge())
    if not settings.json:
        _show(report, is_rehearsal=options["dry_run"])
    return report


def _show(report: "MergeReport", *, is_rehearsal: bool) -> None:
    for row in report.merged:
        word = "would merge" if is_rehearsal else f"merged as {row.commit[:12]}"
        click.echo(f"pull {row.pull} ({row.task}): {word}")
    for word, rows in (("waits", report.waiting), ("refused", report.refused)):
        for row in rows:
            click.echo(f"pull {row.pull} ({row.task}): {word}")
            _reasons(row)
    if not (report.merged or report.waiting or report.refused):
        click.echo("no open pulls")


def _reasons(row: "Row") -> None:
    for each in row.verdict.reasons:
        click.echo(f"  {each.text}\n    → {each.cure}")
