"""The warm pool: what an attempt takes is what it would have made, was touched by nobody, and is taken once."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from machine import Machine, commit, git, make_machine, sh, write
from support.scene import ended, forked

from refinery import pool
from refinery.attempt import Work, begin, leftovers, snapshot_leftover
from refinery.boxed import Place
from refinery.containment import available
from refinery.core.config import ProjectConfig
from refinery.core.pooling import FRESH
from refinery.pool import Wanted, dead_entries, fill, ready, take
from refinery.process import run
from refinery.snapshot import snapshot
from refinery.worktree import Worktree, prepare, remove

SET_UP = "mkdir -p node_modules/dep; echo 1 > node_modules/dep/index.js; echo made > made.txt; echo more >> README.md"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def wanted(machine: Machine, **changes) -> Wanted:
    values = {"project": "demo", "kind": "k", "base": machine.base(), "base_branch": "main"}
    return Wanted(**{**values, "config": ProjectConfig(setup=(("sh", "-c", SET_UP),)), **changes})


def work(machine: Machine, number: int = 1, **changes) -> Work:
    values = {"project": "demo", "task": "T", "key": "t", "attempt": 1, "claim": f"{number:x}".ljust(40, "0")}
    return Work(**{**values, "branch": "polecat/t", "base": machine.base(), "base_branch": "main", **changes})


def set_up(worktree: Worktree) -> str:
    sh(worktree.tree, SET_UP)
    return ""


def filled(machine: Machine, **changes) -> pool.Entry:
    entry, why = fill(machine.mirror, machine.home, wanted(machine, **changes), set_up)
    assert entry is not None, why
    return entry


def taken(machine: Machine, number: int = 1, tell=lambda _: None, **changes) -> Worktree | None:
    found = take(machine.mirror, machine.home, wanted(machine, **changes), work(machine, number), tell)
    return found.worktree if found is not None else None


def folders(machine: Machine) -> list[Path]:
    return sorted((machine.home / "pool").glob("*/*"))


def everything(tree: Path) -> dict[str, object]:
    """Path → mode and content of all files, the agent's git directory without its index (stat data) included."""
    found = {}
    for path in sorted(tree.rglob("*")):
        if path.is_file() and path != tree / ".git" / "index":
            found[str(path.relative_to(tree))] = (path.stat().st_mode, path.read_bytes())
    return found


def test_it_is_what_an_attempt_would_have_made(machine: Machine) -> None:
    """Files, modes, refs, what git shows the agent, and the snapshot afterwards: set-up's changes count alike."""
    pooled = filled(machine)
    ours = taken(machine)
    assert ours is not None
    assert ours.folder == pooled.folder
    cold = begin(machine.mirror, machine.home, work(machine, 2))
    set_up(cold)
    assert everything(ours.tree) == everything(cold.tree)
    for question in (("status", "--porcelain"), ("branch", "-a"), ("log", "--all", "--format=%H %D")):
        assert git(ours.tree, *question) == git(cold.tree, *question)
    told = {"folder": cold.folder, "index_digest": cold.index_digest}
    assert replace(ours, **told) == cold
    seen, other = snapshot(machine.mirror, ours), snapshot(machine.mirror, cold)
    assert seen == other
    assert seen.is_changed
    listing = machine.listing(seen.tree)
    assert listing["README.md"] == "100644 hello\nmore"
    assert listing["made.txt"] == "100644 made"
    assert "node_modules/dep/index.js" not in listing


def test_whatever_a_base_can_hold(machine: Machine) -> None:
    """Links, submodules, executables, odd and undecodable names: found unchanged, and as a new one has them."""
    (machine.repo / "link").symlink_to("src")
    (machine.repo / "src/app.py").chmod(0o755)
    write(machine.repo, {"a\tb\nc": "x\n", "ä/ö": "x\n", os.fsdecode(b"odd-\xff"): "x\n"})
    git(machine.repo, "add", "-A")
    git(machine.repo, "update-index", "--add", "--cacheinfo", f"160000,{machine.base()},vendor/lib")
    git(machine.repo, "commit", "-q", "-m", "odd")
    machine.sync()
    filled(machine)
    told: list[str] = []
    ours = taken(machine, tell=told.append)
    assert ours is not None, told
    cold = begin(machine.mirror, machine.home, work(machine, 2))
    set_up(cold)
    assert everything(ours.tree) == everything(cold.tree)
    assert snapshot(machine.mirror, ours) == snapshot(machine.mirror, cold)


def test_an_agents_work_in_it_is_saved_after_a_crash(machine: Machine) -> None:
    """F16: a pooled worktree whose worker was killed is found like any other, and its work is a commit."""
    filled(machine)

    def worker() -> None:
        found = taken(machine)
        assert found is not None
        write(found.tree, {"work.txt": "mine\n"})

    assert ended(forked(worker)) == 0
    (left,) = leftovers(machine.home)
    sha = snapshot_leftover(machine.mirror, left, 1_700_000_000.0)
    assert sha is not None
    assert machine.listing(sha)["work.txt"] == "100644 mine"
    assert ready(machine.home) == []
    remove(left.folder, machine.home)
    assert (leftovers(machine.home), folders(machine)) == ([], [])


def put_back(path: Path, change) -> None:
    """Change a file and restore its size and times, as somebody does who wants to go unnoticed."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def other_letter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def edit_note(entry: pool.Entry, change) -> None:
    note = json.loads((entry.folder / "ready").read_text())
    change(note)
    (entry.folder / "ready").write_text(json.dumps(note))


def less_in_the_list(entry: pool.Entry) -> None:
    path = entry.folder / "inventory"
    path.write_text(json.dumps(json.loads(path.read_text())[:3]))


TAMPERED = {
    "a file of the base": lambda e: put_back(e.folder / "tree/src/app.py", other_letter),
    "a file that set-up changed": lambda e: put_back(e.folder / "tree/README.md", other_letter),
    "an ignored file": lambda e: put_back(e.folder / "tree/node_modules/dep/index.js", other_letter),
    "the agent's git config": lambda e: put_back(e.folder / "tree/.git/config", other_letter),
    "the agent's index": lambda e: put_back(e.folder / "tree/.git/index", other_letter),
    "a hook": lambda e: write(e.folder / "tree/.git/hooks", {"post-checkout": "#!/bin/sh\n"}),
    "another untracked file": lambda e: write(e.folder / "tree", {"extra.txt": "x"}),
    "another ignored file": lambda e: write(e.folder / "tree", {"node_modules/dep/evil.js": "x"}),
    "a removed file": lambda e: (e.folder / "tree/made.txt").unlink(),
    "a mode": lambda e: (e.folder / "tree/node_modules/dep/index.js").chmod(0o755),
    "a link for a folder": lambda e: (
        shutil.move(e.folder / "tree/src", e.folder.parent / "moved"),
        (e.folder / "tree/src").symlink_to(e.folder.parent / "moved"),
    ),
    "our index": lambda e: other_letter(e.folder / "kept-index"),
    "our list": less_in_the_list,
    "our list is gone": lambda e: (e.folder / "inventory").unlink(),
    "things to put back": lambda e: write(e.folder, {"aside/list": '"x"\n', "aside/0": "x"}),
    "an attempt's note": lambda e: write(e.folder, {"meta.json": "{}"}),
    "the note's tree": lambda e: edit_note(e, lambda note: note["worktree"].update(start_tree="4" * 40)),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_somebody_touched_is_not_used(machine: Machine, how: str) -> None:
    """It is thrown away with a word: size and time put back do not help."""
    entry = filled(machine)
    TAMPERED[how](entry)
    told: list[str] = []
    assert taken(machine, tell=told.append) is None
    assert len(told) == 1
    assert "thrown away" in told[0]
    assert not entry.folder.exists()
    assert len(list((machine.home / "trash").iterdir())) == 1


def test_the_next_one_serves(machine: Machine) -> None:
    """An unfit one costs its taker a look, and nobody a task."""
    unfit, other = filled(machine), filled(machine)
    write(unfit.worktree.tree, {"extra.txt": "x"})
    found = taken(machine)
    assert found is not None
    assert found.folder == other.folder


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"kind": "k"}', "option"], ids=["empty", "cut", "list", "other", "option"]
)
def test_a_damaged_note_is_nobodys(machine: Machine, damage: str) -> None:
    """What cannot be read, or names what git could take for an option, is thrown away at the first look."""
    entry = filled(machine)
    if damage == "option":
        edit_note(entry, lambda note: note["worktree"].update(base="--output=x", parents=["--output=x"]))
    else:
        (entry.folder / "ready").write_text(damage)
    assert taken(machine) is None
    assert folders(machine) == []


def test_what_is_harmless_does_not_cost_it(machine: Machine) -> None:
    """Reading everything, and another text in the log of set-up, which is only shown."""
    entry = filled(machine)
    everything(entry.worktree.tree)
    (entry.folder / "setup.log").write_text("other words\n")
    assert taken(machine) is not None


@pytest.mark.parametrize(
    ("changes", "is_used"),
    [({}, True), ({"kind": "other"}, False), ({"project": "other"}, False), ({"base_branch": "next"}, False)],
)
def test_it_serves_what_it_was_prepared_for(machine: Machine, changes, is_used: bool) -> None:
    """Another set-up, environment, project or base branch goes without, and leaves it to others."""
    filled(machine)
    assert (taken(machine, **changes) is not None) is is_used
    assert len(ready(machine.home)) == (not is_used)


def test_an_old_one_is_not_used(machine: Machine) -> None:
    """After a day, or when the clock went back: what set-up fetched may be anything by now."""
    for age in (FRESH + 60, -3600.0):
        entry = filled(machine)
        edit_note(entry, lambda note, age=age: note.update(made_at=note["made_at"] - age))
        assert taken(machine) is None
        remove(entry.folder, machine.home)


@pytest.mark.parametrize(
    ("config", "change", "is_used"),
    [
        (ProjectConfig(), {"src/app.py": "two\n", "new/x.py": "x\n"}, True),
        (ProjectConfig(), {"made.txt": "in the way\n"}, False),
        (ProjectConfig(), {"README.md": "set-up changed it too\n"}, False),
        (ProjectConfig(setup=(("true",),)), {"src/app.py": "two\n"}, False),
        (ProjectConfig(setup=(("true",),), setup_inputs=("*.lock",)), {"src/app.py": "two\n"}, True),
        (ProjectConfig(setup=(("true",),), setup_inputs=("*.lock",)), {"a.lock": "2\n"}, False),
    ],
)
def test_a_base_that_moved_on(machine: Machine, config, change, is_used: bool) -> None:
    """A worktree prepared before is brought along where that is the same as a new one, and never else."""
    filled(machine, config=config)
    commit(machine.repo, change)
    machine.sync()
    found = taken(machine, config=config)
    assert (found is not None) is is_used
    if found is None:
        return
    cold = begin(machine.mirror, machine.home, work(machine, 2))
    set_up(cold)
    assert everything(found.tree) == everything(cold.tree)
    assert git(found.tree, "status", "--porcelain") == git(cold.tree, "status", "--porcelain")
    assert replace(found, folder=cold.folder, index_digest=cold.index_digest) == cold
    assert snapshot(machine.mirror, found) == snapshot(machine.mirror, cold)


def test_the_exact_base_comes_first(machine: Machine) -> None:
    """An older one is only brought along when there is none of the base itself."""
    filled(machine, config=ProjectConfig())
    commit(machine.repo, {"new": "x"})
    machine.sync()
    exact = filled(machine, config=ProjectConfig())
    found = taken(machine, config=ProjectConfig())
    assert found is not None
    assert found.folder == exact.folder


def test_carried_files_are_todays(machine: Machine) -> None:
    """A person's `.env` that changed since, or came since, is in every attempt as it is now."""
    commit(machine.repo, {".worktreeinclude": ".env\n*.log\n"})
    machine.sync()
    write(machine.repo, {".env": "KEY=1\n"})
    filled(machine, checkout=machine.repo)
    found = taken(machine, checkout=machine.repo)
    assert found is not None
    assert found.carried == (".env",)
    for change in ({".env": "KEY=2\n"}, {"new.log": "x"}):
        filled(machine, checkout=machine.repo)
        write(machine.repo, change)
        assert taken(machine, 2, checkout=machine.repo) is None
    assert len(folders(machine)) == 1


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 3", "it failed"),
        ("git checkout -q -b other", "changed the branch"),
        ("git commit -q --allow-empty -m x", "changed the branch"),
    ],
)
def test_a_set_up_that_cannot_be_kept(machine: Machine, script: str, why: str) -> None:
    """It failed, or moved the branch that every attempt has for itself: no entry, and nothing left."""

    def act(worktree: Worktree) -> str:
        done = subprocess.run(["sh", "-c", script], cwd=worktree.tree, check=False)
        return "it failed" if done.returncode else ""

    entry, told = fill(machine.mirror, machine.home, wanted(machine), act)
    assert entry is None
    assert why in told
    assert folders(machine) == []


def test_sixteen_takers_of_four(machine: Machine) -> None:
    """Each prepared one has one taker, everybody gets a worktree, and none is ever free again."""
    entries = {filled(machine).folder for _ in range(4)}
    wait, start = os.pipe()

    def worker(number: int) -> None:
        os.close(start)
        os.read(wait, 1)  # ends when nobody can write any more: for all of them at once
        own = work(machine, number)
        found = taken(machine, number) or begin(machine.mirror, machine.home, own)
        assert git(found.tree, "branch", "--show-current") == "polecat/t"
        (machine.root / f"got-{number}").write_text(str(found.folder))

    children = [forked(lambda number=number: worker(number)) for number in range(16)]
    os.close(start)
    os.close(wait)
    assert [ended(child) for child in children] == [0] * 16
    got = [Path(path.read_text()) for path in machine.root.glob("got-*")]
    assert len(set(got)) == 16
    assert entries <= set(got)
    assert ready(machine.home) == []
    assert len(leftovers(machine.home)) == 16
    assert dead_entries(machine.home) == []


@pytest.mark.skipif(bool(available()), reason=f"no box here: {available()}")
def test_a_boxed_program_neither_sees_nor_changes_the_pool(machine: Machine) -> None:
    """Set-up of another worktree, or an agent: the home's pool is not there for it, and stays as it was."""
    entry = filled(machine)
    own = prepare(machine.mirror, machine.home / "worktrees/w", base=machine.base(), branch="polecat/t")
    place = Place(
        config=ProjectConfig(sandbox="bubblewrap"), mirror=machine.mirror.path, worktree=own.tree, marker="m"
    )
    script = f"ls {machine.home}/pool; echo x > {entry.worktree.tree}/README.md; echo x > own; true"
    assert run(place.spec(("sh", "-c", script), timeout=30), on_output=lambda _: None).succeeded
    assert (own.tree / "own").exists()
    assert taken(machine) is not None
