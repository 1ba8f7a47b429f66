"""An issue becomes a merged pull on the fake GitHub, by the very worker and merger of the git forge."""

import pytest
from support.hub import NAME, hub_scene

from refinery.core.model import PullState
from refinery.core.outcomes import Outcome
from refinery.core.reasons import Code


@pytest.fixture(params=["github", "files"])
def either(request, tmp_path):
    """Tasks as issues, and tasks as files with pulls on GitHub."""
    with hub_scene(tmp_path, tasks=request.param) as scene:
        yield scene


@pytest.fixture
def scene(tmp_path):
    """Issues and pulls."""
    with hub_scene(tmp_path) as made:
        yield made


def hand_over(scene):
    """A task, in whichever way; its id."""
    if scene.kind == "github":
        return str(scene.issue("Say hello", "In a file."))
    scene.task("greet")
    return "greet"


def test_a_task_becomes_a_merged_pull(either):
    """Claim, branch, pull, checks, squash: the base holds the agent's file, and the task is done."""
    task = hand_over(either)
    ran = either.run()
    assert (ran.outcome, ran.task_id) == (Outcome.PUBLISHED, task)
    (pull,) = either.hub.pulls(NAME)
    assert pull.pull.head_ref == f"polecat/{task}"
    assert either.labels(pull.number) == {"polecat"}
    waiting = either.merge()
    assert [each.code for row in waiting.waiting for each in row.verdict.reasons] == [Code.CHECK_MISSING]
    assert either.pass_checks() == [pull.number]
    report = either.merge()
    assert [row.pull for row in report.merged] == [pull.number], report.to_json()
    assert either.show(f"main:{task}.txt").strip() == task
    assert pull.pull.merged
    assert either.claim(task).outcome is Outcome.MERGED
    assert either.pull(pull.number).state is PullState.MERGED


def test_an_issue_shows_where_its_task_stands(scene):
    """Labels and one comment, edited; the merge closes the issue as completed."""
    number = scene.issue("Say hello")
    scene.run()
    assert scene.labels(number) == {"polecat", "polecat:review"}
    scene.pass_checks()
    assert scene.merge().merged
    issue = scene.hub.issue(NAME, number)
    assert (issue.state, issue.state_reason) == ("closed", "completed")
    assert scene.labels(number) == {"polecat"}
    assert len(scene.comments(number)) == 1


def test_nothing_is_left_to_do_afterwards(scene):
    """No second attempt, no orphan claim that is held, nothing to mend."""
    scene.issue()
    scene.run()
    scene.pass_checks()
    scene.merge()
    assert scene.run().outcome is Outcome.NOTHING_READY
    assert scene.reconcile() == []


def test_a_git_server_that_fails_once_is_asked_again(scene):
    """Reads by git are repeated as those by the API are: one 502 ends no run."""
    scene.issue()
    scene.hub.faults.add("status", status=502, path=r"info/refs", count=1)
    assert scene.run().outcome is Outcome.PUBLISHED
