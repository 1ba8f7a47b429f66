"""`refinery config`: show, check and describe the configuration files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from refinery.cli.common import Settings, common_options, group_options, json_option
from refinery.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from refinery.core.config import ProjectConfig, UserConfig


@click.group()
@group_options
def command() -> None:
    """Show, check and describe the configuration."""


@command.command()
@json_option
@common_options
def show(settings: Settings) -> None:
    """Print the configuration that counts, defaults included: the home's, then each project's.

    A project's file is read from its base branch, and the home's agents are added to it, as every verb does.
    """
    from refinery.cli import output
    from refinery.cli.inspection import inspect
    from refinery.cli.shared import Connections
    from refinery.configured import read_user
    from refinery.core.config_model import render

    home, connections = settings.home_of_projects(), Connections(settings)
    user = read_user(home)
    picked = settings.pick(user.projects)
    files = {slug: inspect(home, user, slug, connections) for slug in picked}
    if settings.json:
        output.print_json({"home": home.path, "user": user, "projects": files})
        return
    click.echo(f"# {home.config_file}\n{render(user)}", nl=False)
    for slug, found in files.items():
        where = found.source or "no file, so the defaults hold"
        click.echo(f"\n# {slug}, on {found.base}: {where}\n{render(found.config)}", nl=False)


@command.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--user", "is_user", is_flag=True, help="Take FILE for a home's config.yml, whatever its name.")
@json_option
@common_options(git=False)
def validate(settings: Settings, files: tuple[Path, ...], is_user: bool) -> None:
    """Check configuration files, and list every mistake with its line.

    Without FILE: the project's file in this folder, and the home's config.yml. Needs no home.
    """
    from refinery.cli import output

    wanted = files or _found_here(settings)
    if not wanted:
        raise UsageError(
            "there is no configuration file here, and none in the home",
            remedy="name a file; or write refinery.yml, with `refinery config schema` as its description",
        )
    mistakes = [
        text for path in wanted if (text := _mistakes(path, is_user=is_user or path.name == "config.yml"))
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes), remedy="mend these lines and check again")
    if settings.json:
        output.print_json({"valid": True, "files": wanted})
        return
    for path in wanted:
        click.echo(f"{path}: valid")


@command.command()
@click.option(
    "--user", "is_user", is_flag=True, help="Of a home's config.yml instead of a project's refinery.yml."
)
@json_option
@common_options(git=False)
def schema(_settings: Settings, is_user: bool) -> None:
    """Print the JSON Schema of the configuration file, for editors and checkers."""
    from refinery.cli import output
    from refinery.core.config import ProjectConfig, UserConfig
    from refinery.core.config_model import json_schema

    output.print_json(json_schema(UserConfig if is_user else ProjectConfig))


def _found_here(settings: Settings) -> tuple[Path, ...]:
    from refinery.core.config import PROJECT_FILES
    from refinery.home import default_path

    home = settings.home or default_path()
    project = next((path for name in PROJECT_FILES if (path := Path(name)).is_file()), None)
    return tuple(path for path in (project, home / "config.yml") if path is not None and path.is_file())


def _mistakes(path: Path, *, is_user: bool) -> str:
    """What is wrong with a file, a line for each mistake; empty if nothing is."""
    from refinery.core.config_model import parse_project, parse_user
    from refinery.home import explained

    with explained(path):
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {path}", remedy="check its path") from error
    try:
        _: ProjectConfig | UserConfig = (
            parse_user(text, str(path)) if is_user else parse_project(text, str(path))
        )
    except ConfigError as error:
        return error.message
    return ""
