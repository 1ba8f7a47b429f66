"""A project to spoil, and the proof that a refused command changed nothing and said why."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from refinery.home import Home
from support.program import refinery
from support.repos import bare, git

CONFIG = """\
agents:
  stub: |
    cat > /dev/null
    echo "work on $REFINERY_TASK" > "made-$(printf %s "$REFINERY_TASK" | cksum | tr " " -).txt"
checks: {tests: 'true'}
limits: {backoff: 0s}
"""


@dataclass(frozen=True)
class Project:
    """A home with the project `demo`: a repository and a folder of tasks beside it."""

    root: Path
    repo: Path
    tasks: Path
    home: Path

    def run(self, *args: object, **options: object) -> "subprocess.CompletedProcess[str]":
        """The program with this home."""
        return refinery("--home", self.home, *args, **options)

    def json(self, *args: object, code: int = 0, **options: object) -> dict:
        """What a verb prints with `--json`, when it ends with exit code `code`."""
        done = self.run(*args, "--json", **options)
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    def task(self, name: str, text: str | bytes) -> Path:
        """Write a task file."""
        path = self.tasks / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def state(self) -> dict[str, object]:
        """Every ref, every task file's bytes and the home's configuration."""
        return {
            "refs": git(self.repo, "for-each-ref") if self.repo.is_dir() else None,
            "tasks": files_of(self.tasks),
            "config": files_of(self.home, "config.yml"),
        }


def ready(task_id: str, **fields: str) -> str:
    """The text of a ready task."""
    header = {"id": task_id, "title": f"Task {task_id}", "status": "ready", **fields}
    lines = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in header.items())
    return f"---\n{lines}---\nDo it.\n"


def files_of(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    """The bytes of each file below `folder`, by its path."""
    return {str(path): path.read_bytes() for path in folder.rglob(pattern) if path.is_file()}


def project(root: Path, files: Mapping[str, str | bytes] | None = None) -> Project:
    """A sound project with one ready task, registered without starting the program."""
    made = Project(root, root / "repo.git", root / "tasks", root / "home")
    bare(made.repo, files if files is not None else {"README.md": "hello\n", "refinery.yml": CONFIG})
    made.tasks.mkdir()
    made.task("one.md", ready("one"))
    Home.open(made.home).register("demo", repository=str(made.repo), tasks=str(made.tasks))
    return made


@contextmanager
def unchanged(made: Project) -> Iterator[None]:
    """Refs, task files and configuration are the same before and after."""
    before = made.state()
    yield
    assert made.state() == before


def complaint(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one message of a command that ended with `code`: an error with its remedy, and no traceback."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.count("error: ") == 1, done.stderr
    assert "\n  → " in done.stderr, done.stderr
    return done.stderr


def boxed(
    made: Project, options: Sequence[object], *args: str, script: str = "", saved: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """The program, or a shell script with `$R` for it, in a box with mounts of its own. Skips where there is no box.

    `saved` is copied to `$SAVED` first, for what a mount of the box hides.
    """
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed, so nothing can be mounted here")
    if saved is not None:
        shutil.copytree(saved, made.root / "saved")
    program = made.root / "program"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m refinery --home "{made.home}" "$@"\n')
    program.chmod(0o755)
    command = ["sh", "-c", script] if script else [str(program), *args]
    box = [
        "bwrap",
        "--bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        *map(str, options),
        "--",
        *command,
    ]
    env = {**os.environ, "R": str(program), "SAVED": str(made.root / "saved"), "HOMEDIR": str(made.home)}
    return subprocess.run(box, capture_output=True, text=True, check=False, timeout=60, env=env)
