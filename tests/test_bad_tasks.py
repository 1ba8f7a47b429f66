"""Task files and agents that are not as they should be, through the program itself."""

import pytest
from support.repos import commit, git
from support.spoiled import CONFIG, boxed, complaint, files_of, project, ready, unchanged

IDS = [
    "a/b",
    "..",
    "../../etc/x",
    "A",
    "_41",
    "v1.2.",
    ".hidden",
    "🚀 rocket",
    "-dash",
    "--help",
    "a.lock",
    "a@{b",
    "~^:?*[\\",
    "x" * 300,
    "::error::id",
]


@pytest.fixture
def demo(tmp_path):
    """A sound project with one ready task."""
    return project(tmp_path)


def test_any_id_works_from_claim_to_landing(demo):
    """Slashes, dots, capitals, emoji, dashes, great length: each has a claim and a branch of its own."""
    for number, name in enumerate(IDS):
        demo.task(f"{number}.md", ready(name))
    assert demo.run("run", "--loop", "--quiet").returncode == 0
    branches = git(demo.repo, "for-each-ref", "--format=%(refname:short)", "refs/heads/polecat").splitlines()
    assert len({name.casefold() for name in branches}) == len(IDS) + 1
    assert {row["task"] for row in demo.json("merge")["merged"]} == {*IDS, "one"}
    assert {row["status"] for row in demo.json("status")["tasks"]} == {"done"}
    landed = git(demo.repo, "ls-tree", "--name-only", "main").splitlines()
    assert sum(name.startswith("made-") for name in landed) == len(IDS) + 1
    assert [path for path in demo.root.rglob("*") if path.name == "x" and "etc" in path.parts] == []


@pytest.mark.parametrize("name", ["--help", "-dash", "../up"])
def test_a_strange_id_can_be_asked_for(demo, name):
    """`-t` takes the next word, whatever it looks like."""
    demo.task("strange.md", ready(name))
    assert demo.json("run", "-t", name)["task_id"] == name


BROKEN = {
    "broken": ("---\nid: broken\ntitle: [x\nstatus: ready\n---\n", ":3: not valid YAML"),
    "twice": ("---\nid: twice\nid: other\nstatus: ready\n---\n", ":3: the key `id` is given twice"),
    "latin": ("---\nid: latin\ntitle: café\nstatus: ready\n---\n".encode("latin-1"), ":3: is not UTF-8 text"),
    "hold": (ready("hold", status="on-hold"), ":4: unknown status 'on-hold'"),
    "typo": (ready("typo", status="raedy"), ":4: unknown status 'raedy', did you mean ready?"),
    "prio": (ready("prio", priority="9"), ":5: the priority must be 0 (first) to 4"),
    "bell": ('---\nid: "a\\u0007b"\nstatus: ready\n---\n', ":2: the id"),
}


def test_every_broken_file_is_told_with_its_line_and_left_alone(demo):
    """F7 and more: none of them is run, and the sound task beside them is."""
    for name, (text, _) in BROKEN.items():
        demo.task(f"{name}.md", text)
    demo.task("one-again.md", ready("dup"))
    demo.task("two-again.md", ready("dup"))
    with unchanged(demo):
        problems = "\n".join(demo.json("status")["problems"])
        assert [words for name, (_, words) in BROKEN.items() if f"{name}.md{words}" not in problems] == []
        assert "one-again.md" in problems
        assert "two-again.md" in problems
        for name in ("hold", "dup"):
            message = complaint(demo.run("run", "-t", name), 2)
            assert "until then" in message
        message = complaint(demo.run("run", "-t", "nohting"), 2)
        assert "there is no task nohting; 8 files cannot be used" in message
    before = {name: (demo.tasks / f"{name}.md").read_bytes() for name in BROKEN}
    done = demo.run("run", "--loop", "-q")
    assert "one: published" in done.stderr
    assert {name: (demo.tasks / f"{name}.md").read_bytes() for name in BROKEN} == before
    assert {row["id"] for row in demo.json("status")["tasks"]} == {"one"}


def test_f6_a_file_that_cannot_be_read_is_not_no_work(demo):
    """F6: with nothing but a broken file, the worker does not say that there are no tasks and leave it at that."""
    demo.task("one.md", "---\nid: one\nstatus: [\n---\n")
    with unchanged(demo):
        done = demo.run("run", "--loop")
    assert done.returncode == 3
    assert "1 file cannot be used (`refinery status` says why)" in done.stderr


@pytest.mark.parametrize("verb", ["run", "merge", "status", "reconcile"])
def test_a_task_folder_that_is_gone_is_told(demo, verb):
    """With exit code 2: it is a path to mend, and no ref moves."""
    refs = git(demo.repo, "for-each-ref")
    demo.tasks.rename(demo.root / "elsewhere")
    message = complaint(demo.run(*verb.split()), 2)
    assert f"{demo.tasks}: cannot be read: No such file or directory" in message
    assert git(demo.repo, "for-each-ref") == refs


def configured(demo, agent, rest="limits: {backoff: 0s}\n"):
    """Let the project's only agent be this shell script."""
    script = "".join(f"      {line}\n" for line in agent.splitlines())
    commit(demo.repo, {"refinery.yml": f"agents:\n  stub:\n    command: |\n{script}{rest}"})


@pytest.mark.parametrize("gone", ["one.md", "."])
def test_a_task_deleted_while_its_agent_runs_keeps_its_work(demo, gone):
    """The file, or the whole folder: the pull is opened, the claim released, and nothing is written back."""
    configured(demo, f"mv {demo.tasks / gone} {demo.root}/away\necho work > made.txt\n")
    done = demo.json("run")
    assert (done["outcome"], done["pull"]) == ("published", 1)
    assert "released one attempt 1" in git(demo.repo, "log", "-1", "--format=%s", "refs/refinery/claims/one")
    assert not (demo.tasks / "one.md").exists()
    (demo.root / "away").rename(demo.tasks / gone)
    assert demo.json("run", code=3)["outcome"] == "nothing-ready"


def test_a_read_only_folder_of_tasks_stops_no_work(demo):
    """The claim and the pull are the truth, and a file that does not show them is told."""
    before = files_of(demo.tasks)
    script = "$R run; echo $?; $R merge; echo $?; $R run; echo $?; $R status"
    done = boxed(demo, ["--ro-bind", demo.tasks, demo.tasks], script=script)
    assert [line for line in done.stdout.splitlines() if line.isdecimal()] == ["0", "0", "3"], done
    assert "one: its file does not show the claim" in done.stderr
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    assert "its pull 1 was merged" in done.stdout
    assert files_of(demo.tasks) == before
    assert demo.run("reconcile").returncode == 0
    assert (
        b'status: "done"' in files_of(demo.tasks)[str(demo.tasks / "one.md")]
        or b"status: done" in (demo.tasks / "one.md").read_bytes()
    )


def test_f30_text_that_acts_is_disarmed(demo):
    """F30: control characters, workflow commands, hidden comments and mentions reach no terminal and no commit."""
    title = "\\e[31mred\\e[0m\\u202e ::error::boom <!-- hide -->"
    body = "\x1b[2J\n::set-output name=x::y\n##[group]x\nFixes #12 @someone\n"
    demo.task("one.md", f'---\nid: one\ntitle: "{title}"\nstatus: ready\n---\n{body}')
    configured(
        demo, "printf '\\033[2Jcleared\\n::stop-commands::x\\n' && echo x > made.txt", "checks: {t: 'true'}\n"
    )
    runs = [demo.run(*args) for args in (["run"], ["status"], ["merge"], ["explain", "1"])]
    shown = "".join(done.stdout + done.stderr for done in runs)
    assert [done.returncode for done in runs[:3]] == [0, 0, 0]
    assert [char for char in ("\x1b", "\u202e", "\x07") if char in shown] == []
    assert [line for line in shown.splitlines() if line.lstrip().startswith(("::", "##["))] == []
    message = git(demo.repo, "log", "-1", "--format=%B", "main")
    assert [each for each in ("\x1b", "\u202e", "<!--", "Fixes #12") if each in message] == []


def test_a_large_body_works(demo):
    """5 MB reach the agent whole, and the file is rewritten whole."""
    demo.task("one.md", ready("one") + "x" * 5_000_000 + "\nlast words\n")
    configured(demo, "wc -c < $REFINERY_PROMPT_FILE > size.txt\ncat | tail -c 2000 > tail.txt")
    assert demo.json("run")["outcome"] == "published"
    assert int(git(demo.repo, "show", "polecat/one:size.txt")) > 5_000_000
    assert "last words" in git(demo.repo, "show", "polecat/one:tail.txt")
    assert len((demo.tasks / "one.md").read_bytes()) > 5_000_000


@pytest.mark.parametrize(
    "output", ["true", "head -c 50000000 /dev/zero | tr '\\0' x", "yes | head -c 100000"]
)
def test_any_amount_of_output_works(demo, output):
    """None at all, 50 MB in one line, or 50,000 lines: the work is published, and the transcript is no larger."""
    configured(demo, f"{output}\necho work > made.txt")
    assert demo.json("run")["outcome"] == "published"
    size = sum(path.stat().st_size for path in (demo.home / "transcripts").rglob("*") if path.is_file())
    assert size < 51_000_000


UNFIT = {
    "flag": (
        {"flag": "stbu"},
        "there is no agent 'stbu'; did you mean 'stub'?",
        "use one of claude, gemini, stub",
    ),
    "task": ({"task": "stbu"}, "there is no agent 'stbu'", "use one of"),
    "config": ({"config": CONFIG + "agent: stbu\n"}, "there is no agent 'stbu'", "use one of"),
    "built-in": ({"flag": "gemini"}, "there is no program gemini on PATH", "install gemini"),
    "missing": (
        {"config": "agents: {stub: {command: [no-such-program]}}\n"},
        "there is no program no-such-program on PATH",
        "install no-such-program",
    ),
    "path missing": (
        {"config": "agents: {stub: {command: [/no/such]}}\n"},
        "/no/such is no executable file",
        "--agent",
    ),
    "not executable": (
        {"config": "agents: {stub: {command: [/etc/passwd]}}\n"},
        "/etc/passwd is no executable file",
        "--agent",
    ),
    "no command": (
        {"config": "agents: {stub: {command: []}}\n"},
        "must be a command",
        "refinery config schema",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_f10_an_agent_that_cannot_start_claims_nothing(demo, case):
    """F10: known before any claim, so a loop does not walk the queue with it."""
    how, words, remedy = UNFIT[case]
    if "config" in how:
        commit(demo.repo, {"refinery.yml": how["config"]})
    if "task" in how:
        demo.task("one.md", ready("one", agent=how["task"]))
    args = ("--agent", how["flag"]) if "flag" in how else ()
    with unchanged(demo):
        message = complaint(demo.run("run", "--loop", *args, env={"PATH": "/usr/bin:/bin"}), 2)
    assert words in message
    assert remedy in message


def test_one_unfit_task_does_not_keep_the_others(demo):
    """It is told once, and left out."""
    demo.task("a.md", ready("a", agent="stbu", priority="0"))
    demo.task("b.md", ready("b"))
    done = demo.run("run", "--loop", "-q")
    assert done.stderr.count("a is left out") == 1
    assert "one: published" in done.stderr
    assert "b: published" in done.stderr
    assert "claims/a" not in git(demo.repo, "for-each-ref")
