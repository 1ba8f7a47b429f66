"""The promises of the `Forge` protocol, kept by the git forge: by path, in a checkout, and by URL."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.repos import ENV, bare, checkout, commit, git
from support.server import allow_push, serve

from refinery.core.lease import Lease
from refinery.core.model import Claim, Freeze, PullState, Review, ReviewState, Role
from refinery.core.outcomes import Outcome
from refinery.errors import InTheWayError, RefMovedError
from refinery.forges.git import checkouts
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.by_url import UrlRefs
from refinery.forges.git.forge import GitForge
from refinery.git import Signature
from refinery.mirror import Mirror
from refinery.ports import BranchPush, LandingItem, LandingPlan, PullDraft

NOW = float(int(time.time()))
FILES = {"README.md": "hello\n", "src/a.py": "a = 1\n"}


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


class Scene:
    """A repository, its forge and mirror, and plain git to look at it."""

    def __init__(self, repo: Path, git_dir: Path, forge: GitForge, mirror: Mirror) -> None:
        self.repo, self.git_dir, self.forge, self.mirror = repo, git_dir, forge, mirror

    def acquire(self, ref: str = "refs/refinery/claims/t", role: Role = Role.WORK) -> Lease:
        made = claim(role)
        return Lease(ref, self.forge.write_claim(ref, made, None), made)

    def work(self, files: dict[str, str], parent: str | None = None) -> str:
        """A commit in the mirror that adds `files` to the base, as an attempt makes it."""
        self.forge.sync(self.forge.observe(), ["main"])
        base = parent or git(self.git_dir, "rev-parse", "main")
        index = {"GIT_INDEX_FILE": str(self.mirror.path.parent / "test-index")}
        git(self.mirror.path, "read-tree", base, env=index)
        for name, content in files.items():
            blob = git(self.mirror.path, "hash-object", "-w", "--stdin", stdin=content.encode())
            git(self.mirror.path, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=index)
        tree = git(self.mirror.path, "write-tree", env=index)
        who = Signature("Agent", "agent@localhost", NOW)
        return self.mirror.commit(tree, [base], who, who, "work\n")

    def published(self, files: dict[str, str]) -> tuple[Lease, int, str]:
        """A pull with `files` on `polecat/t`; returns lease, number and head."""
        lease = self.acquire()
        base = git(self.git_dir, "rev-parse", "main")
        head = self.work(files)
        push = BranchPush(branch="polecat/t", old="", new=head, base=base)
        lease = self.forge.push(lease, replace(lease.claim, head=head), push)
        draft = PullDraft(task="t", branch="polecat/t", base="main", head=head, title="T", body="b")
        return lease, self.forge.open_pull(lease, draft).number, head

    def plan(self, lease: Lease, number: int, head: str, *, delete: bool = False) -> LandingPlan:
        """The squashed landing of a pull on the present base."""
        self.forge.sync(self.forge.observe(), ["main", "polecat/t"])
        base = git(self.git_dir, "rev-parse", "main")
        tree = self.mirror.predict(base, head).tree
        who = Signature("Refinery", "refinery@localhost", NOW)
        landed = self.mirror.commit(tree, [base], who, who, "T (#1)\n")
        pull = self.forge.observe().pulls[number]
        item = LandingItem(pull=pull, lease=lease, commit=landed)
        return LandingPlan(
            base="main", old=base, commit=landed, tree=tree, items=(item,), delete_branches=delete
        )


def make_mirror(tmp_path: Path) -> Mirror:
    path = tmp_path / "home" / "mirrors" / "p.git"
    path.parent.mkdir(parents=True, exist_ok=True)
    return Mirror.create(path, "", is_url=True)


@pytest.fixture(params=["bare", "checkout", "file", "http"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """The same promises, wherever the repository is."""
    mirror = make_mirror(tmp_path)
    if request.param == "checkout":
        repo = checkout(tmp_path / "work", FILES)
        refs = PathRefs(repo / ".git", mirror)
        yield Scene(repo, repo / ".git", GitForge(refs, mirror, str(repo), is_url=False), mirror)
        return
    repo = bare(tmp_path / "srv" / "code.git", FILES)
    allow_push(repo)
    if request.param == "bare":
        forge = GitForge(PathRefs(repo, mirror), mirror, str(repo), is_url=False)
        yield Scene(repo, repo, forge, mirror)
    elif request.param == "file":
        url = f"file://{repo}"
        yield Scene(repo, repo, GitForge(UrlRefs(url, mirror), mirror, url, is_url=True), mirror)
    else:
        with serve(repo.parent) as root:
            url = f"{root}/{repo.name}"
            yield Scene(repo, repo, GitForge(UrlRefs(url, mirror), mirror, url, is_url=True), mirror)


def test_a_claim_is_written_once_and_read_back(scene: Scene) -> None:
    """The tip says what was written; a second orphan loses."""
    lease = scene.acquire()
    tip = scene.forge.observe().claims.get("t")
    assert tip is not None
    assert (tip.sha, tip.claim) == (lease.tip, lease.claim)
    with pytest.raises(RefMovedError):
        scene.acquire()


def test_f17_a_push_moves_branch_and_claim_or_neither(scene: Scene) -> None:
    """F17: a push under a lease that was taken over changes nothing."""
    lease = scene.acquire()
    stolen = claim(nonce="other")
    scene.forge.write_claim(lease.ref, stolen, lease.tip)
    head = scene.work({"new.txt": "x\n"})
    base = git(scene.git_dir, "rev-parse", "main")
    with pytest.raises(RefMovedError) as lost:
        scene.forge.push(lease, lease.claim, BranchPush(branch="polecat/t", old="", new=head, base=base))
    assert lost.value.ref == lease.ref
    assert "polecat/t" not in scene.forge.observe().heads


def test_a_pull_opens_once_and_is_updated_after(scene: Scene) -> None:
    """Opening it again for the same branch edits the one that is there."""
    lease, number, head = scene.published({"new.txt": "x\n"})
    again = PullDraft(
        task="t", branch="polecat/t", base="main", head=head, title="Better", body="b", draft=True
    )
    pull = scene.forge.open_pull(lease, again)
    assert (number, pull.number, pull.title, pull.draft) == (1, 1, "Better", True)
    assert list(scene.forge.observe().pulls) == [1]


def test_reviews_and_comments_stay_with_the_pull(scene: Scene) -> None:
    """A comment is said once per text; a review keeps the head that it was given on."""
    lease, number, head = scene.published({"new.txt": "x\n"})
    scene.forge.comment(lease, number, "hello")
    scene.forge.comment(lease, number, "hello")
    given = Review(author="ann", state=ReviewState.CHANGES_REQUESTED, head=head, at=NOW)
    scene.forge.review(number, given)
    pull = scene.forge.observe().pulls[number]
    assert [each.body for each in pull.comments] == ["hello"]
    assert pull.reviews == (given,)


def test_a_head_moves_with_its_branch_and_closes_with_it(scene: Scene) -> None:
    """A person's push moves the pull's head; deleting the branch closes the pull."""
    _, number, head = scene.published({"new.txt": "x\n"})
    moved = scene.work({"more.txt": "y\n"}, parent=head)
    git(scene.git_dir, "fetch", "--quiet", str(scene.mirror.path), moved)
    git(scene.git_dir, "update-ref", "refs/heads/polecat/t", moved)
    assert scene.forge.observe().pulls[number].head == moved
    git(scene.git_dir, "update-ref", "-d", "refs/heads/polecat/t")
    assert scene.forge.observe().pulls[number].state is PullState.CLOSED


@pytest.mark.parametrize("delete", [False, True])
def test_landing_moves_base_pull_and_claims_together(scene: Scene, delete: bool) -> None:
    """The base holds the predicted tree, the pull is merged, the branch goes only when asked."""
    lease, number, head = scene.published({"new.txt": "x\n"})
    landing = scene.acquire("refs/refinery/landing/main", Role.MERGE)
    plan = scene.plan(lease, number, head, delete=delete)
    landed = scene.forge.land(landing, replace(landing.claim, nonce="2"), plan, NOW)
    assert (landed.tip, landed.tree, landed.parent) == (plan.commit, plan.tree, plan.old)
    state = scene.forge.observe()
    assert (state.pulls[number].state, state.pulls[number].merged_as) == (PullState.MERGED, plan.commit)
    assert ("polecat/t" in state.heads) is not delete
    tip = state.claims["t"].claim
    assert tip is not None
    assert tip.outcome is Outcome.MERGED
    assert git(scene.git_dir, "show", "main:new.txt") == "x"
    assert git(scene.git_dir, "fsck", "--strict", "--no-dangling") == ""
    if scene.repo != scene.git_dir:
        assert (scene.repo / "new.txt").read_text() == "x\n"
        assert git(scene.repo, "status", "--porcelain") == ""


def test_f20_a_moved_base_or_head_lands_nothing(scene: Scene) -> None:
    """F20: a push between prediction and landing makes the whole transaction fail."""
    lease, number, head = scene.published({"new.txt": "x\n"})
    landing = scene.acquire("refs/refinery/landing/main", Role.MERGE)
    plan = scene.plan(lease, number, head)
    pushed = scene.work({"theirs.txt": "t\n"})
    git(scene.git_dir, "fetch", "--quiet", str(scene.mirror.path), pushed)
    git(scene.git_dir, "update-ref", "refs/heads/main", pushed)
    with pytest.raises(RefMovedError):
        scene.forge.land(landing, landing.claim, plan, NOW)
    state = scene.forge.observe()
    assert state.pulls[number].state is PullState.OPEN
    assert state.heads["main"] == pushed


def test_an_old_branch_is_kept_before_its_name_is_used_again(scene: Scene) -> None:
    """Retiring moves the tip to `preserved/` and deletes the branch in one step (F9)."""
    lease, _, head = scene.published({"new.txt": "x\n"})
    scene.forge.retire(lease, replace(lease.claim, attempt=2), "polecat/t", head)
    state = scene.forge.observe()
    assert "polecat/t" not in state.heads
    assert head in state.preserved.values()


def test_f09_preserving_is_create_only(scene: Scene) -> None:
    """F9: the same work twice is one ref; other work under the same name gets one of its own."""
    one = scene.work({"one.txt": "1\n"})
    two = scene.work({"two.txt": "2\n"})
    first = scene.forge.preserve("t", 1, "c" * 40, one)
    assert scene.forge.preserve("t", 1, "c" * 40, one) == first
    assert scene.forge.preserve("t", 1, "c" * 40, two) != first
    assert set(scene.forge.observe().preserved.values()) == {one, two}


def test_f23_a_freeze_stays_until_it_is_lifted(scene: Scene) -> None:
    """F23: a second freeze does not replace the first; lifting tells what was lifted."""
    landing = scene.acquire("refs/refinery/landing/main", Role.MERGE)
    scene.forge.freeze(landing, Freeze(base="main", reason="wrong tree", by="x", at=NOW))
    scene.forge.freeze(landing, Freeze(base="main", reason="later", by="x", at=NOW))
    assert scene.forge.observe().freezes["main"].reason == "wrong tree"
    lifted = scene.forge.unfreeze("main")
    assert lifted is not None
    assert lifted.reason == "wrong tree"
    assert not scene.forge.observe().freezes
    assert scene.forge.unfreeze("main") is None


def test_refs_that_cannot_be_read_are_named_not_dropped(scene: Scene) -> None:
    """Somebody's garbage under our namespace is a problem with a name."""
    git(scene.git_dir, "update-ref", "refs/refinery/pulls/9", "main")
    git(scene.git_dir, "update-ref", "refs/refinery/claims/odd", "main")
    state = scene.forge.observe()
    assert any("refs/refinery/pulls/9" in problem for problem in state.problems)
    assert state.claims["odd"].claim is None


@pytest.fixture
def worked(tmp_path: Path) -> Scene:
    """Somebody's checkout with the base checked out."""
    mirror = make_mirror(tmp_path)
    repo = checkout(tmp_path / "work", FILES)
    refs = PathRefs(repo / ".git", mirror)
    return Scene(repo, repo / ".git", GitForge(refs, mirror, str(repo), is_url=False), mirror)


def test_unrelated_changes_in_a_checkout_survive_a_landing(worked: Scene) -> None:
    """Modified, staged, untracked: whatever the landing does not touch stays as it is."""
    lease, number, head = worked.published({"new.txt": "x\n"})
    (worked.repo / "src" / "a.py").write_text("a = 2\n")
    (worked.repo / "README.md").write_text("staged\n")
    git(worked.repo, "add", "README.md")
    (worked.repo / "notes.txt").write_text("mine\n")
    landing = worked.acquire("refs/refinery/landing/main", Role.MERGE)
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
def test_a_local_change_in_the_way_is_an_obstacle_and_is_never_overwritten(worked: Scene, how: str) -> None:
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
    landing = worked.acquire("refs/refinery/landing/main", Role.MERGE)
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
    scene = Scene(linked, repo, GitForge(PathRefs(repo, mirror), mirror, str(repo), is_url=False), mirror)
    lease, number, head = scene.published({"new.txt": "x\n"})
    landing = scene.acquire("refs/refinery/landing/main", Role.MERGE)
    scene.forge.land(landing, replace(landing.claim, nonce="2"), scene.plan(lease, number, head), NOW)
    assert (linked / "new.txt").read_text() == "x\n"
    assert git(linked, "status", "--porcelain") == ""


def test_f22_a_checkout_left_behind_by_a_crash_is_brought_along(worked: Scene) -> None:
    """F22: killed between the transaction and the files; `repair` finishes from the landing claim's intent."""
    lease, number, head = worked.published({"new.txt": "x\n"})
    landing = worked.acquire("refs/refinery/landing/main", Role.MERGE)
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


def test_a_persons_commit_cannot_slip_into_a_landing(worked: Scene) -> None:
    """While the base moves, a person's `git commit` meets our index lock instead of the old index."""
    lease, number, head = worked.published({"new.txt": "x\n"})
    landing = worked.acquire("refs/refinery/landing/main", Role.MERGE)
    plan = worked.plan(lease, number, head)
    refs = worked.forge._refs
    assert isinstance(refs, PathRefs)
    plain_swap = refs.swap
    seen = []

    def swap(held: int, updates: object) -> None:
        (worked.repo / "README.md").write_text("person\n")
        done = subprocess.run(
            ["git", "commit", "--all", "--message", "person"],
            cwd=worked.repo,
            env=ENV,
            capture_output=True,
            check=False,
        )
        seen.append(done.stderr)
        plain_swap(held, updates)  # type: ignore[arg-type]  # passed on as it came

    refs.swap = swap  # type: ignore[method-assign]  # staged: the person acts in the middle
    worked.forge.land(landing, replace(landing.claim, nonce="2"), plan, NOW)
    assert b"index.lock" in seen[0]
    assert git(worked.repo, "rev-parse", "main") == plan.commit
    assert git(worked.repo, "status", "--porcelain") == "M README.md".rjust(11)


def test_the_forges_clock_is_this_machines() -> None:
    """A plain repository has no clock of its own."""
    assert abs(GitForge.now(None) - time.time()) < 5  # type: ignore[arg-type]  # needs no state


def test_commit_helper_builds_on_the_branch(tmp_path: Path) -> None:
    """The tests' own tool does what it says."""
    repo = bare(tmp_path / "r.git")
    one = git(repo, "rev-parse", "main")
    two = commit(repo, {"README.md": None, "b": "b\n"})
    assert git(repo, "rev-parse", "main~1") == one
    assert git(repo, "ls-tree", "--name-only", two) == "b"
