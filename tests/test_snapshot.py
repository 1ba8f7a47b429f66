"""The snapshot: exactly what the agent left, no more and no less, and what could not be taken is named."""

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from machine import FILES, Machine, as_nobody, commit, git, make_machine, sh, write

from refinery.errors import GitError, TamperedError
from refinery.git import Signature
from refinery.scan import Reason
from refinery.snapshot import Snapshot, Stamp, commit_snapshot, snapshot, with_trailers
from refinery.worktree import Worktree, digest

BASE = {name: f"100644 {text.rstrip()}" for name, text in FILES.items()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


@pytest.fixture
def worktree(machine: Machine) -> Worktree:
    return machine.worktree()


def take(
    machine: Machine, worktree: Worktree, **options
) -> tuple[dict[str, str], dict[str, Reason], Snapshot]:
    """The listing, what was left out by path, and the snapshot itself."""
    taken = snapshot(machine.mirror, worktree, **options)
    return machine.listing(taken.tree), {one.path: one.reason for one in taken.left_out}, taken


def test_f12_an_agent_that_does_nothing_changes_nothing(machine: Machine, worktree: Worktree) -> None:
    """F12: no file of ours is in the tree, so a no-op is a no-op; so is touching, and committing without a change."""
    assert take(machine, worktree)[2] == Snapshot(worktree.start_tree, is_changed=False)
    sh(worktree.tree, "touch README.md src/app.py; git commit -q --allow-empty -m nothing; git tag x")
    assert take(machine, worktree)[2] == Snapshot(worktree.start_tree, is_changed=False)


def test_f16_everything_the_agent_did_is_kept(machine: Machine, worktree: Worktree) -> None:
    """F16: uncommitted, staged and committed changes, additions, deletions, modes and links are all in the tree."""
    script = """
    echo two >> src/app.py; rm README.md; echo new > added; git add added; git commit -qm mine
    echo staged > staged; git add staged; echo later > staged; chmod +x src/lib/util.py; ln -s nowhere link
    mkdir -p empty/folder; echo x > debug.log
    """
    sh(worktree.tree, script)
    listing, left_out, taken = take(machine, worktree)
    expected = {
        **BASE,
        "src/app.py": "100644 print('one')\ntwo",
        "added": "100644 new",
        "staged": "100644 later",
        "src/lib/util.py": "100755 x = 1",
        "link": "120000 nowhere",
    }
    del expected["README.md"]
    assert listing == expected
    assert (left_out, taken.is_changed) == ({}, True)


def test_f13_the_users_checkout_does_not_leak_in(machine: Machine, worktree: Worktree) -> None:
    """F13: unrelated files of the repository, other worktrees and ignored files are in no snapshot."""
    write(machine.repo, {f"unrelated{n}": "x" for n in range(20)})
    other = machine.worktree()
    write(other.tree, {"other": "x"})
    write(worktree.tree, {"mine": "x", "node_modules/a/b": "x"})
    assert take(machine, worktree)[0] == {**BASE, "mine": "100644 x"}
    assert take(machine, other)[0] == {**BASE, "other": "100644 x"}


def test_a_snapshot_can_be_taken_again(machine: Machine, worktree: Worktree) -> None:
    """Taking it changes nothing that the next one sees: left-out things are where they were."""
    sh(worktree.tree, "mkfifo pipe; git init -q nested; echo x > nested/x; echo y > y")
    first = snapshot(machine.mirror, worktree)
    assert snapshot(machine.mirror, worktree) == first
    assert (worktree.tree / "nested/.git").is_dir()
    assert not (worktree.folder / "aside").exists()


def restore_times(path: Path, status: os.stat_result) -> None:
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_change_of_equal_size_and_time_is_seen(machine: Machine, worktree: Worktree) -> None:
    """A file written in place, in the second of the checkout, same size, mtime put back, cannot hide (racy git)."""
    path = worktree.tree / "src/app.py"
    status = path.stat()
    with path.open("r+") as file:
        file.write("PRINT")
    restore_times(path, status)
    assert path.stat().st_size == status.st_size
    assert take(machine, worktree)[0]["src/app.py"] == "100644 PRINT('one')"


@pytest.mark.parametrize("in_place", [True, False])
def test_a_change_hidden_from_an_old_index_is_seen(
    machine: Machine, worktree: Worktree, in_place: bool
) -> None:
    """Once the index is newer than its entries, ctime or inode still give a restored mtime away."""
    path = worktree.tree / "src/app.py"
    old = 1_600_000_000 * 10**9
    os.utime(path, ns=(old, old))
    kept = machine.mirror.git(work_tree=worktree.tree, index=worktree.kept_index)
    kept.run("update-index", "--refresh")
    # The entry is now older than its index by years, so only stat data is looked at. Wait for the clock's next
    # second, since this git compares whole seconds of ctime: an agent never starts in the second of its checkout's
    # index without the entry being racy.
    changed = int(path.stat().st_ctime) + 1
    while True:
        if in_place:
            with path.open("r+") as file:
                file.write("PRINT")
        else:
            copy = path.with_name("copy")
            copy.write_text("PRINT('one')\n")
            copy.replace(path)
        os.utime(path, ns=(old, old))
        if path.stat().st_ctime >= changed:
            break
    again = replace(worktree, index_digest=digest(worktree.kept_index))
    assert take(machine, again)[0]["src/app.py"] == "100644 PRINT('one')"


def test_special_files_are_named_and_hang_nobody(machine: Machine, worktree: Worktree) -> None:
    """FIFOs (under the names that git opens, too), sockets and devices; tracked entries they replaced stay."""
    script = """
    rm .gitignore README.md; mkfifo .gitignore .gitattributes .gitmodules README.md src/.gitignore src/lib/pipe
    rm -r src/lib; mkfifo src/lib; echo x > ok
    """
    sh(worktree.tree, script)
    here = os.open(worktree.tree, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{here}/socket")
    os.close(here)
    if os.geteuid() == 0:
        sh(worktree.tree, "mknod zero c 1 5 || true")
    special = {
        path
        for path in worktree.tree.rglob("*")
        if path.is_fifo() or path.is_socket() or path.is_char_device()
    }
    listing, left_out, _ = take(machine, worktree, timeout=20)
    assert listing == {**BASE, "ok": "100644 x"}
    assert set(left_out) == {str(path.relative_to(worktree.tree)) for path in special}
    assert set(left_out.values()) == {Reason.SPECIAL}


@pytest.mark.parametrize("name", [".git", ".GIT", ".Git"])
@pytest.mark.parametrize("kind", ["folder", "file", "link", "fifo"])
def test_nested_repositories_are_left_out_and_named(
    machine: Machine, worktree: Worktree, name: str, kind: str
) -> None:
    """Whatever `.git` is, in any case: its folder keeps the tracked entries and gives nothing else."""
    make = {"folder": "git init -q . && [ .git = {0} ] || mv .git {0}", "file": "echo gitdir: /x > {0}"}
    make |= {"link": "ln -s /tmp {0}", "fifo": "mkfifo {0}"}
    sh(
        worktree.tree,
        f"cd src/lib; {make[kind].format(name)}; echo 2 > util.py; echo n > new; cd ../..; echo x > ok",
    )
    listing, left_out, _ = take(machine, worktree)
    assert listing == {**BASE, "ok": "100644 x"}
    assert left_out == {"src/lib": Reason.NESTED}


def test_what_is_ignored_anyway_is_not_named(machine: Machine, worktree: Worktree) -> None:
    """Installed packages hold nested repositories and sockets; nobody wants to read about them."""
    sh(
        worktree.tree,
        "mkdir -p node_modules/a; cd node_modules/a; git init -q .; mkfifo pipe; cd ..; mkfifo x.log",
    )
    assert take(machine, worktree)[2] == Snapshot(worktree.start_tree, is_changed=False)


def test_files_above_the_limit(machine: Machine) -> None:
    """New big ones are named; a tracked one keeps its entry when it grew, and is no news when it did not change."""
    commit(machine.repo, {"big": "b" * 3000, "grows": "g"})
    machine.sync()
    worktree = machine.worktree()
    write(worktree.tree, {"grows": "g" * 3000, "new": "n" * 3000, "fits": "f" * 1000, "x.log": "l" * 3000})
    listing, left_out, _ = take(machine, worktree, max_file=2000)
    assert listing == {
        **BASE,
        "big": "100644 " + "b" * 3000,
        "grows": "100644 g",
        "fits": "100644 " + "f" * 1000,
    }
    assert left_out == {"grows": Reason.TOO_BIG, "new": Reason.TOO_BIG}


def test_a_huge_sparse_file_costs_nothing(machine: Machine, worktree: Worktree) -> None:
    """A terabyte of holes is named by its size, not read."""
    with (worktree.tree / "huge").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)
    listing, left_out, _ = take(machine, worktree, timeout=20)
    assert (listing, left_out) == (BASE, {"huge": Reason.TOO_BIG})


def test_names_that_git_refuses(machine: Machine, worktree: Worktree) -> None:
    """They are named, and everything else is taken."""
    (worktree.tree / ".gitmodules").symlink_to("/dev/zero")
    write(worktree.tree, {"git~1/x": "1", "src/.git.": "1", "src/.g\u200cit/y": "1", "ok": "x"})
    listing, left_out, _ = take(machine, worktree, timeout=20)
    assert listing == {**BASE, "ok": "100644 x"}
    assert left_out == dict.fromkeys(
        [".gitmodules", "git~1/x", "src/.git.", "src/.g\u200cit/y"], Reason.REFUSED
    )


def test_modules_that_became_a_link(machine: Machine) -> None:
    """A tracked `.gitmodules` that is now a link to a pipe hangs nobody, and stays what it was."""
    commit(machine.repo, {".gitmodules": "# none\n"})
    machine.sync()
    worktree = machine.worktree()
    sh(worktree.tree, "mkfifo ../pipe; rm .gitmodules; ln -s ../pipe .gitmodules; echo x > ok")
    listing, left_out, _ = take(machine, worktree, timeout=20)
    assert listing == {**BASE, ".gitmodules": "100644 # none", "ok": "100644 x"}
    assert left_out == {".gitmodules": Reason.REFUSED}


def test_odd_names_are_only_names(machine: Machine, worktree: Worktree) -> None:
    """Newlines, bytes that are not UTF-8, leading dashes and pathspec magic are taken as they are."""
    names = [
        "new\nline",
        "\udcff\udcfe",
        "-rf",
        "--all",
        ":(exclude)src",
        ":!x",
        "*",
        '"q"',
        " ",
        "é",
        "back\\slash",
    ]
    write(worktree.tree, dict.fromkeys(names, "x"))
    assert take(machine, worktree)[0] == {**BASE, **dict.fromkeys(names, "100644 x")}


def test_odd_names_can_be_left_out(machine: Machine, worktree: Worktree) -> None:
    """The same for what is left out."""
    names = ["new\nline", "\udcff\udcfe", "-rf", ":(exclude)src", ":!x", '"q"']
    for name in names:
        os.mkfifo(worktree.tree / name)
    assert take(machine, worktree)[:2] == (BASE, dict.fromkeys(names, Reason.SPECIAL))


def test_a_path_that_is_too_long(machine: Machine, worktree: Worktree) -> None:
    """Folders deeper than a path can name are left out and named; their neighbours are taken."""
    here = os.open(worktree.tree, os.O_RDONLY)
    for number in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        inner = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
        os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    listing, left_out, _ = take(machine, worktree)
    assert list(left_out.values()) == [Reason.TOO_DEEP]
    assert 25 < len(listing) - len(BASE) < 60


def test_attributes_that_make_files_unreadable(machine: Machine, worktree: Worktree) -> None:
    """An encoding that no file has stops git's `add`; the work is taken without these attributes, which are named."""
    write(worktree.tree, {".gitattributes": "* working-tree-encoding=UTF-16\n", "new": "x"})
    (worktree.tree / "odd").write_bytes(b"\xff\x00\x01")
    (worktree.tree / "src/app.py").write_text("two\n")
    listing, left_out, _ = take(machine, worktree)
    assert left_out == {".gitattributes": Reason.ATTRIBUTES}
    assert set(listing) == {*BASE, "new", "odd"}
    assert listing["src/app.py"] == "100644 two"


def test_attributes_that_git_understands_are_honoured(machine: Machine, worktree: Worktree) -> None:
    """Line endings are normalised as the project asks."""
    write(worktree.tree, {".gitattributes": "*.txt text\n"})
    (worktree.tree / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    taken = snapshot(machine.mirror, worktree)
    assert machine.mirror.read_file(taken.tree, "a.txt") == b"one\ntwo\n"


SUBMODULE_CHANGES = {
    "initialised": "git init -q vendor/lib; cd vendor/lib; git commit -q --allow-empty -m x",
    "filled": "echo x > vendor/lib/file",
    "deleted": "rm -r vendor",
    "replaced": "rmdir vendor/lib; echo x > vendor/lib",
    "linked": "rmdir vendor/lib; ln -s /tmp vendor/lib",
    "fifo": "rmdir vendor/lib; mkfifo vendor/lib",
}


@pytest.mark.parametrize("change", SUBMODULE_CHANGES)
def test_a_submodule_stays_what_it_was(machine: Machine, change: str) -> None:
    """Whatever the agent or its set-up did in the folder, the gitlink of the base is kept."""
    base = machine.base()
    git(machine.repo, "update-index", "--add", "--cacheinfo", f"160000,{base},vendor/lib")
    git(machine.repo, "commit", "-q", "-m", "submodule")
    machine.sync()
    worktree = machine.worktree()
    sh(worktree.tree, SUBMODULE_CHANGES[change])
    assert take(machine, worktree)[2] == Snapshot(worktree.start_tree, is_changed=False)
    write(worktree.tree, {"ok": "x"})
    assert take(machine, worktree)[0] == {**BASE, "vendor/lib": f"160000 {base}", "ok": "100644 x"}


def lfs_machine(machine: Machine, content: bytes) -> Worktree:
    name = hashlib.sha256(content).hexdigest()
    pointer = f"version https://example.org/spec/v1\noid sha256:{name}\nsize {len(content)}\n"
    commit(machine.repo, {".gitattributes": "*.bin filter=lfs -text\n", "a.bin": pointer, "b.bin": pointer})
    machine.sync()
    return machine.worktree()


@pytest.mark.parametrize("size", [100, 5000])
def test_a_downloaded_lfs_file_is_unchanged(machine: Machine, size: int) -> None:
    """Content that equals its pointer keeps the pointer, above the size limit as well; other content is a change."""
    content = b"c" * size
    worktree = lfs_machine(machine, content)
    (worktree.tree / "a.bin").write_bytes(content)
    assert take(machine, worktree, max_file=2000)[2] == Snapshot(worktree.start_tree, is_changed=False)
    assert (worktree.tree / "a.bin").read_bytes() == content
    (worktree.tree / "b.bin").write_bytes(b"x" + content[1:])
    listing, left_out, taken = take(machine, worktree)
    assert listing["b.bin"] == "100644 x" + "c" * (size - 1)
    assert listing["a.bin"].startswith("100644 version ")
    assert (left_out, taken.is_changed) == ({}, True)


def test_content_of_another_size_than_its_pointer_is_a_change(machine: Machine) -> None:
    """A pointer that names the right hash and the wrong size is not this file's pointer."""
    name = hashlib.sha256(b"content").hexdigest()
    pointer = f"version https://example.org/spec/v1\noid sha256:{name}\nsize 8\n"
    commit(machine.repo, {".gitattributes": "*.bin filter=lfs -text\n", "a.bin": pointer})
    machine.sync()
    worktree = machine.worktree()
    write(worktree.tree, {"a.bin": "content"})
    assert take(machine, worktree)[0]["a.bin"] == "100644 content"


def test_a_folder_replaced_by_a_link_outside(machine: Machine, worktree: Worktree) -> None:
    """The link is committed as a link; nothing behind it is read."""
    outside = machine.root / "outside"
    write(outside, {"lib/util.py": "stolen", "secret": "s"})
    sh(worktree.tree, f"rm -r src; ln -s {outside} src; ln -s /etc/passwd pw")
    listing, _, _ = take(machine, worktree)
    expected = {name: text for name, text in BASE.items() if not name.startswith("src/")}
    assert listing == {**expected, "src": f"120000 {outside}", "pw": "120000 /etc/passwd"}


def test_conflict_markers_that_were_left(machine: Machine) -> None:
    """Of the files in conflict, those with a marker line are named; a resolved one and an underlined title are not."""
    for branch, word in (("polecat/t-1", "theirs"), ("main", "ours")):
        git(machine.repo, "checkout", "-q", "-B", branch, machine.base())
        commit(machine.repo, {"a\nb": f"{word}\n", "c": f"{word}\n", "d": f"{word}\n"})
    machine.sync()
    worktree = machine.worktree(tip=git(machine.repo, "rev-parse", "polecat/t-1"))
    assert sorted(worktree.conflicts) == ["a\nb", "c", "d"]
    assert sorted(snapshot(machine.mirror, worktree).markers) == ["a\nb", "c", "d"]
    write(worktree.tree, {"c": "Title\n=======\n", "README.md": "<<<<<<< example\n"})
    (worktree.tree / "d").unlink()
    assert snapshot(machine.mirror, worktree).markers == ("a\nb",)


def test_carried_files_never_enter(machine: Machine) -> None:
    """An agent that lifts the ignore rule does not publish the person's `.env`; moved behind a link it stays safe."""
    commit(machine.repo, {".worktreeinclude": ".env\n", ".gitignore": ".env\n"})
    write(machine.repo, {".env": "KEY=1\n", "conf/.env": "KEY=2\n"})
    machine.sync()
    worktree = machine.worktree(carry_from=machine.repo)
    assert sorted(worktree.carried) == [".env", "conf/.env"]
    assert not snapshot(machine.mirror, worktree).is_changed
    outside = machine.root / "outside"
    write(outside, {".env": "theirs"})
    sh(worktree.tree, f"echo > .gitignore; rm -r conf; ln -s {outside} conf")
    listing, left_out, _ = take(machine, worktree)
    assert left_out == {".env": Reason.CARRIED}
    assert ".env" not in listing
    assert (outside / ".env").read_text() == "theirs"
    assert (worktree.tree / ".env").read_text() == "KEY=1\n"


def test_leftovers_of_a_killed_snapshot_do_not_stop_the_next(machine: Machine, worktree: Worktree) -> None:
    """A lock of a dead git, and things that were set aside when it died, are put right first."""
    sh(worktree.tree, "mkfifo pipe; echo x > ok; echo 2 > src/app.py")
    aside = worktree.folder / "aside"
    aside.mkdir()
    (aside / "list").write_text('"README.md"\n"src/lib"\n"src/app.py"\n')
    (worktree.tree / "README.md").rename(aside / "0")
    (worktree.tree / "src/lib").rename(aside / "1")
    (worktree.folder / "index.lock").touch()
    listing, left_out, _ = take(machine, worktree)
    assert listing == {**BASE, "ok": "100644 x", "src/app.py": "100644 2"}
    assert left_out == {"pipe": Reason.SPECIAL}


def test_git_that_takes_too_long_is_an_error(machine: Machine, worktree: Worktree) -> None:
    """No answer in time is no empty snapshot, and the files are where they were."""
    sh(worktree.tree, "mkfifo pipe; echo x > ok")
    with pytest.raises(GitError, match="could not read the worktree"):
        snapshot(machine.mirror, worktree, timeout=-1)  # over before it began, however fast git is
    assert (worktree.tree / "pipe").is_fifo()


def test_a_changed_boundary_is_noticed(machine: Machine, worktree: Worktree) -> None:
    """A kept index that somebody edited, and a tree that is gone or a link, give no snapshot."""
    kept = worktree.kept_index.read_bytes()
    git(worktree.tree, f"--git-dir={machine.mirror.path}", "--work-tree=.", "ls-files")
    worktree.kept_index.write_bytes(kept[:-20] + b"\0" * 20)
    with pytest.raises(TamperedError, match="index"):
        snapshot(machine.mirror, worktree)
    worktree.kept_index.write_bytes(kept)
    snapshot(machine.mirror, worktree)
    worktree.tree.rename(worktree.folder / "moved")
    with pytest.raises(TamperedError, match="folder is gone"):
        snapshot(machine.mirror, worktree)
    worktree.tree.symlink_to("moved")
    with pytest.raises(TamperedError, match="replaced"):
        snapshot(machine.mirror, worktree)


def locked_up() -> None:
    with tempfile.TemporaryDirectory() as root:
        machine = make_machine(Path(root))
        worktree = machine.worktree()
        script = "echo x > secret; echo 2 > src/app.py; mkdir -p in/side; echo y > in/side/file; mkfifo in/.gitignore"
        sh(worktree.tree, f"{script}; chmod 000 secret src/app.py; chmod 000 in/side; chmod 500 in")
        listing, left_out, _ = take(machine, worktree, timeout=20)
        expected = {**BASE, "secret": "100644 x", "src/app.py": "100644 2", "in/side/file": "100644 y"}
        assert listing == expected
        assert left_out == {"in/.gitignore": Reason.SPECIAL}
        subprocess.run(["chmod", "-R", "u+rwx", root], check=True)


def test_files_without_permissions_are_taken() -> None:
    """Mode 000 files and folders are ours: they are given the bits and read, so that no work is lost."""
    if os.geteuid() == 0:
        as_nobody(locked_up)
    else:
        locked_up()


def foreign(worktree: Worktree, machine: Machine) -> None:
    listing, left_out, _ = take(machine, worktree)
    assert listing == {**BASE, "ok": "100644 x"}
    assert left_out == {"theirs": Reason.UNREADABLE}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_an_unreadable_file_of_another_user_is_named() -> None:
    """What cannot be read even after asking is left out, and the rest is taken."""
    root = Path(tempfile.mkdtemp())
    try:
        machine = make_machine(root)
        worktree = machine.worktree()
        write(worktree.tree, {"ok": "x"})
        subprocess.run(["chown", "-R", "65534", str(root)], check=True)
        (worktree.tree / "theirs").write_text("x")
        (worktree.tree / "theirs").chmod(0o600)
        as_nobody(lambda: foreign(worktree, machine))
    finally:
        shutil.rmtree(root)


def test_the_commit_of_an_attempt(machine: Machine, worktree: Worktree) -> None:
    """Author, parents, tree and trailers, as git reads them; a value cannot start a line of its own."""
    write(worktree.tree, {"new": "x"})
    taken = snapshot(machine.mirror, worktree)
    who = Signature("An Agent", "agent@example.org", 1_700_000_000)
    stamp = Stamp("T-1\nRefinery-Claim: forged", 3, "c" * 40)
    message = "Add new\n\nBecause.\n\nRefinery-Claim: mine\n\n"
    sha = commit_snapshot(machine.mirror, taken, worktree.parents, stamp, who, message)
    shown = git(machine.mirror.path, "log", "-1", "--format=%an|%cn|%P|%T|%(trailers:unfold)", sha)
    expected = f"Refinery-Task: T-1 Refinery-Claim: forged\nRefinery-Attempt: 3\nRefinery-Claim: {'c' * 40}"
    assert shown.strip() == f"An Agent|Refinery|{machine.base()}|{taken.tree}|{expected}"
    assert git(machine.mirror.path, "rev-list", "--count", sha) == "2"


def test_trailers_stand_alone() -> None:
    """One blank line before them, whatever the message ended with."""
    assert with_trailers("T\n\n\n", Stamp("a", 1, "b")).splitlines()[:3] == ["T", "", "Refinery-Task: a"]
