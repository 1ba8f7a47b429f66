"""`refinery doctor` on a GitHub of one's own: each thing that can be wrong there, by its own finding."""

import pytest
from support.hub_cli import CONFIG, NAME, program
from support.repos import git

from refinery.cli.checkup import check_machine
from refinery.testing import FakeGitHub

SECRETIVE = "on: push\njobs: {a: {steps: [{run: 'echo ${{ secrets.NPM_TOKEN }}'}]}}\n"


@pytest.fixture
def doctor(tmp_path, capsys, monkeypatch):
    """Runs it; returns the project's findings by name, and has the hub."""
    with FakeGitHub(tmp_path / "hub") as hub:
        refinery = program(hub, tmp_path / "home", capsys, monkeypatch)
        tip = git(hub.folder(NAME), "rev-parse", "main")
        hub.report_check(NAME, tip, "tests", app="ci-app")
        for label in (
            "polecat",
            "polecat:working",
            "polecat:review",
            "polecat:blocked",
            "polecat:failed",
            "hold",
        ):
            hub.world.label(hub.repository(NAME), label)

        def examine(*args, code=0):
            report = refinery.json(*(args or ("-p", NAME)), "doctor", code=code)
            assert report["ok"] is (code == 0)
            return {each["name"]: each for each in report["findings"] if each["project"]}

        examine.hub, examine.refinery, examine.monkeypatch = hub, refinery, monkeypatch
        yield examine


def test_a_sound_repository_has_nothing_against_it(doctor):
    """Everything is named; nothing is left behind by trying what is permitted."""
    doctor.hub.open_issue(NAME, "x", by="mona")
    repository = doctor.hub.repository(NAME)
    before = (git(repository.path, "for-each-ref"), set(repository.labels), set(repository.issues))
    found = doctor()
    assert {name: each["message"] for name, each in found.items() if each["level"] != "ok"} == {}
    wanted = {"credentials", "on github", "permissions", "clock", "issues", "labels", "merge methods"}
    assert wanted | {"branch rules", "required checks", "ci", "workflows", "repository", "checks"} <= set(
        found
    )
    assert "as mona" in found["credentials"]["message"]
    assert "GITHUB_TOKEN" in found["credentials"]["message"]
    assert "contents: write, pull requests: write" in found["permissions"]["message"]
    assert found["checks"]["message"] == "tests"
    assert (git(repository.path, "for-each-ref"), set(repository.labels), set(repository.issues)) == before


@pytest.mark.parametrize(
    ("change", "name", "level", "words"),
    [
        ({"archived": True}, "on github", "fail", "archived"),
        ({"has_issues": False}, "issues", "fail", "switched off"),
        ({"allow_squash_merge": False}, "merge methods", "fail", "merge and rebase"),
        ({"labels": {}}, "labels", "warn", "no label polecat"),
    ],
)
def test_a_setting_of_the_repository(doctor, change, name, level, words):
    """As a person changes it on the settings page."""
    for key, value in change.items():
        setattr(doctor.hub.repository(NAME), key, value)
    found = doctor(code=1 if level == "fail" else 0)[name]
    assert found["level"] == level
    assert words in found["message"]
    assert found["remedy"]


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ("contents", "contents: write"),
        ("pull_requests", "pull requests: write"),
        ("issues", "issues: write"),
    ],
)
def test_a_token_without_a_permission(doctor, lacking, named):
    """Which one, and how to grant it."""
    names = ("contents", "pull_requests", "issues", "checks", "statuses", "metadata")
    permissions = {name: "read" if name == lacking else "write" for name in names}
    doctor.monkeypatch.setenv("GITHUB_TOKEN", doctor.hub.token("mona", permissions))
    found = doctor(code=1)["permissions"]
    assert found["level"] == "fail"
    assert found["message"] == f"these credentials lack {named}"
    assert "grant" in found["remedy"]


def test_a_token_that_github_does_not_accept(doctor):
    """A mistake of the login's, not an absence of work."""
    doctor.monkeypatch.setenv("GITHUB_TOKEN", "no-such-token-0123456789")
    found = doctor(code=1)
    assert found["credentials"]["level"] == "fail"
    assert "does not accept" in found["credentials"]["message"]


def test_a_repository_that_is_not_there(doctor):
    """Or that the token was not given access to."""
    found = doctor("-p", "acme/wigdets", code=1)
    assert "no repository acme/wigdets" in found["on github"]["message"]


def test_without_any_credentials(doctor):
    """With the ways to give some."""
    doctor.monkeypatch.delenv("GITHUB_TOKEN")
    doctor.monkeypatch.setenv("PATH", "/usr/bin:/bin")
    found = doctor(code=1)["repository"]
    assert "no credentials" in found["message"]
    assert "gh auth login" in found["remedy"]


def test_the_identity_of_a_workflow_starts_no_ci(doctor):
    """Its pulls' required checks never report: said before anything is spent."""
    names = ("contents", "pull_requests", "issues", "checks", "statuses", "metadata")
    token = doctor.hub.actions_token(NAME, dict.fromkeys(names, "write"))
    doctor.monkeypatch.setenv("GITHUB_TOKEN", token)
    found = doctor(code=1)["ci"]
    assert found["level"] == "fail"
    assert "App" in found["remedy"]


def test_rules_of_the_branch_are_read_from_both_places(doctor):
    """Classic protection and rulesets: their checks count beside the policy's, their reviews keep a person in."""
    doctor.hub.protect(NAME, checks=[("lint", "")], reviews=1)
    rule = {"type": "pull_request", "parameters": {"required_approving_review_count": 2}}
    doctor.hub.ruleset(NAME, merge_queue=True)
    doctor.hub.repository(NAME).rulesets[0]["rules"].append(rule)
    found = doctor()
    assert "a merge queue" in found["branch rules"]["message"]
    assert "2 approving reviews" in found["branch rules"]["message"]
    assert "lint was not reported" in found["required checks"]["message"]
    assert found["checks"]["message"] == "tests and lint"


def test_reviews_that_classic_protection_asks_for(doctor):
    """Which only an administrator may look at: to others it is said that they cannot be seen."""
    doctor.hub.protect(NAME, reviews=1)
    assert "1 approving review" in doctor()["branch rules"]["message"]
    doctor.hub.user("robot")
    doctor.hub.grant(NAME, "robot", "write")
    doctor.monkeypatch.setenv("GITHUB_TOKEN", doctor.hub.token("robot"))
    assert "only to an administrator" in doctor()["branch rules"]["message"]


def test_a_check_by_another_app_is_not_the_required_one(doctor):
    """F25: required is a name and an App."""
    doctor.refinery.commit({"refinery.yml": CONFIG.replace("ci-app", "other-app")})
    tip = git(doctor.hub.folder(NAME), "rev-parse", "main")
    doctor.hub.report_check(NAME, tip, "tests", app="ci-app")
    assert "ci-app reports one of that name" in doctor()["required checks"]["message"]


def test_workflows_that_give_secrets_to_an_agents_code_are_a_danger(doctor):
    """Read from the base as it is, and from the default that only administrators see."""
    doctor.refinery.commit({".github/workflows/publish.yaml": SECRETIVE})
    doctor.hub.repository(NAME).default_workflow_permissions = "write"
    found = doctor()
    assert found["workflows"]["message"].startswith("DANGER: .github/workflows/publish.yaml starts on push")
    assert "NPM_TOKEN" in found["workflows"]["message"]
    assert "can write" in found["workflow token"]["message"]


def test_who_may_write_and_no_more_does_not_see_the_default_token(doctor):
    """Which is said, and counts as dangerous where a workflow relies on it."""
    doctor.hub.user("robot")
    doctor.hub.grant(NAME, "robot", "write")
    doctor.monkeypatch.setenv("GITHUB_TOKEN", doctor.hub.token("robot"))
    doctor.refinery.commit({".github/workflows/more.yml": "on: push\njobs: {a: {}}\n"})
    assert "may be able to write" in doctor()["workflow token"]["message"]


def test_issues_of_another_repository_are_looked_at_there(doctor):
    """Code and tasks are separate choices: each place is asked for what is done in it."""
    doctor.hub.create_repository("acme/planning", files={"README.md": "x"})
    doctor.hub.grant("acme/planning", "mona", "admin")
    doctor.hub.repository("acme/planning").has_issues = False
    doctor.hub.repository(NAME).has_issues = False
    code, _, err = doctor.refinery(
        "init", "demo", "--repo", f"github:{NAME}", "--tasks", "github:acme/planning"
    )
    assert code == 2, err
    assert "switched" in err
    doctor.hub.repository("acme/planning").has_issues = True
    assert (
        doctor.refinery("init", "demo", "--repo", f"github:{NAME}", "--tasks", "github:acme/planning")[0] == 0
    )
    report = doctor.refinery.json("doctor", "-p", "demo")
    labels = [each for each in report["findings"] if each["name"] == "labels"]
    assert [each["level"] for each in labels] == ["ok", "warn"]
    assert "acme/planning" in labels[1]["remedy"]
    assert {each["project"] for each in labels} == {"demo"}


@pytest.mark.parametrize("kept", ["variable", "file", "nowhere"])
def test_an_agents_login_is_looked_for_without_starting_it(tmp_path, monkeypatch, kept):
    """Where the program keeps it; starting it might cost something."""
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    login = tmp_path / ".claude" / ".credentials.json"
    login.parent.mkdir()
    for name, value in {"PATH": f"{program.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    for name in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    if kept == "variable":
        monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    if kept == "file":
        login.write_text("{}")
    monkeypatch.setattr("sys.platform", "linux")
    found = next(each for each in check_machine() if each.name == "agent login")
    words = {
        "variable": "ANTHROPIC_API_KEY",
        "file": "~/.claude/.credentials.json",
        "nowhere": "none was found",
    }
    assert words[kept] in found.message
    assert found.level == ("warn" if kept == "nowhere" else "ok")
    assert not (tmp_path / "started").exists()
