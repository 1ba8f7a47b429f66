"""The command line, in this process, against a GitHub of one's own with one repository."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refinery.cli.root import run
from refinery.testing import FakeGitHub

NAME = "acme/widgets"
CI = "on: pull_request\npermissions: {contents: read}\njobs: {tests: {runs-on: x, steps: [{run: make test}]}}\n"
CONFIG = "agents: {stub: 'true'}\npolicy: {required: [{name: tests, app: ci-app}]}\n"
FILES = {"README.md": "hello\n", ".github/workflows/ci.yml": CI, "refinery.yml": CONFIG}


@dataclass
class Program:
    """Runs verbs; `mona` is the administrator, and whose token the environment holds."""

    hub: FakeGitHub
    home: Path
    capture: Any

    def __call__(self, *args: object) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self.capture.readouterr()
        code = run([str(each) for each in args])
        seen = self.capture.readouterr()
        return code, seen.out, seen.err

    def json(self, *args: object, code: int = 0) -> Any:
        """The JSON value that a verb prints, and that it ended with `code`."""
        ended, out, err = self(*args, "--json")
        assert ended == code, out + err
        return json.loads(out)

    def commit(self, files: dict[str, str]) -> str:
        """A person's commit on the base."""
        return str(self.hub.push(NAME, files, by="mona"))


def program(hub: FakeGitHub, home: Path, capture: Any, monkeypatch: Any, **files: str) -> Program:
    """A repository with a configuration and a harmless CI, which reported on its newest commit."""
    hub.create_repository(NAME, files={**FILES, **files})
    hub.user("mona")
    hub.grant(NAME, "mona", "admin")
    for name in ("GH_TOKEN", "REFINERY_PROJECT", "REFINERY_APP_ID", "REFINERY_GITHUB_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "GITHUB_API_URL": hub.api,
        "GITHUB_TOKEN": hub.token("mona"),
        "REFINERY_HOME": str(home),
        "COLUMNS": "400",
    }.items():
        monkeypatch.setenv(name, value)
    return Program(hub, home, capture)
