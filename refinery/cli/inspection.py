"""A look at a registered project as it is now: its base branch, and the configuration there."""

from collections.abc import Mapping
from dataclasses import dataclass

from refinery.cli.shared import Connections
from refinery.core.config import PROJECT_FILES, ProjectConfig, UserConfig
from refinery.core.workflows import FOLDER
from refinery.home import Home
from refinery.mirror import Mirror
from refinery.trees import tree_names
from refinery.wiring import open_project


@dataclass(frozen=True, slots=True)
class Inspection:
    """Which file configures a project (empty: none, so the defaults hold), and what it says, on branch `base`.

    The person's own agents are already in `config`; `agent` is the one for tasks that name none. `workflows` are the
    files there that GitHub Actions would run, by path.
    """

    base: str
    source: str
    config: ProjectConfig
    agent: str
    workflows: Mapping[str, bytes]

    def to_json(self) -> dict[str, object]:
        """What `config show --json` prints of a project."""
        return {"base": self.base, "source": self.source, "config": self.config, "agent": self.agent}


def inspect(home: Home, user: UserConfig, slug: str, connections: Connections) -> Inspection:
    """Fetch a project's base and read its configuration, in the way that every verb does.

    Raises:
        UsageError: there is no such repository or branch.
        ConfigError: every mistake in the file.
        ForgeUnavailableError: the server did not answer.
    """
    project = open_project(home, user, slug, hooks=connections.hooks())
    state = project.forge.observe()
    config, tip = project.config(state), project.base_tip(state)
    found = project.mirror.read_files(tip, PROJECT_FILES)
    source = next((name for name in PROJECT_FILES if found[name] is not None), "")
    agent = project.default_agent(config)
    return Inspection(project.base, source, config, agent, _workflows(project.mirror, tip))


def _workflows(mirror: Mirror, tip: str) -> dict[str, bytes]:
    folder = f"{tip}:{FOLDER}"
    kind, body = mirror.read_blobs([folder])[folder]
    names = tree_names(body, len(tip) // 2) if kind == "tree" else []
    paths = [f"{FOLDER}/{name}" for name in sorted(names) if name.endswith((".yml", ".yaml"))]
    found = mirror.read_files(tip, paths) if paths else {}
    return {path: text for path, text in found.items() if text is not None}
