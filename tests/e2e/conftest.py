"""What the end-to-end tests share: one small project for each test."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A bare repository by path, its tasks and a home."""
    return Scene(tmp_path / "scene")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Scene]:
    """A scene of another kind, or with another configuration."""
    return lambda **options: Scene(tmp_path / "scene", **options)
