"""The demo's folder: a bare repository with the package, a task folder, a home, and the agent with its script."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from refinery.core.model import Status, Task
from refinery.core.places import ISSUES, PREFIX
from refinery.demo.hosted import REPOSITORY, furnish
from refinery.demo.shop import FILES
from refinery.demo.story import AGENT, IMPATIENT, Scene
from refinery.errors import RefineryError
from refinery.home import Home
from refinery.project import Project
from refinery.tasks.files import FileTasks
from refinery.wiring import open_projects

if TYPE_CHECKING:
    from refinery.testing import FakeGitHub

SLUG: Final = "demo"
_AUTHOR: Final = ("-c", "user.name=Shop", "-c", "user.email=shop@example.org")
_REFINERY_YML: Final = """\
# Read from the base branch: what an agent writes into its branch changes none of this.
checks:
  tests: {tests}
policy:
  tier: additions
limits:
  workers: {workers}
  attempts: 2
  repairs: 1
  backoff: 500ms
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything of the demo lies; with `hub`, code, pulls and tasks are on that made-up GitHub."""

    folder: Path
    scenes: tuple[Scene, ...]
    hub: "FakeGitHub | None" = None

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.folder / "home"

    @property
    def repository(self) -> Path:
        """The bare repository that holds code and claims."""
        return self.folder / "till.git" if self.hub is None else self.hub.folder(REPOSITORY)

    @property
    def tasks(self) -> Path:
        """The folder of Markdown tasks."""
        return self.folder / "tasks"

    def project(self) -> Project:
        """The demo's project, as every verb opens it."""
        return open_projects(Home.open(self.home, create=False), [SLUG])[0]


def build(stage: Stage, workers: int) -> None:
    """Make everything that the verbs need: the repository with its first commit, tasks, agent and home.

    A swarm on it has so many `workers`, unless it is told otherwise.

    Raises:
        RefineryError: git could not make the repository.
    """
    if stage.hub is None:
        _make_repository(stage, workers)
        _write_tasks(stage)
    else:
        furnish(stage.hub, _files(workers), stage.scenes)
    agent = stage.folder / "agent.py"
    agent.write_bytes(files("refinery.demo").joinpath("agent.py").read_bytes())
    script = stage.folder / "script.json"
    steps = {scene.id: [asdict(step) for step in scene.steps] for scene in stage.scenes}
    script.write_text(json.dumps(steps, indent=1), "utf-8")
    home = Home.open(stage.home)
    command = [sys.executable, "-I", str(agent), str(script)]
    agents = {AGENT: {"command": command}, IMPATIENT: {"command": command, "timeout": "2s"}}
    home.config_file.write_text(
        f"agents: {json.dumps(agents)}\ndefaults: {{agent: {AGENT}}}\nprojects:\n", "utf-8"
    )
    place = (str(stage.repository), str(stage.tasks)) if stage.hub is None else (PREFIX + REPOSITORY, ISSUES)
    home.register(SLUG, repository=place[0], tasks=place[1])


def _write_tasks(stage: Stage) -> None:
    source = FileTasks(stage.tasks)
    stage.tasks.mkdir()
    for scene in stage.scenes:
        source.add(_task(scene))


def _task(scene: Scene) -> Task:
    return Task(
        id=scene.id,
        title=scene.title,
        body=scene.body,
        status=Status.READY,
        priority=scene.priority,
        depends_on=scene.depends_on,
        agent=scene.agent if scene.agent != AGENT else "",
    )


def _make_repository(stage: Stage, workers: int) -> None:
    """A person's checkout, committed and cloned bare, as anybody's project begins."""
    work = stage.folder / "first"
    for name, text in _files(workers).items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    _git("init", "--quiet", "--initial-branch=main", str(work))
    _git("-C", str(work), "add", "--all")
    _git("-C", str(work), *_AUTHOR, "commit", "--quiet", "--message", "A till for a small shop")
    _git("clone", "--quiet", "--bare", str(work), str(stage.repository))


def _files(workers: int) -> dict[str, str]:
    """The package, and its configuration."""
    checks = json.dumps([sys.executable, "-m", "unittest", "discover", "-q", "-s", "tests", "-t", "."])
    return {**FILES, "refinery.yml": _REFINERY_YML.format(tests=checks, workers=workers)}


def _git(*args: str) -> None:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False, env=env)
    if done.returncode != 0:
        raise RefineryError(
            f"git could not make the demo's repository: {done.stderr.strip()}",
            remedy="`refinery doctor` checks git and the disk",
        )
