"""The demo is the main job on real processes: it must end as its story says, say so when it does not, and clean up."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.program import refinery
from support.repos import git

from refinery.cli.root import run
from refinery.core.model import Status
from refinery.demo import play
from refinery.demo.story import SCENES


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where demos make their folder."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def test_every_task_ends_as_its_story_says(temporary):
    """The whole demo, kept: ends, landed history, partial work, and the commands that it names."""
    done = refinery("demo", "--keep", "--workers", "3", env={"COLUMNS": "100"})
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = temporary.iterdir()
    for words in (
        "$ refinery -p demo swarm --merge\n",
        "swarm      starting 3 workers (3 scripted); ",
        "claimed receipt (attempt 1): Print a receipt",
        "agent: writing till/receipt.py and its test (in receipt-1-",
        "receipt: published (pull ",
        "merged into main as ",
        "(tidy) is refused: line 11 of till/basket.py was removed",
        ".github/workflows/test.yml is protected by",
        "vouchers: agent-failed",
        "claimed vouchers (attempt 2)",
        "stock: timed-out",
        f"{len(SCENES)} of {len(SCENES)} tasks ended as their stories say",
        f"refinery --home {folder}/home status",
    ):
        assert words in done.stdout
    speakers = set(re.findall(r"^ *\d+\.\ds  (\S+(?: \d)?)  ", done.stdout, re.MULTILINE))
    assert speakers == {"init", "swarm", "worker 1", "worker 2", "worker 3", "merger"}
    assert " published, " not in done.stdout  # the swarm's own closing table is left to the demo's
    repository = folder / "till.git"
    tasks = re.findall(r"^Refinery-Task: (.+)$", git(repository, "log", "--format=%B", "main"), re.MULTILINE)
    assert sorted(tasks) == sorted(scene.id for scene in SCENES if scene.end.status is Status.DONE)
    assert git(repository, "show", "polecat/stock:till/stock.py").startswith('"""What is left')
    assert git(repository, "fsck", "--strict", "--no-dangling") == ""
    shutil.copytree(repository, folder / "copy" / ".git")
    git(folder / "copy", "config", "core.bare", "false")
    git(folder / "copy", "checkout", "--quiet", "--force", "main")
    tests = [sys.executable, "-m", "unittest", "discover", "-q", "-s", "tests", "-t", "."]
    assert subprocess.run(tests, cwd=folder / "copy", capture_output=True, check=False).returncode == 0
    answered = refinery("--home", folder / "home", "task", "edit", "currency", "status=ready")
    assert answered.returncode == 0, answered.stderr
    told = json.loads(refinery("--home", folder / "home", "status", "--json").stdout)
    assert {row["id"]: row["status"] for row in told["tasks"]}["currency"] == "ready"


def test_another_end_than_the_story_says_is_named(temporary, monkeypatch, capsys):
    """The exit code is 1, and the difference is said; the folder is gone all the same."""
    scene = next(each for each in SCENES if each.id == "spelling")
    wrong = replace(scene, end=replace(scene.end, status=Status.DONE, kept="nowhere.py"))
    loyal = next(each for each in SCENES if each.id == "loyalty")
    monkeypatch.setattr(play, "SCENES", (wrong, loyal))
    assert run(["demo", "--json", "--workers", "1"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["wrong"]) == (False, ["spelling"])
    assert told["tasks"][0]["differences"] == [
        "status: blocked instead of done",
        "nowhere.py is not on its branch",
    ]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_leaves_nothing_behind(temporary, number):
    """Ctrl+C in the middle of work: workers, agents and the folder go (F15, F18)."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "refinery", "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "then thinking for ten minutes" in line:
            break
    demo.send_signal(number)
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 130, out + err
    assert "the demo was stopped" in err
    assert list(temporary.iterdir()) == []
    deadline = time.monotonic() + 10
    while (left := processes_of(temporary)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def processes_of(folder: Path) -> list[str]:
    """The command lines of processes that mention the folder."""
    if not Path("/proc").is_dir():
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if str(folder) in line]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in words and int(entry.name) != os.getpid():
                found.append(words)
    return found


@pytest.mark.slow
def test_the_same_story_over_github():
    """`refinery demo --github`: issues and pulls of a made-up GitHub, and every task ends as its story says."""
    done = refinery("demo", "--github", "--json")
    told = json.loads(done.stdout)
    assert [row["id"] for row in told["tasks"] if row["differences"]] == []
    assert (done.returncode, told["ok"], len(told["tasks"])) == (0, True, len(SCENES))
