"""The mirror: fetching, predicting, reading, and noticing that somebody else was there."""

import os
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from machine import FILES, Machine, commit, git, make_machine, write

from refinery.errors import ForgeUnavailableError, GitError, TamperedError, UsageError
from refinery.git import Signature
from refinery.mirror import FORGE, HEADS, Mirror


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def refs(machine: Machine) -> set[str]:
    return set(git(machine.mirror.path, "for-each-ref", "--format=%(refname)").split())


def test_create_is_idempotent_and_survives_contenders(machine: Machine) -> None:
    """Sixteen at once make one mirror, an existing one is kept, and nothing is left beside it."""
    path = machine.home / "mirrors" / "many.git"
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: Mirror.create(path, str(machine.repo)), range(16)))
    assert made == [Mirror(path)] * 16
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["demo.git", "many.git"]


def test_fetch_brings_heads_and_our_own_refs_apart(machine: Machine) -> None:
    """Heads land under origin, refinery's refs under forge, tags and others nowhere."""
    git(machine.repo, "tag", "v1")
    git(machine.repo, "update-ref", "refs/refinery/claims/a", "HEAD")
    git(machine.repo, "update-ref", "refs/other/a", "HEAD")
    machine.sync()
    assert refs(machine) == {"refs/remotes/origin/main", "refs/forge/claims/a"}


def test_fetch_prunes_only_inside_its_refspecs(machine: Machine) -> None:
    """A ref that is gone goes with its own refspec and stays under any other; its objects stay always."""
    git(machine.repo, "branch", "polecat/a")
    git(machine.repo, "update-ref", "refs/refinery/claims/a", "HEAD")
    machine.sync()
    git(machine.repo, "branch", "-D", "polecat/a")
    git(machine.repo, "update-ref", "-d", "refs/refinery/claims/a")
    machine.mirror.fetch(str(machine.repo), [FORGE])
    assert refs(machine) == {"refs/remotes/origin/main", "refs/remotes/origin/polecat/a"}
    machine.mirror.fetch(str(machine.repo), [HEADS])
    assert refs(machine) == {"refs/remotes/origin/main"}


def test_fetch_after_a_branch_became_a_folder(machine: Machine) -> None:
    """`a` deleted and `a/b` created is no conflict for the mirror."""
    git(machine.repo, "branch", "a")
    machine.sync()
    git(machine.repo, "branch", "-D", "a")
    git(machine.repo, "branch", "a/b")
    machine.sync()
    assert "refs/remotes/origin/a/b" in refs(machine)


def test_f14_fetch_follows_a_rewritten_base_and_ignores_local_heads(machine: Machine) -> None:
    """F14: the mirror's main is what the forge has, after a forced update too."""
    commit(machine.repo, {"a": "1"})
    machine.sync()
    git(machine.repo, "reset", "-q", "--hard", "HEAD~1")
    rewritten = commit(machine.repo, {"b": "1"})
    assert machine.sync() == rewritten


def test_parallel_fetches_do_not_break_each_other(machine: Machine) -> None:
    """Twelve fetches at a time, while branches move, come and go: every one succeeds."""

    def change(number: int) -> None:
        git(machine.repo, "branch", "-f", f"b{number % 3}", "HEAD")
        git(machine.repo, "update-ref", f"refs/heads/b{number % 3}", "HEAD^{commit}")
        commit(machine.repo, {"n": str(number)})

    for number in range(4):
        change(number)
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: machine.mirror.fetch(str(machine.repo)), range(12)))
    assert machine.base() == git(machine.repo, "rev-parse", "HEAD")


def test_fetch_by_url(machine: Machine) -> None:
    """A URL works like a path."""
    head = commit(machine.repo, {"a": "1"})
    machine.mirror.fetch(f"file://{machine.repo}", is_url=True)
    assert machine.base() == head
    assert machine.mirror.default_branch(f"file://{machine.repo}", is_url=True) == "main"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_fetch_admits_a_foreign_owner_for_that_path_alone(machine: Machine) -> None:
    """A checkout of another user is read without any setting of the person's."""
    head = commit(machine.repo, {"a": "1"})
    subprocess.run(["chown", "-R", "65534", str(machine.repo)], check=True)
    assert machine.sync() == head
    assert machine.mirror.default_branch(str(machine.repo)) == "main"


def test_fetch_removes_a_lock_that_a_dead_git_left(machine: Machine) -> None:
    """A lock that is older than any git could hold it does not block the mirror for ever."""
    head = commit(machine.repo, {"a": "1"})
    lock = machine.mirror.path / "refs/remotes/origin/main.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    assert machine.sync() == head


def test_fetch_leaves_a_fresh_lock_alone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that somebody may hold is waited for, then reported."""
    monkeypatch.setattr("refinery.mirror._TRIES", 2)
    commit(machine.repo, {"a": "1"})
    lock = machine.mirror.path / "refs/remotes/origin/main.lock"
    lock.touch()
    with pytest.raises(ForgeUnavailableError, match="stay locked"):
        machine.sync()
    assert lock.exists()


def test_a_silent_forge_is_unavailable(machine: Machine) -> None:
    """F6: no answer in time is "forge-unavailable", never "nothing there"."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"git://127.0.0.1:{server.getsockname()[1]}/x"
        with pytest.raises(ForgeUnavailableError, match=r"no answer within 0\.3 seconds"):
            machine.mirror.fetch(url, timeout=0.3, is_url=True)
    with pytest.raises(ForgeUnavailableError):
        machine.mirror.default_branch(url, timeout=5, is_url=True)


def test_a_url_without_repository_is_unavailable(machine: Machine) -> None:
    """Git's own words reach the person."""
    with pytest.raises(ForgeUnavailableError, match="does not appear to be a git repository"):
        machine.mirror.fetch(f"file://{machine.root}/nothing", is_url=True)


def test_sources_that_cannot_be_used_say_why(machine: Machine) -> None:
    """Missing, a file, no repository, shallow, SHA-256, a missing branch: one clear message with a remedy each."""
    root = machine.root
    write(root, {"file": "", "folder/x": "", "gone/.git": "gitdir: nowhere"})
    commit(machine.repo)
    git(root, "clone", "-q", "--depth", "1", f"file://{machine.repo}", "shallow")
    git(root, "init", "-q", "--object-format=sha256", "-b", "main", "sha256")
    commit(root / "sha256")
    fetch = machine.mirror.fetch
    for source, words in (
        ("missing", "does not exist"),
        ("file", "not a folder"),
        ("folder", "not a git repository"),
        ("gone", "not a git repository"),
        ("shallow", "shallow clone"),
        ("sha256", "SHA-256"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            fetch(str(root / source))
        assert caught.value.remedy
    with pytest.raises(UsageError, match="has no refs/heads/nix"):
        fetch(str(machine.repo), ["refs/heads/nix:refs/remotes/origin/nix"])
    with pytest.raises(UsageError, match="not a git repository"):
        Mirror.create(root / "home/mirrors/x.git", str(root / "folder"))
    assert not (root / "home/mirrors/x.git").exists()


def test_default_branch_of_odd_heads(machine: Machine) -> None:
    """Empty, unborn and detached are told apart; a linked worktree and a bare repository are fine."""
    root, repo = machine.root, machine.repo
    git(root, "init", "-q", "empty")
    with pytest.raises(UsageError, match="is empty"):
        machine.mirror.default_branch(str(root / "empty"))
    git(root, "clone", "-q", "--bare", str(repo), "bare.git")
    assert machine.mirror.default_branch(str(root / "bare.git")) == "main"
    git(repo, "worktree", "add", "-q", "-b", "side", str(root / "linked"))
    assert machine.mirror.default_branch(str(root / "linked")) in ("main", "side")
    git(repo, "checkout", "-q", "--detach")
    with pytest.raises(UsageError, match="is detached") as caught:
        machine.mirror.default_branch(str(repo))
    assert "main" in caught.value.remedy
    git(repo, "symbolic-ref", "HEAD", "refs/heads/unborn")
    with pytest.raises(UsageError, match="no commit yet"):
        machine.mirror.default_branch(str(repo))


def branches(machine: Machine, ours: dict[str, str], theirs: dict[str, str]) -> tuple[str, str]:
    """Two commits on top of the base."""
    git(machine.repo, "checkout", "-q", "-b", "theirs")
    head = commit(machine.repo, theirs)
    git(machine.repo, "checkout", "-q", "main")
    base = commit(machine.repo, ours)
    machine.sync()
    return base, head


def test_predict_a_clean_merge(machine: Machine) -> None:
    """The tree of both sides, as git's own merge makes it, and no ref moves."""
    base, head = branches(machine, {"a": "1\n"}, {"b": "2\n"})
    before = refs(machine)
    found = machine.mirror.predict(base, head)
    assert (found.conflicts, found.has_directory_rename) == ((), False)
    git(machine.repo, "merge", "-q", "--no-edit", "theirs")
    assert found.tree == git(machine.repo, "rev-parse", "HEAD^{tree}")
    assert refs(machine) == before


def test_a_child_of_the_base_brings_its_own_tree(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git would merge it to, and to the same merge base, known without asking git; likewise after a merge."""
    base, head = branches(machine, {"a": "1\n"}, {"b": "2\n"})
    git(machine.repo, "merge", "-q", "--no-edit", "theirs")
    merged = git(machine.repo, "rev-parse", "HEAD")
    machine.sync()
    expected = {
        (one, merged): (git(machine.repo, "merge-tree", "--write-tree", one, merged), (one,))
        for one in (base, head)
    }
    monkeypatch.setenv("PATH", "/nowhere")
    mirror = machine.mirror
    assert {pair: (mirror.predict(*pair).tree, mirror.merge_bases(*pair)) for pair in expected} == expected


def test_predict_names_conflicts(machine: Machine) -> None:
    """Every conflicted path is named once, whatever bytes it is made of; markers are in the tree."""
    odd = "new\nline \udcff"
    base, head = branches(machine, {"README.md": "a\n", odd: "a\n"}, {"README.md": "b\n", odd: "b\n"})
    found = machine.mirror.predict(base, head)
    assert sorted(found.conflicts) == ["README.md", odd]
    assert b"<<<<<<< " in (machine.mirror.read_file(found.tree, "README.md") or b"")


def test_predict_notes_a_directory_rename(machine: Machine) -> None:
    """A file added where the base renamed the folder away is a conflict, not a silent move."""
    long = {f"old/f{n}": f"{n}\n" * 30 for n in range(4)}
    commit(machine.repo, long)
    git(machine.repo, "checkout", "-q", "-b", "theirs")
    head = commit(machine.repo, {"old/added": "x\n"})
    git(machine.repo, "checkout", "-q", "main")
    git(machine.repo, "mv", "old", "new")
    base = commit(machine.repo)
    machine.sync()
    found = machine.mirror.predict(base, head)
    assert found.has_directory_rename
    assert found.conflicts


def test_predict_fails_where_git_only_seems_to_report_a_conflict(machine: Machine) -> None:
    """A missing object exits 1 like a conflict; unrelated histories are an error as well."""
    git(machine.repo, "checkout", "-q", "--orphan", "other")
    head = commit(machine.repo, {"z": "1"})
    git(machine.repo, "checkout", "-q", "main")
    base = machine.sync()
    for other in ("1" * 40, head):
        with pytest.raises(GitError):
            machine.mirror.predict(base, other)
    blob = git(machine.repo, "rev-parse", f"{base}:README.md")
    base, head = branches(machine, {"README.md": "a\n"}, {"README.md": "b\n"})
    for sha in (blob, git(machine.repo, "rev-parse", f"{head}:README.md")):
        (machine.mirror.path / "objects" / sha[:2] / sha[2:]).unlink()
    with pytest.raises(GitError):
        machine.mirror.predict(base, head)


def test_predict_ignores_attributes_of_the_trees(machine: Machine) -> None:
    """`merge=union` in the base does not turn a conflict into a clean merge."""
    commit(machine.repo, {".gitattributes": "* merge=union\n"})
    base, head = branches(machine, {"README.md": "a\n"}, {"README.md": "b\n"})
    assert machine.mirror.predict(base, head).conflicts == ("README.md",)


def test_reading_files(machine: Machine) -> None:
    """Content, absence, a folder, a name with a newline; a revision that is not there is an error, not absence."""
    base = commit(machine.repo, {"odd\nname": "x\n", "empty": ""})
    machine.sync()
    read = machine.mirror.read_file
    assert read(base, "README.md") == b"hello\n"
    assert read(base, "odd\nname") == b"x\n"
    assert read(base, "empty") == b""
    assert read(base, "nix\nnix missing") is None
    assert read(base, "src") is None
    several = machine.mirror.read_files(base, ("nix", "README.md", "src/app.py"))
    assert several == {"nix": None, "README.md": b"hello\n", "src/app.py": FILES["src/app.py"].encode()}
    with pytest.raises(GitError, match="is not in the mirror"):
        read("1" * 40, "README.md")


def test_ancestry_and_objects(machine: Machine) -> None:
    """Merge bases, ancestry and presence, for loose and packed objects alike."""
    old = machine.base()
    base, head = branches(machine, {"a": "1"}, {"b": "1"})
    for _ in ("loose", "packed"):
        mirror = Mirror(machine.mirror.path)  # one that remembers nothing
        assert mirror.merge_bases(base, head) == (old,)
        assert (mirror.is_ancestor(old, base), mirror.is_ancestor(base, head)) == (True, False)
        assert mirror.is_ancestor(base, base)
        assert (mirror.has(base), mirror.has("1" * 40)) == (True, False)
        assert mirror.tree_of(base) == git(machine.repo, "rev-parse", f"{base}^{{tree}}")
        assert mirror.resolve("refs/remotes/origin/theirs") == head
        assert mirror.resolve("refs/remotes/origin/nix") is None
        git(mirror.path, "gc", "-q")
    with pytest.raises(GitError):
        mirror.is_ancestor("1" * 40, base)
    with pytest.raises(GitError):
        mirror.merge_bases("1" * 40, base)


def test_commit_is_what_git_would_make(machine: Machine) -> None:
    """Git reads the commit back, field by field, and finds nothing wrong with it."""
    base = machine.base()
    who = Signature("An Agent\n", "<agent@example.org>", 1_700_000_000.5)
    sha = machine.mirror.commit(machine.mirror.tree_of(base), [base], who, who, "Title\n\nBody é\n")
    shown = git(machine.mirror.path, "log", "-1", "--format=%an|%ae|%at|%P|%B", sha)
    assert shown == f"An Agent|agent@example.org|1700000000|{base}|Title\n\nBody é"
    git(machine.mirror.path, "fsck", "--strict", "--no-dangling")


def plant(name: str, content: str = "x\n"):
    def act(path: Path) -> None:
        write(path, {name: content})

    return pytest.param(act, id=name)


def edit_config(path: Path) -> None:
    with (path / "config").open("a") as file:
        file.write("[core]\n\tfsmonitor = touch canary\n")


def replace_by_fifo(path: Path) -> None:
    (path / "packed-refs").unlink(missing_ok=True)
    os.mkfifo(path / "packed-refs")


def link_config(path: Path) -> None:
    (path / "config").rename(path.parent / "config-copy")
    (path / "config").symlink_to(path.parent / "config-copy")


def replace_in_packed_refs(path: Path) -> None:
    sha = git(path, "rev-parse", "refs/remotes/origin/main")
    write(
        path,
        {"packed-refs": f"# pack-refs with: peeled fully-peeled sorted\n{sha} refs/replace/{'1' * 40}\n"},
    )


def remove_head(path: Path) -> None:
    (path / "HEAD").unlink()


@pytest.mark.parametrize(
    "tamper",
    [
        edit_config,
        link_config,
        remove_head,
        replace_by_fifo,
        replace_in_packed_refs,
        plant("hooks/post-checkout", "#!/bin/sh\ntouch canary\n"),
        plant("info/attributes", "* filter=evil\n"),
        plant("info/exclude", "*\n"),
        plant("info/grafts"),
        plant("info/sparse-checkout"),
        plant("objects/info/alternates", "/tmp\n"),
        plant("objects/info/http-alternates"),
        plant("refs/replace/" + "1" * 40, "2" * 40),
        plant("refs/heads/none", "2" * 40),
        plant("HEAD", "ref: refs/heads/evil\n"),
        plant("commondir", "/tmp\n"),
        plant("shallow"),
        plant("index"),
        plant("config.worktree"),
        plant("worktrees/x/gitdir"),
    ],
)
def test_f32_a_tampered_mirror_is_noticed_before_git_runs(machine: Machine, tamper) -> None:
    """F32: each file that could change git's behaviour is named, by every operation, and no process starts."""
    mirror, base = machine.mirror, machine.base()
    mirror.verify_untouched()
    tamper(mirror.path)
    (machine.root / "empty").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(machine.root / "empty"))  # git could not even be started
        for operation in (
            mirror.verify_untouched,
            lambda: mirror.fetch(str(machine.repo)),
            lambda: mirror.default_branch(str(machine.repo)),
            lambda: mirror.predict(base, base),
            lambda: mirror.read_file(base, "README.md"),
            lambda: machine.worktree(base=base, tip=base),
        ):
            with pytest.raises(TamperedError) as caught:
                operation()
            assert caught.value.remedy


def test_what_git_itself_leaves_is_not_tampering(machine: Machine) -> None:
    """A person's `git gc`, packed refs and a passing lock are fine; so are checks while refs are being packed."""
    path = machine.mirror.path
    git(path, "gc", "-q")
    (path / "packed-refs.lock").touch()
    machine.mirror.verify_untouched()
    (path / "packed-refs.lock").unlink()
    stop = threading.Event()

    def pack() -> None:
        while not stop.is_set():
            git(path, "update-ref", "refs/forge/x", "refs/remotes/origin/main")
            git(path, "pack-refs", "--all", "--prune")

    thread = threading.Thread(target=pack)
    thread.start()
    try:
        for _ in range(300):
            machine.mirror.verify_untouched()
    finally:
        stop.set()
        thread.join()


def test_a_missing_mirror_says_how_to_get_one(tmp_path: Path) -> None:
    """The remedy names the verb that makes it."""
    with pytest.raises(UsageError, match="no mirror") as caught:
        Mirror(tmp_path / "x.git").verify_untouched()
    assert "sync" in caught.value.remedy
