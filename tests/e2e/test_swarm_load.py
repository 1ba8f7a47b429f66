"""A swarm on a machine that has too little: of disk, of cores."""

import os
import re
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import yaml
from support.repos import commit, git
from support.scene import ADD, Scene, ended, forked, wait_for
from support.spoiled import boxed, project, ready
from support.swarms import Swarm, processes_of

from refinery.attempt import Work, begin
from refinery.worktree import remove

COUNTED = 'printf "%s\\n" "$REFINERY_TASK $REFINERY_ATTEMPT" >> "{root}/agent.log"\n'
ROOMY = "--max-load 0 --min-disk 0 --agent stub=2"


def test_f06_a_disk_that_fills_half_way_stops_the_swarm_and_loses_nothing(tmp_path):
    """The breaker names the disk, nobody's claim is kept; with room again, the next start does the rest."""
    demo = project(tmp_path)
    (demo.tasks / "one.md").unlink()
    names = [f"t-{number}" for number in range(8)]
    for name in names:
        demo.task(f"{name}.md", ready(name))
    fill = f'[ "$REFINERY_TASK $REFINERY_ATTEMPT" != "t-2 1" ] || cat /dev/zero > {demo.home}/filler'
    agent = f'echo "$REFINERY_TASK" > "$REFINERY_TASK.txt"; {fill} 2> /dev/null; true'
    config = {
        "agents": {"stub": agent},
        "limits": {"backoff": "0s", "lease": "5s"},
        "checks": {"tests": "true"},
    }
    commit(demo.repo, {"refinery.yml": yaml.safe_dump(config)})
    script = f"""
        cp -a "$SAVED/." "$HOMEDIR"
        $R swarm {ROOMY} --merge; echo "exit $?"
        rm "$HOMEDIR/filler"
        $R swarm {ROOMY} --merge; echo "exit $?"
        ls "$HOMEDIR/worktrees" | wc -l
    """
    done = boxed(demo, ["--size", "40000000", "--tmpfs", demo.home], script=script, saved=demo.home)
    assert "Traceback" not in done.stdout + done.stderr
    first, second, left = re.split(r"^exit (?:10|0)\n", done.stdout, flags=re.MULTILINE)
    told = f"the swarm stops, since .*: the disk is full .*{re.escape(str(demo.home))}"
    assert re.search(f"^alert: {told}", first, re.MULTILINE), first
    assert re.search(rf"ALERT: {told}", done.stderr)
    assert first.count("alert: ") == 1
    assert done.stdout.index("exit 10") < done.stdout.index("exit 0")
    assert (first + second).count("merged into main as") == len(names)
    assert "alert: " not in second
    assert int(left) == 0
    assert all(git(demo.repo, "show", f"main:{name}.txt") == name for name in names)


def proportional(pid):
    """The proportional memory of a process in MB (https://docs.kernel.org/filesystems/proc.html)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)[1]) / 1000


@pytest.mark.long
def test_f01_thirty_two_workers_on_few_cores(tmp_path, capsys):
    """F1, F18: all work at once, all 64 tasks are done once, an idle worker is small, and nothing stays behind."""
    started = time.monotonic()
    scene = Scene(tmp_path / "s", limits={"lease": "60s"})
    names = [f"t-{number:02}" for number in range(64)]
    for name in names:
        scene.task(name)
    gate = scene.root / "gate"
    os.mkfifo(gate)
    door = os.open(gate, os.O_RDWR)
    scene.agent(COUNTED + "read -r _ < {root}/gate\n" + ADD, logs=False)
    swarm = Swarm(scene, "--agent", "stub=32", "--forever")
    wait_for(lambda: len(scene.log()) == 32, 90)
    os.write(door, b"\n" * len(names))
    wait_for(lambda: swarm.text.count(": published (pull ") == len(names), 90)
    os.close(door)
    memory = sum(map(proportional, swarm.children())) / 32
    swarm.process.terminate()
    assert swarm.ends(60) == 17, swarm.text
    assert Counter(scene.log()) == Counter(f"{name} 1" for name in names)
    assert {str(tip.claim.outcome) for tip in scene.state().claims.values()} == {"published"}
    assert (scene.locks(), scene.worktrees()) == ([], [])
    wait_for(lambda: not processes_of(scene))
    with capsys.disabled():
        print(f"\n32 workers, 64 tasks: {time.monotonic() - started:.1f} s, idle {memory:.1f} MB each")  # noqa: T201
    assert memory < 30


FETCHERS, WORKERS, EACH = 2, 16, 16


def hammer(scene, number):
    """Make worktrees as a worker does, one after the other, and take note of those that are whole."""
    project = scene.project()
    for count in range(EACH):
        base = project.mirror.resolve("refs/remotes/origin/main")
        work = Work(
            project="demo",
            task="t",
            key="t",
            attempt=number * EACH + count,
            claim="c" * 40,
            branch="polecat/t",
            base=base,
        )
        made = begin(project.mirror, scene.home.path, work)
        assert git(made.tree, "status", "--porcelain") == ""
        assert (made.tree / "moving").is_file()
        remove(made.folder, scene.home.path)
        (scene.root / f"whole-{number}-{count}").touch()


def fetch(scene):
    """Move the base and fetch it, until somebody ends it."""
    project = scene.project()
    while not (scene.root / "enough").exists():
        project.mirror.fetch(str(scene.repo))


def test_256_of_256_worktrees_beside_fetches(tmp_path):
    """Sixteen processes make them from one mirror, while others fetch into it and the base moves."""
    scene = Scene(tmp_path / "s")
    scene.person({"moving": "0"})
    scene.project().mirror.fetch(str(scene.repo))
    fetching = [forked(partial(fetch, scene)) for _ in range(FETCHERS)]
    making = [forked(partial(hammer, scene, number)) for number in range(WORKERS)]
    for number in range(40):
        scene.person({"moving": str(number)})
    codes = [ended(pid) for pid in making]
    (scene.root / "enough").touch()
    assert codes == [0] * WORKERS
    assert [ended(pid) for pid in fetching] == [0] * FETCHERS
    assert len(list(scene.root.glob("whole-*"))) == 256
    assert git(scene.home.mirrors / "demo.git", "fsck", "--strict", "--no-dangling") == ""
