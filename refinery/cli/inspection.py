"""A look at a registered project as it is now: its base branch, and the configuration there."""

from dataclasses import dataclass

from refinery.core.config import PROJECT_FILES, ProjectConfig, UserConfig
from refinery.home import Home
from refinery.wiring import open_project


@dataclass(frozen=True, slots=True)
class Inspection:
    """Which file configures a project (empty: none, so the defaults hold), and what it says, on branch `base`.

    The person's own agents are already in `config`; `agent` is the one for tasks that name none.
    """

    base: str
    source: str
    config: ProjectConfig
    agent: str


def inspect(home: Home, user: UserConfig, slug: str) -> Inspection:
    """Fetch a project's base and read its configuration, in the way that every verb does.

    Raises:
        UsageError: there is no such repository or branch.
        ConfigError: every mistake in the file.
        ForgeUnavailableError: the server did not answer.
    """
    project = open_project(home, user, slug)
    state = project.forge.observe()
    config = project.config(state)
    found = project.mirror.read_files(project.base_tip(state), PROJECT_FILES)
    source = next((name for name in PROJECT_FILES if found[name] is not None), "")
    return Inspection(project.base, source, config, project.default_agent(config))
