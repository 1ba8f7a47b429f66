"""`refinery setup` on a GitHub of one's own: what it says, what it does, and that doing it again changes nothing."""

import base64
import os

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.hub_cli import CONFIG, NAME, program
from support.repos import git

from refinery.core.config import PROJECT_FILES
from refinery.core.config_model import parse_project
from refinery.testing import FakeGitHub

LABELS = {"polecat", "polecat:working", "polecat:review", "polecat:blocked", "polecat:failed", "hold"}


@pytest.fixture
def setup(tmp_path, capsys, monkeypatch):
    """Runs it on a repository without a configuration; has the hub."""
    with FakeGitHub(tmp_path / "hub") as hub:
        refinery = program(hub, tmp_path / "home", capsys, monkeypatch)
        hub.push(NAME, {"refinery.yml": None}, by="mona")

        def prepare(*args, **options):
            return refinery.json("setup", NAME, *args, **options)

        prepare.hub, prepare.refinery, prepare.monkeypatch, prepare.folder = (
            hub,
            refinery,
            monkeypatch,
            tmp_path,
        )
        yield prepare


def seen(hub):
    """Everything that setup may change."""
    repository = hub.repository(NAME)
    refs = git(repository.path, "for-each-ref", "--format=%(refname) %(objectname)")
    return (
        refs,
        set(repository.labels),
        dict(repository.secrets),
        dict(repository.variables),
        len(repository.issues),
    )


def test_a_rehearsal_lists_every_step_and_changes_nothing(setup):
    """First look, then leap."""
    before = seen(setup.hub)
    told = setup("--dry-run")
    assert [step["kind"] for step in told["steps"]] == ["label"] * 6 + ["pull"]
    assert (told["dry_run"], told["done"]) == (True, [])
    assert seen(setup.hub) == before
    code, out, _ = setup.refinery("setup", NAME, "--dry-run")
    assert code == 0
    assert "create the label polecat:failed" in out
    assert "open a pull that adds .github/refinery.yml" in out


def test_it_prepares_a_repository_and_doing_it_again_changes_nothing(setup):
    """Labels with their colours, and a pull with a configuration that asks for what CI reports."""
    tip = git(setup.hub.folder(NAME), "rev-parse", "main")
    setup.hub.report_check(NAME, tip, "tests", app="ci-app")
    told = setup("--yes")
    assert len(told["done"]) == len(told["steps"]) == 7
    repository = setup.hub.repository(NAME)
    assert set(repository.labels) >= LABELS
    assert repository.labels["polecat"].description == "Hands this over to Refinery"
    (pull,) = setup.hub.pulls(NAME)
    assert (pull.pull.head_ref, pull.pull.base_ref, pull.labels) == ("refinery/setup", "main", [])
    text = git(repository.path, "show", f"refinery/setup:{PROJECT_FILES[0]}")
    (required,) = parse_project(text, "starter").policy.required
    assert (required.name, required.app) == ("tests", "ci-app")
    assert git(repository.path, "diff", "--name-only", "main", "refinery/setup") == PROJECT_FILES[0]

    before = seen(setup.hub)
    assert setup("--yes")["steps"] == []
    assert seen(setup.hub) == before
    assert "nothing is left to do" in setup.refinery("setup", NAME)[1]


def test_a_configuration_that_is_there_is_left_alone_and_read(setup):
    """Wherever it lies; its label is the one that is made."""
    setup.hub.push(NAME, {"refinery.yml": CONFIG + "label: robots\n"}, by="mona")
    names = [step["name"] for step in setup("--dry-run")["steps"]]
    assert names[:2] == ["robots", "robots:working"]
    assert "refinery/setup" not in names


def test_without_issue_tasks_only_what_pulls_need_is_made(setup):
    """`--tasks none`: task files elsewhere."""
    setup.hub.repository(NAME).has_issues = False
    assert [step["name"] for step in setup("--tasks", "none", "--dry-run")["steps"]][:2] == [
        "polecat",
        "hold",
    ]
    told = setup("--dry-run", code=1)
    assert [each["name"] for each in told["findings"] if each["level"] == "fail"] == ["issues"]


def test_nobody_is_asked_where_nobody_is(setup):
    """Without a terminal it takes --yes, or nothing is done."""
    before = seen(setup.hub)
    code, _, err = setup.refinery("setup", NAME)
    assert code == 2
    assert "--yes" in err
    assert seen(setup.hub) == before


@pytest.mark.parametrize("answer", ["n", "y"])
def test_a_person_is_asked(setup, answer):
    """On a terminal; only yes is yes."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "w") as terminal, os.fdopen(theirs) as stdin:
        terminal.write(f"{answer}\n")
        terminal.flush()
        setup.monkeypatch.setattr("sys.stdin", stdin)
        code, out, _ = setup.refinery("setup", NAME)
    assert code == 0
    assert "Do this? [y/N]" in out
    assert ("✓ created the label polecat:failed" in out) is (answer == "y")
    assert len(setup.hub.pulls(NAME)) == (answer == "y")


def test_it_does_nothing_while_a_permission_is_missing(setup):
    """Which one, and exit code 1."""
    names = ("pull_requests", "checks", "statuses", "metadata", "contents")
    permissions = {**dict.fromkeys(names, "write"), "issues": "read"}
    setup.monkeypatch.setenv("GITHUB_TOKEN", setup.hub.token("mona", permissions))
    before = seen(setup.hub)
    told = setup("--yes", code=1)
    assert [each["message"] for each in told["findings"] if each["level"] == "fail"] == [
        "these credentials lack issues: write"
    ]
    assert told["done"] == []
    assert seen(setup.hub) == before


def test_secrets_and_variables_come_from_files_and_are_sealed(setup):
    """No value is shown or sent in the clear; a secret that exists stays, a variable is brought up to date."""
    secrets, variables = setup.folder / "secrets", setup.folder / "variables"
    secrets.write_text("# for CI\n\nexport MODEL_KEY='swordfish-0123'\n")
    variables.write_text("REGION=north\n")
    told = setup("--yes", "--secrets", secrets, "--variables", variables)
    repository = setup.hub.repository(NAME)
    assert set(repository.secrets) == {"MODEL_KEY"}
    sealed = repository.secrets["MODEL_KEY"]["encrypted_value"]
    assert len(base64.b64decode(sealed)) > len("swordfish-0123")
    assert "swordfish" not in f"{told} {sealed} {setup.hub.requests}"
    assert repository.variables == {"REGION": "north"}
    secrets.write_text("MODEL_KEY=other\n")
    variables.write_text("REGION=south\n")
    (step,) = setup("--yes", "--secrets", secrets, "--variables", variables)["steps"]
    assert step["words"] == "change the variable REGION, for workflows"
    assert repository.variables == {"REGION": "south"}
    assert repository.secrets["MODEL_KEY"]["encrypted_value"] == sealed


@pytest.mark.parametrize("line", ["swordfish-0123", "A B=swordfish-0123", "GITHUB_X=swordfish-0123", "=x"])
def test_a_line_that_is_no_pair_is_refused_without_being_shown(setup, line):
    """By its number."""
    path = setup.folder / "secrets"
    path.write_text(f"A=b\n{line}\n")
    code, out, err = setup.refinery("setup", NAME, "--secrets", path, "--yes")
    assert code == 2
    assert "line 2" in err
    assert "swordfish" not in out + err


def key_pair():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert jwt.encode({}, private, "RS256")
    return private.decode(), public.decode()


@pytest.mark.parametrize("issues", ["write", "read"])
def test_an_app_is_tried_before_its_key_is_handed_over(setup, issues):
    """What it may do is a finding; its id becomes a variable, its key a secret."""
    private, public = key_pair()
    app = setup.hub.app("robot", public)
    app.permissions |= {"contents": "write", "pull_requests": "write", "issues": issues, "checks": "read"}
    app.permissions |= {"statuses": "read", "metadata": "read"}
    setup.hub.install("robot", NAME)
    path = setup.folder / "key.pem"
    path.write_text(private)
    is_good = issues == "write"
    told = setup("--yes", "--app-id", app.id, "--app-key", path, code=0 if is_good else 1)
    repository = setup.hub.repository(NAME)
    (found,) = [each for each in told["findings"] if each["name"] == "app permissions"]
    assert found["level"] == ("ok" if is_good else "fail")
    assert set(repository.secrets) == ({"REFINERY_APP_KEY"} if is_good else set())
    assert repository.variables == ({"REFINERY_APP_ID": str(app.id)} if is_good else {})


def test_half_an_app_is_refused(setup):
    """And a name that is none."""
    code, _, err = setup.refinery("setup", NAME, "--app-id", "7", "--yes")
    assert (code, "--app-key" in err) == (2, True)
    code, _, err = setup.refinery("setup", "widgets", "--yes")
    assert (code, "OWNER/NAME" in err) == (2, True)


def test_a_lost_answer_is_made_good_by_doing_it_again(setup):
    """Dropped after GitHub did it: the step fails by name, and the next run goes on from there."""
    setup.hub.faults.add("drop-after", method="POST", path=r"/labels$", body="polecat:working")
    code, _, err = setup.refinery("setup", NAME, "--yes")
    assert code == 20, err
    assert setup.refinery("setup", NAME, "--yes")[0] == 0
    assert set(setup.hub.repository(NAME).labels) >= LABELS
    assert len(setup.hub.pulls(NAME)) == 1
