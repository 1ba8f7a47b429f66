"""The composition root: from a person's settings to projects with their tasks, forge, mirror and agents."""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from refinery import agents
from refinery.configured import read_project, read_user
from refinery.core.config import (
    BUILT_IN_AGENTS,
    PROJECT_FILES,
    AgentConfig,
    ProjectConfig,
    UserConfig,
    UserProject,
    merge_agents,
)
from refinery.core.text import did_you_mean
from refinery.errors import ForgeUnavailableError, UsageError
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.by_url import UrlRefs
from refinery.forges.git.forge import GitForge
from refinery.forges.git.refs import Refs
from refinery.home import Home
from refinery.mirror import Mirror
from refinery.ports import Agent
from refinery.predictions import Predictions
from refinery.project import Project
from refinery.source import LocalRepository, local_repository
from refinery.tasks.files import FileTasks

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://|[^/]+@[^/]+:|[^/]+:(?!\\)", re.IGNORECASE)
_SHORTEST_SECRET: Final = 8
_SECRET_NAMES: Final = re.compile(r"TOKEN|SECRET|PASSWORD|API_KEY|_KEY$", re.IGNORECASE)


def is_url(repository: str) -> bool:
    """Whether git would take this for a URL, `host:path` included, rather than for a path here."""
    return not Path(repository).exists() and _URL.match(repository) is not None


def open_projects(home: Home, slugs: Iterable[str], *, afresh: bool = False) -> list[Project]:
    """The named projects, or all registered ones.

    `afresh`: project configurations are parsed from the base's own bytes, not taken from the home's cache, which an
    agent without a box could have written: for whatever decides a landing.

    Raises:
        UsageError: an unknown slug, or nothing is registered.
    """
    user = read_user(home)
    wanted = list(dict.fromkeys(slugs)) or sorted(user.projects)
    if not wanted:
        raise UsageError(
            "no project is registered in this home",
            remedy="`refinery init SLUG --repo PATH_OR_URL --tasks FOLDER` registers one",
        )
    for slug in wanted:
        if slug not in user.projects:
            raise UsageError(
                f"there is no project {slug}",
                remedy=did_you_mean(slug, user.projects) or "`refinery init` registers one",
            )
    return [open_project(home, user, slug, afresh=afresh) for slug in wanted]


def open_project(home: Home, user: UserConfig, slug: str, *, afresh: bool = False) -> Project:
    """One registered project. Its repository and mirror are looked at; nothing is fetched yet."""
    registered = user.projects[slug]
    remote = is_url(registered.repository)
    local = None if remote else _local(slug, registered.repository)
    mirror = Mirror.create(home.mirrors / f"{slug}.git", registered.repository, is_url=remote)
    refs, source = _refs(registered, local, mirror)
    tasks = Path(registered.tasks).expanduser().resolve()
    return Project(
        slug=slug,
        base=registered.base or mirror.default_branch(source, is_url=remote),
        tasks=FileTasks(tasks, home.cache / f"tasks-{slug}"),
        forge=GitForge(refs, mirror, source, is_url=remote),
        mirror=mirror,
        home=home,
        configured=_configuration(home, user, mirror, slug, afresh=afresh),
        agent=_agent,
        default_agent=lambda config: default_agent(config, user),
        secrets=_secrets(),
        predictions=Predictions(mirror),
        protected=_task_folder(local, tasks),
        checkout=local.work_tree if local is not None else None,
    )


def _local(slug: str, repository: str) -> LocalRepository:
    """A registered repository: one that is gone has not answered, which is neither a mistyped path nor no work (F6)."""
    try:
        return local_repository(Path(repository).expanduser().resolve(), ForgeUnavailableError)
    except ForgeUnavailableError as error:
        raise ForgeUnavailableError(
            f"the repository of {slug} is not there: {error.message}",
            remedy=f"mount or restore it; if it has moved: `refinery init {slug} --repo … --tasks …`",
        ) from error


def _refs(registered: UserProject, local: LocalRepository | None, mirror: Mirror) -> tuple[Refs, str]:
    if local is None:
        return UrlRefs(registered.repository, mirror), registered.repository
    return PathRefs(local.common_dir.resolve(), mirror), str(local.path)


def _configuration(
    home: Home, user: UserConfig, mirror: Mirror, slug: str, *, afresh: bool
) -> Callable[[str], ProjectConfig]:
    """Reads the project's file at a base commit, once per commit; from the base alone, never from a head."""

    @cache
    def read(base: str) -> ProjectConfig:
        found = mirror.read_files(base, PROJECT_FILES)
        name = next((name for name in PROJECT_FILES if found[name] is not None), PROJECT_FILES[0])
        source = f"{name} (of {slug}, on its base at {base[:12]})"
        config = (
            _parsed(found[name] or b"", source) if afresh else read_project(home, found[name] or b"", source)
        )
        return replace(config, agents=merge_agents(config, user))

    return read


def _parsed(text: bytes, source: str) -> ProjectConfig:
    from refinery.core.config_model import parse_project  # noqa: PLC0415  (its import costs what only merging pays)

    return parse_project(text, source)


def default_agent(config: ProjectConfig, user: UserConfig) -> str:
    """The agent of a task that names none: the project's, the person's, the only one defined, else claude."""
    if config.agent or user.defaults.agent:
        return config.agent or user.defaults.agent
    return next(iter(config.agents)) if len(config.agents) == 1 else "claude"


def _agent(name: str, config: ProjectConfig) -> Agent:
    budget = config.budgets.per_attempt_usd
    known = {name: AgentConfig(), **config.agents} if name in BUILT_IN_AGENTS else config.agents
    return agents.find(name, {each: settings.settings(budget) for each, settings in known.items()})


def _task_folder(local: LocalRepository | None, tasks: Path) -> tuple[str, ...]:
    """The task folder as a protected path, where it lies inside the repository's checkout."""
    if local is None or local.work_tree is None or not tasks.is_relative_to(local.work_tree.resolve()):
        return ()
    inside = tasks.relative_to(local.work_tree.resolve()).as_posix()
    return (f"/{inside}/**",) if inside != "." else ()


def _secrets() -> tuple[str, ...]:
    named = [value for name, value in os.environ.items() if _SECRET_NAMES.search(name)]
    return tuple(value for value in named if len(value) >= _SHORTEST_SECRET)
