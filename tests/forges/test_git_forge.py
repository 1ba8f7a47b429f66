"""What only a git forge has: pulls as refs, and checkouts of the base that move along or stand in the way.

What it shares with every other forge is in `test_contract`.
"""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.forges import FILES, LANDING, NOW, Place, checked_out, make_mirror
from support.repos import ENV, bare, commit, git

from refinery.core.model import Role
from refinery.errors import InTheWayError
from refinery.forges.git import checkouts
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.forge import GitForge


def test_a_pull_that_cannot_be_read_is_named_not_dropped(worked: Place) -> None:
    """Somebody's garbage under our namespace is a problem with a name."""
    git(worked.git_dir, "update-ref", "refs/refinery/pulls/9", "main")
    assert any("refs/refinery/pulls/9" in problem for problem in worked.forge.observe().problems)


@pytest.fixture
def worked(tmp_path: Path) -> Place:
    """Somebody's checkout with the base checked out."""
    return checked_out(tmp_path)


def test_unrelated_changes_in_a_checkout_survive_a_landing(worked: Place) -> None:
    """Modified, staged, untracked: whatever the landing does not touch stays as it is."""
    lease, number, head = worked.published({"new.txt": "x\n"})
    (worked.repo / "src" / "a.py").write_text("a = 2\n")
    (worked.repo / "README.md").write_text("staged\n")
    git(worked.repo, "add", "README.md")
    (worked.repo / "notes.txt").write_text("mine\n")
    landing = worked.acquire(LANDING, Role.MERGE)
    assert worked.forge.obstacles("main", ["new.txt"]) == ()
    worked.forge.land(landing, replace(landing.claim, nonce="2"), worked.plan(lease, number, head), NOW)
    assert git(worked.repo, "status", "--porcelain").splitlines() == [
        "M  README.md",
        " M src/a.py",
        "?? notes.txt",
    ]
    assert (worked.repo / "new.txt").read_text() == "x\n"
    assert not (worked.repo / ".git" / "index.lock").exists()


@pytest.mark.parametrize("how", ["untracked", "modified", "staged", "ignored"])
def test_a_local_change_in_the_way_is_an_obstacle_and_is_never_overwritten(worked: Place, how: str) -> None:
    """The landing waits; file, index and base stay exactly as they were."""
    path = "README.md" if how == "modified" else "new.txt"
    lease, number, head = worked.published({path: "landed\n"})
    (worked.repo / path).write_text("mine\n")
    if how == "staged":
        git(worked.repo, "add", path)
    if how == "ignored":
        (worked.repo / ".git" / "info").mkdir(exist_ok=True)
        (worked.repo / ".git" / "info" / "exclude").write_text("new.txt\n")
    before = git(worked.repo, "rev-parse", "main")
    assert worked.forge.obstacles("main", [path]) == (path,)
    landing = worked.acquire(LANDING, Role.MERGE)
    if how != "ignored":
        with pytest.raises(InTheWayError):
            worked.forge.land(landing, landing.claim, worked.plan(lease, number, head), NOW)
        assert git(worked.repo, "rev-parse", "main") == before
    assert (worked.repo / path).read_text() == "mine\n"
    assert not (worked.repo / ".git" / "index.lock").exists()


def test_a_linked_worktree_of_the_base_moves_along(tmp_path: Path) -> None:
    """A bare repository whose base somebody has checked out in a linked worktree."""
    mirror = make_mirror(tmp_path)
    repo = bare(tmp_path / "code.git", FILES)
    linked = tmp_path / "linked"
    git(repo, "worktree", "add", "--quiet", str(linked), "main")
    scene = Place(linked, repo, GitForge(PathRefs(repo, mirror), mirror, str(repo), is_url=False), mirror)
    lease, number, head = scene.published({"new.txt": "x\n"})
    landing = scene.acquire(LANDING, Role.MERGE)
    scene.forge.land(landing, replace(landing.claim, nonce="2"), scene.plan(lease, number, head), NOW)
    assert (linked / "new.txt").read_text() == "x\n"
    assert git(linked, "status", "--porcelain") == ""


def test_f22_a_checkout_left_behind_by_a_crash_is_brought_along(worked: Place) -> None:
    """F22: killed between the transaction and the files; `repair` finishes from the landing claim's intent."""
    lease, number, head = worked.published({"new.txt": "x\n"})
    landing = worked.acquire(LANDING, Role.MERGE)
    plan = worked.plan(lease, number, head)
    intent = {"base": "main", "old": plan.old, "commit": plan.commit, "tree": plan.tree}
    pid = os.fork()
    if pid == 0:
        checkouts.finish = lambda *_: os._exit(9)  # type: ignore[assignment]  # the crash
        worked.forge.land(landing, replace(landing.claim, nonce="2", intent=intent), plan, NOW)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert git(worked.repo, "rev-parse", "main") == plan.commit
    assert not (worked.repo / "new.txt").exists()
    assert (worked.repo / ".git" / "index.lock").exists()
    done = worked.forge.repair("main")
    assert any("index.lock" in each for each in done)
    assert (worked.repo / "new.txt").read_text() == "x\n"
    assert git(worked.repo, "status", "--porcelain") == ""


def test_a_persons_commit_cannot_slip_into_a_landing(worked: Place) -> None:
    """While the base moves, a person's `git commit` meets our index lock instead of the old index."""
    lease, number, head = worked.published({"new.txt": "x\n"})
    landing = worked.acquire(LANDING, Role.MERGE)
    plan = worked.plan(lease, number, head)
    refs = worked.forge._refs
    assert isinstance(refs, PathRefs)
    plain_swap = refs.swap
    seen = []

    def swap(*transaction: object) -> None:
        (worked.repo / "README.md").write_text("person\n")
        done = subprocess.run(
            ["git", "commit", "--all", "--message", "person"],
            cwd=worked.repo,
            env=ENV,
            capture_output=True,
            check=False,
        )
        seen.append(done.stderr)
        plain_swap(*transaction)  # type: ignore[arg-type]  # passed on as it came

    refs.swap = swap  # type: ignore[method-assign]  # staged: the person acts in the middle
    worked.forge.land(landing, replace(landing.claim, nonce="2"), plan, NOW)
    assert b"index.lock" in seen[0]
    assert git(worked.repo, "rev-parse", "main") == plan.commit
    assert git(worked.repo, "status", "--porcelain") == "M README.md".rjust(11)


def test_commit_helper_builds_on_the_branch(tmp_path: Path) -> None:
    """The tests' own tool does what it says."""
    repo = bare(tmp_path / "r.git")
    one = git(repo, "rev-parse", "main")
    two = commit(repo, {"README.md": None, "b": "b\n"})
    assert git(repo, "rev-parse", "main~1") == one
    assert git(repo, "ls-tree", "--name-only", two) == "b"
