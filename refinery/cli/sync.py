"""`refinery sync`: fetch what changed on the forge into the mirrors."""

import click

from refinery.cli.common import Settings, common_options, json_option


@click.command("sync")
@json_option
@common_options
def command(settings: Settings, /) -> int:
    """Fetch every branch of each project's repository into its mirror. Nothing that the mirror holds is lost."""
    from refinery.cli.output import print_json, progress, say
    from refinery.cli.shared import projects

    rows = []
    found = projects(settings)
    with progress(settings, "syncing", len(found)) as shown:
        for number, project in enumerate(found, 1):
            shown.step(project.slug, number)
            state = project.forge.observe()
            project.forge.sync(state, sorted(state.heads))
            rows.append({"project": project.slug, "base": project.base, "branches": len(state.heads)})
    if settings.json:
        print_json({"projects": rows})
    else:
        for row in rows:
            say(f"{row['project']}: {row['branches']} branches, base {row['base']}")
    return 0
