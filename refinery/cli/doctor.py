"""`refinery doctor`: what this machine and each project need, and what to do where something is missing."""

from typing import TYPE_CHECKING

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinery.core.findings import Finding


@click.command()
@json_option
@common_options(git=False)  # an old git is a finding here, not the end
def command(settings: Settings) -> int:
    """Check this machine and the projects: git, home, agents, configuration, and what merging still lacks.

    On GitHub also what the credentials may do there, and whether an agent's branch gets secrets in its CI.
    """
    from refinery.cli import output
    from refinery.core.findings import FAIL
    from refinery.git import scrub_environment

    scrub_environment()
    findings = list(_examine(settings))
    failed = any(finding.level == FAIL for finding in findings)
    if settings.json:
        output.print_json({"ok": not failed, "findings": findings})
    else:
        _tell(findings)
    return 1 if failed else 0


def _examine(settings: Settings) -> "Iterator[Finding]":
    from refinery.cli.checkup import check_home, check_machine, check_project
    from refinery.cli.output import progress
    from refinery.cli.shared import Connections

    with progress(settings, "checking") as shown:
        shown.step("this machine")
        yield from check_machine()
        connections = Connections(settings)
        home, user, findings = check_home(settings.home, create=settings.needs_no_home)
        yield from findings
        if home is None or user is None:
            return
        for slug, project in settings.pick(user.projects).items():
            shown.step(slug)
            yield from check_project(home, user, slug, project, connections)


def _tell(findings: "list[Finding]") -> None:
    from refinery.cli.output import shown
    from refinery.core.findings import FAIL, OK, WARN
    from refinery.core.text import plural

    colors = {OK: "green", WARN: "yellow", FAIL: "red"}
    project = ""
    for finding in findings:
        if finding.project != project:
            project = finding.project
            click.secho(f"\n{project}", bold=True)
        level = click.style(f"{finding.level:4}", fg=colors[finding.level])
        click.echo(f"{level}  {finding.name}: {shown(finding.message)}")
        if finding.remedy:
            click.echo(f"      → {shown(finding.remedy)}")
    counts = {level: sum(finding.level == level for finding in findings) for level in colors}
    click.echo(f"\n{plural(counts[FAIL], 'failure')}, {plural(counts[WARN], 'warning')}")
