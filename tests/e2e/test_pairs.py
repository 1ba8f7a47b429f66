"""Where tasks live and where code lives are separate choices: each of the four pairs, from claim to merge and after."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.hub import NAME, HubScene, hub_scene
from support.repos import bare
from support.scene import FILES, Scene

from refinery.core.model import PullState, Status
from refinery.core.outcomes import Outcome
from refinery.core.reasons import Code

OWN = {"checks": {"tests": "test -e README.md"}, "policy": {}}
PAIRS = [
    ("files", "git", "own"),
    ("issues", "git", "own"),
    ("files", "github", "ci"),
    ("issues", "github", "ci"),
    ("issues", "github", "own"),
]


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Scene, str]]:
    """A scene, and whose checks it takes: our own, or those of a CI."""
    tasks, code, checks = request.param
    if (tasks, code) == ("files", "git"):
        yield Scene(tmp_path / "scene", **OWN), checks
        return
    options = OWN if checks == "own" else {}
    with hub_scene(tmp_path, tasks="github" if tasks == "issues" else "files", **options) as scene:
        if code == "git":
            code_elsewhere(scene)
        yield scene, checks


def code_elsewhere(scene: HubScene) -> None:
    """Only the issues are on GitHub: the code is in a repository here."""
    files = {**FILES, "refinery.yml": yaml.safe_dump(scene.settings)}
    scene.repo = scene.git_dir = bare(scene.root / "srv" / "code.git", files)
    scene.home.register("demo", repository=str(scene.repo), tasks=f"github:{NAME}")


def hand_over(scene: Scene) -> str:
    """A task, in whichever way; its id."""
    if isinstance(scene, HubScene) and scene.kind == "github":
        return str(scene.issue("Say hello", "In a file."))
    scene.task("greet")
    return "greet"


def test_a_task_goes_from_claim_to_merge_and_is_not_begun_again(pair: tuple[Scene, str]) -> None:
    """Published, merged on green, shown as done; then nothing is ready and nothing is left to mend."""
    scene, checks = pair
    task = hand_over(scene)
    ran = scene.run()
    assert (ran.outcome, ran.task_id) == (Outcome.PUBLISHED, task), ran
    assert ran.pull is not None
    assert scene.pull(ran.pull).state is PullState.OPEN
    if checks == "ci":
        assert isinstance(scene, HubScene)
        (row,) = scene.merge().waiting
        assert [each.code for each in row.verdict.reasons] == [Code.CHECK_MISSING]
        scene.pass_checks()
    report = scene.merge()
    assert [row.pull for row in report.merged] == [ran.pull], report.to_json()
    assert scene.show(f"main:{task}.txt") == task
    assert scene.pull(ran.pull).state is PullState.MERGED
    claim = scene.claim(task)
    assert (claim.outcome, claim.mirror) == (Outcome.MERGED, Status.DONE)
    assert scene.project().tasks.get(task).status is Status.DONE
    assert scene.run().outcome is Outcome.NOTHING_READY
    assert scene.reconcile() == []
    assert scene.log() == [f"{task} 1"]
