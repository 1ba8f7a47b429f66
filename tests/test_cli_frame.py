"""The command line's frame: quick help, options anywhere, one message for each ending, and how it is shown."""

import json
import os
import pty
import subprocess
import sys
import types
from enum import StrEnum
from pathlib import Path

import click
import pytest
from support.program import refinery

from refinery import cli
from refinery.cli import output, root
from refinery.cli.common import Settings, common_options, json_option
from refinery.errors import ClaimLostError, ForgeUnavailableError, RefineryError, StoppedError, UsageError
from refinery.home import Home


@pytest.fixture
def verb(monkeypatch):
    """Puts a verb `probe` that does `body` into the table, and runs it in this process."""

    def install(body, **options):
        @click.command()
        @click.argument("words", nargs=-1)
        @json_option
        @common_options(**({"git": False} | options))
        def command(settings, words):
            return body(settings, words)

        module = types.ModuleType("refinery.cli.probe")
        module.command = command
        monkeypatch.setitem(sys.modules, "refinery.cli.probe", module)
        monkeypatch.setitem(root.VERBS, "probe", ("probe", "A verb for tests."))
        return lambda *args: root.run(args)

    return install


def leaves(command, path):
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from leaves(child, (*path, name))
    yield path, command


def test_help_imports_no_verb_and_no_library():
    """`--help` is asked for often and should come at once."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "refinery", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in imported
    libraries = {
        "pydantic",
        "pydantic_core",
        "git",
        "rich",
        "yaml",
        "platformdirs",
        "asyncio",
        "importlib.metadata",
    }
    assert imported & libraries == set()
    assert {name for name in imported if name.startswith("refinery.cli.")} == {
        "refinery.cli.root",
        "refinery.cli.common",
    }
    for name in root.VERBS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("name", list(root.VERBS))
def test_every_verb_is_there_with_the_common_options(name):
    """Each takes `--home`, `-p`, `-v`, `--no-color` and `--version` after its name too, and says what it does."""
    command = root.root.get_command(click.Context(root.root), name)
    for path, leaf in leaves(command, (name,)):
        options = {option for param in leaf.params for option in param.opts}
        assert {"--home", "-p", "--project", "-v", "--no-color", "--version"} <= options, path
        assert leaf.help, path


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["probe"], Settings()),
        (["-p", "a", "-v", "--no-color", "probe"], Settings(projects=("a",), verbose=1, color=False)),
        (["probe", "-p", "a", "-vv", "--no-color"], Settings(projects=("a",), verbose=2, color=False)),
        (["-p", "a", "-p", "b", "probe"], Settings(projects=("a", "b"))),
        (["-p", "a", "probe", "-p", "b", "-p", "c"], Settings(projects=("b", "c"))),
        (["--home", "/a", "probe"], Settings(home=Path("/a"))),
        (["--home", "/a", "probe", "--home", "/b"], Settings(home=Path("/b"))),
        (["probe", "--json"], Settings(json=True)),
    ],
)
def test_options_count_before_and_after_the_verb(verb, args, expected):
    """The later one wins; `-p` may be repeated."""
    seen = []
    assert verb(lambda settings, _: seen.append(settings))(*args) == 0
    assert seen == [expected]


def test_flags_beat_the_environment(verb, monkeypatch):
    """And the environment beats nothing at all."""
    monkeypatch.setenv("REFINERY_PROJECT", "one two")
    seen = []
    run = verb(lambda settings, _: seen.append(settings.projects))
    run("probe")
    run("-p", "three", "probe")
    run("probe", "-p", "four")
    assert seen == [("one", "two"), ("three",), ("four",)]


@pytest.mark.parametrize("args", [["--version"], ["doctor", "--version"], ["config", "show", "--version"]])
def test_the_version_is_printed_anywhere(args):
    """Before and after the verb."""
    done = refinery(*args)
    assert (done.returncode, done.stdout) == (0, "refinery 0.1.0\n")


ENDINGS = [
    (UsageError("it is wrong", remedy="mend it"), 2, "usage", "it is wrong"),
    (ClaimLostError("somebody else was first"), 4, "claim-lost", "somebody else"),
    (ForgeUnavailableError("no answer"), 20, "forge-unavailable", "no answer"),
    (StoppedError("stopped"), 130, "force-stopped", "stopped"),
    (click.UsageError("no such thing"), 2, "usage", "no such thing"),
    (KeyboardInterrupt(), 130, "force-stopped", "stopped"),
    (OSError(28, "No space left on device", "/x/y"), 1, "internal-error", "no space is left for /x/y"),
    (PermissionError(13, "Permission denied", "/x/y"), 2, "usage", "/x/y cannot be used: permission denied"),
    (
        ZeroDivisionError("division by\nzero"),
        1,
        "internal-error",
        "unexpected ZeroDivisionError: division by zero",
    ),
]


@pytest.mark.parametrize(
    ("error", "code", "outcome", "words"), ENDINGS, ids=lambda value: type(value).__name__
)
def test_every_ending_is_one_message(verb, capsys, error, code, outcome, words):
    """Exit code, outcome and words agree, for people and for scripts, and there is no traceback."""

    def body(_settings, _words):
        raise error

    run = verb(body)
    assert run("probe") == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: " in shown.err
    assert words in shown.err
    assert "Traceback" not in shown.err
    assert run("probe", "--json") == code
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert set(report) == {"error", "outcome", "remedy"}
    assert report["outcome"] == outcome
    assert words in report["error"]
    assert shown.err.strip() == ""


def test_the_traceback_is_there_when_asked_for(verb, capsys):
    """With -v for what is unexpected, with -vv for every error."""

    def body(_settings, words):
        raise ValueError("odd") if words else UsageError("ordinary")

    run = verb(body)
    for args, expected in [(("x",), False), (("x", "-v"), True), (("-v",), False), (("-vv",), True)]:
        run("probe", *args)
        assert ("Traceback" in capsys.readouterr().err) is expected


def test_the_verbs_own_exit_code_counts(verb):
    """A verb returns how it ended."""
    assert verb(lambda _settings, _words: 6)("probe") == 6


def test_f35_errors_show_no_secret_and_no_control_character(verb, capsys):
    """F35: a forge's words may quote the URL that we gave it."""

    def body(_settings, _words):
        raise RefineryError("fetch of https://me:hunter2@host failed\x1b[2J", remedy="use ghp_" + "a1B2" * 9)

    run = verb(body)
    for args in ([], ["--json"]):
        run("probe", *args)
        shown = capsys.readouterr()
        assert "hunter2" not in shown.out + shown.err
        assert "a1B2" not in shown.out + shown.err
        assert "\x1b" not in shown.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["stats"], ["error: stats is not a verb", "did you mean status?"]),
        (["xyzzy"], ["error: xyzzy is not a verb", "--help` lists the verbs"]),
        (["doctor", "--jsn"], ["--json", "doctor --help"]),
        (["config", "shwo"], ["show"]),
        (["completion", "tcsh"], ["bash"]),
        (["--hom", "/x", "doctor"], ["--home"]),
    ],
)
def test_a_wrong_word_gets_a_suggestion(args, words):
    """On standard error, with exit code 2."""
    done = refinery(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert [word for word in words if word not in done.stderr] == []


def test_a_closed_pipe_is_no_error():
    """`refinery … | head` ends quietly."""
    command = f"{sys.executable} -m refinery config schema | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{", "")
    reader, writer = os.pipe()
    os.close(reader)
    process = [sys.executable, "-m", "refinery", "config", "schema"]
    done = subprocess.run(process, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


def test_a_full_disk_behind_standard_output_is_told():
    """The output is flushed before the exit code is chosen."""
    with Path("/dev/full").open("w") as full:
        process = [sys.executable, "-m", "refinery", "config", "schema"]
        done = subprocess.run(process, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no space is left")


def test_windows_is_told(monkeypatch, capsys):
    """Plainly, before anything that only works elsewhere is imported."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "name", "nt")
        with pytest.raises(SystemExit) as ended:
            cli.main(["doctor"])
    assert ended.value.code == 2
    assert "not supported yet" in capsys.readouterr().err


def test_gits_environment_is_scrubbed_for_verbs_that_use_git(verb, monkeypatch):
    """A `GIT_DIR` of the caller's hook must not redirect us."""
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    seen = []
    verb(lambda _settings, _words: seen.append(os.environ.get("GIT_DIR")), git=True)("probe")
    assert seen == [None]


@pytest.mark.parametrize(
    ("script", "words"),
    [("echo git version 2.30.1", "git version 2.30.1 is too old"), (None, "git could not be started")],
)
def test_git_too_old_or_missing_is_one_message(tmp_path, script, words):
    """With what to install; and `doctor` lists it among the rest."""
    if script:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "git").chmod(0o755)
    Home.open(tmp_path / "home")
    done = refinery("--home", tmp_path / "home", "config", "show", env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert words in done.stderr
    assert "install git 2.38 or newer" in done.stderr
    report = json.loads(
        refinery("--home", tmp_path / "home", "doctor", "--json", env={"PATH": str(tmp_path)}).stdout
    )
    assert [finding["name"] for finding in report["findings"] if finding["level"] == "fail"] == ["git"]


class Colour(StrEnum):
    RED = "red"


def test_json_takes_every_value_of_ours(capfdbinary):
    """Dataclasses, enumerations, paths, tuples and sets; an undecodable byte does not spoil the encoding."""
    output.print_json(
        {"settings": Settings(projects=("a",)), "red": Colour.RED, "path": Path("/x"), "set": {2, 1}}
    )
    value = json.loads(capfdbinary.readouterr().out)
    assert value["settings"]["projects"] == ["a"]
    assert (value["red"], value["path"], value["set"]) == ("red", "/x", [1, 2])
    output.print_json("über")
    output.print_json("\udcff")
    assert capfdbinary.readouterr().out == '"über"\n"\\udcff"\n'.encode()
    with pytest.raises(TypeError, match="no JSON form"):
        output.print_json(object())


def test_a_table_in_a_pipe_is_whole_and_plain(capsys, monkeypatch):
    """No width of its own, no colour, and no text taken for markup."""
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it for its workers
    output.table(Settings(), ["id", "title"], [["a", "[bold]" + "x" * 300], ["b", "two\x1b[2J"]])
    output.console(Settings()).print("[bold]plain[/bold] :smile:")
    *lines, plain = capsys.readouterr().out.splitlines()
    assert plain == "[bold]plain[/bold] :smile:"
    assert [line.split() for line in lines] == [["id", "title"], ["a", "[bold]" + "x" * 300], ["b", "two"]]


def on_terminal(*args, **env):
    """What a person sees: standard output and error on a terminal."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "refinery", *args]
    settings = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "HOME": "/nonexistent", **env}
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=settings) as process:
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 4096):
                shown += piece
        except OSError:  # Linux says EIO when the other side is closed
            pass
    os.close(leader)
    assert process.returncode == 2
    return shown.decode()


def test_colour_is_for_terminals_that_want_it():
    """`--no-color` and NO_COLOR switch it off, before and after the verb."""
    assert "\x1b[31m" in on_terminal("nonsense")
    assert "\x1b" not in on_terminal("nonsense", NO_COLOR="1")
    assert "\x1b" not in on_terminal("--no-color", "nonsense")
    assert "\x1b" not in on_terminal("config", "validate", "/nonexistent.yml", "--no-color")


def test_progress_is_plain_lines_without_a_terminal(capsys):
    """The first and the last at once, the rest once a second, none with --json."""
    with output.progress(Settings(), "checks", total=3) as shown:
        for number in (1, 2, 3):
            shown.step(f"step {number}", number)
    assert capsys.readouterr().err.splitlines() == ["checks 1/3: step 1", "checks 3/3: step 3"]
    with output.progress(Settings(json=True), "checks") as shown:
        shown.step("silent")
    assert capsys.readouterr() == ("", "")
