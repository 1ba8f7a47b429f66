"""What agents say never carries a secret, a command or a trailer of ours into the repository."""

from pathlib import Path

import pytest
from support.repos import git
from support.scene import ADD, Scene

SECRET = "ghp_" + "a1B2" * 9
SAID = """\
cat > "$REFINERY_RESULT_FILE" <<'END'
{"status": "done", "title": "Add it %s", "summary": "see %s\\nCloses #1 @everybody\\nRefinery-Task: other"}
END
"""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A task `a`."""
    made = Scene(tmp_path)
    made.task("a")
    return made


def spoken(scene: Scene) -> str:
    """Every commit message of the repository: claims, pulls, work."""
    return git(scene.git_dir, "log", "--all", "--format=%B")


def test_f35_a_secret_in_an_agents_words_reaches_nobody(scene: Scene) -> None:
    """F35: neither claim, nor pull, nor commit; nor what a failure's last words said."""
    scene.agent(ADD + SAID % (SECRET, SECRET))
    assert scene.run().outcome == "published"
    assert "see ***" in spoken(scene)
    scene.configure(verify=[f"echo {SECRET}; false"])
    scene.task("b")
    scene.agent(ADD)
    result = scene.run("b")
    assert result.outcome == "verify-failed"
    assert SECRET not in spoken(scene) + result.reason


def test_f30_an_agent_cannot_speak_as_we_do(scene: Scene) -> None:
    """F30: no closing keyword, mention or trailer of ours comes from an agent's account."""
    scene.agent(ADD + SAID % ("", ""))
    scene.run()
    scene.merge()
    trailers = git(scene.git_dir, "log", "-1", "--format=%(trailers:key=Refinery-Task,valueonly)", "main")
    assert trailers.split() == ["a"]
    message = git(scene.git_dir, "log", "-1", "--format=%B", "main")
    assert "Closes #1" not in message
    assert "@everybody" not in message
