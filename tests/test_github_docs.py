"""docs/github.md says what is so: its commands run, one after the other, against a GitHub of one's own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.repos import ENV

from refinery.testing import FakeGitHub

PAGE = Path(__file__).parent.parent / "docs" / "github.md"
CI = "on: pull_request\npermissions: {contents: read}\njobs: {tests: {runs-on: x, steps: [{run: make test}]}}\n"


@pytest.mark.slow
def test_the_commands_about_github_run_as_they_stand(tmp_path):
    """In one shell; afterwards the labels, the proposed configuration and the issue are there."""
    blocks = re.findall(r"^```shell\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "refinery").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m refinery "$@"\n')
    (programs / "refinery").chmod(0o755)
    with FakeGitHub(tmp_path / "hub") as hub:
        hub.create_repository("acme/widgets", files={"README.md": "x", ".github/workflows/ci.yml": CI})
        hub.user("mona")
        hub.grant("acme/widgets", "mona", "admin")
        env = {
            **ENV,
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "GITHUB_API_URL": hub.api,
            "GITHUB_TOKEN": hub.token("mona"),
        }
        script = "set -eu\n" + "\n".join(blocks)
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert {"polecat", "polecat:failed", "hold"} <= set(hub.repository("acme/widgets").labels)
        (pull,) = hub.pulls("acme/widgets")
        assert pull.pull.head_ref == "refinery/setup"
        issue = hub.issue("acme/widgets", 2)
        assert (issue.title, [each.name for each in issue.labels]) == ("Say hello", ["polecat"])
    assert re.search(r"^GET .* issues", done.stderr, re.MULTILINE)
