"""The composition root: from a person's settings to projects with their tasks, forge, mirror and agents."""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

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
from refinery.core.places import ISSUES, PREFIX, github_name, is_github_slug, may_be_github
from refinery.core.text import did_you_mean
from refinery.errors import ForgeUnavailableError, UsageError
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.by_url import UrlRefs
from refinery.forges.git.forge import GitForge
from refinery.home import Home
from refinery.mirror import Mirror
from refinery.ports import Agent, Forge, Tasks
from refinery.predictions import Predictions
from refinery.project import Project, folder_of
from refinery.source import LocalRepository, local_repository
from refinery.tasks.files import FileTasks

if TYPE_CHECKING:
    from refinery.connect import Connection

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://|[^/]+@[^/]+:|[^/]+:(?!\\)", re.IGNORECASE)
_SHORTEST_SECRET: Final = 8
_SECRET_NAMES: Final = re.compile(r"TOKEN|SECRET|PASSWORD|API_KEY|_KEY$", re.IGNORECASE)


def is_url(repository: str) -> bool:
    """Whether git would take this for a URL, `host:path` included, rather than for a path here."""
    return not Path(repository).exists() and _URL.match(repository) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What a process does when GitHub keeps it waiting until an instant, and with a line about each request.

    `opened` is told of each connection to GitHub, by the project's slug.
    """

    on_pause: Callable[[float, str], None] = lambda _until, _why: None
    trace: Callable[[str], None] | None = None
    opened: Callable[[str, "Connection"], None] = lambda _slug, _connection: None


def open_projects(
    home: Home, slugs: Iterable[str], *, afresh: bool = False, hooks: Hooks = Hooks()
) -> list[Project]:
    """The named projects, or all registered ones. `OWNER/NAME` is a repository on GitHub without being registered.

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
        if slug not in user.projects and not is_github_slug(slug):
            raise UsageError(
                f"there is no project {slug}",
                remedy=did_you_mean(slug, user.projects) or "`refinery init` registers one",
            )
    return [open_project(home, user, slug, afresh=afresh, hooks=hooks) for slug in wanted]


def open_project(
    home: Home, user: UserConfig, slug: str, *, afresh: bool = False, hooks: Hooks = Hooks()
) -> Project:
    """One project. Its repository and mirror are looked at; nothing is fetched yet."""
    opening = _Opening(home, user, slug, hooks)
    mirror, base = opening.mirror, opening.base
    configured = _Configured(home, user, mirror, slug, afresh=afresh)
    forge = opening.forge(configured)
    tasks = opening.tasks(forge, configured)
    return Project(
        slug=slug,
        base=base,
        tasks=tasks,
        forge=forge,
        mirror=mirror,
        home=home,
        configured=configured,
        agent=_agent,
        default_agent=lambda config: default_agent(config, user),
        secrets=(*_secrets(), *opening.secrets),
        predictions=Predictions(mirror),
        protected=opening.protected,
        checkout=opening.local.work_tree if opening.local is not None else None,
    )


class _Opening:
    """The parts of one project, from what is registered of it."""

    def __init__(self, home: Home, user: UserConfig, slug: str, hooks: Hooks) -> None:
        self.home, self.user, self.slug, self.hooks = home, user, slug, hooks
        self.registered = user.projects.get(slug) or UserProject(repository=PREFIX + slug, tasks=ISSUES)
        self.code = self._connection(self.registered.repository)
        remote = self.code is not None or is_url(self.registered.repository)
        self.local = None if remote else _local(slug, self.registered.repository)
        self.source = self.code.url if self.code is not None else _source(self.registered, self.local)
        self.mirror = Mirror.create(
            home.mirrors / f"{folder_of(slug)}.git",
            self.registered.repository,
            is_url=remote,
            credentials=self.code.git_credentials if self.code is not None else None,
        )
        self.base = self.registered.base or self.mirror.default_branch(self.source, is_url=remote)
        self.issues = self._issues()

    def _connection(self, place: str) -> "Connection | None":
        """The connection to a repository on GitHub; None where it is elsewhere."""
        if not may_be_github(place):
            return None
        name = github_name(place, _github_host(self.user))
        if not name:
            return None
        from refinery.connect import connect  # noqa: PLC0415  (projects elsewhere must not pay its import)

        made = connect(self.user, name, self.home, self.hooks.on_pause, self.hooks.trace)
        self.hooks.opened(self.slug, made)
        return made

    def _issues(self) -> "Connection | None":
        """The connection to the repository whose issues are the tasks; None where files are."""
        place = self.registered.tasks
        if place != ISSUES:
            return self._connection(place) if place.startswith(PREFIX) else None
        if self.code is None:
            raise UsageError(
                f"the tasks of {self.slug} are to be its repository's issues, and that is not on GitHub",
                remedy=f"name whose issues: `--tasks {PREFIX}OWNER/NAME`, or a folder",
            )
        return self.code

    def forge(self, configured: "_Configured") -> Forge:
        if self.code is not None:
            from refinery.connect import make_forge  # noqa: PLC0415  (as above)

            has_issues = self.issues is not None and self.issues.repository == self.code.repository
            label = lambda base: configured(base).label  # noqa: E731  (a function of one place)
            return make_forge(self.code, self.mirror, self.base, label, has_issue_tasks=has_issues)
        if self.local is None:
            url = self.registered.repository
            return GitForge(UrlRefs(url, self.mirror), self.mirror, url, is_url=True)
        refs = PathRefs(self.local.common_dir.resolve(), self.mirror)
        return GitForge(refs, self.mirror, self.source, is_url=False)

    def tasks(self, forge: Forge, configured: "_Configured") -> Tasks:
        if self.issues is None:
            return FileTasks(self.folder, self.home.cache / f"tasks-{folder_of(self.slug)}")
        from refinery.connect import make_tasks  # noqa: PLC0415  (as above)

        return make_tasks(self.issues, lambda: configured.latest or configured.of(forge, self.base))

    @property
    def folder(self) -> Path:
        """Where task files are."""
        return Path(self.registered.tasks).expanduser().resolve()

    @property
    def protected(self) -> tuple[str, ...]:
        """The task folder as a protected path, where it lies inside the repository's checkout."""
        return () if self.issues is not None else _task_folder(self.local, self.folder)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the connections must never show."""
        return tuple(
            secret
            for each in (self.code, self.issues)
            if each is not None
            for secret in each.credentials.secrets
        )


def _github_host(user: UserConfig) -> str:
    """The host, with its port, of the GitHub that this person uses."""
    from refinery.forges.github.address import web_url  # noqa: PLC0415  (as above)
    from refinery.forges.github.auth import find_api_url  # noqa: PLC0415  (as above)

    return urlsplit(web_url(find_api_url(os.environ, user.github.api))).netloc


def _local(slug: str, repository: str) -> LocalRepository:
    """A registered repository: one that is gone has not answered, which is neither a mistyped path nor no work (F6)."""
    try:
        return local_repository(Path(repository).expanduser().resolve(), ForgeUnavailableError)
    except ForgeUnavailableError as error:
        raise ForgeUnavailableError(
            f"the repository of {slug} is not there: {error.message}",
            remedy=f"mount or restore it; if it has moved: `refinery init {slug} --repo … --tasks …`",
        ) from error


def _source(registered: UserProject, local: LocalRepository | None) -> str:
    return registered.repository if local is None else str(local.path)


class _Configured:
    """Reads the project's file at a base commit, once per commit; from the base alone, never from a head.

    `latest` is what was read last, for what is not told of a commit.
    """

    def __init__(self, home: Home, user: UserConfig, mirror: Mirror, slug: str, *, afresh: bool) -> None:
        self._home, self._user, self._mirror, self._slug, self._afresh = home, user, mirror, slug, afresh
        self._known: dict[str, ProjectConfig] = {}
        self.latest: ProjectConfig | None = None

    def __call__(self, base: str) -> ProjectConfig:
        """The configuration at commit `base`."""
        if base not in self._known:
            self._known[base] = self._read(base)
        self.latest = self._known[base]
        return self.latest

    def of(self, forge: Forge, branch: str) -> ProjectConfig:
        """The configuration at the branch's present commit."""
        state = forge.observe()
        forge.sync(state, [branch])
        return self(state.heads[branch])

    def _read(self, base: str) -> ProjectConfig:
        found = self._mirror.read_files(base, PROJECT_FILES)
        name = next((name for name in PROJECT_FILES if found[name] is not None), PROJECT_FILES[0])
        source = f"{name} (of {self._slug}, on its base at {base[:12]})"
        text = found[name] or b""
        config = _parsed(text, source) if self._afresh else read_project(self._home, text, source)
        return replace(config, agents=merge_agents(config, self._user))


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
