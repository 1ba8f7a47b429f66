"""Git objects as GraphQL sees them: a repository and an object's name, read only when a field needs more."""

import re
from dataclasses import dataclass
from functools import cached_property

from refinery.git import Git
from refinery.testing.repository_git import Made, show
from refinery.testing.state import Repository


@dataclass(frozen=True)
class GitObject:
    """An object of a repository by its full name."""

    repository: Repository
    oid: str

    @property
    def git(self) -> Git:
        """Git on the repository that holds it."""
        return Git(self.repository.path)


@dataclass(frozen=True)
class Commit(GitObject):
    """A commit."""

    @cached_property
    def made(self) -> Made:
        """What it says, read once."""
        made = show(self.repository.path, self.oid)
        if made is None:
            raise LookupError(f"{self.repository.full_name} has no commit {self.oid}")
        return made

    @property
    def tree(self) -> "Tree":
        """Its tree."""
        return Tree(self.repository, self.made.tree)

    @property
    def parents(self) -> tuple["Commit", ...]:
        """Its parents, the first first."""
        return tuple(Commit(self.repository, oid) for oid in self.made.parents)

    def history(self) -> list["Commit"]:
        """This commit and what it builds on, the newest first."""
        return [Commit(self.repository, oid) for oid in self.git.text("rev-list", self.oid).split()]


@dataclass(frozen=True)
class Entry:
    """One line of a tree; `size` is 0 for what is no file."""

    repository: Repository
    mode: int
    kind: str
    oid: str
    size: int
    name: str


@dataclass(frozen=True)
class Tree(GitObject):
    """A tree."""

    @property
    def entries(self) -> list[Entry]:
        """Its own entries, not those below."""
        found = []
        for line in self.git.text("ls-tree", "-z", "--long", self.oid).split("\0"):
            if line:
                head, _, name = line.partition("\t")
                mode, kind, oid, size = head.split()
                count = int(size) if size.isdigit() else 0
                found.append(Entry(self.repository, int(mode, 8), kind, oid, count, name))
        return found


@dataclass(frozen=True)
class Blob(GitObject):
    """A file's content."""

    @cached_property
    def content(self) -> bytes:
        """Its bytes."""
        return self.git.run("cat-file", "blob", self.oid)


@dataclass(frozen=True)
class Ref:
    """A ref by its full name, and what it held when it was asked for."""

    repository: Repository
    full_name: str
    oid: str

    @property
    def prefix(self) -> str:
        """`refs/heads/` or the like, with the slash."""
        return "/".join(self.full_name.split("/")[:2]) + "/"

    @property
    def name(self) -> str:
        """What follows the prefix."""
        return self.full_name.removeprefix(self.prefix)


_KINDS: dict[str, type[GitObject]] = {"commit": Commit, "tree": Tree, "blob": Blob}


def find(repository: Repository, expression: str) -> GitObject | None:
    """The object that `expression` names (`main`, `main:docs/x.md`, a SHA); None when there is none."""
    done = Git(repository.path).attempt("cat-file", "--batch-check", stdin=f"{expression}\n".encode())
    found = re.fullmatch(r"([0-9a-f]{40,64}) (\w+) \d+", done.out.decode("utf-8", "replace").strip())
    if found is None or found[2] not in _KINDS:
        return None
    return _KINDS[found[2]](repository, found[1])
