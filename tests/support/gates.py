"""Gates that hold a process at one place, once, until the test lets it go: the test knows when somebody is there."""

import os
import shutil
from pathlib import Path


class Gate:
    """Held in shell scripts by `wait_here`; the first who comes waits, everybody after that walks through."""

    def __init__(self, root: Path) -> None:
        self.root = root
        os.mkfifo(root / "gate")
        self._door = os.open(
            root / "gate", os.O_RDWR
        )  # so that neither side ever waits for the other to open it

    @property
    def wait_here(self) -> str:
        """A shell command; true whoever comes."""
        once = f"mkdir '{self.root}/once' 2> /dev/null"
        return f"if {once}; then : > '{self.root}/held'; read -r word < '{self.root}/gate'; fi"

    @property
    def is_held(self) -> bool:
        """Whether somebody stands there, or has."""
        return (self.root / "held").exists()

    def open(self, word: str = "") -> None:
        """Let the one who waits go on, with a word for it: `refuse` makes a push fail."""
        os.write(self._door, f"{word}\n".encode())

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._door)

    def in_pushes(self, repo: Path, condition: str) -> None:
        """Hold the first push for which the shell condition holds: `$refs` has its lines (git-receive-pack's hook)."""
        hook = repo / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(
            f'#!/bin/sh\nrefs=$(cat)\nif {condition}; then {self.wait_here}; fi\n[ "$word" != refuse ]\n'
        )
        hook.chmod(0o755)

    def in_git(self, words: str, caller: str) -> dict[str, str]:
        """Hold the first git with `words` among its arguments, started by a program with `caller` on its command line.

        Returns the environment that makes it so.
        """
        place = self.root / "bin"
        place.mkdir()
        parent = "$(tr '\\0' ' ' < /proc/$PPID/cmdline)"
        program = place / "git"
        program.write_text(
            f'#!/bin/sh\ncase "$*//{parent}" in *"{words}"*//*"{caller}"*) {self.wait_here};; esac\n'
            f'exec {shutil.which("git")} "$@"\n'
        )
        program.chmod(0o755)
        return {"PATH": f"{place}:{os.environ['PATH']}"}
