"""Attempts on this machine: whose worktree it is, and what a dead worker leaves."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from machine import FILES, Machine, git, make_machine, sh, write

from refinery.attempt import (
    State,
    Work,
    begin,
    leftovers,
    mark_saved,
    process_start,
    read_meta,
    snapshot_leftover,
    write_meta,
)
from refinery.errors import UsageError
from refinery.mirror import Mirror
from refinery.worktree import remove

NOW = 1_700_000_000.0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def work(machine: Machine, **changes) -> Work:
    values = {"project": "demo", "task": "T 1\nx", "key": "_541", "attempt": 2, "claim": "c" * 40}
    return Work(**{**values, "branch": "polecat/_541", "base": machine.base(), **changes})


WORKER = """
import sys, signal
sys.path[:0] = sys.argv[4:]
from pathlib import Path
from refinery.attempt import Work, begin
from refinery.mirror import Mirror
mirror, home, base = Mirror(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
work = Work(project="demo", task="T-1", key="t-1", attempt=2, claim="c" * 40, branch="polecat/t-1", base=base)
worktree = begin(mirror, home, work)
(worktree.tree / "partial").write_text("work\\n")
print("ready", flush=True)
signal.pause()
"""


def dead_attempt(machine: Machine) -> None:
    """A worker that was killed in the middle of its agent's work, and seen alive before that."""
    argv = [sys.executable, "-c", WORKER, machine.mirror.path, machine.home, machine.base(), *sys.path]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        assert leftovers(machine.home) == []
        worker.send_signal(signal.SIGKILL)


def test_the_note_comes_back_as_it_was(machine: Machine) -> None:
    """Everything that a later process needs is in meta.json, odd bytes in names included."""
    git(machine.repo, "checkout", "-q", "-b", "polecat/x")
    worktree = begin(machine.mirror, machine.home, work(machine, task="odd \udcff"))
    meta = read_meta(worktree.folder)
    assert meta.worktree == worktree
    assert (meta.work, meta.state) == (work(machine, task="odd \udcff"), State.READY)
    assert (meta.pid, meta.started) == (os.getpid(), process_start(os.getpid()))
    assert {path.name for path in worktree.folder.iterdir()} == {"tree", "kept-index", "meta.json"}


def test_one_claim_has_one_worktree(machine: Machine) -> None:
    """A second start under the same claim touches nothing; another claim on the same attempt is another worktree."""
    first = begin(machine.mirror, machine.home, work(machine))
    with pytest.raises(UsageError, match="already"):
        begin(machine.mirror, machine.home, work(machine))
    second = begin(machine.mirror, machine.home, work(machine, claim="d" * 40))
    assert first.folder != second.folder
    assert sorted(path.name for path in (machine.home / "worktrees").iterdir()) == [
        "_541-2-cccccccccccc",
        "_541-2-dddddddddddd",
    ]


def test_f16_work_of_a_killed_worker_is_found_and_saved(machine: Machine) -> None:
    """F16: after SIGKILL the files are a commit with the attempt's parents and trailers, at a second look too."""
    dead_attempt(machine)
    (left,) = leftovers(machine.home)
    sha = snapshot_leftover(machine.mirror, left, NOW)
    assert sha is not None
    assert machine.listing(sha)["partial"] == "100644 work"
    shown = git(
        machine.mirror.path, "log", "-1", "--format=%P|%s|%(trailers:key=Refinery-Claim,valueonly)", sha
    )
    assert shown.strip() == f"{machine.base()}|Interrupted work on T-1|{'c' * 40}"
    assert snapshot_leftover(machine.mirror, left, NOW) == sha
    remove(left.folder, machine.home)
    assert leftovers(machine.home) == []


def test_f3_a_reused_process_id_does_not_look_alive(machine: Machine) -> None:
    """F3: the id is ours, the start time is not: that worker is dead."""
    worktree = begin(machine.mirror, machine.home, work(machine))
    assert leftovers(machine.home) == []
    meta = read_meta(worktree.folder)
    write_meta(worktree.folder, replace(meta, started=meta.started + "1"))
    assert [left.folder for left in leftovers(machine.home)] == [worktree.folder]


def test_a_zombie_is_dead() -> None:
    """A worker that nobody has waited for yet holds its id, but does nothing any more."""
    with subprocess.Popen(["sleep", "60"]) as process:
        assert process_start(process.pid) is not None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process_start(process.pid) is None
    assert process_start(process.pid) is None


def test_a_process_name_cannot_fake_a_start_time() -> None:
    """Brackets and blanks in a program's name do not shift the fields of /proc/PID/stat."""
    with subprocess.Popen(["sleep", "60"]) as plain:
        script = 'import ctypes; ctypes.CDLL(None).prctl(15, b"x) R 1 1"); print(1, flush=True); input()'
        argv = [sys.executable, "-c", script]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as odd:
            assert odd.stdout is not None
            odd.stdout.readline()
            first, second = process_start(plain.pid), process_start(odd.pid)
            odd.kill()
        plain.kill()
    assert first is not None
    assert second is not None
    boot, ticks = second.rsplit(":", 1)
    assert first.startswith(boot)
    assert abs(int(ticks) - int(first.rsplit(":", 1)[1])) < 6000


def test_there_is_nothing_to_save_without_work(machine: Machine) -> None:
    """No commit for an untouched tree, one that the forge holds already, or one that was never finished."""
    dead_attempt(machine)
    (left,) = leftovers(machine.home)
    (left.folder / "tree/partial").unlink()
    assert snapshot_leftover(machine.mirror, left, NOW) is None
    write(left.folder / "tree", {"partial": "work"})
    assert left.meta is not None
    write_meta(left.folder, replace(left.meta, state=State.PREPARING, worktree=None))
    (left,) = leftovers(machine.home)
    assert snapshot_leftover(machine.mirror, left, NOW) is None
    assert left.meta is not None


def test_saved_work_is_not_saved_again(machine: Machine) -> None:
    """Between the push and the removal there is nothing left to lose."""
    dead_attempt(machine)
    mark_saved(leftovers(machine.home)[0].folder)
    (left,) = leftovers(machine.home)
    assert snapshot_leftover(machine.mirror, left, NOW) is None


@pytest.mark.parametrize("note", ["", "{}", "[]", "null", '{"work": {"x": 1}}', None])
def test_a_damaged_note_is_reported_and_kept(machine: Machine, note: str | None) -> None:
    """Nobody knows whose files these are: they are named, not snapshotted and not removed."""
    worktree = begin(machine.mirror, machine.home, work(machine))
    path = worktree.folder / "meta.json"
    path.unlink()
    if note is not None:
        path.write_text(note)
    (left,) = leftovers(machine.home)
    assert (left.meta, left.folder) == (None, worktree.folder)
    assert "meta.json cannot be read" in left.problem
    with pytest.raises(UsageError, match="cannot be read"):
        snapshot_leftover(machine.mirror, left, NOW)
    assert (worktree.tree / "README.md").read_text() == FILES["README.md"]


def test_a_crash_before_the_checkout_leaves_a_note(machine: Machine) -> None:
    """The note is there before the files, so a worktree that was never finished is told from a damaged one."""
    with pytest.raises(UsageError):
        Mirror(machine.root / "nothing").verify_untouched()
    broken = replace(machine.mirror, path=machine.root / "nothing")
    with pytest.raises(UsageError):
        begin(broken, machine.home, work(machine))
    meta = read_meta(machine.home / "worktrees" / work(machine).id)
    assert (meta.state, meta.worktree) == (State.PREPARING, None)


def test_homes_without_worktrees_have_no_leftovers(tmp_path: Path) -> None:
    """An absent or empty folder is no error, and half-made names are nobody's."""
    assert leftovers(tmp_path) == []
    (tmp_path / "worktrees/.new-abc").mkdir(parents=True)
    assert leftovers(tmp_path) == []


def test_a_moved_home_still_finds_its_leftovers(machine: Machine) -> None:
    """Notes hold no absolute path."""
    dead_attempt(machine)
    moved = machine.root / "elsewhere"
    machine.home.rename(moved)
    (left,) = leftovers(moved)
    sha = snapshot_leftover(Mirror(moved / "mirrors/demo.git"), left, NOW)
    assert sha is not None
    assert str(machine.home) not in json.dumps((left.folder / "meta.json").read_text())


def test_the_agents_view_survives_its_own_commands(machine: Machine) -> None:
    """An agent that wrecks its git directory does not make its dead attempt unreadable."""
    dead_attempt(machine)
    (left,) = leftovers(machine.home)
    sh(left.folder / "tree", "rm -rf .git; echo x > .git")
    assert snapshot_leftover(machine.mirror, left, NOW) is not None
