"""What a second attempt knows of the first, and what a claim costs under which nothing was begun."""

import pytest
from support.scene import ADD, Scene

from refinery.core.outcomes import Outcome


@pytest.fixture
def scene(tmp_path):
    return Scene(
        tmp_path,
        checks={"tests": "test ! -e bad || { echo the cause is 4711; exit 1; }"},
        limits={"backoff": "0s", "repairs": 1},
    )


def test_the_next_attempt_is_told_what_the_failed_check_said(scene):
    """Its output, not just that it failed; also when only one repair is allowed, and our own claim counts it."""
    scene.task("a")
    scene.agent("touch bad\n")
    assert scene.run().outcome is Outcome.PUBLISHED
    assert len(scene.merge().refused) == 1
    scene.agent('cat "$REFINERY_PROMPT_FILE" > {root}/prompt\nrm bad\necho good > good\n')
    assert scene.run().outcome is Outcome.PUBLISHED
    assert "The check tests ended with failure:\nthe cause is 4711" in (scene.root / "prompt").read_text()
    assert len(scene.merge().merged) == 1


def test_the_next_attempt_is_told_how_the_last_one_ended(scene):
    """Our own claim, which has no ending yet, does not hide the last one's."""
    scene.task("a")
    scene.agent("exit 3\n")
    assert scene.run().outcome is Outcome.AGENT_FAILED
    scene.agent('cat "$REFINERY_PROMPT_FILE" > {root}/prompt\n' + ADD)
    assert scene.run().outcome is Outcome.PUBLISHED
    assert "agent-failed: the agent exited with 3" in (scene.root / "prompt").read_text()


def test_a_claim_under_which_nothing_was_begun_spends_no_attempt(scene, monkeypatch):
    """The task changed while it was claimed: attempts, failures and repairs are what they were."""
    scene.task("a")
    scene.agent("exit 3\n")
    scene.run()
    project = scene.project()
    plain = project.forge.write_claim

    def write(ref, claim, parent):
        scene.task("a", body="Something else.")
        return plain(ref, claim, parent)

    monkeypatch.setattr(project.forge, "write_claim", write)
    assert scene.worker(project).run("a").outcome is Outcome.CLAIM_LOST
    assert (scene.claim("a").attempt, scene.claim("a").failures) == (1, 1)
    scene.agent(ADD)
    result = scene.run()
    assert (result.outcome, result.attempt) == (Outcome.PUBLISHED, 2)
