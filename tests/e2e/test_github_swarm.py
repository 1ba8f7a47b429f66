"""A real swarm over the fake GitHub, while one in twenty requests fails at random, API and git alike."""

import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from support.hub import NAME, HubScene, fake_hub
from support.hub_stage import EXPIRED, doubled, landings_of, unfinished
from support.swarms import Swarm

from refinery.testing import FakeGitHub


def troubled(hub: FakeGitHub, seed: int) -> None:
    """Half of the faults before anything happened, half after; see `refinery.testing.faults`."""
    hub.faults.add("drop", probability=0.02, seed=seed, count=None)
    hub.faults.add("drop-after", probability=0.02, seed=seed + 100, count=None)
    hub.faults.add("status", status=502, probability=0.01, seed=seed + 200, count=None)


def report(scene: HubScene, is_over: threading.Event) -> None:
    """CI: every new head of an open pull passes once."""
    known: set[str] = set()
    while not is_over.wait(0.1):
        for pull in scene.hub.pulls(NAME):
            row = pull.pull
            if row is not None and pull.state == "open" and row.head_sha not in known:
                known.add(row.head_sha)
                scene.hub.report_check(NAME, row.head_sha, "ci", app="ci-app")


def start(scene: HubScene, workers: int) -> Swarm:
    """A swarm, as a service manager starts it again."""
    return Swarm(scene, "--merge", "--forever", "--agent", f"stub={workers}", env=scene.environment)


def swarm_over(root: Path, seed: int, tasks: int, workers: int, seconds: float) -> None:
    """All of them merged, each once; whatever is left is mended by one reconcile after the leases have ended."""
    with fake_hub(root) as hub:
        scene = HubScene(root / "scene", hub, limits={"backoff": "0s", "attempts": 9, "lease": "20s"})
        hub.limits.is_off = True
        names = [str(scene.issue()) for _ in range(tasks)]
        is_over = threading.Event()
        ci = threading.Thread(target=report, args=(scene, is_over))
        ci.start()
        try:
            troubled(hub, seed)
            swarm = start(scene, workers)
            deadline = time.monotonic() + seconds
            while len(landings_of(scene)) < tasks and time.monotonic() < deadline:
                is_over.wait(0.3)
                if swarm.process.poll() is not None:  # GitHub did not answer at its start
                    assert swarm.process.returncode == 20, swarm.text
                    swarm = start(scene, workers)
            swarm.process.terminate()
            swarm.ends(60)
        finally:
            is_over.set()
            ci.join()
        hub.faults.clear()
        scene.reconcile(scene.later(EXPIRED))
        assert Counter(landings_of(scene)) == Counter(names), (seed, swarm.text[-4000:])
        found = [words for name in names for words in unfinished(scene, name)]
        assert found + list(doubled(scene, names)) == [], (seed, swarm.text[-4000:])
        assert scene.reconcile(scene.later(EXPIRED)) == []
        assert set(scene.refs("refs/refinery/claims")) == {f"refs/refinery/claims/{name}" for name in names}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_small_swarm_with_failing_requests_merges_everything_once(tmp_path):
    """Every task lands once, with one pull and one comment."""
    swarm_over(tmp_path, 1, tasks=6, workers=2, seconds=400)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(1, 21))
def test_a_swarm_of_eight_over_sixty_with_failing_requests(tmp_path, seed):
    """As above, with eight workers and 60 tasks."""
    swarm_over(tmp_path, seed, tasks=60, workers=8, seconds=900)
