"""The rules of the warm pool: whom a prepared worktree serves, and which are too many."""

import pytest

from refinery.core.config import LimitsConfig, ProjectConfig
from refinery.core.pooling import MANY_FILES, has_room, is_worth_it, kind_of, may_move, surplus

SET_UP = ProjectConfig(setup=(("npm", "ci"), ("sh", "-c", "sh tools/prepare.sh")))
WITH_INPUTS = ProjectConfig(setup=SET_UP.setup, setup_inputs=("package-lock.json", "/vendor/**"))


@pytest.mark.parametrize(
    ("config", "changed", "moves"),
    [
        (ProjectConfig(), ["src/a.py"], True),
        (ProjectConfig(), ["src/a.py", "docs/.gitattributes"], False),
        (ProjectConfig(), [".gitmodules"], False),
        (ProjectConfig(), [".worktreeinclude"], False),
        (SET_UP, ["src/a.py"], False),
        (SET_UP, [], False),
        (WITH_INPUTS, [], True),
        (WITH_INPUTS, ["src/a.py"], True),
        (WITH_INPUTS, ["src/a.py", "web/package-lock.json"], False),
        (WITH_INPUTS, ["vendor/lib/x.c"], False),
        (WITH_INPUTS, ["tools/prepare.sh"], False),
    ],
)
def test_what_was_set_up_at_another_base(config, changed, moves):
    """It serves where nothing that set-up reads, or that decides how others are checked out, is different."""
    assert may_move(changed, config) is moves


def test_whatever_decides_what_set_up_makes_is_part_of_the_kind():
    """Commands, limits, box, environment, version: each alone makes another kind; what agents do makes none."""
    plain = kind_of(SET_UP, {"PATH": "/bin"}, is_boxed=False, version="1")
    others = [
        kind_of(ProjectConfig(), {"PATH": "/bin"}, is_boxed=False, version="1"),
        kind_of(SET_UP, {"PATH": "/usr/bin"}, is_boxed=False, version="1"),
        kind_of(SET_UP, {"PATH": "/bin"}, is_boxed=True, version="1"),
        kind_of(SET_UP, {"PATH": "/bin"}, is_boxed=False, version="2"),
        kind_of(
            ProjectConfig(setup=SET_UP.setup, limits=LimitsConfig(memory=1)),
            {"PATH": "/bin"},
            is_boxed=False,
            version="1",
        ),
    ]
    assert len({plain, *others}) == 6
    same = ProjectConfig(setup=SET_UP.setup, prompt="other", limits=LimitsConfig(timeout=1.0, pool=7))
    assert kind_of(same, {"PATH": "/bin"}, is_boxed=False, version="1") == plain


@pytest.mark.parametrize(
    ("sizes", "count", "most", "gone", "room"),
    [
        ([], 2, 100, 0, True),
        ([], 0, 100, 0, False),
        ([40], 2, 100, 0, True),
        ([40, 40], 2, 100, 0, False),
        ([40, 40], 3, 100, 0, False),
        ([40, 40, 40], 3, 100, 1, False),
        ([10, 10, 10], 1, 100, 2, False),
        ([150], 2, 100, 1, False),
        ([51], 2, 100, 0, False),
    ],
)
def test_bounds(sizes, count, most, gone, room):
    """The oldest go first, by number and by bytes; one more is taken to be as large as the largest."""
    assert surplus(sizes, count, most) == gone
    assert has_room(sizes, count, most) is room


def test_small_bases_without_set_up_gain_nothing():
    """They are checked out as quickly; a pool of none is none."""
    none = LimitsConfig(pool=0)
    assert not is_worth_it(ProjectConfig(), MANY_FILES - 1)
    assert is_worth_it(ProjectConfig(), MANY_FILES)
    assert is_worth_it(SET_UP, 1)
    assert not is_worth_it(ProjectConfig(setup=SET_UP.setup, limits=none), MANY_FILES)
