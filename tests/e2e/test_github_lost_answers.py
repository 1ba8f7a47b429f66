"""Answers that are lost, names and tokens that end mid-way: nothing is done twice, and no work is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hub import NAME, HubScene, hub_scene
from support.hub_acts import meanwhile
from support.scene import ADD

from refinery.core.outcomes import Outcome

PUSH = ("POST", "git-receive-pack")
WRITES = {
    "claim commit": {"method": "POST", "path": "/git/commits$"},
    "claim": {"method": "POST", "path": "/git/refs$"},
    "mirror": {"method": "POST", "path": "/graphql$", "body": "mutation"},
    "push": {"method": PUSH[0], "path": PUSH[1]},
    "pull": {"method": "POST", "path": "/pulls$"},
    "label": {"method": "POST", "path": "/labels$"},
    "merge": {"method": "PUT", "path": "/merge$"},
}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[HubScene]:
    """Issues and pulls."""
    with hub_scene(tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", ["drop-after", "status"])
def test_f17_no_lost_answer_makes_anything_twice(scene: HubScene, kind: str) -> None:
    """F17: the first of every write is carried out unanswered, or fails with a 502: one pull, comment and merge."""
    number = scene.issue()
    for name, write in WRITES.items():
        if kind == "status" and name == "push":
            continue  # a push that plainly failed ends the attempt: its work is put aside, and done anew
        scene.hub.faults.add(kind, **write, **({"status": 502} if kind == "status" else {}))
    ran = scene.run()
    assert (ran.outcome, ran.task_id, ran.attempt) == (Outcome.PUBLISHED, str(number), 1), ran
    scene.pass_checks()
    assert [row.pull for row in scene.merge().merged] == [ran.pull]
    assert [pull.number for pull in scene.hub.pulls(NAME)] == [ran.pull]
    assert scene.labels(ran.pull) == {"polecat"}
    assert scene.labels(number) == {"polecat"}
    assert len(scene.comments(number)) == 1
    assert len(scene.landed()) == 2
    assert scene.reconcile() == []
    assert scene.log() == [f"{number} 1"]
    assert not scene.hub.faults.is_armed(kind), "each of them was met"


def test_a_renewal_whose_answer_is_lost_stands(scene: HubScene) -> None:
    """A lease of seconds, renewed while the agent works: the unanswered renewal is read back, and goes on."""
    scene.issue()
    fault = scene.hub.faults.add("drop-after", method="PATCH", path="/git/refs/")
    scene.configure(limits={"lease": "6s"})
    scene.agent(ADD + "sleep 3\n")
    ran = scene.run()
    assert (ran.outcome, fault.met) == (Outcome.PUBLISHED, 1), ran


def test_a_repository_that_is_renamed_mid_way_is_followed(scene: HubScene) -> None:
    """Renamed while the agent works: push, pull, checks and merge find it under its new name."""
    number = scene.issue()
    with meanwhile(scene, "GET", "service=git-receive-pack", lambda: scene.hub.rename(NAME, "gadgets")):
        ran = scene.run()
    assert ran.outcome is Outcome.PUBLISHED, ran
    new = "acme/gadgets"
    pull = scene.hub.issue(new, ran.pull).pull
    assert pull is not None
    scene.hub.report_check(new, pull.head_sha, "ci", "success", app="ci-app")
    assert [row.pull for row in scene.merge().merged] == [ran.pull]
    assert scene.hub.issue(new, number).state == "closed"
    assert scene.run().outcome is Outcome.NOTHING_READY


def test_a_token_that_is_revoked_mid_way_loses_nothing(
    scene: HubScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends as nobody's failure; with another token and after the lease the work is there, and goes on."""
    number = scene.issue()
    with meanwhile(scene, "GET", "service=git-receive-pack", lambda: scene.hub.revoke(scene.token)):
        code, told = scene.json("run")
    assert (code, told["outcome"], told["task_id"]) == (20, "forge-unavailable", str(number)), told
    assert "Authentication failed" in str(told["reason"])
    assert len(scene.worktrees()) == 1
    monkeypatch.setenv("GITHUB_TOKEN", scene.hub.token("robot"))
    assert scene.run().outcome is Outcome.NOTHING_READY
    later = scene.later(2000)
    mended = scene.reconcile(project=later)
    assert {each.what for each in mended} == {"preserve", "give-back"}, mended
    assert not any(each.error for each in mended)
    assert len(scene.preserved(str(number))) == 1
    assert scene.claim(str(number)).failures == 0
    again = scene.run()
    assert (again.outcome, again.attempt) == (Outcome.PUBLISHED, 2)
