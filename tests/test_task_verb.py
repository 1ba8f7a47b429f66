"""`refinery task`: what a person does with tasks from the command line, on real files and a real repository."""

import json
from pathlib import Path

import pytest
from support.program import refinery
from support.repos import bare

from refinery.cli.root import run as run_verb


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A home with one project, whose verbs run in this process."""
    monkeypatch.setenv("REFINERY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.delenv("REFINERY_PROJECT", raising=False)
    (tmp_path / "tasks").mkdir()
    bare(tmp_path / "code.git")
    register(tmp_path, "demo")
    return tmp_path


def register(folder: Path, slug: str, tasks: str = "tasks") -> None:
    assert run_verb(["init", slug, "--repo", str(folder / "code.git"), "--tasks", str(folder / tasks)]) == 0


@pytest.fixture
def task(project, capsys, monkeypatch):
    """Runs `refinery task …`; returns exit code, standard output and standard error."""
    monkeypatch.chdir(project)

    def run(*args):
        capsys.readouterr()
        code = run_verb(["task", *map(str, args)])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return run


def test_add_prints_id_and_path_and_the_file_says_what_was_asked(task, project):
    """Every option lands in the front matter, and what was not given is left out."""
    code, out, _ = task(
        "add",
        "Count the shelves",
        "-b",
        "All of them.",
        "--priority",
        1,
        "--label",
        "shop",
        "--agent",
        "codex",
    )
    path = project / "tasks" / "count-the-shelves.md"
    assert (code, out) == (0, f"count-the-shelves  {path}\n")
    text = path.read_text()
    for line in ("id: count-the-shelves", "title: Count the shelves", "status: ready", "priority: 1"):
        assert f"\n{line}\n" in text
    assert "labels: [shop]" in text
    assert "agent: codex" in text
    assert "assignee" not in text
    assert text.endswith("\n---\n\nAll of them.\n")


def test_ids_are_readable_and_unique(task):
    """A taken id gets a few random letters; a title without a usable letter still gets one."""
    ids = [json.loads(task("add", title, "--json")[1])["id"] for title in ("A b!", "A b!", "a-B", "☃", "☃")]
    assert ids[0] == "a-b"
    assert all(each.startswith("a-b-") for each in ids[1:3])
    assert all(each.startswith("task-") for each in ids[3:])
    assert len(set(ids)) == 5


def test_a_long_title_gives_an_id_of_whole_words(task):
    """Ids are typed, so they stay short."""
    title = "Add a function that says the area of a circle"
    assert json.loads(task("add", title, "--json")[1])["id"] == "add-a-function-that-says-the-area-of-a"
    assert len(json.loads(task("add", "x" * 90, "--json")[1])["id"]) == 40


def test_a_taken_id_is_refused(task):
    """An id that was asked for is never changed silently."""
    assert task("add", "One", "--id", "x/1")[0] == 0
    code, _, err = task("add", "Two", "--id", "x/1")
    assert code == 2
    assert "is taken by" in err


def test_the_body_comes_from_standard_input(project):
    """`-b -`, as in a pipe."""
    done = refinery(
        "task",
        "add",
        "T",
        "-b",
        "-",
        "--json",
        env={"REFINERY_HOME": str(project / "home")},
        input="one\ntwo\n",
    )
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout)["path"]).read_text().endswith("---\n\none\ntwo\n")


def test_list_shows_readiness_and_says_why_not(task):
    """In the order of start; a dependency that nobody knows is named (F7)."""
    task("add", "Later", "--priority", 3)
    task("add", "First", "--priority", 0)
    _, _, err = task("add", "Stuck", "--depends-on", "nobody")
    assert "there is no task nobody yet" in err
    task("add", "Parked", "--status", "inbox")
    _, out, _ = task("list")
    assert [line.split()[0] for line in out.splitlines()] == ["task", "first", "later", "parked", "stuck"]
    assert "it depends on nobody, and there is no such task" in out
    assert "it is in the inbox" in out
    assert [each["id"] for each in json.loads(task("list", "--ready", "--json")[1])["tasks"]] == [
        "first",
        "later",
    ]
    assert [each["id"] for each in json.loads(task("list", "--status", "inbox", "--json")[1])["tasks"]] == [
        "parked"
    ]


def test_show_tells_file_claim_pull_and_reasons(task, project):
    """After a run, the claim and its ending are there; JSON has the same."""
    config = 'agents:\n  none: {command: ["true"]}\n'
    with (project / "home" / "config.yml").open("a") as file:
        file.write(config)
    task("add", "Do nothing", "-b", "Nothing at all.", "--agent", "none")
    assert run_verb(["run", "-q"]) == 13
    code, out, _ = task("show", "do-nothing")
    assert code == 0
    assert "released by bot@" in out
    assert "no-changes: the agent ended well and changed nothing" in out
    assert "set `status: ready`" in out
    assert out.endswith("\nNothing at all.\n")
    told = json.loads(task("show", "do-nothing", "--json")[1])
    assert (told["status"], told["ready"], told["pull"]) == ("blocked", False, None)
    assert (told["claim"]["attempt"], told["claim"]["is_live"]) == (1, False)
    assert [each["code"] for each in told["reasons"]] == ["blocked"]


def test_edit_changes_its_values_and_no_other_byte(task, project):
    """Comments, order, quoting and line endings of a person's file stay."""
    path = project / "tasks" / "mine.md"
    path.write_bytes(b"---\r\n# mine\r\nstatus:   'ready'  # now\r\nid: mine\r\nx: [1,2]\r\n---\r\nText\r\n")
    code, out, _ = task("edit", "mine", "status=blocked", "depends-on=a, b")
    assert code == 0
    assert out.startswith("mine  status blocked, depends_on a, b  ")
    assert path.read_bytes() == (
        b"---\r\n# mine\r\nstatus:   'blocked'  # now\r\nid: mine\r\nx: [1,2]\r\ndepends_on: [a, b]\r\n---\r\nText\r\n"
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["edit", "mine", "staus=ready"], "did you mean status?"),
        (["edit", "mine", "status=onhold"], "mine.md:3: unknown status 'onhold'"),
        (["edit", "mine", "priority=9"], "the priority must be 0 (first) to 4"),
        (["edit", "mine", "status"], "is not KEY=VALUE"),
        (["edit", "mine", "id=yours"], "cannot be changed"),
        (["edit", "mine"], "nothing to change"),
        (["edit", "mine", "--editor", "status=ready"], "either"),
        (["edit", "mien", "status=ready"], "did you mean mine?"),
        (["show", "mien"], "did you mean mine?"),
        (["show", "broken"], "broken.md:3: unknown status 'paused'"),
        (["edit", "broken", "status=ready"], "broken.md:3: unknown status 'paused'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(task, project, args, words):
    """One message with a remedy, path and line where there is one; the files stay as they were."""
    files = {
        project / "tasks" / "mine.md": "---\nid: mine\nstatus: ready\n---\n",
        project / "tasks" / "broken.md": "---\nid: broken\nstatus: paused\n---\n",
    }
    for path, text in files.items():
        path.write_text(text)
    code, out, err = task(*args)
    assert (code, out) == (2, "")
    assert words in err
    assert {path: path.read_text() for path in files} == files


def test_the_editor_may_mend_a_file_that_does_not_parse(task, project, monkeypatch):
    """And what it leaves is checked."""
    path = project / "tasks" / "broken.md"
    path.write_text("---\nid: broken\nstatus: paused\n---\n")
    monkeypatch.setenv("EDITOR", "sed -i s/paused/held/")
    monkeypatch.delenv("VISUAL", raising=False)
    code, _, err = task("edit", "broken", "--editor")
    assert code == 2
    assert "broken.md:3: unknown status 'held'" in err
    monkeypatch.setenv("EDITOR", "sed -i s/held/ready/")
    assert task("edit", "broken", "--editor")[0] == 0
    assert path.read_text() == "---\nid: broken\nstatus: ready\n---\n"


def test_a_task_of_a_shared_folder_names_its_project(task, project):
    """Several projects on one folder: a new task says whose it is, and `-p` lists that project's alone."""
    register(project, "other")
    code, _, err = task("add", "Whose")
    assert code == 2
    assert "name it with -p" in err
    assert task("add", "Whose", "-p", "other")[0] == 0
    assert "\nproject: other\n" in (project / "tasks" / "whose.md").read_text()
    assert json.loads(task("list", "-p", "demo", "--json")[1])["tasks"] == []
    assert [each["in_project"] for each in json.loads(task("list", "--json")[1])["tasks"]] == ["other"]


def test_adding_needs_no_repository(task, project):
    """Tasks can be written while the code's host is away; listing, which judges readiness, cannot (F6)."""
    (project / "code.git").rename(project / "gone.git")
    assert task("add", "Offline")[0] == 0
    assert task("edit", "offline", "priority=0")[0] == 0
    code, out, err = task("list")
    assert code == 20, err
    assert out == ""
