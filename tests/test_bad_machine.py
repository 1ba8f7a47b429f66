"""A machine that is not as it should be: its disk, clock, streams, folders, names and signals."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from support.program import refinery
from support.repos import commit, git
from support.spoiled import boxed, complaint, files_of, project, ready, unchanged

from refinery.core.claims import decode, encode


@pytest.fixture
def demo(tmp_path):
    """A sound project with one ready task."""
    return project(tmp_path)


@pytest.mark.parametrize("verb", ["run", "status", "init x --repo . --tasks ."])
def test_a_home_that_cannot_be_written_is_told(demo, verb):
    """On a read-only mount, which stops the superuser too: exit code 2, and nothing is claimed."""
    with unchanged(demo):
        message = complaint(boxed(demo, ["--ro-bind", demo.home, demo.home], *verb.split()), 2)
    assert str(demo.home) in message
    assert "read-only file system" in message
    assert "--home" in message


@pytest.mark.parametrize("home", ["file/home", "file", "/proc/none", "/dev/null/x"])
def test_a_home_that_cannot_be_made_is_told(tmp_path, home):
    """Below a file, or where nobody can write."""
    (tmp_path / "file").write_text("x")
    message = complaint(refinery("--home", tmp_path / home, "init", "x", "--repo", ".", "--tasks", "."), 2)
    assert str(tmp_path / home) in message
    assert "--home" in message


def test_a_full_disk_under_the_home_claims_nothing(demo):
    """A queue must not fail task by task for want of space: exit code 1, the disk is named."""
    with unchanged(demo):
        options = ["--size", "3000000", "--tmpfs", demo.home]
        done = boxed(demo, options, script='cp -a "$SAVED/." "$HOMEDIR"; exec $R run --loop', saved=demo.home)
        message = complaint(done, 1)
    assert f"the disk of {demo.home} is full" in message
    assert "refinery clean" in message


def test_a_disk_that_fills_half_way_loses_nothing(demo):
    """The agent fills it: the attempt fails with words, the claim is released, and what was there is still whole."""
    agent = "head -c 40000000 /dev/zero > big; echo kept > small"
    commit(demo.repo, {"refinery.yml": f"agents: {{stub: '{agent}'}}\nlimits: {{backoff: 0s}}\n"})
    script = """
        cp -a "$SAVED/." "$HOMEDIR"
        $R run; echo "exit $?"
        $R status > /dev/null; echo "status $?"
        cmp "$SAVED/config.yml" "$HOMEDIR/config.yml" && echo same
        rm -r "$HOMEDIR"/worktrees/*/tree/big; $R reconcile; echo "reconcile $?"
        find "$HOMEDIR/mirrors" -name 'tmp_*' | wc -l
    """
    options = ["--size", "30000000", "--tmpfs", demo.home]
    done = boxed(demo, options, script=script, saved=demo.home)
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    assert "exit 10\nstatus 0\nsame\nreconcile 0\n" in done.stdout or "exit 1\nstatus 0\nsame\nreconcile 0\n" in done.stdout, done
    assert "o space" in done.stderr + done.stdout
    claim = git(demo.repo, "log", "-1", "--format=%B", "refs/refinery/claims/one")
    assert decode(claim + "\n").state == "released"
    assert git(demo.repo, "fsck", "--strict").count("error") == 0


def test_a_clock_that_was_set_back_is_reported_and_cured(demo):
    """A claim from the future counts as held, is reported as broken, and `reset-stalled` gives it back."""
    agent = "sleep 60"
    commit(demo.repo, {"refinery.yml": f"agents: {{stub: '{agent}'}}\n"})
    demo.json("run", "-t", "one", "--agent", "stub", code=1) if False else None
    claim = held_in_the_future(demo)
    row = demo.json("status")["tasks"][0]
    assert (row["status"], row["holder"]) == ("in_progress", "bot@elsewhere:1-abc")
    assert any("ends later than any lease may" in each for each in demo.json("status")["problems"])
    with unchanged(demo):
        assert demo.json("run", "-t", "one", code=4)["outcome"] == "claim-lost"
        assert demo.json("run", code=3)["outcome"] == "nothing-ready"
    assert "one" in demo.run("reset-stalled").stderr
    row = demo.json("status")["tasks"][0]
    assert (row["status"], row["holder"]) == ("ready", None)
    assert claim in git(demo.repo, "rev-list", "refs/refinery/claims/one").split()
