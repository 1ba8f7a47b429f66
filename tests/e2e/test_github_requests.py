"""What a task costs of GitHub's quota, counted at the fake: a 304 is free, and so is git.

Lease renewals do not happen in runs as short as these.
"""

import json
from collections import Counter
from pathlib import Path

import pytest
from support.hub import HubScene, fake_hub

from refinery.core.outcomes import Outcome

AMORTISED = 13  # requests of each task: 10 of the worker's, 3 of the merger's
ONCE = (
    11  # of all together: the merger's look, rules and permissions asked by both, two labels that are created
)


def charged(scene: HubScene) -> Counter[str]:
    """The requests that cost quota, by what they were for."""
    return Counter(_name(each) for each in scene.hub.requests if each.charged)


def _name(each: object) -> str:
    if "graphql" not in each.path:
        return f"{each.method} {each.template}"
    return json.loads(each.body)["query"].partition("(")[0].split()[-1]


@pytest.fixture
def scene(tmp_path: Path):
    """Issues and pulls, without a limit, since what takes an hour elsewhere is done in seconds here."""
    with fake_hub(tmp_path) as hub:
        hub.limits.is_off = True
        hub.wire.keeps_bodies = True
        yield HubScene(tmp_path / "scene", hub)


def work_and_merge(scene: HubScene, count: int) -> Counter[str]:
    """So many tasks by one worker, CI, and one merger; what it cost."""
    for _ in range(count):
        scene.issue()
    scene.hub.requests.clear()
    worker = scene.worker()
    assert {worker.run().outcome for _ in range(count)} == {Outcome.PUBLISHED}
    scene.pass_checks()
    assert len(scene.merge().merged) == count
    return charged(scene)


def test_one_task_from_label_to_merged_pull(scene):
    """Two processes that begin with nothing."""
    cost = work_and_merge(scene, 1)
    assert cost.total() <= AMORTISED + ONCE - 2, cost  # no pull is open when the worker looks: no rules


def test_many_tasks_share_their_looks(scene):
    """Each write once for each task, and the merger's looks once for all."""
    cost = work_and_merge(scene, 6)
    assert cost.total() <= AMORTISED * 6 + ONCE, cost
    assert cost["PUT /repos/{owner}/{repo}/pulls/{number}/merge"] == 6
    assert cost["OpenIssues"] == 6 + 1


def test_f36_an_idle_minute_costs_no_quota(scene):
    """F36: whoever looks again and finds nothing changed pays nothing, worker and merger alike."""
    project = scene.project()
    worker = scene.worker(project)
    assert worker.run().outcome is Outcome.NOTHING_READY
    scene.merge(project=project)
    scene.hub.requests.clear()
    for _ in range(6):
        assert worker.run().outcome is Outcome.NOTHING_READY
        scene.merge(project=project)
    assert len(scene.hub.requests) >= 6
    assert charged(scene).total() == 0
