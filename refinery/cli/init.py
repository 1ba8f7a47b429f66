"""`refinery init`: register a project and mirror its repository."""

from typing import TYPE_CHECKING, Any

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from refinery.core.config import ProjectConfig, UserProject
    from refinery.home import Home
    from refinery.project import Project


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
    from refinery.core.config import UserProject
    from refinery.errors import UsageError

    home = settings.open_home()
    if slug is not None:
        if not repo or not tasks:
            raise UsageError(
                "a project needs --repo and --tasks",
                remedy="`refinery init SLUG --repo PATH_OR_URL --tasks FOLDER`",
            )
        _check(repo, tasks)
        wanted = UserProject(repository=_absolute(repo), tasks=_absolute(tasks), base=base)
        rows = [_register(home, slug, wanted)]
    else:
        rows = [_mirrored(project) for project in projects(settings)]
    if settings.json:
        print_json({"projects": rows})
        return 0
    for row in rows:
        say(f"{row['project']}: mirrored, base {row['base']} at {row['head'][:12]}")
        for hint in row["hints"]:
            say(f"  → {hint}")
    return 0


def _register(home: "Home", slug: str, wanted: "UserProject") -> dict[str, Any]:
    """Prove that the project can be worked on, and only then write it into the home."""
    from dataclasses import replace

    from refinery.configured import read_user
    from refinery.wiring import open_project

    home.check_slug(slug)
    user = read_user(home)
    old = user.projects.get(slug)
    if old is not None and not wanted.base and old.repository == wanted.repository:
        wanted = replace(wanted, base=old.base)
    project = open_project(home, replace(user, projects={**user.projects, slug: wanted}), slug)
    row = _mirrored(project)
    # The base is written down: a person who checks out another branch must not move where tasks land.
    home.register(slug, repository=wanted.repository, tasks=wanted.tasks, base=project.base)
    return row


def _mirrored(project: "Project") -> dict[str, Any]:
    """Fetch the base, and read its configuration."""
    state = project.forge.observe()
    project.forge.sync(state, [project.base])
    config = project.config(state)
    head = project.base_tip(state)
    return {"project": project.slug, "base": project.base, "head": head, "hints": _missing(project, config)}


def _missing(project: "Project", config: "ProjectConfig") -> list[str]:
    """What running and merging still lack here."""
    from refinery.errors import UsageError
    from refinery.worker import startable

    hints = []
    try:
        startable(project.default_agent(config), project, config)
    except UsageError as error:
        hints.append(f"{error.message}: {error.remedy}")
    if not config.checks and not config.policy.required:
        line = 'checks: {tests: "<your test command>"}'
        hints.append(
            f"nothing will merge by itself without a check: add `{line}` to refinery.yml on {project.base}"
        )
    return hints


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
