"""`refinery init`: register a project and mirror its repository."""

import click

from refinery.cli.common import Settings, common_options, json_option


@click.command("init")
@click.argument("slug", required=False)
@click.option(
    "--repo", default="", metavar="PATH_OR_URL", help="The repository that holds the code and the claims."
)
@click.option("--tasks", default="", metavar="FOLDER", help="The folder with the Markdown tasks.")
@click.option(
    "--base", default="", metavar="BRANCH", help="The branch to land on (default: the repository's HEAD)."
)
@json_option
@common_options
def command(settings: Settings, /, slug: str | None, repo: str, tasks: str, base: str) -> int:
    """Register SLUG in the home folder and mirror its repository; without arguments, mirror all registered ones.

    Doing it again is harmless: other values replace the registered ones, equal ones change nothing.
    """
    from refinery.cli.output import print_json, say
    from refinery.cli.shared import projects
    from refinery.errors import UsageError

    home = settings.open_home()
    if slug is not None:
        if not repo or not tasks:
            raise UsageError(
                "a project needs --repo and --tasks",
                remedy="`refinery init SLUG --repo PATH_OR_URL --tasks FOLDER`",
            )
        _check(repo, tasks)
        home.register(slug, repository=_absolute(repo), tasks=_absolute(tasks), base=base)
        settings.projects = (slug,)
    rows = []
    for project in projects(settings):
        state = project.forge.observe()
        project.forge.sync(state, [project.base])
        project.config(state)
        rows.append({"project": project.slug, "base": project.base, "head": project.base_tip(state)})
        if not settings.json:
            say(f"{project.slug}: mirrored, base {project.base} at {rows[-1]['head'][:12]}")
    if settings.json:
        print_json({"projects": rows})
    return 0


def _check(repo: str, tasks: str) -> None:
    """Refuse what cannot work before anything is registered."""
    from pathlib import Path

    from refinery.errors import UsageError
    from refinery.source import local_repository
    from refinery.wiring import is_url

    if not is_url(repo):
        local_repository(Path(repo).expanduser().resolve())
    if not Path(tasks).expanduser().is_dir():
        raise UsageError(
            f"there is no folder {tasks}", remedy="create it, or name the folder that holds the tasks"
        )


def _absolute(place: str) -> str:
    """A path as it is from everywhere; a URL as it is."""
    from pathlib import Path

    from refinery.wiring import is_url

    return place if is_url(place) else str(Path(place).expanduser().resolve())
