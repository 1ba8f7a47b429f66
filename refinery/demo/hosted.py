"""The demo's GitHub: a made-up one on this machine, with the package as a repository and the tasks as its issues."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from refinery.demo.story import AGENT, SCENES, Scene
from refinery.errors import UsageError

if TYPE_CHECKING:
    from refinery.testing import FakeGitHub

REPOSITORY: Final = "shop/till"
_NOBODYS: Final = "404"  # an issue that there is not
_OWNER: Final = "maria"
_ROBOT: Final = "robot"
_VARIABLES: Final = ("GITHUB_API_URL", "GITHUB_TOKEN", "GH_TOKEN")


@contextmanager
def hosted(folder: Path) -> Iterator["FakeGitHub"]:
    """A made-up GitHub for as long as the block lasts; this process and its children take it for the real one.

    Raises:
        UsageError: what it needs is not installed.
    """
    try:
        from refinery.testing import FakeGitHub  # noqa: PLC0415  (an extra, and slow to import)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the made-up GitHub needs {error.name}, which is not installed",
            remedy="install it: `pip install 'polecat-refinery[testing]'`",
        ) from error
    before = {name: os.environ.pop(name, None) for name in _VARIABLES}
    try:
        with FakeGitHub(folder) as hub:
            os.environ |= {"GITHUB_API_URL": hub.api, "GITHUB_TOKEN": hub.token(_ROBOT)}
            yield hub
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def cast() -> tuple[Scene, ...]:
    """The story with issue numbers for names: issues are opened in its order."""
    numbers = {scene.id: str(number) for number, scene in enumerate(SCENES, 1)}
    return tuple(
        replace(
            scene,
            id=numbers[scene.id],
            depends_on=tuple(numbers.get(name, _NOBODYS) for name in scene.depends_on),
        )
        for scene in SCENES
    )


def furnish(hub: "FakeGitHub", files: dict[str, str], scenes: tuple[Scene, ...]) -> None:
    """The repository with its first commit, its people, and an issue for each scene, handed over by the owner."""
    hub.create_repository(REPOSITORY, files=files)
    hub.grant(REPOSITORY, hub.user(_OWNER), "admin")
    hub.grant(REPOSITORY, hub.user(_ROBOT), "write")
    for scene in scenes:
        waits = "".join(f"\n\nDepends on #{name}" for name in scene.depends_on)
        labels = [
            f"P{scene.priority}",
            *([f"agent:{scene.agent}"] if scene.agent != AGENT else []),
            "polecat",
        ]
        hub.open_issue(REPOSITORY, scene.title, scene.body + waits, by=_OWNER, labels=labels)
