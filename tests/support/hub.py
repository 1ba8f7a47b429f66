"""A small project on the fake GitHub: `Scene`, with its code, its pulls and, if wanted, its tasks over there.

Whoever works there is `robot`, who may write; `mona` is the person.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from refinery.testing import FakeGitHub
from support.repos import git
from support.scene import ADD, FILES, Scene

NAME = "acme/widgets"


class HubScene(Scene):
    """Everything of one test on `hub`; `tasks` are "github" (issues) or "files"."""

    def __init__(self, root: Path, hub: FakeGitHub, *, tasks: str = "github", **config: object) -> None:
        self.root, self.hub = root, hub
        root.mkdir(parents=True, exist_ok=True)
        self.script = root / "agent.sh"
        self.settings = {
            "agents": {"stub": {"command": ["sh", str(self.script)]}},
            "policy": {"required": ["ci"]},
            **config,
        }
        hub.create_repository(NAME, files={**FILES, "refinery.yml": yaml.safe_dump(self.settings)})
        hub.user("mona")
        hub.user("robot")
        hub.grant(NAME, "mona", "admin")
        hub.grant(NAME, "robot", "write")
        self.token = hub.token("robot")
        self.repo = self.git_dir = hub.folder(NAME)
        self.url = hub.git(NAME)
        self.tasks = root / "tasks"
        self.tasks.mkdir()
        self.kind = tasks
        self.environment = {"GITHUB_API_URL": hub.api, "GITHUB_TOKEN": self.token}
        os.environ.update(self.environment)
        self.home = self.new_home("home")
        self.agent(ADD)

    def new_home(self, name: str) -> "object":
        """A home that knows the project as `demo`."""
        from refinery.home import Home  # noqa: PLC0415  (as `Scene` does, with another source of tasks)

        home = Home.open(self.root / name)
        tasks = "github" if self.kind == "github" else str(self.tasks)
        home.register("demo", repository=self.url, tasks=tasks)
        return home

    def issue(self, title: str = "A task", body: str = "Do it.", **values: object) -> int:
        """An issue that mona opened and handed over."""
        return self.hub.open_issue(NAME, title, body, by="mona", labels=("polecat",), **values).number

    def labels(self, number: int) -> set[str]:
        """What is on an issue or pull."""
        return set(self.hub.labels(NAME, number))

    def pass_checks(self, *, name: str = "ci", conclusion: str = "success") -> list[int]:
        """CI reports on every open pull's head; returns their numbers."""
        done = []
        for pull in self.hub.pulls(NAME):
            if pull.state == "open":
                self.hub.report_check(NAME, pull.pull.head_sha, name, conclusion, app="ci-app")
                done.append(pull.number)
        return done

    def landed(self) -> list[str]:
        """Subjects of the commits on main, the newest first."""
        return git(self.git_dir, "log", "--first-parent", "--format=%s", "main").splitlines()

    def comments(self, number: int) -> list[str]:
        """What was said on an issue or pull."""
        return [comment.body for comment in self.hub.comments(NAME, number)]


@contextmanager
def fake_hub(root: Path) -> Iterator[FakeGitHub]:
    """A fake; the environment is as before afterwards."""
    before = {name: os.environ.get(name) for name in ("GITHUB_API_URL", "GITHUB_TOKEN")}
    try:
        with FakeGitHub(root / "hub") as hub:
            yield hub
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def hub_scene(root: Path, **options: object) -> Iterator[HubScene]:
    """A scene on a fake of its own."""
    with fake_hub(root) as hub:
        yield HubScene(root, hub, **options)


def number_in(text: str) -> int:
    """The number after a `#`."""
    found = re.search(r"#(\d+)", text)
    assert found, text
    return int(found[1])
