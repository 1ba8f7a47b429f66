"""The verbs about Refinery itself: config, doctor, clean, completion."""

import json
import os
import subprocess
import time
import types

import pytest
from support.program import refinery
from support.repos import checkout, commit, git

from refinery.home import Home


def test_configuration_files_are_checked_without_a_home(tmp_path):
    """Every mistake of every file, with exit code 2; valid ones are listed."""
    (tmp_path / "refinery.yml").write_text("agnt: x\nlimits: {lease: 5}\n")
    none = tmp_path / "none"
    done = refinery("--home", none, "config", "validate", cwd=tmp_path)
    assert done.returncode == 2
    assert "refinery.yml:1: agnt: is not a known key (did you mean agent?)" in done.stderr
    assert "refinery.yml:2: limits.lease" in done.stderr
    (tmp_path / "good.yml").write_text("agent: x\n")
    done = refinery(
        "config", "validate", tmp_path / "good.yml", tmp_path / "refinery.yml", "--home", none, "--json"
    )
    assert json.loads(done.stdout)["error"].count("\n") == 1
    done = refinery("config", "validate", tmp_path / "good.yml", "--home", none)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'good.yml'}: valid\n")
    assert not none.exists()


def test_the_homes_file_is_checked_as_what_it_is(tmp_path):
    """By its name, or by --user."""
    home = Home.open(tmp_path / "home")
    home.config_file.write_text("projcts: {}\n")
    done = refinery("--home", home.path, "config", "validate", cwd=tmp_path)
    assert "config.yml:1: projcts: is not a known key (did you mean projects?)" in done.stderr
    (tmp_path / "mine.yml").write_text("projects: {}\n")
    assert refinery("config", "validate", tmp_path / "mine.yml").returncode == 2
    assert refinery("config", "validate", "--user", tmp_path / "mine.yml").returncode == 0


def test_nothing_to_check_is_said(tmp_path):
    """Silence would look like success."""
    done = refinery("config", "validate", "--home", tmp_path / "none", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no configuration file here" in done.stderr


def test_the_schema_is_json():
    """For both files."""
    assert "limits" in json.loads(refinery("config", "schema").stdout)["properties"]
    assert "projects" in json.loads(refinery("config", "schema", "--user").stdout)["properties"]


@pytest.fixture
def demo(tmp_path):
    """A home with one registered project: a checkout with a configuration, and a folder with one task."""
    repo = checkout(tmp_path / "repo", {"refinery.yml": "agents: {stub: 'true'}\nchecks: {tests: 'true'}\n"})
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "one.md").write_text("---\nid: one\ntitle: One\nstatus: ready\n---\n")
    home = Home.open(tmp_path / "home")
    home.register("demo", repository=str(repo), tasks=str(tmp_path / "tasks"))
    return home


def findings_of(home, *args, **options):
    done = refinery("--home", home.path, "doctor", "--json", *args, **options)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    return {finding["name"]: finding for finding in report["findings"]}


def test_the_configuration_of_the_base_is_shown(demo, tmp_path):
    """From the base branch, whatever is checked out or edited."""
    (tmp_path / "repo" / "refinery.yml").write_text("agents: {edited: 'false'}\n")
    done = refinery("--home", demo.path, "config", "show", "-p", "demo")
    assert done.returncode == 0, done.stderr
    assert "# demo, on main: refinery.yml" in done.stdout
    assert "stub" in done.stdout
    assert "edited" not in done.stdout
    shown = json.loads(refinery("--home", demo.path, "config", "show", "--json").stdout)
    assert shown["projects"]["demo"]["config"]["checks"] == {
        "tests": {"command": ["sh", "-c", "true"], "timeout": None}
    }
    done = refinery("--home", demo.path, "-p", "dmo", "config", "show")
    assert done.returncode == 2
    assert "did you mean demo?" in done.stderr


def test_a_sound_project_has_no_failure(demo):
    """Everything that was looked at is named."""
    found = findings_of(demo)
    names = ["git", "home", "config.yml", "tasks", "repository", "configuration", "agent", "checks"]
    assert {name: found[name]["level"] for name in names} == dict.fromkeys(names, "ok")
    assert found["checks"]["message"] == "tests"
    text = refinery("--home", demo.path, "doctor").stdout
    assert "ok    repository: " in text


def test_what_is_missing_for_merging_is_said(demo, tmp_path):
    """With the line to add."""
    git(tmp_path / "repo", "rm", "--quiet", "refinery.yml")
    git(tmp_path / "repo", "commit", "--quiet", "--message", "gone")
    found = findings_of(demo)
    assert found["configuration"]["level"] == found["checks"]["level"] == "warn"
    assert "nothing merges by itself" in found["checks"]["message"]
    assert "checks: {tests: make test}" in found["checks"]["remedy"]


@pytest.mark.parametrize(
    ("config", "name", "words"),
    [
        ("agent: stbu\nagents: {stub: 'true', other: 'true'}\n", "agent", "stbu is not defined"),
        (
            "agents: {stub: [no-such-program-here]}\n",
            "agent",
            "no-such-program-here, which is not on the PATH",
        ),
        ("agnts: {}\n", "repository", "refinery.yml"),
    ],
)
def test_a_broken_project_is_a_failure(demo, tmp_path, config, name, words):
    """Exit code 1, and a remedy."""
    commit(tmp_path / "repo" / ".git", {"refinery.yml": config})
    found = findings_of(demo)
    assert found[name]["level"] == "fail"
    assert words in found[name]["message"]
    assert found[name]["remedy"]


def test_missing_folders_and_broken_homes_are_findings(demo, tmp_path):
    """Each by itself; one does not hide the other."""
    (tmp_path / "tasks").rename(tmp_path / "moved")
    (tmp_path / "repo").rename(tmp_path / "gone")
    found = findings_of(demo)
    assert found["tasks"]["level"] == found["repository"]["level"] == "fail"
    demo.config_file.write_text("projects: [\n")
    assert findings_of(demo)["config.yml"]["level"] == "fail"
    (demo.path / "version").write_text("99")
    assert "newer" in findings_of(demo)["home"]["message"]


def test_a_missing_home_is_no_failure(tmp_path):
    """Nothing was set up yet; nothing is made either."""
    home = types.SimpleNamespace(path=tmp_path / "none")
    assert findings_of(home)["home"]["level"] == "warn"
    assert not home.path.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(shell):
    """For both names of the program."""
    done = refinery("completion", shell)
    assert done.returncode == 0
    assert "_REFINERY_COMPLETE" in done.stdout
    assert "_POLECAT_COMPLETE" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


def completed(words, env=None):
    count = str(len(words.split(" ")) - 1)
    settings = {
        "_REFINERY_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": count,
        **(env or {}),
    }
    return [line.partition(",")[2] for line in refinery(env=settings).stdout.splitlines() if line]


def test_verbs_options_and_projects_are_completed(demo):
    """What a shell asks for on TAB."""
    assert completed("refinery do") == ["doctor"]
    assert "--json" in completed("refinery doctor --j")
    assert sorted(completed("refinery config s")) == ["schema", "show"]
    assert completed("refinery doctor -p d", {"REFINERY_HOME": str(demo.path)}) == ["demo"]
    assert completed("refinery doctor -p d", {"REFINERY_HOME": "/nonexistent"}) == []


def aged(path, days, text="x" * 10):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    then = time.time() - days * 86400
    os.utime(path, (then, then))
    return path


@pytest.fixture
def used(tmp_path):
    """A home with old and new files, a discarded worktree, and one in use."""
    home = Home.open(tmp_path / "home")
    outside = aged(tmp_path / "outside", 0)
    old = [
        aged(home.transcripts / "demo" / "a" / "1.log", 40),
        aged(home.logs / "demo.log", 20),
        aged(home.cache / "c", 20),
    ]
    link = home.logs / "link"
    link.symlink_to(outside)
    os.utime(link, (0, 0), follow_symlinks=False)
    kept = [aged(home.transcripts / "demo" / "b" / "1.log", 20), aged(home.logs / "new.log", 1), outside]
    kept.append(aged(home.worktrees / "w" / "meta.json", 900))
    trash = aged(home.trash / "abc" / "tree" / "f", 0)
    trash.parent.chmod(0o500)
    return home, [*old, link, trash], kept


def test_cleaning_removes_what_is_old_and_nothing_else(used):
    """Links are not followed, worktrees in use are only counted, and a second time there is nothing to do."""
    home, old, kept = used
    report = json.loads(refinery("--home", home.path, "clean", "--dry-run", "--json").stdout)
    assert len(report["would_remove"]) == len(old)
    assert [path for path in old if not os.path.lexists(path)] == []
    done = refinery("--home", home.path, "clean")
    assert done.returncode == 0, done.stderr
    assert "removed 5 entries" in done.stdout
    assert "1 worktree left alone" in done.stdout
    assert [path for path in old if os.path.lexists(path)] == []
    assert [path for path in kept if not path.exists()] == []
    assert json.loads(refinery("clean", "--json", "--home", home.path).stdout)["removed"] == []


def test_retention_is_configured_in_the_home(used):
    """`retention:` in config.yml."""
    home, old, _ = used
    home.config_file.write_text("retention: {transcripts: 52w, logs: 52w}\n")
    refinery("--home", home.path, "clean")
    assert [os.path.lexists(path) for path in old] == [True, True, True, False, False]
