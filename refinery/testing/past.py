"""How the world was before its last change: what a stale read is answered from.

The values are copied; of each repository a bare one is made that borrows the objects and has the refs of then. So
whatever reads the world, by REST, GraphQL or git, can read the past of it just as well.
"""

import copy
import shutil
from itertools import count
from pathlib import Path
from typing import Any, Final

from refinery.git import Git
from refinery.testing.state import Repository
from refinery.testing.world import World

_KEPT: Final = 3


class Past:
    """Remembers one world; `remember` is called before each change, with the world's lock held."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.last: World | None = None
        self._numbers = count()

    def remember(self) -> None:
        """Keep the world as it is now, and forget what was kept before."""
        number = next(self._numbers)
        folder = self.world.folder / "past" / str(number)
        memo: dict[int, Any] = {id(each): each for each in (self.world.lock, self.world.clock)}
        memo[id(self.world.listeners)] = []
        memo[id(self.world.webhooks)] = None
        self.last = copy.deepcopy(self.world, memo)
        for repository in self.last.repositories.values():
            repository.path = _shadow(repository, folder)
        shutil.rmtree(folder.parent / str(number - _KEPT), ignore_errors=True)


def _shadow(repository: Repository, folder: Path) -> Path:
    path = folder / repository.path.name
    (path / "objects" / "info").mkdir(parents=True)
    (path / "objects" / "info" / "alternates").write_text(f"{repository.path / 'objects'}\n")
    (path / "refs").mkdir()
    (path / "HEAD").write_bytes((repository.path / "HEAD").read_bytes())
    (path / "config").write_bytes((repository.path / "config").read_bytes())
    listed = Git(repository.path).run("for-each-ref", "--format=%(objectname) %(refname)")
    (path / "packed-refs").write_bytes(listed)
    return path
