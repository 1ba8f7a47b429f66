"""The page about the fake is right, and so is the verb that serves one."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from support.program import refinery
from support.repos import git

from refinery.testing import FakeGitHub

PAGE = Path(__file__).parents[2] / "docs" / "fake-github.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_page_run(example, tmp_path):
    """As they stand; `folder` is any that is empty."""
    exec(compile(example, str(PAGE), "exec"), {"folder": tmp_path})  # noqa: S102  (our own page)


def test_the_page_has_examples():
    """Else the test above would test nothing."""
    assert len(EXAMPLES) == 2


def test_the_verb_serves_until_it_is_told_to_stop(tmp_path):
    """It says where, with which token; the API and git answer; an interrupt ends it well, and the folder stays."""
    command = [sys.executable, "-m", "refinery", "fake-github", "--json"]
    options = [
        "--folder",
        str(tmp_path / "hub"),
        "--repo",
        "me/one",
        "--repo",
        "me/two",
        "--token",
        "made-up",
    ]
    program = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        lines = []
        for line in program.stdout:
            lines.append(line)
            if line == "}\n":
                break
        told = json.loads("".join(lines))
        assert (told["token"], told["login"], sorted(told["repositories"])) == (
            "made-up",
            "mona",
            ["me/one", "me/two"],
        )
        headers = {"Authorization": "Bearer made-up"}
        answer = requests.post(
            f"{told['api']}/repos/me/two/issues", headers=headers, json={"title": "x"}, timeout=30
        )
        assert answer.status_code == 201
        assert "refs/heads/main" in git(tmp_path, "ls-remote", told["repositories"]["me/one"])
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 0
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    assert (tmp_path / "hub" / "repositories").is_dir()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--repo", "widgets"], "widgets is not a repository's name"),
        (["--folder", "."], "holds something already"),
        (["--port", "1000000"], "is not in the range"),
    ],
)
def test_the_verb_says_what_is_wrong(tmp_path, options, words):
    """Before it starts anything."""
    (tmp_path / "something").touch()
    done = refinery("fake-github", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_taken_port_is_named(hub):
    """And what to do instead."""
    done = refinery("fake-github", "--port", hub.wire.origin.rpartition(":")[2])
    assert done.returncode == 2
    assert "cannot be listened on" in done.stderr


def test_without_the_extra_it_says_what_to_install(tmp_path):
    """An installation without it has no `aiohttp`."""
    blocker = tmp_path / "sitecustomize.py"
    blocker.write_text(
        "import importlib.util as util\nfound = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'aiohttp' else found(name, *rest)\n"
    )
    done = refinery("fake-github", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "pip install 'polecat-refinery[testing]'" in done.stderr


def test_the_socket_is_reached_whatever_the_folder_is_called(tmp_path):
    """A path that is too long for a unix socket gets one elsewhere, which goes away with the server."""
    from refinery.testing import FakeGitHub  # noqa: PLC0415  (the other tests start it as a program)

    for folder in (tmp_path / "s", tmp_path / ("long" * 30)):
        with FakeGitHub(folder) as hub:
            curl = ["curl", "-s", "--unix-socket", str(hub.socket), "http://api.github.com/meta"]
            answer = subprocess.run(curl, capture_output=True, check=True, text=True)
            assert json.loads(answer.stdout)["web"] == [hub.url]
            where = hub.socket
        assert not where.exists()


def test_a_relative_folder_will_do(tmp_path, monkeypatch):
    """Whoever starts it from a shell names a folder beside it."""
    monkeypatch.chdir(tmp_path)
    with FakeGitHub(Path("hub")) as hub:
        hub.create_repository("acme/widgets", files={"README.md": "hello\n"})
        assert hub.folder("acme/widgets").is_relative_to(tmp_path)
