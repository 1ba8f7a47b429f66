"""Repositories that cannot be used, or not any more: one message, the right exit code, and nothing changed."""

import pytest
from support.program import refinery
from support.repos import checkout, commit, git
from support.spoiled import CONFIG, boxed, complaint, files_of, project, ready, unchanged

from refinery.home import Home


@pytest.fixture
def demo(tmp_path):
    """A sound project with one ready task."""
    return project(tmp_path)


def _empty(path):
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")


def _shallow(path):
    checkout(path.with_name("full"))
    git(path.with_name("full"), "commit", "--quiet", "--allow-empty", "--message", "second")
    git(path.parent, "clone", "--quiet", "--depth", "1", f"file://{path.with_name('full')}", path.name)


def _sha256(path):
    path.mkdir()
    git(path, "init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    (path / "file").write_text("x")
    git(path, "add", "file")
    git(path, "commit", "--quiet", "--message", "first")


UNUSABLE = {
    "missing": (lambda _path: None, "does not exist or is not a folder", "check the path"),
    "a file": (lambda path: path.write_text("x"), "does not exist or is not a folder", "check the path"),
    "not git": (lambda path: path.mkdir(), "is not a git repository", "git init"),
    "empty": (_empty, "is empty: it has no commit", "make a first commit"),
    "shallow": (_shallow, "is a shallow clone", "fetch --unshallow"),
    "unborn": (
        lambda path: git(checkout(path), "symbolic-ref", "HEAD", "refs/heads/new"),
        "names a branch that has no commit yet",
        "--base BRANCH`, or check a branch out there: main",
    ),
    "detached": (
        lambda path: git(checkout(path), "checkout", "--quiet", "--detach"),
        "is detached",
        "--base BRANCH`, or check a branch out there: main",
    ),
    "sha-256": (_sha256, "names objects by SHA-256", "use a SHA-1 repository"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_repository_is_not_registered(tmp_path, case):
    """`init` says what is wrong and what to do, with exit code 2, and writes nothing down."""
    spoil, words, remedy = UNUSABLE[case]
    spoil(tmp_path / "repo")
    (tmp_path / "tasks").mkdir()
    where = ("--repo", tmp_path / "repo", "--tasks", tmp_path / "tasks")
    message = complaint(refinery("--home", tmp_path / "home", "init", "demo", *where), 2)
    assert words in message
    assert remedy in message
    assert not (tmp_path / "home" / "config.yml").exists()


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--base", "nope"), 2, "demo has no branch nope"),
        (("--tasks", "/nonexistent"), 2, "there is no folder /nonexistent"),
        (("--repo", "file:///nonexistent/repo.git"), 20, "does not appear to be a git repository"),
        (("--repo", "http://127.0.0.1:9/x.git"), 20, "did not answer"),
    ],
)
def test_a_registration_that_works_is_not_replaced_by_one_that_does_not(demo, args, code, words):
    """The project is proven first, and only then written down."""
    with unchanged(demo):
        done = demo.run("init", "demo", "--repo", demo.repo, "--tasks", demo.tasks, *args)
        assert words in complaint(done, code)


@pytest.mark.parametrize("slug", ["de/m/o", "..", "", "Demo", "-p"])
def test_a_bad_slug_makes_nothing(demo, slug):
    """It would name folders and files of the home."""
    with unchanged(demo):
        done = demo.run("init", "--repo", demo.repo, "--tasks", demo.tasks, "--", slug)
        assert "cannot name a project" in complaint(done, 2)
    assert files_of(demo.home / "mirrors") == {}


@pytest.mark.parametrize("verb", ["run", "run --loop", "merge", "status", "reconcile", "sync", "explain 1"])
def test_f6_a_repository_that_is_gone_is_not_no_work(demo, verb):
    """F6: moved away, or an empty mount point: the forge is unavailable, which is exit code 20."""
    demo.repo.rename(demo.root / "moved")
    before = (files_of(demo.tasks), files_of(demo.home, "config.yml"))
    message = complaint(demo.run(*verb.split()), 20)
    assert "the repository of demo is not there" in message
    assert "mount or restore it" in message
    demo.repo.mkdir()
    assert "is not a git repository" in complaint(demo.run(*verb.split()), 20)
    assert (files_of(demo.tasks), files_of(demo.home, "config.yml")) == before
    demo.repo.rmdir()
    (demo.root / "moved").rename(demo.repo)
    if verb == "run":
        assert demo.json("run")["outcome"] == "published"


def test_f6_it_is_told_in_json_too(demo):
    """F6: scripts get the outcome by name."""
    demo.repo.rename(demo.root / "moved")
    told = demo.json("status", code=20)
    assert told["outcome"] == "forge-unavailable"
    assert told["remedy"]


@pytest.mark.parametrize("verb", ["run", "merge", "status", "reconcile", "explain 1", "config show"])
def test_a_broken_configuration_on_the_base_is_told_with_its_lines(demo, verb):
    """By every verb that needs it, all mistakes at once, with suggestions; nothing is claimed."""
    commit(demo.repo, {"refinery.yml": "agents: {stub: {comand: ['true']}}\npolicy: {teir: any}\n"})
    with unchanged(demo):
        message = complaint(demo.run(*verb.split()), 2)
    assert "refinery.yml (of demo, on its base" in message
    assert ":1: agents.stub.comand: is not a known key (did you mean command?)" in message
    assert ":2: policy.teir: is not a known key (did you mean tier?)" in message


def test_what_is_checked_out_does_not_move_the_base(tmp_path):
    """A person on another branch, or on none, must not change where tasks land."""
    repo = checkout(tmp_path / "repo", {"refinery.yml": CONFIG})
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "one.md").write_text(ready("one"))
    made = project(tmp_path / "other")
    done = made.run("init", "mine", "--repo", repo, "--tasks", tmp_path / "tasks", "--json")
    assert done.returncode == 0, done.stderr
    git(repo, "switch", "--quiet", "-c", "feature")
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "mine")
    assert made.json("status", "-p", "mine")["base"] == "main"
    git(repo, "checkout", "--quiet", "--detach")
    assert made.json("status", "-p", "mine")["base"] == "main"
    done = made.run("init", "mine", "--repo", repo, "--tasks", tmp_path / "tasks")
    assert "base main" in done.stderr


def test_a_base_that_was_replaced_lands_nothing(demo):
    """A force-push while a task's branch exists leaves no shared history to prove anything against."""
    demo.json("run")
    tree = git(demo.repo, "rev-parse", "main^{tree}")
    git(demo.repo, "update-ref", "refs/heads/main", git(demo.repo, "commit-tree", tree, "-m", "new history"))
    with unchanged(demo):
        report = demo.json("merge", code=7)
        assert "no-merge-base" in {each["code"] for each in report["refused"][0]["reasons"]}
        assert demo.json("status")["pulls"][0]["verdict"] == "refuse"


def test_a_base_that_is_gone_is_named(demo):
    """Not "nothing ready"."""
    git(demo.repo, "update-ref", "refs/heads/trunk", "main")
    git(demo.repo, "symbolic-ref", "HEAD", "refs/heads/trunk")
    Home.open(demo.home).register("demo", repository=str(demo.repo), tasks=str(demo.tasks), base="main")
    git(demo.repo, "update-ref", "-d", "refs/heads/main")
    with unchanged(demo):
        message = complaint(demo.run("run"), 2)
    assert "demo has no branch main" in message
    assert "--base BRANCH" in message


@pytest.mark.parametrize("name", ["a space", "ünï🚀", "-leading", "a:b@c", "q'uote$(x)`y`"])
def test_any_path_works(tmp_path, name):
    """From `init` to a landing, with relative paths, started inside the repository."""
    repo = checkout(tmp_path / name / "repo", {"README.md": "hello\n", "refinery.yml": CONFIG})
    tasks = tmp_path / name / "tasks"
    tasks.mkdir()
    (tasks / "one.md").write_text(ready("one"))
    home = ("--home", "../ho me")
    done = refinery(*home, "init", "demo", "--repo", ".", "--tasks", "../tasks", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert refinery(*home, "run", "--loop", "-p", "demo", cwd=repo).returncode == 0
    done = refinery("-p", "demo", "merge", "--home", f"../../{name}/ho me", cwd=repo)
    assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
    assert git(repo, "status", "--porcelain") == ""
    assert len(list(repo.glob("made-*.txt"))) == 1
    assert (
        'status: "done"' in (tasks / "one.md").read_text() or "status: done" in (tasks / "one.md").read_text()
    )


def test_two_projects_share_a_folder_of_tasks(tmp_path):
    """The task's `project` decides; one without it is everybody's, and goes to whoever is first."""
    made = project(tmp_path)
    other = project(tmp_path / "second")
    Home.open(made.home).register("other", repository=str(other.repo), tasks=str(made.tasks))
    (made.tasks / "one.md").unlink()
    made.task("a.md", ready("a", project="demo"))
    made.task("b.md", ready("b", project="OTHER"))
    assert made.json("run", "-p", "other")["task_id"] == "b"
    assert made.json("-p", "other", "run", code=3)["outcome"] == "nothing-ready"
    assert made.json("run")["task_id"] == "a"
    assert "polecat/b" not in git(made.repo, "for-each-ref")
    assert "polecat/a" not in git(other.repo, "for-each-ref")


def test_a_repository_that_cannot_be_written_is_told_before_any_work(demo):
    """A read-only mount stops the superuser too; no agent is started."""
    with unchanged(demo):
        done = boxed(demo, ["--ro-bind", demo.repo, demo.repo], "run")
        message = complaint(done, 2)
    assert f"{demo.repo} cannot be written: Read-only file system" in message
    assert files_of(demo.home / "transcripts") == {}


def test_a_full_disk_under_the_repository_loses_nothing(demo):
    """The claim cannot be written, or the work cannot be pushed: exit code 20, no ref moved, no object half-written."""
    commit(
        demo.repo,
        {"refinery.yml": "agents: {stub: 'head -c 2000000 /dev/urandom > big'}\nlimits: {backoff: 0s}\n"},
    )
    options = ["--size", "1000000", "--tmpfs", demo.repo]
    script = f"""
        cp -a "$SAVED/." {demo.repo}
        if $R run; then echo published; else echo "exit $?"; fi
        git -C {demo.repo} fsck --strict && git -C {demo.repo} for-each-ref
        dd if=/dev/zero of={demo.repo}/filler bs=512 2> /dev/null
        if $R run -t two; then echo published; else echo "exit $?"; fi
        rm {demo.repo}/filler
        git -C {demo.repo} fsck --strict && git -C {demo.repo} for-each-ref
        $R status --json
    """
    demo.task("two.md", ready("two"))
    done = boxed(demo, options, script=script, saved=demo.repo)
    assert done.stdout.count("exit 20") == 2, done
    assert f"no space is left on the disk of {demo.repo}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "polecat/" not in done.stdout.partition("tasks")[0]
