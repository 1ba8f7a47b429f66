"""What `setup` would do: steps from what is wanted and what is there, and files that are valid."""

import pytest

from refinery.core.config import PROJECT_FILES
from refinery.core.config_model import parse_project
from refinery.core.repository_facts import Needs
from refinery.core.repository_findings import wanted_labels
from refinery.core.setup_plan import Kind, Present, Wanted, look_of, plan
from refinery.core.starter import starter_files

NEEDS = Needs()
WANTED = Wanted(needs=NEEDS, files={"a.yml": "x"}, secrets=("KEY",), variables={"ID": "7"})
ALL = Present(
    labels=frozenset(wanted_labels(NEEDS)),
    files=frozenset({"a.yml"}),
    secrets=frozenset({"KEY"}),
    variables={"ID": "7"},
)


def test_everything_is_listed_where_nothing_is_there():
    """Labels first, then values, then the pull, so that a failure leaves the most useful part."""
    steps = plan(WANTED, Present())
    assert [step.name for step in steps if step.kind is Kind.LABEL] == [
        *("polecat", "polecat:working", "polecat:review", "polecat:blocked", "polecat:failed", "hold")
    ]
    assert [step.kind for step in steps[6:]] == [Kind.SECRET, Kind.VARIABLE, Kind.PULL]


def test_nothing_is_left_where_all_is_there():
    """Running it again changes nothing."""
    assert plan(WANTED, ALL) == ()


@pytest.mark.parametrize(
    ("present", "words"),
    [
        ({"variables": {"ID": "8"}}, "change the variable ID"),
        ({"files": frozenset()}, "open a pull that adds a.yml"),
        ({"files": frozenset(), "pull": 4}, "add a.yml to pull 4"),
        ({"secrets": frozenset()}, "add the secret KEY"),
    ],
)
def test_one_thing_that_is_missing_is_one_step(present, words):
    """Nothing else is touched."""
    values = {name: getattr(ALL, name) for name in ("labels", "files", "pull", "secrets", "variables")}
    (step,) = plan(WANTED, Present(**{**values, **present}))
    assert words in step.words


def test_every_label_has_a_look():
    """Six hexadecimal digits and a sentence."""
    for name in wanted_labels(NEEDS):
        colour, words = look_of(name, NEEDS)
        assert len(colour) == 6
        assert int(colour, 16) >= 0
        assert words


@pytest.mark.parametrize(
    ("required", "seen", "expected"),
    [
        ((), (), ()),
        ((("build", ""),), (("build", "ci"),), ()),
        ((), (('b: "c"', "github-actions"), ("a", "@mona"), ("z", "")), (('b: "c"', "github-actions"),)),
    ],
)
def test_the_starter_configuration_is_valid(required, seen, expected):
    """It asks for what was seen reporting, unless the branch rules do so already; statuses of people are no Apps'."""
    ((path, text),) = starter_files(required, seen).items()
    assert path == PROJECT_FILES[0]
    config = parse_project(text, path)
    assert tuple((each.name, each.app) for each in config.policy.required) == expected
    hints = [
        line.removeprefix("# ") for line in text.splitlines() if line.startswith(("# policy:", "# checks:"))
    ]
    for hint in hints:
        assert parse_project(hint, path) != parse_project("", path)
