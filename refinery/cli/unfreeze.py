"""`refinery unfreeze`: a person lifts a freeze."""

import click

from refinery.cli.common import Settings, common_options, json_option


@click.command("unfreeze")
@click.argument("base", required=False)
@json_option
@common_options
def command(settings: Settings, /, base: str | None) -> int:
    """Allow landing on BASE (default: the project's base) again, after you have found out why it was frozen."""
    from refinery.cli.output import print_json, say
    from refinery.cli.shared import one_project

    project = one_project(settings, "unfreeze")
    name = base or project.base
    lifted = project.forge.unfreeze(name)
    if settings.json:
        print_json(
            {"base": name, "was_frozen": lifted is not None, "reason": lifted.reason if lifted else None}
        )
    elif lifted is None:
        say(f"{name} is not frozen")
    else:
        say(f"{name} is no longer frozen; it was, because {lifted.reason}")
    return 0
