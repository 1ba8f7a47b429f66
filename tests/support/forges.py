"""One repository on each kind of forge: the forge under test, its mirror, and what people do there beside it."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from refinery.core.lease import Lease
from refinery.core.model import Claim, Role
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.by_url import UrlRefs
from refinery.forges.git.forge import GitForge
from refinery.git import Signature
from refinery.mirror import Mirror
from refinery.ports import BranchPush, LandingItem, LandingPlan, PullDraft
from support.repos import bare, checkout, git
from support.server import allow_push, serve

NOW = float(int(time.time()))
FILES = {"README.md": "hello\n", "src/a.py": "a = 1\n"}
KINDS = ("bare", "checkout", "file", "http", "github")
TASK = "refs/refinery/claims/t"
LANDING = "refs/refinery/landing/main"


def claim(role: Role = Role.WORK, **changes: object) -> Claim:
    """A held claim of task `t`."""
    made = Claim(
        task="t",
        attempt=1,
        holder="x",
        role=role,
        nonce=os.urandom(8).hex(),
        acquired_at=NOW,
        expires_at=NOW + 900,
    )
    return replace(made, **changes)


class Place:
    """A git repository, its forge and mirror, and plain git to look at it. `repo` is what a person would open."""

    def __init__(self, repo: Path, git_dir: Path, forge: GitForge, mirror: Mirror) -> None:
        self.repo, self.git_dir, self.forge, self.mirror = repo, git_dir, forge, mirror
        self.reviewer = forge

    def acquire(self, ref: str = TASK, role: Role = Role.WORK) -> Lease:
        """A fresh claim, created."""
        made = claim(role)
        return Lease(ref, self.forge.write_claim(ref, made, None), made)

    def main(self) -> str:
        """The base's commit."""
        return git(self.git_dir, "rev-parse", "main")

    def work(self, files: Mapping[str, str], parent: str | None = None) -> str:
        """A commit in the mirror that adds `files` to the base, as an attempt makes it."""
        self.forge.sync(self.forge.observe(), ["main"])
        base = parent or self.main()
        index = {"GIT_INDEX_FILE": str(self.mirror.path.parent / "test-index")}
        git(self.mirror.path, "read-tree", base, env=index)
        for name, content in files.items():
            blob = git(self.mirror.path, "hash-object", "-w", "--stdin", stdin=content.encode())
            git(self.mirror.path, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=index)
        tree = git(self.mirror.path, "write-tree", env=index)
        who = Signature("Agent", "agent@localhost", NOW)
        return self.mirror.commit(tree, [base], who, who, "work\n")

    def published(self, files: Mapping[str, str]) -> tuple[Lease, int, str]:
        """A pull with `files` on `polecat/t`; returns lease, number and head."""
        lease = self.acquire()
        head = self.work(files)
        push = BranchPush(branch="polecat/t", old="", new=head, base=self.main())
        lease = self.forge.push(lease, replace(lease.claim, head=head), push)
        draft = PullDraft(task="t", branch="polecat/t", base="main", head=head, title="T", body="b")
        return lease, self.forge.open_pull(lease, draft).number, head

    def plan(self, lease: Lease, number: int, head: str, *, delete: bool = False) -> LandingPlan:
        """The squashed landing of a pull on the present base."""
        self.forge.sync(self.forge.observe(), ["main", "polecat/t"])
        base = self.main()
        tree = self.mirror.predict(base, head).tree
        who = Signature("Refinery", "refinery@localhost", NOW)
        landed = self.mirror.commit(tree, [base], who, who, "T (#1)\n")
        pull = self.forge.observe().pulls[number]
        item = LandingItem(pull=pull, lease=lease, commit=landed)
        return LandingPlan(
            base="main", old=base, commit=landed, tree=tree, items=(item,), delete_branches=delete
        )

    def person_moves(self, branch: str, commit: str) -> None:
        """A person pushes a commit of the mirror's to a branch."""
        git(self.git_dir, "fetch", "--quiet", str(self.mirror.path), commit)
        git(self.git_dir, "update-ref", f"refs/heads/{branch}", commit)

    def person_deletes(self, branch: str) -> None:
        """A person deletes a branch."""
        git(self.git_dir, "update-ref", "-d", f"refs/heads/{branch}")

    def comments(self, number: int) -> list[str]:
        """What was said on a pull."""
        return [each.body for each in self.forge.observe().pulls[number].comments]

    def clock(self) -> float:
        """What the forge's own clock says."""
        return time.time()

    def fall_silent(self) -> None:
        """The forge no longer answers."""
        self.repo.rename(self.repo.with_name("gone"))


def make_mirror(root: Path, **options: object) -> Mirror:
    """An empty mirror, as a new home has it."""
    path = root / "home" / "mirrors" / "p.git"
    path.parent.mkdir(parents=True, exist_ok=True)
    return Mirror.create(path, "", is_url=True, **options)


def checked_out(root: Path) -> Place:
    """Somebody's checkout with the base checked out."""
    mirror, repo = make_mirror(root), checkout(root / "work", FILES)
    refs = PathRefs(repo / ".git", mirror)
    return Place(repo, repo / ".git", GitForge(refs, mirror, str(repo), is_url=False), mirror)


@contextmanager
def opened(kind: str, root: Path) -> Iterator[Place]:
    """The repository on a forge of that kind, one of `KINDS`."""
    if kind == "github":
        from support.forge_hub import opened_hub  # noqa: PLC0415  (git tests go without its slow import)

        with opened_hub(root) as place:
            yield place
        return
    if kind == "checkout":
        yield checked_out(root)
        return
    mirror, repo = make_mirror(root), bare(root / "srv" / "code.git", FILES)
    allow_push(repo)
    if kind == "bare":
        forge = GitForge(PathRefs(repo, mirror), mirror, str(repo), is_url=False)
        yield Place(repo, repo, forge, mirror)
    elif kind == "file":
        yield _by_url(repo, f"file://{repo}", mirror)
    else:
        with serve(repo.parent) as server:
            yield _by_url(repo, f"{server}/{repo.name}", mirror)


def _by_url(repo: Path, url: str, mirror: Mirror) -> Place:
    return Place(repo, repo, GitForge(UrlRefs(url, mirror), mirror, url, is_url=True), mirror)
