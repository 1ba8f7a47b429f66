"""A machine that is not as it should be: its disk, clock, streams, folders, names and signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.program import refinery
from support.repos import commit as commit_files
from support.repos import git
from support.spoiled import boxed, complaint, project, ready, unchanged

from refinery.core.claims import decode, encode
from refinery.core.model import Claim, Role


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
    commit_files(demo.repo, {"refinery.yml": f"agents: {{stub: '{agent}'}}\nlimits: {{backoff: 0s}}\n"})
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
    assert done.stdout.endswith("exit 1\nstatus 0\nsame\nreconcile 0\n0\n"), done
    assert f"no space is left for {demo.home}" in done.stderr
    claim = git(demo.repo, "log", "-1", "--format=%B", "refs/refinery/claims/one")
    assert decode(claim + "\n").state == "released"
    assert git(demo.repo, "fsck", "--strict").count("error") == 0


def test_a_clock_that_was_set_back_is_reported_and_cured(demo):
    """A claim from the future counts as held, is reported as broken, and `reset-stalled` gives it back."""
    at = time.time() + 30 * 86400
    claim = Claim(
        task="one",
        attempt=1,
        holder="bot@elsewhere:1-abc",
        role=Role.WORK,
        nonce="n",
        acquired_at=at,
        expires_at=at + 900,
    )
    tree = git(demo.repo, "mktree", stdin=b"")
    commit = git(demo.repo, "commit-tree", tree, stdin=encode(claim).encode())
    git(demo.repo, "update-ref", "refs/refinery/claims/one", commit)
    told = demo.json("status")
    assert (told["tasks"][0]["status"], told["tasks"][0]["holder"]) == ("in_progress", "bot@elsewhere:1-abc")
    assert any("ends later than any lease may" in each for each in told["problems"])
    with unchanged(demo):
        assert demo.json("run", "-t", "one", code=4)["outcome"] == "claim-lost"
        assert demo.json("run", code=3)["outcome"] == "nothing-ready"
    done = demo.run("reset-stalled")
    assert (done.returncode, "one" in done.stderr) == (0, True), done
    told = demo.json("status")
    assert (told["tasks"][0]["status"], told["tasks"][0]["holder"]) == ("ready", None)
    assert demo.json("run")["outcome"] == "published"


CLOSED = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-", "all": "<&- >&- 2>&-"}


@pytest.mark.parametrize("streams", CLOSED)
def test_closed_streams_spoil_nothing(demo, streams):
    """No file of ours gets a standard stream's number, and the exit codes stay."""
    for words, code in (("run", 0), ("status", 0), ("nonsense", 2)):
        script = f"exec {sys.executable} -m refinery --home {demo.home} {words} {CLOSED[streams]}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == code, done
        assert "unexpected" not in done.stdout + done.stderr
    assert demo.json("status")["tasks"][0]["pull"] == 1
    assert git(demo.repo, "fsck", "--strict") == ""


def bare_environment(**given):
    """As little as a service manager or a container gives a process."""
    return {"PATH": os.environ["PATH"], **given}


@pytest.mark.parametrize(
    "given", [{}, {"LC_ALL": "C", "TERM": "dumb"}, {"LANG": "xx_YY.nothing", "NO_COLOR": "1"}]
)
def test_little_environment_is_enough(demo, given):
    """No HOME, no TERM, no locale: the same output, with what it says in UTF-8."""
    demo.task("uni.md", ready("héllo 🚀"))
    command = [sys.executable, "-m", "refinery", "--home", demo.home, "status"]
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=60, env=bare_environment(**given)
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "héllo 🚀" in done.stdout.decode()
    assert b"\x1b" not in done.stdout


def test_an_output_that_lacks_a_letter_gets_an_escape(demo):
    """A title in another script ends no run."""
    demo.task("uni.md", ready("héllo 🚀"))
    done = demo.run("status", env={"PYTHONIOENCODING": "latin-1:strict"}, errors="replace")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\U0001f680" in done.stdout


def test_nobodys_home_is_told(demo):
    """A container's user without a name, a folder, or a HOME."""
    script = f"unset HOME; exec {sys.executable} -m refinery status"
    done = boxed(demo, ["--unshare-user", "--uid", "4242", "--gid", "4242"], script=script)
    assert "--home" in complaint(done, 2)


def test_a_deleted_folder_to_work_in(demo):
    """What needs no current folder works; what does says so."""
    gone = demo.root / "gone"
    program = f"{sys.executable} -m refinery --home {demo.home}"
    script = (
        f"mkdir {gone}; cd {gone}; rmdir {gone}; {program} run -q; echo $?; {program} explain a..b; exit $?"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines()[-1] == "0"
    assert "the current folder does not exist any more" in complaint(done, 2)


def test_the_program_has_two_names(demo):
    """`polecat` is the same program, and says so in its help."""
    for name in ("refinery", "polecat"):
        path = Path(sys.executable).with_name(name)
        if not path.exists():
            pytest.skip("the package is not installed with its scripts")
        done = subprocess.run(
            [path, "--home", demo.home, "sttus"], capture_output=True, text=True, check=False
        )
        assert "did you mean status?" in complaint(done, 2)
        done = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
        assert done.stdout.startswith(f"Usage: {name} ")


@pytest.mark.parametrize("moment", ["refinery.errors", "click", "refinery.core.config", "refinery.worker"])
def test_f15_an_early_interrupt_is_no_traceback(demo, moment):
    """F15: Ctrl+C while the program starts, just after this module was imported, ends it with nothing claimed."""
    command = [sys.executable, "-X", "importtime", "-m", "refinery", "--home", demo.home, "run", "-q"]
    with unchanged(demo), subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.rstrip().endswith(f"| {moment}") or line.rstrip().endswith(f" {moment}"):
                process.send_signal(signal.SIGINT)
                break
        shown = "".join(line for line in process.stderr if not line.startswith("import time:"))
        assert process.wait(timeout=60) in (130, 17), shown
    assert "Traceback" not in shown
    assert "stopped" in shown
