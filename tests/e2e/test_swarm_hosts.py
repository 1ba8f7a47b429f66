"""Who may write: swarms of several hosts on one repository, a worker that sleeps past its lease, a merger that died."""

import os
import signal
from collections import Counter
from contextlib import contextmanager

import pytest
from support.gates import Gate
from support.scene import ADD, Scene, wait_for
from support.server import allow_push, serve
from support.swarms import Swarm, processes_of

from refinery.core.model import CLAIMS, Claim, Role

SHORT = {"lease": "2s", "backoff": "0s"}


def test_f22_a_merger_killed_at_its_checks_holds_the_base_for_a_lease_at_most(tmp_path):
    """F22: the next merger takes over when the configured lease has ended, and the swarm waits for that."""
    once = f"if mkdir {tmp_path}/once; then : > {tmp_path}/checking; sleep 60; fi"
    scene = Scene(tmp_path / "s", checks={"tests": once + " 2> /dev/null"}, limits=SHORT)
    scene.task("a")
    swarm = Swarm(scene, "--agent", "stub=1", "--merge")
    wait_for((tmp_path / "checking").exists)
    (merger,) = swarm.children("merge --watch")
    os.kill(merger, signal.SIGKILL)
    assert swarm.ends() == 0, swarm.text
    assert "pull 1: merged into main" in swarm.text
    assert (scene.status("a"), scene.log()) == ("done", ["a 1"])


def test_f22_a_reconciler_killed_half_way_keeps_its_task_for_a_lease_at_most(tmp_path):
    """F3, F22: the second Ctrl+C kills it with a claim in hand; the next swarm waits for that and does the task."""
    gate = Gate(tmp_path)
    scene = Scene(tmp_path / "s", kind="file", limits=SHORT)
    scene.task("a")
    forge = scene.project().forge
    dead = Claim(
        task="a",
        attempt=1,
        holder="bot@elsewhere:1-a",
        role=Role.WORK,
        nonce="n",
        acquired_at=1.0,
        expires_at=2.0,
    )
    forge.write_claim(CLAIMS + "a", dead, None)
    gate.in_pushes(scene.repo, 'git cat-file commit "${refs%% *}" 2> /dev/null | grep -q merge')
    swarm = Swarm(scene, "--agent", "stub=1")
    wait_for(lambda: gate.is_held)
    swarm.ctrl_c()
    swarm.says("draining")
    swarm.ctrl_c()
    assert swarm.ends() == 130
    gate.open("refuse")
    wait_for(lambda: not processes_of(scene))
    gate.close()
    assert (scene.claim("a").role, scene.claim("a").state) == ("merge", "held")
    assert Swarm(scene, "--agent", "stub=1").ends() == 0
    assert scene.claim("a").outcome == "published", scene.history("a")


@contextmanager
def over(transport, root):
    """A scene whose repository is reached by URL."""
    if transport == "file":
        yield Scene(root / "s", kind="file")
        return
    with serve(root / "s" / "srv") as url:
        scene = Scene(root / "s", kind="http", url=f"{url}/code.git")
        allow_push(scene.repo)
        yield scene


@pytest.mark.parametrize("transport", ["file", "http"])
def test_f01_two_homes_with_four_workers_and_a_merger_each(tmp_path, transport):
    """F1, F17: two hosts' swarms share the queue and the landing with no other coordination; each task once."""
    with over(transport, tmp_path) as scene:
        other = scene.new_home("other")
        scene.agent(
            'printf "%s\\n" "$REFINERY_TASK $REFINERY_ATTEMPT" >> "{root}/agent.log"\n' + ADD, logs=False
        )
        names = [f"t-{number:02}" for number in range(16)]
        for name in names:
            scene.task(name)
        swarms = [Swarm(scene, "--agent", "stub=4", "--merge", home=home) for home in (scene.home, other)]
        assert [swarm.ends(90) for swarm in swarms] == [0, 0], [swarm.text for swarm in swarms]
        assert Counter(scene.log()) == Counter(f"{name} 1" for name in names)
        published = [swarm.text.count(": published (pull ") for swarm in swarms]
        assert sum(published) == len(names)
        assert min(published) > 0
        assert {scene.status(name) for name in names} == {"done"}
        state = scene.state()
        assert Counter(pull.task for pull in state.pulls.values()) == Counter(names)
        assert {str(tip.claim.outcome) for tip in state.claims.values()} == {"merged"}
        assert (scene.locks(), scene.worktrees(), list(other.worktrees.iterdir())) == ([], [], [])
        wait_for(lambda: not processes_of(scene))


def everything(scene):
    """What a worker may write to: the refs but the place where work is put aside, and the task's file."""
    refs = {ref: sha for ref, sha in scene.refs().items() if not ref.startswith("refs/refinery/preserved/")}
    return refs, (scene.tasks / "a.md").read_bytes()


def test_f04_a_worker_that_sleeps_past_its_lease_writes_nothing_when_it_wakes(tmp_path):
    """F4, F17: stopped, robbed of its task by a worker beside it, woken: it ends with lease-lost, its agent is dead."""
    scene = Scene(tmp_path / "s", limits=SHORT)
    scene.agent(
        'if [ "$REFINERY_ATTEMPT" = 1 ]; then\n'
        "echo early > early.txt\necho $$ > {root}/first\nsetsid sleep 600 &\nexec sleep 600\nfi\n" + ADD
    )
    scene.task("a")
    swarm = Swarm(scene, "--agent", "stub=2", "--merge")
    wait_for(lambda: (scene.root / "first").exists() and (scene.root / "first").read_text().strip())
    sleeper = int(swarm.says(r"\[STUB-Worker-(\d+)\] claimed a \(attempt 1\)")[1])
    os.kill(sleeper, signal.SIGSTOP)
    try:
        swarm.says(r"pull 1: merged into main", 40)
        wait_for(lambda: scene.status("a") == "done" and scene.claim("a").state == "released")
        before = everything(scene)
        assert processes_of(scene, "REFINERY_ATTEMPT_ID=a-1-")
    finally:
        os.kill(sleeper, signal.SIGCONT)
    assert swarm.ends() == 0, swarm.text
    assert everything(scene) == before
    assert f"[STUB-Worker-{sleeper}] a: lease-lost" in swarm.text
    assert scene.log() == ["a 1", "a 2"]
    wait_for(lambda: not processes_of(scene))
    (kept,) = scene.preserved("a")
    assert scene.show(f"{kept}:early.txt") == "early"
    assert scene.worktrees() == []
