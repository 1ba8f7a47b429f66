"""Landing on GitHub while others act, and against its rules: what was judged lands, or nothing, or the base freezes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hub import NAME, HubScene, hub_scene
from support.hub_acts import codes, head, meanwhile, published, ready

from refinery.core.model import PullState, Status
from refinery.core.outcomes import Outcome
from refinery.core.reasons import Code
from refinery.errors import FrozenError
from refinery.testing import repository_git

MERGE = ("PUT", "/merge$")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[HubScene]:
    """Issues and pulls."""
    with hub_scene(tmp_path) as made:
        yield made


def words(scene: HubScene, pull: int) -> str:
    """GitHub's own reason against the one pull, and that it left everything as it was."""
    before = scene.landed()
    (row,) = scene.merge().refused
    (reason,) = row.verdict.reasons
    assert (row.pull, reason.code, scene.landed()) == (pull, Code.FORGE_REFUSES, before)
    assert scene.claim(row.task).outcome is Outcome.WAITING
    return str(reason.facts["why"])


def test_f20_a_push_between_verdict_and_merge_lands_nothing(scene: HubScene) -> None:
    """F20: the merge names the head that was judged; what was pushed meanwhile is judged anew, and is a person's."""
    task, pull = ready(scene)
    before = scene.landed()

    def push() -> None:
        scene.hub.push(NAME, {"unseen.txt": "x"}, branch=f"polecat/{task}", by="mona")

    with meanwhile(scene, *MERGE, push):
        report = scene.merge()
    assert Code.MOVED in codes(report)[pull]
    assert scene.landed() == before
    assert scene.claim(task).outcome is Outcome.WAITING


def test_f23_a_base_that_moved_on_meanwhile_is_raced(scene: HubScene) -> None:
    """F23: what landed is compared with what it should be on its actual parent, and is right."""
    _, pull = ready(scene)
    told: list[str] = []
    with meanwhile(scene, *MERGE, lambda: scene.hub.push(NAME, {"theirs.txt": "x"}, by="mona")):
        report = scene.merge(echo=told.append)
    assert [row.pull for row in report.merged] == [pull]
    assert any("raced" in each for each in told)
    assert scene.has("main:theirs.txt")
    assert scene.state().freezes == {}


def test_f23_a_base_that_moved_so_that_the_verdict_differs_freezes(scene: HubScene) -> None:
    """F23: on the base as it became meanwhile the pull would have been refused: loud, and nothing more lands."""
    task, pull = ready(scene)
    scene.agent('echo AGAIN > "$REFINERY_TASK.also"\n')
    _, other = ready(scene)
    push = {f"{task}.TXT": "in capitals"}  # the same name where case does not count
    with meanwhile(scene, *MERGE, lambda: scene.hub.push(NAME, push, by="mona")), pytest.raises(FrozenError):
        scene.merge(pull)
    assert scene.pull(pull).state is PullState.MERGED
    assert "main is at" in scene.state().freezes["main"].reason
    report = scene.merge()
    assert (codes(report)[other], report.exit_code) == ([Code.FROZEN], 8)
    scene.project().forge.unfreeze("main")
    assert Code.FROZEN not in codes(scene.merge(is_rehearsal=True)).get(other, [])


def test_f23_a_tree_that_nobody_predicted_freezes(scene: HubScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """F23: GitHub itself makes a wrong squash commit: seen at once, told with both trees."""
    ready(scene)
    wrong = scene.refs("refs/heads/main")["refs/heads/main"] + "^{tree}"
    tree = repository_git.Git(scene.git_dir).text("rev-parse", wrong).strip()
    monkeypatch.setattr(repository_git, "merge_tree", lambda *_: tree)  # the fake's own mistake
    with pytest.raises(FrozenError, match="not the predicted"):
        scene.merge()
    assert scene.state().freezes["main"].base == "main"


def test_a_second_pull_landed_first(scene: HubScene) -> None:
    """Two pulls on one file: the older one lands; the other conflicts with what is there now, and is mended."""
    scene.agent('echo "$REFINERY_TASK" > same.txt\n')
    (_, first), (task, second) = published(scene), published(scene)
    scene.pass_checks()
    report = scene.merge()
    assert [row.pull for row in report.merged] == [first]
    assert codes(report) == {second: [Code.CONFLICT]}
    scene.agent('printf "1\\n%s\\n" "$REFINERY_TASK" > same.txt\n')
    ran = scene.run()
    assert (ran.outcome, ran.task_id, ran.pull) == (Outcome.PUBLISHED, task, second)
    scene.pass_checks()
    assert [row.pull for row in scene.merge().merged] == [second]


def test_a_merge_queue_gets_the_expected_head_and_merges_later(scene: HubScene) -> None:
    """The verdict is `queued`; when the queue has merged it, reconcile shows it as done."""
    scene.hub.ruleset(NAME, merge_queue=True)
    task, pull = ready(scene)
    for _ in range(2):
        assert codes(scene.merge()) == {pull: [Code.QUEUED]}
    joined = [each for each in scene.hub.issue(NAME, pull).events if each.kind == "added_to_merge_queue"]
    assert len(joined) == 1
    assert scene.run().outcome is Outcome.NOTHING_READY
    scene.hub.merge(NAME, pull, by="mona", from_queue=True)
    done = scene.reconcile()
    assert [(each.what, each.subject, each.error) for each in done] == [("show-done", task, "")]
    assert (scene.claim(task).outcome, scene.claim(task).mirror) == (Outcome.MERGED, Status.DONE)
    assert scene.labels(int(task)) == {"polecat"}
    assert scene.reconcile() == []


def test_a_method_that_is_not_allowed_is_refused_in_githubs_words(scene: HubScene) -> None:
    """Squash is ours by default; where it is switched off a person decides."""
    scene.hub.repository(NAME).allow_squash_merge = False
    _, pull = ready(scene)
    assert "Squash merges are not allowed" in words(scene, pull)


def test_a_review_that_github_asks_for_is_waited_for_by_people(scene: HubScene) -> None:
    """A 405 for want of an approving review: refused with that, and merged once it is there."""
    scene.hub.protect(NAME, reviews=1)
    _, pull = ready(scene)
    assert "approving review" in words(scene, pull)
    scene.hub.review(NAME, pull, "APPROVED", by="mona")
    assert [row.pull for row in scene.merge().merged] == [pull]


def test_a_branch_that_must_be_up_to_date_is_brought_up_to_date(scene: HubScene) -> None:
    """The merger merges the base into it, fenced, and records the new head, which needs checks of its own."""
    scene.hub.protect(NAME, checks=[("ci", "")], strict=True)
    task, pull = ready(scene)
    old = head(scene, pull)
    scene.hub.push(NAME, {"theirs.txt": "x"}, by="mona")
    assert codes(scene.merge()) == {pull: [Code.CHECK_MISSING]}
    assert scene.claim(task).head == head(scene, pull) != old
    scene.pass_checks()
    assert [row.pull for row in scene.merge().merged] == [pull]
    assert scene.has(f"main:{task}.txt")
    assert scene.has("main:theirs.txt")


def test_github_may_take_its_time_to_find_out_whether_it_merges(scene: HubScene) -> None:
    """405 while `mergeable` is null: asked again with patience."""
    _, pull = ready(scene)
    row = scene.hub.issue(NAME, pull).pull
    assert row is not None
    refusal = {"status": 405, "message": "Pull Request is not mergeable"}
    fault = scene.hub.faults.add("status", method="PUT", path=MERGE[1], **refusal)
    with meanwhile(scene, "GET", rf"/pulls/{pull}$", lambda: setattr(row, "judged", None)):
        report = scene.merge()
    assert ([each.pull for each in report.merged], fault.met) == ([pull], 1)


@pytest.mark.parametrize("how", ["unlabelled", "closed"])
def test_an_issue_that_is_taken_back_mid_way_keeps_its_work_and_merges_nothing(
    scene: HubScene, how: str
) -> None:
    """A person closes the issue, or takes its label off, while the agent is at work."""
    number = scene.issue()

    def take_back() -> None:
        if how == "closed":
            scene.hub.close(NAME, number, by="mona", reason="not_planned")
        else:
            scene.hub.unlabel(NAME, number, "polecat", by="mona")

    with meanwhile(scene, "POST", "git-receive-pack", take_back):
        ran = scene.run()
    assert ran.outcome is Outcome.PUBLISHED
    scene.pass_checks()
    expected = Code.UNKNOWN if how == "unlabelled" else Code.TASK_ENDED
    assert codes(scene.merge()) == {ran.pull: [expected]}
    assert scene.run().outcome is Outcome.NOTHING_READY
