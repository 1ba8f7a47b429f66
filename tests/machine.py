"""Real repositories, mirrors and worktrees for the tests of the machine."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from refinery.mirror import ORIGIN, Mirror
from refinery.worktree import Worktree, prepare

_ENV = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
}


def git(folder: Path, *args: str) -> str:
    """What a person's own git prints."""
    done = subprocess.run(["git", *args], cwd=folder, env=_ENV, capture_output=True, check=False)
    assert done.returncode == 0, (args, done.stderr.decode())
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def sh(folder: Path, script: str) -> None:
    """A hostile or harmless agent: a shell script in the worktree."""
    subprocess.run(["sh", "-ec", script], cwd=folder, env=_ENV, check=True, capture_output=True, timeout=60)


def as_nobody(action) -> None:
    """Run in a child of an ordinary user; only root is let through by every permission."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            action()
            code = 0
        except BaseException as error:  # noqa: BLE001  (a child must not return into pytest)
            os.write(2, repr(error).encode())
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(repo: Path, files: dict[str, str] | None = None, message: str = "change") -> str:
    """Write files, commit everything, return the SHA."""
    write(repo, files or {})
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "--allow-empty", "-m", message)
    return git(repo, "rev-parse", "HEAD")


FILES = {
    "README.md": "hello\n",
    "src/app.py": "print('one')\n",
    "src/lib/util.py": "x = 1\n",
    ".gitignore": "*.log\nnode_modules/\n.env\n",
}


@dataclass
class Machine:
    """A home, a person's repository, and its mirror."""

    root: Path
    repo: Path
    home: Path
    mirror: Mirror
    count: int = 0

    def sync(self) -> str:
        self.mirror.fetch(str(self.repo))
        found = self.mirror.resolve(ORIGIN + "main")
        assert found is not None
        return found

    def base(self) -> str:
        found = self.mirror.resolve(ORIGIN + "main")
        assert found is not None
        return found

    def worktree(self, **options) -> Worktree:
        self.count += 1
        options = {"base": self.base(), "branch": "polecat/t-1", **options}
        return prepare(self.mirror, self.home / "worktrees" / f"w{self.count}", **options)

    def listing(self, tree: str) -> dict[str, str]:
        """Path → `mode content` of a tree in the mirror."""
        rows = git(self.mirror.path, "ls-tree", "-r", "-z", tree).split("\0")
        found = {}
        for row in filter(None, rows):
            (mode, kind, sha), path = row.split("\t", 1)[0].split(" "), row.split("\t", 1)[1]
            found[path] = (
                f"{mode} {git(self.mirror.path, 'cat-file', 'blob', sha) if kind == 'blob' else sha}"
            )
        return found


def make_machine(root: Path, files: dict[str, str] | None = None) -> Machine:
    repo, home = root / "repo", root / "home"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    commit(repo, FILES if files is None else files, "base")
    mirror = Mirror.create(home / "mirrors" / "demo.git", str(repo))
    machine = Machine(root, repo, home, mirror)
    machine.sync()
    return machine
