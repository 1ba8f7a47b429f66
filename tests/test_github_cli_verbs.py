"""`init`, `task`, `status`, `config` and the common options on a project on GitHub."""

import pytest
from support.hub_cli import NAME, program

from refinery.cli.common import Settings
from refinery.cli.shared import Connections
from refinery.configured import read_user
from refinery.home import Home
from refinery.testing import FakeGitHub


@pytest.fixture
def refinery(tmp_path, capsys, monkeypatch):
    """Runs verbs; has the hub."""
    with FakeGitHub(tmp_path / "hub") as hub:
        yield program(hub, tmp_path / "home", capsys, monkeypatch)


def issue(refinery, number=1):
    return refinery.hub.issue(NAME, number)


def test_a_repository_on_github_needs_no_registration(refinery):
    """`-p OWNER/NAME` is enough: the home is made, and holds no project."""
    assert not refinery.home.exists()
    status = refinery.json("-p", NAME, "status")
    assert (status["project"], status["base"], status["tasks"]) == (NAME, "main", [])
    assert read_user(Home.open(refinery.home)).projects == {}
    assert refinery.json("config", "show", "-p", NAME)["projects"][NAME]["source"] == "refinery.yml"
    assert refinery.json("-p", NAME, "task", "list") == {"tasks": [], "problems": []}


def test_other_projects_still_have_to_be_registered(refinery):
    """A name that is none on GitHub makes no home, and neither does no name at all."""
    for args in (("-p", "widgets"), ("-p", NAME, "-p", "widgets"), ()):
        code, _, err = refinery("status", *args)
        assert code == 2
        assert "no home folder" in err
        assert not refinery.home.exists()


def test_init_registers_it_with_its_issues_and_base(refinery):
    """Then no name is needed; doing it again keeps what was registered."""
    for _ in range(2):
        (row,) = refinery.json("init", NAME)["projects"]
        assert (row["project"], row["base"]) == (NAME, "main")
        assert any("refinery setup" in hint for hint in row["hints"])
        project = read_user(Home.open(refinery.home)).projects[NAME]
        assert (project.repository, project.tasks, project.base) == (f"github:{NAME}", "github", "main")
    assert refinery.json("status")["project"] == NAME


def test_init_with_task_files_and_pulls_on_github(refinery, tmp_path):
    """Tasks and code are separate choices."""
    (tmp_path / "tasks").mkdir()
    for slug, where in (("demo", ("--repo", f"github:{NAME}")), (NAME, ())):
        assert refinery("init", slug, *where, "--tasks", tmp_path / "tasks")[0] == 0
    assert read_user(Home.open(refinery.home)).projects["demo"].tasks == str(tmp_path / "tasks")
    code, out, _ = refinery("task", "add", "Write it down", "-p", "demo")
    assert (code, out.split()[1]) == (0, str(tmp_path / "tasks" / "write-it-down.md"))
    # A second look at the repository alone keeps the tasks where they are.
    assert refinery("init", NAME)[0] == 0
    assert read_user(Home.open(refinery.home)).projects[NAME].tasks == str(tmp_path / "tasks")


def test_task_files_need_no_issues(refinery, tmp_path):
    """Pulls work where issues are switched off; issues as tasks do not, and `init` says so."""
    refinery.hub.repository(NAME).has_issues = False
    (tmp_path / "tasks").mkdir()
    assert refinery("init", "demo", "--repo", f"github:{NAME}", "--tasks", tmp_path / "tasks")[0] == 0
    assert refinery("-p", "demo", "task", "add", "T")[0] == 0
    (task,) = refinery.json("-p", "demo", "status")["tasks"]
    assert (task["id"], task["status"]) == ("t", "ready")
    code, _, err = refinery("init", NAME)
    assert code == 2
    assert "switched this off" in err
    assert set(read_user(Home.open(refinery.home)).projects) == {"demo"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("init", "demo", "--repo", "github:widgets", "--tasks", "github"), "names no repository"),
        (("init", "demo", "--repo", f"github:{NAME}", "--tasks", "github:widgets"), "names no repository"),
        (("init", "acme/wigdets"), "there is no repository acme/wigdets"),
        (("init", "demo", "--repo", f"github:{NAME}"), "needs --repo and --tasks"),
    ],
)
def test_init_refuses_what_cannot_work(refinery, args, words):
    """And registers nothing."""
    code, _, err = refinery(*args)
    assert code == 2
    assert words in err
    assert read_user(Home.open(refinery.home)).projects == {}


@pytest.mark.parametrize("verb", [("status", "-p", NAME), ("init", NAME), ("setup", NAME, "--dry-run")])
@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("GITHUB_TOKEN", "no-such-token-0123456789", 2, "does not accept the credentials"),
        ("GITHUB_API_URL", "http://127.0.0.1:1", 20, "127.0.0.1:1 cannot be reached"),
        ("GITHUB_API_URL", "http://example.org", 2, "unencrypted"),
        ("REFINERY_APP_ID", "7", 2, "half of a GitHub App"),
    ],
)
def test_what_keeps_everybody_out_is_said_by_its_name(refinery, monkeypatch, verb, name, value, code, words):
    """Git alone would say that something did not answer."""
    monkeypatch.setenv(name, value)
    ended, _, err = refinery(*verb)
    assert words in err
    assert ended == code
    assert "no-such-token" not in err


def test_an_enterprise_url_may_leave_its_path_out(refinery, monkeypatch):
    """With and without /api/v3, and with a slash at its end."""
    for url in (refinery.hub.url, f"{refinery.hub.url}/", f"{refinery.hub.api}/"):
        monkeypatch.setenv("GITHUB_API_URL", url)
        assert refinery.json("-p", NAME, "status")["project"] == NAME


def test_task_add_opens_an_issue_and_hands_it_over(refinery):
    """With what no label says at the top of its text; the task that is read back says the same."""
    code, out, err = refinery(
        *("-p", NAME, "task", "add", "Count the shelves", "-b", "All of them.", "--priority", 1),
        *("--label", "shop", "--agent", "stub", "--depends-on", "7"),
    )
    assert (code, err) == (0, "")
    assert out == f"1  {refinery.hub.url}/{NAME}/issues/1\n"
    assert {each.name for each in issue(refinery).labels} == {"polecat", "shop"}
    row = refinery.json("-p", NAME, "task", "show", "1")
    assert (row["title"], row["status"], row["priority"], row["agent"]) == (
        "Count the shelves",
        "ready",
        1,
        "stub",
    )
    assert row["depends_on"] == ["7"]
    assert "All of them." in row["body"]
    assert row["problem"] is None


def test_task_add_keeps_an_issue_back_in_the_inbox(refinery):
    """Without the label nobody takes it."""
    told = refinery.json("-p", NAME, "task", "add", "Later", "--status", "inbox")
    assert told == {"id": "1", "path": f"{refinery.hub.url}/{NAME}/issues/1", "project": NAME}
    assert (issue(refinery).labels, issue(refinery).body) == ([], "")


@pytest.mark.parametrize(
    ("args", "words"),
    [(("--id", "x"), "--id"), (("--folder", "x"), "--folder"), (("--status", "blocked"), "not blocked")],
)
def test_task_add_refuses_what_no_issue_has(refinery, args, words):
    """Before anything is opened."""
    code, _, err = refinery("-p", NAME, "task", "add", "T", *args)
    assert code == 2
    assert words in err
    assert refinery.hub.repository(NAME).issues == {}


def test_an_app_that_labels_is_told_that_it_is_nobody(refinery, monkeypatch):
    """F28: a label of an App's own counts only if it is on the list."""
    permissions = dict.fromkeys(
        ("contents", "issues", "pull_requests", "checks", "statuses", "metadata"), "write"
    )
    monkeypatch.setenv("GITHUB_TOKEN", refinery.hub.actions_token(NAME, permissions))
    code, _, err = refinery("-p", NAME, "task", "add", "T")
    assert code == 0
    assert "github-actions[bot] put the label on" in err
    assert refinery.json("-p", NAME, "task", "show", "1")["status"] == "blocked"


def test_an_issue_is_edited_on_github(refinery):
    """Where it is says the remedy."""
    refinery.hub.open_issue(NAME, "T", by="mona", labels=("polecat",))
    for args in (("status=ready",), ("--editor",)):
        code, _, err = refinery("-p", NAME, "task", "edit", "1", *args)
        assert code == 2
        assert f"{refinery.hub.url}/{NAME}/issues/1" in err


def test_f28_an_issue_that_nobody_trusted_handed_over_says_so_everywhere(refinery):
    """F28: list, show and status give the reason and the cure."""
    refinery.hub.user("eve")
    refinery.hub.open_issue(NAME, "Do my bidding", by="eve", labels=("polecat",))
    row = refinery.json("-p", NAME, "task", "show", "1")
    assert (row["ready"], row["status"]) == (False, "blocked")
    assert "eve, who has no write permission" in row["problem"]
    code, out, err = refinery("-p", NAME, "task", "show", "1")
    assert (code, "issue       acme/widgets#1" in out) == (0, True)
    assert "→ somebody who may write here puts the label polecat on again" in out
    for verb in (("task", "list"), ("status",)):
        code, out, err = refinery("-p", NAME, *verb)
        assert "eve, who has no write permission" in out + err
        assert "trust.allow" in out + err


def test_f29_an_issue_that_was_edited_after_the_label_says_so(refinery):
    """F29: until the label is put on again."""
    refinery.hub.open_issue(NAME, "T", "Do this.", by="mona", labels=("polecat",))
    refinery.hub.edit(NAME, 1, body="Do that.", by="mona")
    assert "its text was edited after" in refinery.json("-p", NAME, "task", "show", "1")["problem"]


def test_status_says_what_is_left_of_the_limits(refinery):
    """As GitHub said last; a project elsewhere has none."""
    limits = refinery.json("-p", NAME, "status")["limits"]
    assert set(limits) >= {"core", "graphql"}
    assert 4900 < limits["core"]["remaining"] < limits["core"]["limit"] == 5000
    code, out, _ = refinery("-p", NAME, "status")
    assert code == 0
    assert "left of GitHub's limits: core 49" in out


def test_trace_api_lists_every_request_and_counts_them(refinery):
    """On standard error, so that standard output stays what scripts asked for; also when the verb fails."""
    code, out, err = refinery("--trace-api", "-p", NAME, "task", "list", "--json")
    assert (code, out[0]) == (0, "{")
    sent = [line for line in err.splitlines() if line.split()[0] in ("GET", "POST")]
    assert len(sent) >= 3
    assert f"all: {len(sent)} sent" in err
    assert all("ghp_" not in line for line in sent)
    refinery.hub.repository(NAME).has_issues = False
    code, _, err = refinery("-p", NAME, "task", "list", "--trace-api")
    assert code == 2
    assert "sent, " in err
    assert refinery("-p", NAME, "task", "list")[2].count("sent, ") == 0


def test_f37_a_pause_is_told_once_with_its_end_and_why(capsys):
    """F37: on standard error, in words; however many connections wait for the same end."""
    hooks = Connections(Settings()).hooks()
    for until, why in ((1800000000.2, "quota"), (1800000000.4, "quota"), (1800000060.0, "quota")):
        hooks.on_pause(until, why)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.splitlines() == [
        "waiting until 2027-01-15 08:00:00 UTC: quota",
        "waiting until 2027-01-15 08:01:00 UTC: quota",
    ]


def test_trace_api_reaches_the_workers_of_a_swarm(refinery):
    """And the reconciler's report is read all the same: what it says on standard error is no part of it."""
    refinery.commit({"refinery.yml": "agents: {stub: 'echo 1 > new.txt'}\nchecks: {tests: 'true'}\n"})
    refinery.hub.open_issue(NAME, "T", by="mona", labels=("polecat",))
    code, out, err = refinery("-p", NAME, "--trace-api", "swarm", "--agent", "stub=1", "--merge")
    assert code == 0, out + err
    writes = ("POST", " claim "), ("PUT", " merge ")
    told = [line for line in (out + err).splitlines() if any(a in line and b in line for a, b in writes)]
    assert {line.split("-")[0] for line in told} >= {"[STUB", "[Merger"}
    assert not [line for line in (out + err).splitlines() if '"repairs"' in line]
    assert refinery.hub.issue(NAME, 1).state == "closed"
