"""Keeping the pool full: bounds, failures, a killed filler, and a swarm that takes from it."""

import json
import os
import signal
import sys
import time

import pytest
from support.scene import ADD, Scene, ended, forked, wait_for

from refinery.attempt import Work
from refinery.core.outcomes import Outcome
from refinery.home import locked
from refinery.pool import dead_entries, discard, ready
from refinery.process import StopFlag, find_strays
from refinery.refill import refill, worktree_for

SET_UP = "echo set-up of $(pwd) | tee -a {root}/setups; echo made > made.txt"


@pytest.fixture
def scene(tmp_path):
    """A project whose set-up notes where it ran."""
    made = Scene(tmp_path / "s", setup=SET_UP.replace("{root}", str(tmp_path)))
    made.setups = tmp_path / "setups"
    return made


def filled(scene, obstacle=lambda: ""):
    stop = StopFlag()
    try:
        return refill(scene.project(), stop, obstacle)
    finally:
        stop.close()


def ran(scene):
    """Where set-up ran so far."""
    return scene.setups.read_text().split("\n")[:-1] if scene.setups.exists() else []


def folders(scene):
    return sorted(scene.home.pool.glob("*/*"))


def transcripts(scene):
    return [path.read_text() for path in scene.home.transcripts.rglob("*.log")]


def test_an_attempt_takes_what_was_set_up_ahead(scene):
    """Set-up ran before the claim, at the very path; its output is in the transcript, its files are in the work."""
    assert (filled(scene).made, len(ran(scene))) == (2, 2)
    scene.task("a")
    result = scene.run()
    assert result.outcome is Outcome.PUBLISHED
    assert len(ran(scene)) == 2
    (text,) = transcripts(scene)
    assert "the worktree was prepared" in text
    (used,) = [line for line in ran(scene) if line in text]
    assert scene.show("polecat/a:made.txt") == "made"
    assert scene.show("polecat/a:a.txt") == "a"
    (left,) = ready(scene.home.path)
    assert str(left.worktree.tree) not in used
    assert folders(scene) == [left.folder]


def test_continuing_and_switched_off_attempts_make_their_own(scene):
    """What continues from a branch starts elsewhere than at the base; a pool of none is none."""
    filled(scene)
    scene.configure(limits={"backoff": "0s"}, verify="test -e a.txt")
    filled(scene)
    scene.task("a")
    scene.agent("echo half > half.txt\n")
    assert scene.run().outcome is Outcome.VERIFY_FAILED
    before = len(ran(scene))
    scene.agent(ADD)
    assert scene.run().outcome is Outcome.PUBLISHED
    assert len(ran(scene)) == before + 1
    scene.configure(limits={"pool": 0})
    assert filled(scene).ready == 0
    assert folders(scene) == []


def test_bounds_and_stale_ones(scene):
    """Never more than so many; those of an older base or other commands go; what is lacking is made."""
    assert str(filled(scene)) == "2 worktrees are prepared (2 just now)"
    assert (filled(scene).made, filled(scene).dropped) == (0, 0)
    first = folders(scene)
    scene.person({"src/b.py": "b = 1\n"})
    done = filled(scene)
    assert (done.ready, done.made, done.dropped) == (2, 2, 2)
    assert not set(first) & set(folders(scene))
    scene.configure(limits={"pool": 1})
    done = filled(scene)
    assert (done.ready, done.made) == (1, 1)
    assert len(folders(scene)) == 1
    assert not list(scene.home.trash.iterdir())


def test_bytes_are_bounded(scene):
    """One that takes more than all may is thrown away, and not made again and again."""
    scene.configure(limits={"pool_bytes": "1KB"})
    done = filled(scene)
    assert (done.ready, len(ran(scene))) == (0, 1)
    assert "more than `limits.pool_bytes` allows" in done.why
    assert filled(scene).why == done.why
    assert len(ran(scene)) == 1
    assert folders(scene) == []


def test_a_full_machine_prepares_nothing(scene):
    """Admission is asked before each; what is there stays."""
    answers = iter(["", "the disk is full"])
    done = filled(scene, lambda: next(answers))
    assert (done.ready, done.made, done.why) == (1, 1, "the disk is full")


def test_a_set_up_that_fails_is_not_repeated(scene):
    """Not for the same base and commands; an attempt runs it itself and says what is wrong; a new base is tried."""
    scene.configure(setup=SET_UP.replace("{root}", str(scene.root.parent)) + "; false")
    done = filled(scene)
    assert (done.ready, done.why) == (0, "setup exited with 1")
    assert filled(scene).why == done.why
    assert len(ran(scene)) == 1
    scene.task("a")
    assert scene.run().outcome is Outcome.SETUP_FAILED
    assert len(ran(scene)) == 2
    scene.person({"x": "1"})
    filled(scene)
    assert len(ran(scene)) == 3


def test_one_filler_at_a_time(scene):
    """A second one leaves it to the first, and takers wait for neither."""
    filled(scene)
    with locked(scene.home, "pool demo"):
        assert filled(scene).why == "another process prepares them"
        scene.task("a")
        assert scene.run().outcome is Outcome.PUBLISHED
    assert len(ready(scene.home.path)) == 1


def slow(scene, also=""):
    scene.configure(setup=f"{also}echo $$ > {scene.root}/pid; exec sleep 60")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_filler_that_is_stopped_leaves_nothing(scene, how):
    """Killed in the middle of set-up: what it started dies, what it made goes at the next reconcile; asked: at once."""
    slow(scene, "(setsid sleep 60 &) ; ")
    filler = scene.start("sync", "--pool")
    wait_for((scene.root / "pid").exists)
    (unfinished,) = folders(scene)
    filler.send_signal(how)
    filler.communicate()
    wait_for(lambda: not find_strays([f"pool-{unfinished.name}"]))
    if how == signal.SIGKILL:
        assert dead_entries(scene.home.path) == [unfinished]
        scene.task("a")
        assert [each for each in scene.reconcile() if each.error] == []
    assert folders(scene) == []
    scene.configure(setup="true")
    assert filled(scene).made == 2


def test_a_swarm_fills_the_pool_and_takes_from_it(scene):
    """Attempts after the first ones find their worktree set up; at the end nothing runs and nothing is unfinished."""
    slow_set_up = "sleep 0.3; " + SET_UP.replace("{root}", str(scene.root.parent))
    scene.configure(setup=slow_set_up, setup_inputs=["*.lock"], limits={"pool": 3})
    scene.agent("sleep 1.5\n" + ADD)
    for number in range(4):
        scene.task(f"t{number}")
    code, report = scene.json("swarm", "--agent", "stub=1", "--merge", "--max-load", "0")
    assert code == 0, report
    assert len(report["merged"]) == 4
    ahead = [text for text in transcripts(scene) if "the worktree was prepared" in text]
    assert len(ahead) >= 2
    for text in ahead:
        (used,) = [line for line in ran(scene) if line in text]
        assert "/pool/demo/" in used
        assert "--- setup:" in text.split("the worktree was prepared")[1]
    assert dead_entries(scene.home.path) == []
    assert len(ready(scene.home.path)) <= 3
    assert [path for path in folders(scene) if not (path / "ready").exists()] == []


def test_clean_removes_old_ones_and_those_of_nobody(scene):
    """A day old, or of a project that is no longer registered; fresh ones stay."""
    filled(scene)
    old, fresh = ready(scene.home.path)
    note = json.loads((old.folder / "ready").read_text())
    (old.folder / "ready").write_text(json.dumps({**note, "made_at": time.time() - 90_000}))
    assert "would remove 1 entry" in scene.cli("clean", "--dry-run").stdout.replace("\n", " ")
    assert scene.cli("clean").returncode == 0
    assert folders(scene) == [fresh.folder]
    scene.home.config_file.write_text("projects: {}\n")
    assert scene.cli("clean").returncode == 0
    assert folders(scene) == []


CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "subprocess.Popen"}
)


def crash_at(number, act):
    """Whether `act` was ended, without any clean-up, before its n-th change of a file or start of a process."""

    def child():
        seen = 0

        def hook(event, args):
            nonlocal seen
            is_writing = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGES or (is_writing and args[0] != os.devnull):
                seen += 1
                if seen == number:
                    os._exit(77)

        sys.addaudithook(hook)
        act()

    code = ended(forked(child))
    assert code in (0, 77)
    return code == 77


def crashes(scene, act, before, step):
    """Crash `act` at every `step`-th point after `before()`, and reconcile; how many points there were."""
    number = 1
    before()
    while crash_at(number, act):
        assert [each for each in scene.reconcile() if each.error] == [], number
        unfit = [path for path in folders(scene) if not (path / "ready").exists()]
        assert (unfit, scene.worktrees()) == ([], []), number
        before()
        number += step
    return number


def test_a_crash_at_every_point_of_taking_leaves_nothing_for_ever(scene):
    """The prepared worktree is still free, or an attempt's and saved like any other, or gone: nobody's it never is."""
    scene.configure(setup="true", limits={"pool": 1})
    project = scene.project()
    config, base = project.config(scene.state()), project.base_tip(scene.state())
    work = Work(project="demo", task="t", key="t", attempt=1, claim="c" * 40, branch="polecat/t", base=base)

    def take():
        assert worktree_for(project, config, work, print)[1] is not None

    assert crashes(scene, take, lambda: filled(scene), 1) > 10


def test_a_crash_while_filling_leaves_nothing_for_ever(scene):
    """What a filler had not finished is thrown away by whoever looks next, and never used."""
    scene.configure(setup="true", limits={"pool": 1})

    def clear():
        for entry in ready(scene.home.path):
            discard(scene.home.path, entry.folder)

    assert crashes(scene, lambda: filled(scene), clear, 3) > 25
