"""The swarm: real supervisors, workers, mergers and `sh -c` agents, from outside."""

import hashlib
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from fcntl import ioctl

import pytest
from rich.cells import cell_len
from rich.console import Console
from support.scene import ADD, LOG, Scene, wait_for
from support.swarms import ANY_LOAD, Swarm, processes_of

from refinery.admission import Thresholds, free_memory, obstacle
from refinery.cli.swarm_view import picture
from refinery.events import Claimed, Line, Passed
from refinery.swarm_board import Board, WorkerRow
from refinery.swarm_child import core_share

KEYS = set(
    """
    task_id status outcome reason commit pull branch attempt agent seconds tokens cost_usd
    """.split()  # noqa: SIM905  (a list of words is easier to read)
)
WAIT = 'while [ ! -e "{root}/go" ]; do sleep 0.05; done\n'
FIRST_WAITS = '[ "$REFINERY_ATTEMPT" = 1 ] && exec sleep 60\n'


@pytest.fixture
def scene(tmp_path):
    """A project whose failures back off for an hour; nothing of it runs on after the test (F18)."""
    found = Scene(tmp_path / "s", limits={"backoff": "1h", "lease": "20s"})
    yield found
    wait_for(lambda: not processes_of(found), 20)


def test_f18_twelve_tasks_and_a_chain_in_one_swarm(scene):
    """Everything is merged, once; tasks that wait for others are worked off in the same call; nothing runs on (F18)."""
    names = [f"t{number:02}" for number in range(9)]
    for name in names:
        scene.task(name)
    scene.task("one", depends_on=["t00"])
    scene.task("two", depends_on=["one", "t01"])
    scene.task("three", depends_on=["two"])
    scene.task("never", depends_on=["nowhere"])
    code, report = scene.json("swarm", "--agent", "stub=3", "--merge", *ANY_LOAD)
    assert code == 0, report
    names += ["one", "two", "three"]
    assert Counter(scene.log()) == Counter(f"{name} 1" for name in names)
    assert Counter(row["task"] for row in report["merged"]) == Counter(names)
    assert all(scene.has(f"main:{name}.txt") and scene.status(name) == "done" for name in names)
    assert all(set(run) == KEYS for run in report["workers"])
    assert {run["task_id"]: run["outcome"] for run in report["workers"]} == dict.fromkeys(names, "published")
    assert {run["status"] for run in report["workers"]} == {"success"}
    assert list(report["skipped"]) == ["never"]
    assert (report["total_tokens"], report["cost_usd"], report["alerts"]) == (0, 0, [])
    assert 0 < report["runtime_seconds"] < 100
    assert (scene.worktrees(), scene.locks()) == ([], [])


def test_f10_an_agent_that_always_fails_does_not_walk_through_the_queue(scene):
    """Each worker stops after three tasks, says so, and the exit code is 10; the other tasks are untouched (F10)."""
    scene.agent('echo "who am I"\nexit 1\n')
    for number in range(12):
        scene.task(f"t{number:02}")
    swarm = Swarm(scene, "--agent", "stub=2")
    assert swarm.ends() == 10
    assert 6 <= len(scene.log()) <= 8
    assert {scene.status(f"t{number:02}") for number in range(12)} == {"ready"}
    assert len(scene.refs("refs/refinery/claims/")) == len(scene.log())
    assert swarm.text.count("is stopped: it failed on 3 tasks in a row") >= 2
    worker = swarm.says(r"\[STUB-Worker-(\d+)\] who am I\n")[1]
    assert f"[STUB-Worker-{worker}] claimed t0" in swarm.text
    assert re.search(r"\[STUB-Worker-\d+\] t0\d: agent-failed: the agent exited with 1", swarm.text)
    assert "\x1b" not in swarm.text


def test_the_breaker_stops_everybody_and_tells_the_desktop(scene, tmp_path):
    """What an agent starts is not there, for all alike: no task is tried once that is clear, and a person is told."""
    scene.configure(agents={"gone": {"command": ["sh", "-c", "exec /nonexistent/agent"]}})
    for number in range(12):
        scene.task(f"t{number:02}")
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "notify-send"
    tool.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done >> {tmp_path}/told\n')
    tool.chmod(0o755)
    swarm = Swarm(
        scene, "--agent", "gone=2", "--max-failures", "4", env={"PATH": f"{tool.parent}:{os.environ['PATH']}"}
    )
    assert swarm.ends() == 10
    alert = "the swarm stops, since every task fails alike: the agent cannot be started"
    assert f"[swarm] ALERT: {alert}" in swarm.text
    told = (tmp_path / "told").read_text().splitlines()
    assert told[:4] == ["--app-name", "Refinery", "--", "Refinery"]
    assert any(line.startswith(alert) for line in told)
    assert 4 <= len(scene.refs("refs/refinery/claims/")) <= 6


def test_a_worker_that_keeps_failing_is_stopped_and_the_others_go_on(scene):
    """It fails on three different tasks; those back off, and are done by the worker that can."""
    scene.configure(
        agents={**scene.settings["agents"], "bad": {"command": ["sh", "-c", "exit 3"]}},
        limits={"backoff": "1s", "lease": "20s"},
    )
    scene.agent("sleep 0.3\n" + ADD)
    for number in range(9):
        scene.task(f"t{number}")
    code, report = scene.json("swarm", "--agent", "bad", "--agent", "stub=1", *ANY_LOAD)
    assert code == 0, report
    assert len(report["alerts"]) == 1
    assert "is stopped: it failed on 3 tasks in a row (the agent exited with 3)" in report["alerts"][0]
    ends = Counter((run["agent"], run["outcome"]) for run in report["workers"])
    assert ends == {("bad", "agent-failed"): 3, ("stub", "published"): 9}
    assert report["merged"] == []


def test_f15_the_first_ctrl_c_drains_and_the_agent_never_sees_it(scene):
    """Current work is finished and published, nothing new is claimed, the exit code says drained (F15)."""
    scene.agent('trap "echo INT >> {root}/seen" INT TERM HUP\n' + WAIT + ADD)
    scene.task("a", priority=0)
    scene.task("b")
    swarm = Swarm(scene, "--agent", "stub=1", "--merge")
    wait_for(scene.log)
    swarm.ctrl_c()
    swarm.says("draining")
    time.sleep(1.5)  # a worker that had seen it too would by now have stopped its agent
    (scene.root / "go").touch()
    assert swarm.ends() == 17
    assert scene.claim("a").outcome == "published"
    assert list(scene.refs("refs/refinery/claims/")) == ["refs/refinery/claims/a"]
    assert not (scene.root / "seen").exists()


@pytest.mark.parametrize(
    ("act", "code", "outcome"),
    [("second ctrl-c", 130, "force-stopped"), ("deadline", 17, "drained")],
)
def test_f16_what_stops_an_agent_keeps_its_work(scene, act, code, outcome):
    """By a second Ctrl+C, or when the drain's time is over: the work is on its branch, the claim is free (F16)."""
    scene.agent("echo half > half.txt\n" + LOG.format(root=scene.root) + "sleep 60\n", logs=False)
    scene.task("a")
    swarm = Swarm(scene, "--agent", "stub=1", "--drain-timeout", "1s" if act == "deadline" else "10m")
    wait_for(scene.log)
    swarm.process.terminate()
    if act == "second ctrl-c":
        swarm.says("draining")
        swarm.ctrl_c()
    assert swarm.ends() == code
    claim = scene.claim("a")
    assert (claim.outcome, claim.state) == (outcome, "released")
    assert scene.show("polecat/a:half.txt") == "half"
    assert scene.status("a") == "ready"


def test_f3_a_killed_supervisor_leaves_workers_that_drain_and_a_next_start_that_goes_on(scene):
    """They finish what they have and end by themselves; the next swarm merges that and does the rest (F3)."""
    scene.agent(WAIT + ADD)
    for name in ("a", "b", "c"):
        scene.task(name)
    swarm = Swarm(scene, "--agent", "stub=2", "--merge")
    wait_for(lambda: len(scene.log()) == 2)
    swarm.process.kill()
    swarm.process.wait()
    (scene.root / "go").touch()
    wait_for(lambda: not processes_of(scene), 20)
    assert sorted(scene.claim(line.split()[0]).outcome for line in scene.log()) == ["published"] * 2
    code, report = scene.json("swarm", "--agent", "stub=2", "--merge", *ANY_LOAD)
    assert code == 0, report
    assert sorted(row["task"] for row in report["merged"]) == ["a", "b", "c"]
    assert len(scene.log()) == 3


def test_f3_a_killed_worker_is_replaced_and_its_task_done_when_its_lease_has_ended(scene):
    """Its agent dies with it, its work is preserved, another process takes its place, and the merger's (F3, F18)."""
    scene.configure(limits={"backoff": "1h", "lease": "5s"})
    scene.agent("echo early > early.txt\n" + LOG.format(root=scene.root) + FIRST_WAITS + ADD, logs=False)
    scene.task("a")
    swarm = Swarm(scene, "--agent", "stub=1", "--merge")
    wait_for(scene.log)
    (worker,) = swarm.children()
    (merger,) = swarm.children("merge --watch")
    os.kill(merger, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    swarm.says(r"\[STUB-Worker-\d+\] ended: it was killed by signal 9; another one is started")
    swarm.says(r"\[Merger-\d+\] ended: it was killed by signal 9; another one is started")
    assert swarm.ends() == 0
    assert scene.log() == ["a 1", "a 2"]
    assert f"[STUB-Worker-{worker}] a: its worker was killed by signal 9" in swarm.text
    assert scene.status("a") == "done"
    (kept,) = scene.preserved("a")
    assert scene.show(f"{kept}:early.txt") == "early"


def test_f36_an_idle_swarm_spends_nothing_and_takes_what_comes(scene):
    """With --forever it waits, without a single run of an agent; a new task is done soon; SIGTERM ends it (F36)."""
    scene.task("later", status="inbox")
    swarm = Swarm(scene, "--agent", "stub=2", "--merge", "--forever")
    swarm.says("1 task skipped\n  later: it is in the inbox")
    wait_for(lambda: len(swarm.children()) == 2)
    cores = [os.sched_getaffinity(pid) for pid in swarm.children()]
    assert len(os.sched_getaffinity(0)) == 1 or not cores[0] & cores[1]
    time.sleep(3)
    assert (scene.log(), scene.refs("refs/refinery/")) == ([], {})
    scene.set_status("later", "ready")
    swarm.says("pull 1: merged into main", 15)
    swarm.process.terminate()
    assert swarm.ends() == 17
    assert scene.log() == ["later 1"]


def everything(root):
    """Every file below `root`, by content, and every folder; without what can be computed again."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(root.rglob("*"))
        if "cache" not in path.relative_to(root).parts
    }


def test_a_dry_run_says_what_would_start_and_writes_nothing(scene):
    """The order, the agents and the reasons; no ref, no agent, no file but a cache of what was read."""
    scene.task("b", priority=1)
    scene.task("a", priority=3)
    scene.task("waits", depends_on=["a"])
    scene.task("done", status="done")
    assert scene.cli("status").returncode == 0  # the mirror is there
    before = everything(scene.root)
    code, told = scene.json("swarm", "-c", "0", "--agent", "stub=2", "--merge", "--dry-run")
    shown = scene.cli("swarm", "--agent", "stub=2", "--dry-run")
    assert everything(scene.root) == before
    assert code == shown.returncode == 0
    assert [task["task_id"] for task in told["ready"]] == ["b", "a"]
    assert told["agents"] == {"stub": 2}
    assert list(told["skipped"]) == ["waits"]
    assert "would start 2 workers (2 stub); 2 tasks ready\n  1. b (stub, priority 1)" in shown.stderr
    assert "1 task skipped\n  waits: it depends on a, which is ready" in shown.stderr


def test_without_room_nothing_is_claimed(scene):
    """A worker waits, says why, and claims nothing; with nothing ready it does not keep the swarm from ending."""
    wanted = ("--agent", "stub=1", "--min-memory", "900TB")
    assert Swarm(scene, *wanted).ends() == 0
    scene.task("a")
    swarm = Swarm(scene, *wanted)
    swarm.says(r"\[STUB-Worker-\d+\] waiting: .* free and 900.0 TB wanted of memory")
    swarm.process.terminate()
    assert swarm.ends() == 17
    assert (scene.log(), scene.refs("refs/refinery/claims/")) == ([], {})


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Thresholds(min_memory=0, min_disk=0, max_load=0), "^$"),
        (Thresholds(min_memory=10**18, min_disk=0, max_load=0), "of memory$"),
        (Thresholds(min_memory=0, min_disk=10**18, max_load=0), "of disk$"),
        (Thresholds(min_memory=0, min_disk=0, max_load=1e-9), "^the load is "),
    ],
)
def test_room(tmp_path, wanted, words):
    """Each threshold is looked at, and named when it is not met."""
    assert re.search(words, obstacle(tmp_path, wanted))


def test_free_memory_is_what_the_machine_tells():
    """Somewhere between nothing and what is built in."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < free_memory() < total


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--agent", "nobody=2"), 2, "nobody"),
        (("--agent", "stub=many"), 2, "is not NAME=N"),
        (("--agent", "stub=300"), 2, "too many"),
        (("--agent", "stub=1", "--drain-timeout", "soon"), 2, "not a duration"),
    ],
)
def test_what_cannot_be_started_is_said_before_anything_is(scene, args, code, words):
    """One message, the right exit code, no worker."""
    done = scene.cli("swarm", *args)
    assert done.returncode == code
    assert words in done.stderr
    assert scene.refs("refs/refinery/") == {}


def test_f6_a_forge_that_does_not_answer_is_not_an_empty_queue(scene):
    """A repository that is gone is said to be, and not taken for nothing to do (F6)."""
    scene.url = "file:///nonexistent/code.git"
    scene.new_home("home")
    done = scene.cli("swarm", "--agent", "stub=1")
    assert done.returncode == 20, done.stderr
    assert scene.log() == []


def on_terminal(scene, columns, lines, *args):
    """Run a swarm on a pseudo-terminal of that size; the exit code and every byte it wrote."""
    main, side = pty.openpty()
    ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    command = [sys.executable, "-m", "refinery", "--home", str(scene.home.path), "swarm", *ANY_LOAD, *args]
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        command, stdin=side, stdout=side, stderr=side, start_new_session=True, env={**env, "TERM": "xterm"}
    )
    os.close(side)
    written = bytearray()
    while select.select([main], [], [], 60)[0]:
        try:
            piece = os.read(main, 65536)
        except OSError:
            break
        written += piece
    os.close(main)
    return process.wait(20), written.decode()


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60)])
def test_the_live_view_on_a_terminal(scene, columns, lines):
    """A picture that fits; each line of it is redrawn in place, none wraps; the summary stays."""
    scene.agent(
        'echo "reading the sources of a module with quite a long name: \\033[31m工具箱"\nsleep 0.6\n' + ADD
    )
    for number in range(3):
        scene.task(f"t{number}", title="A title that is long enough to be cut on a narrow terminal, " * 2)
    code, written = on_terminal(scene, columns, lines, "--agent", "stub=2", "--merge")
    assert code == 0, written
    assert "2 of 2 workers at work" in written
    assert "reading the sources" in written
    assert "3 runs, 3 published, 3 merged" in written
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.replace("\r", "\n"))
    assert max(map(len, plain.splitlines())) <= columns
    assert "\x1b[31m" not in written.partition("工具箱")[0][-20:]


def test_a_closed_terminal_drains(scene):
    """The hang-up that a closed terminal sends is a first Ctrl+C; that nothing can be shown any more does no harm."""
    scene.agent(WAIT + ADD)
    scene.task("a")
    swarm = Swarm(scene, "--agent", "stub=1")
    wait_for(scene.log)
    os.kill(swarm.process.pid, signal.SIGHUP)
    swarm.says("draining")
    (scene.root / "go").touch()
    assert swarm.ends() == 17
    assert scene.claim("a").outcome == "published"


def test_a_supervisor_that_does_not_read_holds_nobody_up(scene):
    """Its worker keeps the lease, the agent can print as much as it likes, the work is published."""
    scene.agent("seq 1 100000\n" + ADD)
    scene.task("a")
    swarm = Swarm(scene, "--agent", "stub=1")
    wait_for(swarm.children)
    swarm.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: scene.refs("refs/refinery/pulls/"), 40)
    swarm.process.send_signal(signal.SIGCONT)
    assert swarm.ends() == 0
    assert "a: published (pull 1)" in swarm.text
    assert scene.log() == ["a 1"]


@pytest.mark.parametrize(
    ("number", "count", "cores", "mine"),
    [
        (0, 2, [0, 1, 2, 3, 4], {0, 2, 4}),
        (1, 2, [0, 1, 2, 3, 4], {1, 3}),
        (2, 3, [4, 6, 7], {7}),
        (5, 32, [0, 1], {1}),
        (0, 1, [3], {3}),
    ],
)
def test_cores_are_dealt_out_in_turn(number, count, cores, mine):
    """Each worker has its share, and at least one."""
    assert core_share(number, count, cores) == mine


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60), (40, 10)])
@pytest.mark.parametrize("count", [1, 7, 32])
def test_the_picture_fits_whatever_there_is_to_show(columns, lines, count):
    """Never a line too long or too many; workers at work come first, and what is left out is counted."""
    board = Board(
        [WorkerRow(number, "claude", pid=1000 + number) for number in range(count)], 0.0, has_merger=True
    )
    wide = "工具箱 a title\x1b[31m\n\tthat goes on and on, " * 9
    for row in board.workers[count // 2 :]:
        row.take(Claimed(task=f"task-{row.number}", title=wide, attempt=2, until=time.time() + 700), 1.0)
        row.take(Line(text=f"[CLAUDE-Worker-1] {wide}"), 2.0)
    pulls = [
        {
            "project": "p",
            "pull": n,
            "task": wide,
            "verdict": "wait",
            "reasons": [],
            "commit": None,
            "why": wide,
        }
        for n in range(9)
    ]
    board.judged(Passed(epoch=0, waiting=pulls))
    board.alerts.append(wide)
    page = Console(width=columns, height=lines, file=io.StringIO(), force_terminal=True, color_system=None)
    page.print(picture(board, lines, 3661.0))
    shown = page.file.getvalue().splitlines()
    assert len(shown) <= lines
    assert max(map(cell_len, shown)) <= columns
    assert "\x1b" not in page.file.getvalue()
    assert shown[0].startswith(f"swarm: {count - count // 2} of {count} worker")
    assert shown[-1].startswith("alert: ")
    rows = [line for line in shown if re.match(r"\d+ claude", line)]
    assert count < 32 or lines == 60 or rows[0].startswith("17 claude")
    more = re.search(r"and (\d+)", "\n".join(shown))
    assert len(rows) + (int(more[1]) if more else 0) == count


def test_json_is_one_object_even_when_drained(scene):
    """Nothing else is on standard output, whatever happens."""
    scene.agent(WAIT + ADD)
    scene.task("a")
    process = scene.start("swarm", "--agent", "stub=1", "--json", *ANY_LOAD, start_new_session=True)
    wait_for(scene.log)
    process.terminate()
    time.sleep(0.2)
    (scene.root / "go").touch()
    out, err = process.communicate(timeout=30)
    report = json.loads(out)
    assert (process.returncode, report["ended"], err) == (17, "drained", "")
    assert [run["outcome"] for run in report["workers"]] == ["published"]
