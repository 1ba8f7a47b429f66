"""What every verb accepts, before and after its name, and the settings that come of it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from refinery.core.config import UserProject
    from refinery.home import Home

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(slots=True)
class Settings:
    """The common options. `home` and `color` are None where nobody said anything; no projects means all."""

    home: "Path | None" = None
    projects: tuple[str, ...] = ()
    verbose: int = 0
    color: bool | None = None
    json: bool = False
    trace_api: bool = False

    def open_home(self, *, create: bool = True) -> "Home":
        """The home folder; UsageError when it cannot be used, or is not there and `create` is False."""
        from refinery.home import Home

        return Home.open(self.home, create=create)

    def pick(self, registered: "Mapping[str, UserProject]") -> "dict[str, UserProject]":
        """The projects that were asked for, repositories on GitHub among them; all registered where none was named.

        Raises:
            UsageError: a name that is not registered.
        """
        from refinery.core.config import UserProject
        from refinery.core.places import ISSUES, PREFIX, is_github_slug
        from refinery.core.text import did_you_mean
        from refinery.errors import UsageError

        known = {
            slug: UserProject(repository=PREFIX + slug, tasks=ISSUES)
            for slug in self.projects
            if is_github_slug(slug)
        }
        known |= registered
        for slug in self.projects:
            if slug not in known:
                raise UsageError(
                    f"no project is registered as {slug}",
                    remedy=did_you_mean(slug, registered)
                    or f"register it: `refinery init {slug} --repo PATH_OR_URL --tasks FOLDER`",
                )
        return {slug: known[slug] for slug in self.projects or registered}

    @property
    def needs_no_home(self) -> bool:
        """Whether only repositories on GitHub were named, which need not be registered: a home can be made for them."""
        from refinery.core.places import is_github_slug

        return bool(self.projects) and all(map(is_github_slug, self.projects))

    def home_of_projects(self) -> "Home":
        """The home that the projects are in; made, where no project has to be registered. Errors as `open_home`."""
        return self.open_home(create=self.needs_no_home)


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep what was given; an option that is repeated after the verb replaces what stood before it."""
    settings = ctx.ensure_object(Settings)
    name = str(param.name)
    if name == "home" and value is not None:
        from pathlib import Path

        settings.home = Path(value)
    elif name == "no_color" and value:
        settings.color = False
        ctx.color = False
    elif name in ("projects", "verbose", "json", "trace_api") and value:
        setattr(settings, name, value)


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from refinery import __version__

        click.echo(f"refinery {__version__}")
        ctx.exit()


def _complete_project(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from refinery.configured import read_user
    from refinery.errors import RefineryError

    try:
        home = ctx.ensure_object(Settings).open_home(create=False)
        return [slug for slug in read_user(home).projects if slug.startswith(incomplete)]
    except RefineryError:
        return []


@overload
def common_options(function: Callable[..., Any]) -> Callable[..., Any]: ...
@overload
def common_options(*, git: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...
def common_options(function: Callable[..., Any] | None = None, *, git: bool = True) -> Callable[..., Any]:
    """Give a verb the common options, and `Settings` as its first argument.

    With `git` (the default) the environment is scrubbed of `GIT_*` and git's version is checked before it starts;
    `@common_options(git=False)` is for verbs that start no git.
    """
    if function is None:
        return functools.partial(_with_settings, git=git)
    return _with_settings(function, git=git)


def _with_settings(function: Callable[..., Any], *, git: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def verb(*args: Any, **values: Any) -> Any:
        if git:
            from refinery.git import check_version, scrub_environment

            scrub_environment()
            check_version()
        return function(click.get_current_context().ensure_object(Settings), *args, **values)

    return _with_options(verb)


def root_options(function: _F) -> _F:
    """The common options before the verb. Only here the environment counts, so that every flag beats it."""
    return _with_options(function, project_variable="REFINERY_PROJECT")


def group_options(function: _F) -> _F:
    """The common options for a verb that has verbs below it, so that they may stand between the two."""
    return _with_options(function)


def json_option(function: _F) -> _F:
    """`--json` for a verb that reports; the verb reads `settings.json`."""
    words = "Print one JSON value on standard output."
    return click.option("--json", is_flag=True, expose_value=False, callback=_store, help=words)(function)


def _with_options(function: _F, project_variable: str | None = None) -> _F:
    store = functools.partial(click.option, expose_value=False, callback=_store)
    for option in (
        click.option(
            "--version",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version and exit.",
        ),
        store("--no-color", is_flag=True, help="Print without colour, as NO_COLOR does."),
        store(
            "--trace-api", is_flag=True, help="Show every request to GitHub on standard error, and a count."
        ),
        store("-v", "--verbose", count=True, help="Say more; show the traceback of an unexpected error."),
        store(
            *("-p", "--project", "projects"),
            multiple=True,
            metavar="SLUG",
            envvar=project_variable,
            shell_complete=_complete_project,
            help="A project, or OWNER/NAME on GitHub; may be repeated. Else REFINERY_PROJECT, or all.",
        ),
        store(
            "--home",
            type=click.Path(file_okay=False),
            metavar="FOLDER",
            help="The home folder. Else REFINERY_HOME, or the user's data folder.",
        ),
    ):
        function = option(function)
    return function
