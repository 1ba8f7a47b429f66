"""Kill a worker and a merger of the GitHub forge at every point where they touch the outside world: HTTP requests too.

How they are killed: `support.crash`. The fake GitHub lives on; what was sent to it may still be carried out. Then the
clock goes on past the lease.
"""

import os
from pathlib import Path

import pytest
from support.crash import CRASHED, sampled, survey
from support.hub import fake_hub, hub_scene
from support.hub_stage import EXPIRED, HubStage, landings_of
from support.scene import ended, forked

from refinery.core.outcomes import Outcome
from refinery.forges.github.forge import GitHubForge

SAMPLE = 5  # points of each verb in a normal run


@pytest.mark.parametrize("verb", ["run", "merge"])
def test_f22_a_crash_anywhere_on_github_loses_nothing_and_lands_once(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """F3, F9, F22: an evenly spread sample of all points; every one of them under `make test-long`."""
    with fake_hub(tmp_path) as made:
        stage = HubStage(tmp_path, made, verb)
        points = stage.points()
        chosen = sampled(points, SAMPLE)
        with capsys.disabled():
            print(f"\n{verb} on GitHub: {len(chosen)} of {len(points)} crash points")  # noqa: T201  (its worth)
        assert survey(stage, chosen) == []


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("verb", ["run", "merge"])
def test_every_crash_point_on_github(tmp_path: Path, verb: str) -> None:
    """F3, F9, F22: all of them."""
    with fake_hub(tmp_path) as made:
        stage = HubStage(tmp_path, made, verb)
        assert survey(stage, stage.points()) == []


@pytest.mark.parametrize("tasks", ["github", "files"])
def test_f22_a_merge_that_nobody_recorded_is_finished(
    tmp_path: Path, tasks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F22: GitHub merged and the merger died before the claims moved: reconcile finishes it."""
    with hub_scene(tmp_path, tasks=tasks) as scene:
        name = str(scene.issue()) if tasks == "github" else "greet"
        if tasks == "files":
            scene.task(name)
        assert scene.run().outcome is Outcome.PUBLISHED
        scene.pass_checks()
        monkeypatch.setattr(GitHubForge, "_advance", lambda *_: os._exit(CRASHED))
        assert ended(forked(scene.merge)) == CRASHED
        monkeypatch.undo()
        assert landings_of(scene) == [name]
        done = scene.reconcile(scene.later(EXPIRED))
        assert [(each.what, each.error) for each in done] == [("finish-landing", "")]
        assert scene.claim(name).outcome is Outcome.MERGED
        assert scene.reconcile(scene.later(EXPIRED)) == []
        assert scene.run().outcome is Outcome.NOTHING_READY
        assert tasks == "github" or scene.status(name) == "done"
