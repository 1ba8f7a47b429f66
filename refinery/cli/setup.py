"""`refinery setup`: prepare a repository on GitHub, after saying what would be done."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from refinery.cli.common import Settings, common_options, json_option
from refinery.errors import UsageError

if TYPE_CHECKING:
    from refinery.cli.preparing import Preparation
    from refinery.core.findings import Finding

_FILE: Final = click.Path(path_type=Path, allow_dash=True, dir_okay=False)


@click.command()
@click.argument("repository", metavar="OWNER/NAME")
@click.option(
    "--tasks",
    type=click.Choice(["issues", "none"]),
    default="issues",
    show_default=True,
    help="Whether the repository's issues are to be tasks; else it gets pulls alone.",
)
@click.option("--app-id", default="", metavar="ID", help="The GitHub App that workflows act as.")
@click.option("--app-key", type=_FILE, metavar="FILE", help="Its private key; - reads standard input.")
@click.option("--secrets", type=_FILE, metavar="FILE", help="Secrets for workflows, NAME=VALUE in each line.")
@click.option("--variables", type=_FILE, metavar="FILE", help="Variables for workflows, likewise.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@common_options
def command(settings: Settings, /, **options: Any) -> int:
    """Prepare OWNER/NAME: labels, a starter configuration as a pull, secrets and variables for workflows.

    It first checks that these credentials may do what a run needs, and lists every step. Doing it again changes
    nothing that is there. Values come from files or standard input, never from a flag. The exit code is 1 when
    something is in the way.
    """
    from refinery.cli.preparing import prepare
    from refinery.core.findings import FAIL

    prepared = prepare(
        settings, options["repository"], _given(options), has_tasks=options["tasks"] == "issues"
    )
    if not settings.json:
        _show(prepared)
    is_barred = any(finding.level == FAIL for finding in prepared.findings)
    is_agreed = prepared.steps and not is_barred and not options["dry_run"] and _agreed(settings, options)
    done = _do(settings, prepared) if is_agreed else []
    if settings.json:
        _print(prepared, done, is_rehearsal=options["dry_run"])
    return 1 if is_barred else 0


def _given(options: dict[str, Any]) -> "tuple[dict[str, str], dict[str, str]]":
    """Secrets and variables by name.

    Raises:
        UsageError: a file cannot be read, or is no list of them; or half of an App is given.
    """
    from refinery.cli.preparing import read_pairs, read_text

    files = [options[name] for name in ("app_key", "secrets", "variables")]
    if sum(str(each) == "-" for each in files) > 1:
        raise UsageError("standard input can be read once", remedy="name files for the others")
    secrets = read_pairs(options["secrets"]) if options["secrets"] else {}
    variables = read_pairs(options["variables"]) if options["variables"] else {}
    if bool(options["app_id"]) != bool(options["app_key"]):
        raise UsageError(
            "an App has both an id and a private key", remedy="give --app-id and --app-key, or neither"
        )
    if options["app_id"]:
        secrets["REFINERY_APP_KEY"] = read_text(options["app_key"])
        variables["REFINERY_APP_ID"] = options["app_id"]
    return secrets, variables


def _show(prepared: "Preparation") -> None:
    from refinery.cli.output import shown
    from refinery.core.findings import OK

    for finding in prepared.findings:
        if finding.level != OK:
            _tell(finding)
    if not prepared.steps:
        click.echo(f"{prepared.name}: nothing is left to do")
        return
    click.echo(f"{prepared.name}:")
    for step in prepared.steps:
        click.echo(f"  {shown(step.words)}")


def _tell(finding: "Finding") -> None:
    from refinery.cli.output import shown

    colour = "red" if finding.level == "fail" else "yellow"
    click.echo(f"{click.style(f'{finding.level:4}', fg=colour)}  {finding.name}: {shown(finding.message)}")
    if finding.remedy:
        click.echo(f"      → {shown(finding.remedy)}")


def _agreed(settings: Settings, options: dict[str, Any]) -> bool:
    """Whether a person wants it done.

    Raises:
        UsageError: nobody is there to ask.
    """
    import sys

    if options["yes"]:
        return True
    if settings.json or not sys.stdin.isatty():
        raise UsageError("nobody is there to agree", remedy="look at it with --dry-run, then give --yes")
    return click.confirm("Do this?", default=False)


def _do(settings: Settings, prepared: "Preparation") -> list[str]:
    """Every step; each is told when it is done, so that a failure later leaves no doubt."""
    from refinery.cli.output import shown

    done = []
    for step in prepared.steps:
        words = prepared.preparer.do(step)
        done.append(words)
        if not settings.json:
            click.echo(f"✓ {shown(words)}")
    return done


def _print(prepared: "Preparation", done: list[str], *, is_rehearsal: bool) -> None:
    from refinery.cli.output import print_json

    print_json(
        {
            "repository": prepared.name,
            "dry_run": is_rehearsal,
            "steps": prepared.steps,
            "done": done,
            "findings": prepared.findings,
        }
    )
