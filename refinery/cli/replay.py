"""`refinery replay`: a repository's landed history under each policy."""

from pathlib import Path

import click

from refinery.cli.common import Settings, common_options, json_option


@click.command("replay")
@click.option(
    "--repo", type=click.Path(path_type=Path), default=Path(), help="The repository (default: here)."
)
@click.option(
    "--since", default="180d", show_default=True, metavar="AGE", help="How far back: 90s, 12h, 180d."
)
@json_option
@common_options
def command(settings: Settings, /, repo: Path, since: str) -> int:
    """Judge what has landed by the tree rules alone: how much each tier would have merged, and why not the rest."""
    from refinery.cli.output import print_json, progress
    from refinery.history import render_replay, replay

    with progress(settings, "replaying") as shown:
        report = replay(repo, since, progress=lambda done, total: shown.step(f"of {total} changes", done))
    if settings.json:
        print_json(report)
    else:
        click.echo(render_replay(report))
    return 0
