"""Set-up is slow, runs what an agent may have written, and holds nothing that anybody else waits for."""

import os
from pathlib import Path

import pytest
from support.scene import Scene, forked, wait_for

from refinery.core.model import ClaimState
from refinery.core.outcomes import Outcome


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Set-up of task `slow` waits until somebody opens the gate."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    is_slow = 'grep -q \'"task": "slow"\' ../meta.json'
    slow = f"if {is_slow}; then : > {tmp_path}/waits; cat {gate}; fi"
    made = Scene(tmp_path / "scene", setup=slow)
    made.task("slow", priority=0)
    made.task("quick")
    return made


def test_f08_a_slow_set_up_keeps_nobody_else_from_working(scene: Scene, tmp_path: Path) -> None:
    """F8: while one attempt is in its set-up, another worker of the same home claims, works and publishes."""
    child = forked(lambda: scene.run("slow"))
    wait_for((tmp_path / "waits").exists)
    assert scene.run().task_id == "quick"
    assert scene.pull(1).task == "quick"
    (tmp_path / "gate").write_text("")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert scene.pull(2).task == "slow"


def test_f08_a_set_up_that_runs_out_of_time_orphans_nothing(scene: Scene) -> None:
    """F8: its claim is given back with the outcome, and the task backs off."""
    scene.configure(limits={"setup_timeout": "200ms"})
    result = scene.run("slow")
    assert result.outcome is Outcome.SETUP_FAILED
    claim = scene.claim("slow")
    assert claim.state is ClaimState.RELEASED
    assert claim.failures == 1
    assert scene.status("slow") == "ready"
