"""The documentation says what is so: commands run, pages are current, every test that is named exists."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.repos import ENV, checkout

from refinery import __version__
from refinery.core.config_model import parse_project
from refinery.core.outcomes import ENDINGS, Outcome
from refinery.core.result_file import parse_result

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WATCHED = [*range(1, 15), 16, 17, *range(19, 26), 27, 32, 33]
# Stands in for the program on the person's PATH: writes a module named after the task, and reports like claude.
CLAUDE = """\
#!{python}
import json, os, pathlib, sys
assert "stream-json" in sys.argv and "area" in sys.stdin.read()
name = os.environ["REFINERY_TASK"].replace("-", "_")
pathlib.Path(f"{{name}}.py").write_text("area = 1\\n")
pathlib.Path(f"test_{{name}}.py").write_text(pathlib.Path("test_shapes.py").read_text().replace("shapes", name))
print(json.dumps({{"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "session_id": "s"}}))
"""


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page that have exactly this info string."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def person(tmp_path):
    """Somebody's machine: a repository with a first commit, an agent on the PATH, the installed program."""
    checkout(
        tmp_path / "my-project",
        {
            "shapes.py": "",
            "test_shapes.py": (
                "import unittest\nimport shapes\n\n"
                "class ShapesTest(unittest.TestCase):\n    def test(self):\n        shapes\n"
            ),
        },
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "claude": CLAUDE.format(python=sys.executable),
        "refinery": f'#!/bin/sh\nexec "{sys.executable}" -m refinery "$@"\n',
        "python3": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return {
        **ENV,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")], ids=lambda page: page.name)
def test_the_commands_of_a_page_run_as_they_stand(page, person, tmp_path):
    """One after the other, in one shell, offline, on a real repository; the first that fails ends it."""
    script = "set -euo pipefail\n" + "\n".join(blocks(page, "sh"))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=person,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused" not in done.stdout
    if page.name == "README.md":
        landed = sorted(path.name for path in (tmp_path / "my-project").glob("*area*.py"))
        assert len(landed) == 6, done.stdout + done.stderr
        status = json.loads((tmp_path / "my-project" / "status.json").read_text())
        assert {task["status"] for task in status["tasks"]} == {"done"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_parse(page):
    """Every YAML block is a configuration without a mistake, every JSON block a result file."""
    for text in blocks(page, "yaml"):
        parse_project(text, page.name)
    for text in blocks(page, "json"):
        parse_result(text.encode())


@pytest.mark.parametrize("name", ["verbs.md", "configuration.md"])
def test_generated_pages_are_current(name):
    """`python docs/generate.py` writes them."""
    assert (ROOT / "docs" / name).read_text("utf-8") == generator().PAGES[name]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every link within the project names a file that exists."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def existing_tests() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= set(re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))
    return found


def failures() -> dict[int, list[str]]:
    """The numbers of the catalogue, each with the tests that its paragraph names."""
    text = (ROOT / "docs" / "failures.md").read_text("utf-8")
    paragraphs = re.split(r"^\*\*F(\d+)\. ", text, flags=re.MULTILINE)[1:]
    return {
        int(number): re.findall(r"`(test_\w+)`", words)
        for number, words in zip(paragraphs[::2], paragraphs[1::2], strict=True)
    }


def test_the_catalogue_of_failures_is_whole():
    """All 37, and those that can happen in this version are each watched by a test."""
    found = failures()
    assert list(found) == list(range(1, 38))
    assert [number for number in WATCHED if not found[number]] == []


def test_every_test_that_the_catalogue_names_exists():
    """A test that is renamed takes the page along."""
    named = {name for names in failures().values() for name in names}
    assert named - existing_tests() == set()


def test_the_outcomes_of_the_design_page_are_those_of_the_program():
    """The table of endings, with their exit codes."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    rows = {name: int(code) for name, code in re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", text, re.MULTILINE)}
    merger_alone = {Outcome.MERGED, Outcome.WAITING}
    assert rows == {str(each): ENDINGS[each].exit_code for each in Outcome if each not in merger_alone}


def test_the_changelog_knows_this_version():
    """And has a place for what comes next."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text
    assert f"## [{__version__}]" in text


def test_the_picture_is_of_this_demo():
    """Drawn from a run in which everything went as told."""
    text = (ROOT / "docs" / "demo.svg").read_text("utf-8").replace("&#160;", " ")
    assert "tasks ended as their stories say" in text
    assert "instead of" not in text.replace("a question instead of", "").replace("instead of guessing", "")
