"""The main job on real input: a released package, its own tests as the check, a real stub generator as the agent.

One task per module, four looping workers and a watching merger, all of them separate processes on one bare repository.
"""

import ast
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from support.program import refinery
from support.registry import Archive, fetch, unpack
from support.repos import git

MARKDOWN = Archive("markdown", "3.8.2", "247b9a70dd12e27f67431ce62523e675b866d254f900c4fe75ce3dda62237c45")
TASKS = 20
STUBGEN = str(Path(sys.executable).with_name("stubgen"))
TESTS = [sys.executable, "-m", "unittest", "discover", "--quiet", "tests"]
CONFIG = {
    "agents": {"stubgen": {"command": [STUBGEN, "--quiet", "--output", ".", "--module", "{task}"]}},
    "checks": {"tests": {"command": TESTS}},
    "policy": {"tier": "new-files"},
}


def modules_of(package):
    """The path of each module by its dotted name; a `__main__` has no interface, hence no stub."""
    files = sorted(set(package.rglob("*.py")) - set(package.rglob("__main__.py")))
    parts = {path: path.relative_to(package.parent).with_suffix("").parts for path in files}
    return {".".join(part for part in each if part != "__init__"): path for path, each in parts.items()}


class Real:
    """The package as a bare repository, and a folder with one task for each of its first modules."""

    def __init__(self, root):
        self.source = unpack(fetch(MARKDOWN, root), root / "source")
        found = modules_of(self.source / "markdown")
        assert len(found) >= 20
        self.stubs = {
            name: path.relative_to(self.source).with_suffix(".pyi")
            for name, path in list(found.items())[:TASKS]
        }
        self.repo, self.home, self.tasks = root / "code.git", root / "home", root / "tasks"
        self._make_repository()
        self.tasks.mkdir()
        for name in self.stubs:
            text = f"---\nid: {name}\ntitle: Add a type stub for {name}\nstatus: ready\n---\n\nWrite it.\n"
            (self.tasks / f"{name}.md").write_text(text)

    def _make_repository(self):
        (self.source / ".gitignore").write_text("__pycache__/\n")
        (self.source / "refinery.yml").write_text(yaml.safe_dump(CONFIG))
        git(self.source, "init", "--quiet", "--initial-branch=main")
        git(self.source, "add", "--all")
        git(self.source, "commit", "--quiet", "--message", "Markdown 3.8.2")
        git(self.source, "clone", "--quiet", "--bare", ".", str(self.repo))

    def cli(self, *words):
        return refinery("--home", self.home, "-p", "demo", *words)

    def start(self, *words):
        command = [sys.executable, "-m", "refinery", "--home", str(self.home), "-p", "demo", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def landed(self):
        """Of every landing, oldest first: commit, tree, subject, and the trailers by name."""
        shown = git(
            self.repo,
            *("log", "--reverse", "--first-parent", "--format=%H%x00%T%x00%s%x00%(trailers:unfold)%x01"),
            "main",
        )
        rows = [row.strip("\n").split("\0") for row in shown.split("\x01") if row.strip("\n")]
        return [
            (commit, tree, subject, dict(line.split(": ", 1) for line in trailers.splitlines() if line))
            for commit, tree, subject, trailers in rows[1:]
        ]


def drive(real):
    """Four looping workers beside a watching merger; what the workers left last is landed by one more pass."""
    merger = real.start("merge", "--watch", "--interval", "0.5")
    workers = [real.start("run", "--loop", "--quiet", "--caller", f"worker-{n}") for n in range(4)]
    said = [worker.communicate(timeout=200)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0], said
    merger.send_signal(signal.SIGTERM)
    merger.communicate(timeout=60)
    return real.cli("merge", "--json")


@pytest.mark.network
@pytest.mark.slow
def test_a_real_package_gets_a_stub_for_each_module_and_nothing_lands_twice(tmp_path):
    """All tasks merged, none twice, every landed tree as predicted, the package's tests green, a readable log."""
    if not Path(STUBGEN).exists():
        pytest.skip("mypy's stub generator is not installed beside this Python")
    real = Real(tmp_path)
    begun = refinery("--home", real.home, "init", "demo", "--repo", real.repo, "--tasks", real.tasks)
    assert begun.returncode == 0, begun.stderr

    last = drive(real)
    assert last.returncode == 0, (last.stdout, last.stderr)

    landed = real.landed()
    assert Counter(trailers["Refinery-Task"] for _, _, _, trailers in landed) == Counter(list(real.stubs))
    assert all(trailers["Refinery-Tree"] == tree for _, tree, _, trailers in landed)
    assert all(trailers["Refinery-Checks"] == "tests" for _, _, _, trailers in landed)
    assert sorted(subject for _, _, subject, _ in landed) == sorted(
        f"Add a type stub for {trailers['Refinery-Task']} (#{trailers['Refinery-Pull']})"
        for _, _, _, trailers in landed
    )
    shown = json.loads(real.cli("status", "--json").stdout)
    assert {task["status"] for task in shown["tasks"]} == {"done"}
    assert [pull["state"] for pull in shown["pulls"]] == ["merged"] * TASKS

    result = tmp_path / "result"
    git(tmp_path, "clone", "--quiet", str(real.repo), str(result))
    assert all(ast.parse((result / stub).read_text()) for stub in real.stubs.values())
    added = git(result, "diff", "--name-status", "--no-renames", "main~" + str(TASKS), "main").splitlines()
    assert sorted(added) == sorted(f"A\t{stub}" for stub in real.stubs.values())
    tested = subprocess.run(TESTS, cwd=result, capture_output=True, text=True, check=False, timeout=60)
    assert tested.returncode == 0, tested.stderr
    shutil.rmtree(real.home)  # nothing but a cache: what was done is in the repository
