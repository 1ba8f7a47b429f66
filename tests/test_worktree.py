"""The worktree: our checkout, the agent's own git, what is carried over, and removal."""

import os
import stat
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from machine import FILES, Machine, as_nobody, commit, git, make_machine, sh, write

from refinery.errors import UsageError
from refinery.snapshot import snapshot
from refinery.worktree import Worktree, empty_trash, prepare, remove


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def diverge(machine: Machine, ours: dict[str, str], theirs: dict[str, str]) -> tuple[str, str]:
    """An earlier attempt's branch with `theirs`, while the base went on with `ours`."""
    git(machine.repo, "checkout", "-q", "-b", "polecat/t-1")
    tip = commit(machine.repo, theirs, "earlier attempt")
    git(machine.repo, "checkout", "-q", "main")
    base = commit(machine.repo, ours, "base went on")
    machine.sync()
    return base, tip


def files(tree: Path) -> dict[str, str]:
    found = {}
    for path in tree.rglob("*"):
        if ".git" not in path.relative_to(tree).parts and path.is_file():
            found[str(path.relative_to(tree))] = path.read_text()
    return found


def test_checkout_of_the_base(machine: Machine) -> None:
    """Files, modes and links are those of the fetched base; the attempt's commit will have the base as parent."""
    (machine.repo / "link").symlink_to("README.md")
    (machine.repo / "src/app.py").chmod(0o755)
    base = commit(machine.repo)
    machine.sync()
    worktree = machine.worktree()
    assert files(worktree.tree) == {**FILES, "link": "hello\n"}
    assert (worktree.tree / "link").is_symlink()
    assert (worktree.tree / "src/app.py").stat().st_mode & stat.S_IXUSR
    assert (worktree.parents, worktree.conflicts) == ((base,), ())
    assert worktree.start_tree == git(machine.repo, "rev-parse", "HEAD^{tree}")


def test_the_agents_own_git_works(machine: Machine) -> None:
    """Status is clean, log, diff, commit, stash and fsck work, and none of it reaches the mirror."""
    worktree = machine.worktree(base_branch="main")
    tree = worktree.tree
    before = git(machine.mirror.path, "count-objects", "-v")
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "branch", "--show-current") == "polecat/t-1"
    assert git(tree, "rev-parse", "HEAD", "origin/main").split() == [machine.base()] * 2
    assert git(tree, "remote") == ""
    write(tree, {"new": "x\n", "README.md": "changed\n"})
    assert git(tree, "diff", "--stat").splitlines()[-1].strip().startswith("1 file changed")
    sh(
        tree,
        "unset GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL; git add -A; git commit -m x",
    )
    assert git(tree, "log", "--format=%an %s").splitlines() == ["Agent x", "A Person base"]
    write(tree, {"README.md": "again\n"})
    git(tree, "stash")
    git(tree, "checkout", "-q", "-b", "other", "origin/main")
    assert "error" not in git(tree, "fsck", "--connectivity-only")
    assert git(machine.mirror.path, "count-objects", "-v") == before
    assert git(machine.repo, "log", "--format=%s", "main") == "base"


def test_f14_work_starts_at_the_fetched_base(machine: Machine) -> None:
    """F14: commits and changes that the person has not given to the forge's branch are not in the worktree."""
    base = machine.base()
    commit(machine.repo, {"unpushed": "x\n"})
    write(machine.repo, {"README.md": "dirty\n"})
    worktree = machine.worktree(base=base)
    assert files(worktree.tree) == FILES


def test_an_earlier_attempt_is_continued_on_the_newer_base(machine: Machine) -> None:
    """Both sides' files are there; parents are [tip, base]; the agent sees one clean merge with both histories."""
    base, tip = diverge(machine, {"ours": "1\n"}, {"theirs": "2\n"})
    worktree = machine.worktree(tip=tip)
    assert files(worktree.tree) == {**FILES, "ours": "1\n", "theirs": "2\n"}
    assert (worktree.parents, worktree.conflicts) == ((tip, base), ())
    assert git(worktree.tree, "status", "--porcelain") == ""
    assert git(worktree.tree, "rev-parse", "HEAD^1", "HEAD^2").split() == [tip, base]
    git(worktree.tree, "fsck", "--connectivity-only")
    assert not snapshot(machine.mirror, worktree).is_changed


def test_conflicts_with_the_base_are_kept_and_named(machine: Machine) -> None:
    """The file holds both sides between markers, and the agent's log says which files these are."""
    base, tip = diverge(machine, {"README.md": "ours\n"}, {"README.md": "theirs\n"})
    worktree = machine.worktree(tip=tip)
    text = (worktree.tree / "README.md").read_text()
    assert text == f"<<<<<<< {tip}\ntheirs\n=======\nours\n>>>>>>> {base}\n"
    assert worktree.conflicts == ("README.md",)
    assert git(worktree.tree, "status", "--porcelain") == ""
    assert "README.md" in git(worktree.tree, "log", "-1", "--format=%b")


def test_a_tip_on_the_base_and_a_base_on_the_tip_need_no_merge(machine: Machine) -> None:
    """Where one side contains the other, the newer one alone is the parent: no empty merges pile up."""
    base = machine.base()
    newer = commit(machine.repo, {"new": "1\n"})
    machine.sync()
    assert machine.worktree(base=base, tip=newer).parents == (newer,)
    assert machine.worktree(base=newer, tip=base).parents == (newer,)
    assert machine.worktree(base=base, tip=base).parents == (base,)
    assert "new" in files(machine.worktree(base=base, tip=newer).tree)


def test_a_replaced_base_is_reported(machine: Machine) -> None:
    """Unrelated histories cannot be merged; the message says what to do with the old branch."""
    git(machine.repo, "checkout", "-q", "--orphan", "polecat/t-1")
    tip = commit(machine.repo, {"z": "1"})
    machine.sync()
    with pytest.raises(UsageError, match="shares no history"):
        machine.worktree(tip=tip)


def test_preparing_in_parallel_beside_fetches(machine: Machine) -> None:
    """64 worktrees, 16 at a time, while the base moves and is fetched: every one is whole and clean."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def fetch() -> None:
        try:
            while not stop.is_set():
                commit(machine.repo, {"moving": str(time.monotonic_ns())})
                machine.mirror.fetch(str(machine.repo))
        except BaseException as error:  # noqa: BLE001  (whatever it is, the test shows it)
            failures.append(error)

    def make(number: int) -> Worktree:
        folder = machine.home / "worktrees" / f"p{number}"
        return prepare(machine.mirror, folder, base=machine.base(), branch=f"polecat/t-{number}")

    thread = threading.Thread(target=fetch)
    thread.start()
    try:
        with ThreadPoolExecutor(16) as pool:
            made = list(pool.map(make, range(64)))
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert len({worktree.folder for worktree in made}) == 64
    assert all(FILES.items() <= files(worktree.tree).items() for worktree in made)
    assert git(made[63].tree, "status", "--porcelain", "--branch") == "## polecat/t-63"


def test_carrying_ignored_files_over(machine: Machine) -> None:
    """Only regular files that are untracked, named by the base, and ignored; modes stay; links are not followed."""
    include = ".env\nsecret/\n*.log\nREADME.md\nnotignored\nlink.log\n"
    commit(machine.repo, {".worktreeinclude": include, ".gitignore": FILES[".gitignore"] + "secret/\n"})
    machine.sync()
    local = {
        ".env": "KEY=1\n",
        "secret/a/key": "k\n",
        "notignored": "x",
        "src/run.log": "l\n",
        "node_modules/x": "n",
    }
    write(machine.repo, {**local, "README.md": "dirty\n"})
    (machine.repo / ".env").chmod(0o600)
    (machine.repo / "link.log").symlink_to("/etc/passwd")
    (machine.repo / "linked").symlink_to("secret")
    worktree = machine.worktree(carry_from=machine.repo)
    assert sorted(worktree.carried) == [".env", "secret/a/key", "src/run.log"]
    found = files(worktree.tree)
    assert {name: found[name] for name in worktree.carried} == {
        name: local[name] for name in worktree.carried
    }
    assert found["README.md"] == "hello\n"
    assert not {"notignored", "link.log", "node_modules/x"} & set(found)
    assert (worktree.tree / ".env").stat().st_mode & 0o777 == 0o600
    assert git(worktree.tree, "status", "--porcelain") == ""


def test_what_is_carried_is_the_bases_choice(machine: Machine) -> None:
    """A branch that an agent wrote can neither ask for the person's files nor redirect them outside."""
    write(machine.repo, {".env": "KEY=1\n"})
    git(machine.repo, "checkout", "-q", "-b", "polecat/t-1")
    tip = commit(machine.repo, {".worktreeinclude": ".env\n"})
    git(machine.repo, "checkout", "-q", "main")
    base = commit(machine.repo, {"a": "1"})
    machine.sync()
    assert machine.worktree(base=base, tip=tip, carry_from=machine.repo).carried == ()
    base = commit(machine.repo, {".worktreeinclude": "conf/.env\n"})
    write(machine.repo, {"conf/.env": "KEY=2\n"})
    outside = machine.root / "outside"
    outside.mkdir()
    git(machine.repo, "checkout", "-q", "-b", "evil")
    (machine.repo / "conf/.env").unlink()
    (machine.repo / "conf").rmdir()
    (machine.repo / "conf").symlink_to(outside)
    tip = commit(machine.repo)
    git(machine.repo, "checkout", "-q", "main")
    write(machine.repo, {"conf/.env": "KEY=2\n"})
    machine.sync()
    assert machine.worktree(base=base, carry_from=machine.repo).carried == ("conf/.env",)
    assert machine.worktree(base=base, tip=tip, carry_from=machine.repo).carried == ()
    assert list(outside.iterdir()) == []


def test_no_filter_runs_on_checkout(machine: Machine) -> None:
    """F32: attributes in the base name a driver, nobody defines it, LFS pointers stay pointers."""
    canary = machine.root / "canary"
    pointer = "version https://example.org/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"
    commit(
        machine.repo, {".gitattributes": "* filter=evil\n*.bin filter=lfs diff=lfs -text\n", "a.bin": pointer}
    )
    git(machine.repo, "config", "filter.evil.smudge", f"touch {canary}; cat")
    machine.sync()
    worktree = machine.worktree(carry_from=machine.repo)
    assert (worktree.tree / "a.bin").read_text() == pointer
    assert not canary.exists()


def test_submodules_are_empty_folders(machine: Machine) -> None:
    """A gitlink is checked out as an empty folder, and the agent's status is clean."""
    base = machine.base()
    git(machine.repo, "update-index", "--add", "--cacheinfo", f"160000,{base},vendor/lib")
    git(machine.repo, "commit", "-q", "-m", "submodule")
    machine.sync()
    worktree = machine.worktree()
    assert list((worktree.tree / "vendor/lib").iterdir()) == []
    assert git(worktree.tree, "status", "--porcelain") == ""
    assert not snapshot(machine.mirror, worktree).is_changed


def test_removal_is_a_rename_whatever_is_inside(machine: Machine) -> None:
    """Trees deeper than a path can name stop neither the removal nor the emptying; removing twice is fine."""
    worktree = machine.worktree()
    deep = worktree.tree
    here = os.open(deep, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 8, dir_fd=here)
        inner = os.open("d" * 8, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    remove(worktree.folder, machine.home)
    assert not worktree.folder.exists()
    remove(worktree.folder, machine.home)
    empty_trash(machine.home)
    assert list((machine.home / "trash").iterdir()) == []
    empty_trash(machine.home)


def read_only_trash() -> None:
    with tempfile.TemporaryDirectory() as root:
        machine = make_machine(Path(root))
        worktree = machine.worktree()
        sh(worktree.tree, "mkdir -p locked/in; touch locked/in/x; chmod 000 locked/in; chmod 500 locked")
        worktree.folder.chmod(0o500)
        remove(worktree.folder, machine.home)
        empty_trash(machine.home)
        assert list((machine.home / "trash").iterdir()) == []


def test_removal_without_permissions() -> None:
    """Folders that their owner may not write to or list are given the bits first; root never sees the difference."""
    if os.geteuid() == 0:
        as_nobody(read_only_trash)
    else:
        read_only_trash()


def test_few_processes(machine: Machine, tmp_path: Path) -> None:
    """At most two git processes for a plain worktree, and two for its snapshot: each is 3 ms of every task."""
    log = tmp_path / "log"
    fake = tmp_path / "bin" / "git"
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho x >> {log}\nexec {real} "$@"\n')
    fake.chmod(0o755)
    base = machine.base()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
        worktree = machine.worktree(base=base)
        assert len(log.read_text().split()) <= 2
        log.unlink()
        snapshot(machine.mirror, worktree)
        assert len(log.read_text().split()) <= 2
