"""Moving things out of a worktree while git looks at it, and back afterwards, even after a crash in between."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from refinery.errors import TamperedError


class Aside:
    """The folder beside a worktree's tree that holds what was moved out; `list` says what belongs where."""

    def __init__(self, folder: Path) -> None:
        self._tree = folder / "tree"
        self._aside = folder / "aside"
        self._list = self._aside / "list"

    def move(self, paths: Iterable[str]) -> None:
        """Move these paths of the tree out; noted first, so that `put_back` finds them after a crash.

        Raises:
            TamperedError: one cannot be moved (another owner, a mount point, an immutable file).
        """
        wanted = list(paths)
        if not wanted:
            return
        self._aside.mkdir(exist_ok=True)
        known = self._known()
        self._list.write_text("".join(json.dumps(path) + "\n" for path in [*known, *wanted]))
        for number, path in enumerate(wanted, len(known)):
            try:
                os.rename(self._tree / path, self._aside / str(number))  # noqa: PTH104  (one visible call)
            except OSError as error:
                raise TamperedError(
                    f"{path!r} in the worktree cannot be moved out of git's way: {error.strerror}",
                    remedy=f"look at {self._tree}; its work was not taken",
                ) from error

    def put_back(self) -> None:
        """Move everything back to where it was, the last first: it may have lain in what was moved later."""
        for number, path in reversed(list(enumerate(self._known()))):
            with suppress(FileNotFoundError):
                os.rename(self._aside / str(number), self._tree / path)  # noqa: PTH104  (one visible call)
        if self._aside.exists():
            self._list.unlink(missing_ok=True)
            self._aside.rmdir()

    def _known(self) -> list[str]:
        if not self._list.exists():
            return []
        return [json.loads(line) for line in self._list.read_text().splitlines()]


@contextmanager
def set_aside(folder: Path) -> Iterator[Aside]:
    """An `Aside` for the worktree in `folder`, emptied again at the end."""
    aside = Aside(folder)
    aside.put_back()
    try:
        yield aside
    finally:
        aside.put_back()
