"""A maintainer who has never seen this tool: each step says what is missing and what comes next."""

import pytest
from support.program import refinery
from support.repos import checkout, git
from support.spoiled import complaint, ready

AGENT = "agents: {dev: 'mkdir -p docs; date +%N > docs/$REFINERY_TASK.md'}\n"


@pytest.fixture
def tour(tmp_path):
    """The program with a new home, in a person's checkout without any configuration, beside three tasks."""
    repo = checkout(tmp_path / "proj", {"README.md": "# Calc\n"})
    (tmp_path / "tasks").mkdir()
    for name, fields in {"one": {}, "two": {"depends_on": "one"}, "three": {}}.items():
        (tmp_path / "tasks" / f"{name}.md").write_text(ready(name, **fields))

    def run(*args, code=0):
        done = refinery(
            *args, cwd=repo, env={"REFINERY_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return repo, run


def save(repo, text):
    (repo / "refinery.yml").write_text(text)
    git(repo, "add", "refinery.yml")
    git(repo, "commit", "--quiet", "--message", "configure", "--only", "refinery.yml")


def test_the_way_from_nothing_to_a_landing(tour):
    """Every message names the next step; nothing that a person has open is touched."""
    repo, run = tour
    assert "refinery init SLUG --repo PATH_OR_URL --tasks FOLDER" in complaint(run("status", code=2), 2)
    told = run("init", "calc", "--repo", ".", "--tasks", "../tasks").stderr
    assert "there is no program claude on PATH: install claude, or choose another agent" in told
    assert "nothing will merge by itself without a check: add `checks:" in told
    assert "there is no program claude" in complaint(run("run", code=2), 2)

    save(repo, AGENT)
    assert "one: published (pull 1)" in run("run", "-q").stderr
    shown = run("merge", code=7).stdout
    assert "no check is required" in shown
    assert 'add `checks: {tests: "<your test command>"}` to refinery.yml on main' in shown
    save(repo, AGENT + "checks: {tests: 'true'}\n")
    assert run("init").stderr.count("→") == 0
    shown = run("status").stdout
    assert shown.startswith("calc, base main\n")
    assert shown.count("its pull 1 is open") == 1
    assert "the check tests has not run on the predicted result yet" in shown

    (repo / "README.md").write_text("# mine, not committed\n")
    (repo / "docs").mkdir()
    (repo / "docs" / "one.md").write_text("mine\n")
    shown = run("merge", code=6).stdout
    assert "docs/one.md has local changes in a checkout of main" in shown
    (repo / "docs" / "one.md").unlink()
    assert "pull 1 (one): merged as" in run("merge").stdout
    assert git(repo, "status", "--porcelain") == "M README.md"


def test_a_review_and_what_is_over(tour):
    """Changes are asked for, made and approved; what has landed needs no decision any more."""
    repo, run = tour
    save(repo, AGENT + "checks: {tests: 'true'}\n")
    run("init", "calc", "--repo", ".", "--tasks", "../tasks")
    run("run", "-q", "-t", "one")
    run("review", "request-changes", "1", "-m", "say more", "--author", "ann")
    shown = run("explain", "1").stdout
    assert "ann requested changes\n    → ask ann to approve" in shown
    assert "published (pull 1)" in run("run", "-q", "-t", "one").stderr
    run("review", "approve", "1", "--author", "ann")
    assert "pull 1 (one): merged as" in run("merge").stdout
    assert "pull 1 is merged, so there is nothing to decide" in complaint(
        run("review", "approve", "1", code=2), 2
    )
    shown = run("explain", "1").stdout
    assert "the pull is merged already\n    → nothing is left to do for it" in shown
    run("run", "--loop", "-q")
    shown = run("run", "--loop", code=3).stderr
    assert shown.startswith("nothing-ready: 3 tasks are not ready\n")
