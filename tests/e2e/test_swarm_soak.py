"""A swarm whose processes are killed at random moments, again and again: everything is merged once, nothing is left."""

import os
import random
import signal
import subprocess
from collections import Counter
from contextlib import suppress

import pytest
from support.repos import git
from support.scene import ADD, Scene, wait_for
from support.swarms import Swarm, processes_of

KILLS = 12  # in each round
ARGS = ("--agent", "stub=4", "--merge", "--max-failures", "100")
GREEN = 'for f in t-*.txt; do [ "$f" = "t-*.txt" ] || [ "$f" = "$(cat "$f").txt" ] || exit 1; done'

KINDS = {  # what is on their command lines
    "supervisor": " swarm ",
    "worker": " run --loop ",  # or its guard
    "merger": " merge --watch ",
    "reconciler": " reconcile ",
    "git": "git ",
    "agent": "agent.sh",
}
RARELY = 0.1  # how often the supervisor is struck where somebody else is there


def strike(scene, chance):
    """Kill one process of a random kind of those that there are now, whoever started it; its kind, if there was one."""
    lines = processes_of(scene)
    there = {
        kind: sorted(pid for pid, line in lines.items() if words in line) for kind, words in KINDS.items()
    }
    others = [kind for kind, found in there.items() if found and kind != "supervisor"]
    kind = chance.choice(others) if others and chance.random() > RARELY else "supervisor"
    if not there[kind] or (not others and chance.random() > RARELY):
        return ""
    with suppress(ProcessLookupError):
        os.kill(chance.choice(there[kind]), signal.SIGKILL)
    return kind


def beset(scene, seed):
    """Run swarms to the end of the queue while their processes are killed; how many of each kind were."""
    chance, struck = random.Random(seed), Counter()
    swarm = Swarm(scene, *ARGS)
    while struck.total() < KILLS:
        with suppress(subprocess.TimeoutExpired):
            swarm.process.wait(chance.uniform(0.0, 0.6))
        if swarm.process.returncode == 0:
            break
        if swarm.process.returncode is not None:
            swarm = Swarm(scene, *ARGS)
        elif kind := strike(scene, chance):
            struck[kind] += 1
    if swarm.process.poll() is None:
        swarm.ends(120)
    if swarm.process.returncode != 0:
        swarm = Swarm(scene, *ARGS)
        assert swarm.ends(120) == 0, swarm.text
    return struck


def landed(scene):
    """How often each task landed on the base."""
    trailers = git(
        scene.git_dir, "log", "--format=%(trailers:key=Refinery-Task,valueonly,separator=)", "main"
    )
    return Counter(line for line in trailers.splitlines() if line)


def base_passes(scene):
    """Whether the check passes on what is on the base now."""
    folder = scene.root / "landed"
    folder.mkdir()
    git(scene.git_dir, "--work-tree", str(folder), "checkout", "--force", "main", "--", ".")
    return subprocess.run(["sh", "-c", GREEN], cwd=folder, check=False).returncode == 0


def all_well(scene, names):
    """Everything merged, once; no process, worktree, lock or damage left."""
    wait_for(lambda: not processes_of(scene), 30)
    assert landed(scene) == Counter(names)
    assert {scene.status(name) for name in names} == {"done"}
    state = scene.state()
    assert Counter(pull.task for pull in state.pulls.values()) == Counter(names)
    assert {str(pull.state) for pull in state.pulls.values()} == {"merged"}
    assert {(str(tip.claim.state), str(tip.claim.outcome)) for tip in state.claims.values()} == {
        ("released", "merged")
    }
    assert base_passes(scene)
    assert [each for each in scene.reconcile() if each.error] == []
    assert scene.reconcile() == []
    assert (scene.locks(), scene.worktrees()) == ([], [])
    assert git(scene.git_dir, "fsck", "--strict", "--no-dangling") == ""


def round_of(root, count, seed):
    """One round: a scene of `count` tasks with short leases, beset with kills."""
    limits = {"lease": "2s", "backoff": "0s", "attempts": 50}
    scene = Scene(root / f"s{seed}", checks={"tests": GREEN}, limits=limits)
    scene.agent("sleep 0.05\n" + ADD)
    names = [f"t-{number:03}" for number in range(count)]
    for name in names:
        scene.task(name)
    struck = beset(scene, seed)
    all_well(scene, names)
    return struck


def test_f03_f22_a_swarm_whose_processes_are_killed_at_random(tmp_path):
    """F3, F18, F22: one small round of what `make test-long` does twenty times."""
    assert round_of(tmp_path, 20, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_f03_f22_sixty_tasks_under_kill(tmp_path, seed, capsys):
    """F3, F18, F22: SIGKILL of supervisor, workers, agents, merger or reconciler at random moments."""
    struck = round_of(tmp_path, 60, seed)
    with capsys.disabled():
        print(f"\nseed {seed}: killed {dict(struck)}")  # noqa: T201  (worth seeing in every run)
