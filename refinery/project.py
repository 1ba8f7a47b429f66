"""What a service works on: one registered project, with its tasks, forge, mirror and configuration bound together."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from refinery.core.config import ProjectConfig
from refinery.core.model import ForgeState, TaskList
from refinery.core.sanitise import Redactor
from refinery.errors import UsageError
from refinery.home import Home
from refinery.mirror import Mirror
from refinery.ports import Agent, Forge, Tasks
from refinery.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as a service sees it.

    `configured` reads the configuration at a base commit that the mirror has, with the person's own settings on top.
    `secrets` are the values that this process must never show. `protected` are further paths that wait for a
    person. `checkout` is somebody's working tree of the repository, where there is one on this machine.
    """

    slug: str
    base: str
    tasks: Tasks
    forge: Forge
    mirror: Mirror
    home: Home
    configured: Callable[[str], ProjectConfig]
    agent: Callable[[str, ProjectConfig], Agent]
    default_agent: Callable[[ProjectConfig], str]
    secrets: tuple[str, ...]
    predictions: Predictions
    protected: tuple[str, ...] = ()
    checkout: Path | None = None

    @property
    def folder(self) -> str:
        """The project's name in paths of the home."""
        return folder_of(self.slug)

    def redactor(self) -> Redactor:
        """A fresh redactor, for one stream or text."""
        return Redactor(self.secrets)

    def base_tip(self, state: ForgeState) -> str:
        """The base's commit.

        Raises:
            UsageError: the forge has no such branch, or it has no commit yet.
        """
        tip = state.heads.get(self.base)
        if tip is None:
            raise UsageError(
                f"{self.slug} has no branch {self.base}",
                remedy=f"make a first commit on it, or name another: `refinery init {self.slug} … --base BRANCH`",
            )
        return tip

    def config(self, state: ForgeState) -> ProjectConfig:
        """The configuration at the base's present commit, fetched if need be."""
        tip = self.base_tip(state)
        self.forge.sync(state, [self.base])
        return self.configured(tip)


def folder_of(slug: str) -> str:
    """A project's name in paths: no other slug's, on systems that fold case too."""
    return slug.lower().replace("/", "+")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at a project at `now` (seconds since the epoch); `tasks` are all of the source, others' included."""

    state: ForgeState
    tasks: TaskList
    config: ProjectConfig
    now: float


def view(project: Project) -> View:
    """Observe once.

    Raises:
        ForgeUnavailableError: the forge did not answer, which is not "no work" (F6).
        ConfigError: the configuration on the base does not hold.
    """
    state = project.forge.observe()
    config = project.config(state)
    return View(state=state, tasks=project.tasks.all(), config=config, now=project.forge.now())
