"""`refinery init`: register a project and mirror its repository."""

from typing import TYPE_CHECKING, Any

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from refinery.cli.shared import Connections
    from refinery.core.config import ProjectConfig, UserConfig, UserProject
    from refinery.home import Home
    from refinery.project import Project


@click.command("init")
@click.argument("slug", required=False, metavar="[SLUG|OWNER/NAME]")
@click.option(
    "--repo",
    default="",
    metavar="PLACE",
    help="The repository that holds the code and the claims: a path, a URL, or github:OWNER/NAME.",
)
@click.option(
    "--tasks",
    default="",
    metavar="FOLDER|github",
    help="The folder with the Markdown tasks; or github, for the repository's issues, or github:OWNER/NAME.",
)
@click.option(
    "--base", default="", metavar="BRANCH", help="The branch to land on (default: the repository's HEAD)."
)
@json_option
@common_options
def command(settings: Settings, /, slug: str | None, repo: str, tasks: str, base: str) -> int:
    """Register SLUG in the home folder and mirror its repository; without arguments, mirror all registered ones.

    OWNER/NAME is a repository on GitHub, whose issues are the tasks unless --tasks says otherwise.
    Doing it again is harmless: other values replace the registered ones, equal ones change nothing.
    """
    from refinery.cli.output import print_json, say
    from refinery.cli.shared import Connections, projects

    home = settings.open_home()
    connections = Connections(settings)
    if slug is not None:
        rows = [_register(home, slug, (repo, tasks, base), connections)]
    else:
        rows = [_mirrored(project, connections) for project in projects(settings, connections=connections)]
    if settings.json:
        print_json({"projects": rows})
        return 0
    for row in rows:
        say(f"{row['project']}: mirrored, base {row['base']} at {row['head'][:12]}")
        for hint in row["hints"]:
            say(f"  → {hint}")
    return 0


def _wanted(user: "UserConfig", slug: str, repo: str, tasks: str, base: str) -> "UserProject":
    """What is to be registered: what was given, then what is registered, then what the name says.

    Raises:
        UsageError: that is not enough, or cannot work.
    """
    from refinery.core.config import UserProject
    from refinery.core.places import ISSUES, PREFIX, is_github_slug
    from refinery.errors import UsageError

    old = user.projects.get(slug)
    if is_github_slug(slug):
        repo = repo or (old.repository if old is not None else PREFIX + slug)
        tasks = tasks or (old.tasks if old is not None else ISSUES)
    if not repo or not tasks:
        raise UsageError(
            "a project needs --repo and --tasks",
            remedy="`refinery init SLUG --repo PATH_OR_URL --tasks FOLDER`; or `refinery init OWNER/NAME` for one "
            "on GitHub",
        )
    _check(repo, tasks)
    repo, tasks = _absolute(repo), tasks if _are_issues(tasks) else _absolute(tasks)
    if old is not None and old.repository == repo:
        base = base or old.base
    return UserProject(repository=repo, tasks=tasks, base=base)


def _register(
    home: "Home", slug: str, given: tuple[str, str, str], connections: "Connections"
) -> dict[str, Any]:
    """Prove that the project can be worked on, and only then write it into the home."""
    from dataclasses import replace

    from refinery.configured import read_user
    from refinery.wiring import open_project

    home.check_slug(slug)
    user = read_user(home)
    wanted = _wanted(user, slug, *given)
    known = replace(user, projects={**user.projects, slug: wanted})
    with connections.explained():
        project = open_project(home, known, slug, hooks=connections.hooks())
    row = _mirrored(project, connections)
    if _are_issues(wanted.tasks):
        project.tasks.all()  # issues that are switched off, or not shown to us, are better known now
    # The base is written down: a person who checks out another branch must not move where tasks land.
    home.register(slug, repository=wanted.repository, tasks=wanted.tasks, base=project.base)
    return row


def _mirrored(project: "Project", connections: "Connections") -> dict[str, Any]:
    """Fetch the base, and read its configuration."""
    state = project.forge.observe()
    project.forge.sync(state, [project.base])
    config = project.config(state)
    head = project.base_tip(state)
    hints = _missing(project, config)
    hints += [
        f"`refinery -p {project.slug} doctor` says what {each.repository} still lacks, "
        f"`refinery setup {each.repository}` prepares it"
        for each in connections.of(project.slug)
    ]
    return {"project": project.slug, "base": project.base, "head": head, "hints": hints}


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

    from refinery.core.places import PREFIX, github_name
    from refinery.errors import UsageError
    from refinery.source import local_repository
    from refinery.wiring import is_url

    for place in (repo, tasks):
        if place.startswith(PREFIX) and not github_name(place, ""):
            raise UsageError(f"{place} names no repository on GitHub", remedy=f"write {PREFIX}OWNER/NAME")
    if not is_url(repo):
        local_repository(Path(repo).expanduser().resolve())
    if not _are_issues(tasks) and not Path(tasks).expanduser().is_dir():
        raise UsageError(
            f"there is no folder {tasks}", remedy="create it, or name the folder that holds the tasks"
        )


def _are_issues(tasks: str) -> bool:
    from refinery.core.places import ISSUES, PREFIX

    return tasks == ISSUES or tasks.startswith(PREFIX)


def _absolute(place: str) -> str:
    """A path as it is from everywhere; a URL, and what is on GitHub, as it is."""
    from pathlib import Path

    from refinery.wiring import is_url

    return place if is_url(place) else str(Path(place).expanduser().resolve())
