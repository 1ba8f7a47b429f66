"""Keys: one valid ref name component for each name, never the same for two."""

import re
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery.core.keys import key_for, name_of

NAMES = st.text(min_size=1, max_size=200).map(lambda name: name.encode("utf-8", "replace").decode())
ODD = [
    "a/b",
    "..",
    "a..b",
    ".hidden",
    "-dash",
    "trailing.lock",
    "UPPER",
    "upper",
    "with space",
    "emoji-🎉",
    "é",
    "e\u0301",
    "@{",
    "x" * 121,
    "x" * 5000,
    "🎉" * 100,
    "_41",
    "A",
    "refs/heads/main",
    "\x7f~^:?*[\\",
    "con",
]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("task-7", "task-7"),
        ("12", "12"),
        ("a/b", "a_2fb"),
        ("A", "_41"),
        ("-x", "_2dx"),
        ("_", "_5f"),
        ("é", "_c3_a9"),
    ],
)
def test_a_key_is_readable(name, key):
    """Plain ids are their own keys, and every other byte is spelled out."""
    assert key_for(name) == key


def test_an_empty_name_has_no_key():
    """An empty name is an error, not an empty ref component."""
    with pytest.raises(ValueError, match="empty"):
        key_for("")


@pytest.mark.parametrize("name", ODD)
def test_git_accepts_every_key(name):
    """Git itself takes the key as part of a ref name."""
    ref = f"refs/refinery/claims/{key_for(name)}"
    assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


@given(NAMES)
def test_a_key_is_short_and_plain(name):
    """Every key is of a small alphabet and fits into a file name."""
    key = key_for(name)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]*", key)
    assert len(key + ".lock") <= 255


@pytest.mark.parametrize("name", ["A" * 80, "A" * 81, "A" * 120, "é" * 60, "x" * 240, "x" * 241, "🎉" * 1000])
def test_a_long_name_still_makes_a_file_name(name):
    """A ref is a file, with `.lock` behind it while it is written: 255 bytes at the most."""
    assert len(key_for(name) + ".lock") <= 255
    assert key_for(name) != key_for(name[:-1] + "y")


@given(NAMES, NAMES)
def test_different_names_have_different_keys(one, other):
    """Two names never share a key, nor do their keys become equal where case or Unicode form is folded."""
    if one != other:
        assert fold(key_for(one)) != fold(key_for(other))


@given(NAMES)
def test_a_change_of_case_or_form_changes_the_key(name):
    """Names that a file system would confuse get keys that it does not confuse."""
    for variant in (
        name.upper(),
        name.lower(),
        unicodedata.normalize("NFD", name),
        unicodedata.normalize("NFC", name),
    ):
        assert (fold(key_for(name)) == fold(key_for(variant))) == (name == variant)


def test_odd_names_all_differ():
    """The catalogue of awkward names has as many keys as names."""
    assert len({fold(key_for(name)) for name in ODD}) == len(ODD)


def fold(key):
    return unicodedata.normalize("NFKC", key).casefold()


@given(NAMES)
def test_a_key_tells_its_name(name):
    """Unless it was cut, the name comes back; nothing is ever taken for another name."""
    assert name_of(key_for(name)) in (name, None)
    assert len(name.encode()) > 60 or name_of(key_for(name)) == name


@pytest.mark.parametrize("key", ["", "A", "a_2", "_41_", "a_61", "x/y", key_for("x" * 5000)])
def test_what_is_nobodys_key_tells_no_name(key):
    """A branch that a person named `polecat/something` belongs to no task by accident."""
    assert name_of(key) is None
