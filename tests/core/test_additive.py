"""The additive rule: tables for each kind of change, and properties against an independent checker in memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery.core.additive import Change, Classification, Entry, Tier, classify, first_removed, lines_of
from refinery.core.paths import ancestors
from refinery.core.reasons import Code

FILE, EXEC, LINK, SUB = "100644", "100755", "120000", "160000"


def step(old: dict[str, object], new: dict[str, object]) -> Classification:
    """Classify between two trees given as {path: content or (mode, content)}."""
    before = {path: entry(value) for path, value in old.items()}
    after = {path: entry(value) for path, value in new.items()}
    changes = [
        Change(
            path,
            *(
                Entry(side[path][0], repr(side[path][1])) if path in side else None
                for side in (before, after)
            ),
            *(side[path][1] if path in side else None for side in (before, after)),
        )
        for path in {*before, *after}
        if before.get(path) != after.get(path)
    ]
    return classify(changes, listing(after))


def entry(value: object) -> tuple[str, bytes | None]:
    return value if isinstance(value, tuple) else (FILE, value)


def listing(tree: dict[str, object]) -> dict[str, list[str]]:
    folders: dict[str, dict[str, None]] = {}
    for path in tree:
        for folder, name in zip(ancestors(path), path.split("/"), strict=True):
            folders.setdefault(folder, {})[name] = None
    return {folder: list(names) for folder, names in folders.items()}


def codes(found: Classification) -> list[str]:
    return [str(each.code) for each in found.reasons]


BASE = {"a": b"1\n2\n3\n", "d/b": b"x\n", "run": (EXEC, b"go\n")}
CASES = {
    "nothing": ({}, Tier.NEW_FILES, []),
    "a new file": ({"c": b"new\n"}, Tier.NEW_FILES, []),
    "a new file in a new folder": ({"e/f/g": b"new\n"}, Tier.NEW_FILES, []),
    "a new empty file": ({"c": b""}, Tier.NEW_FILES, []),
    "a new binary file": ({"c": b"\0\1"}, Tier.NEW_FILES, []),
    "lines at the end": ({"a": b"1\n2\n3\n4\n"}, Tier.ADDITIONS, []),
    "lines at the start": ({"a": b"0\n1\n2\n3\n"}, Tier.ADDITIONS, []),
    "lines between": ({"a": b"1\n1.5\n2\n2.5\n3\n"}, Tier.ADDITIONS, []),
    "a last line without newline": ({"a": b"1\n2\n3\n4"}, Tier.ADDITIONS, []),
    "growth of an executable file": ({"run": (EXEC, b"go\nstop\n")}, Tier.ADDITIONS, []),
    "a removed file": ({"a": None}, Tier.ANY, ["removed"]),
    "a renamed file": ({"a": None, "z": b"1\n2\n3\n"}, Tier.ANY, ["removed"]),
    "a removed line": ({"a": b"1\n3\n"}, Tier.ANY, ["lines-removed"]),
    "a changed line": ({"a": b"1\ntwo\n3\n"}, Tier.ANY, ["lines-removed"]),
    "a moved block": ({"a": b"2\n3\n1\n"}, Tier.ANY, ["lines-removed"]),
    "an emptied file": ({"a": b""}, Tier.ANY, ["lines-removed"]),
    "LF became CRLF": ({"a": b"1\r\n2\r\n3\r\n"}, Tier.ANY, ["line-endings"]),
    "one line became CRLF": ({"a": b"1\n2\r\n3\n4\n"}, Tier.ANY, ["line-endings"]),
    "the final newline dropped": ({"a": b"1\n2\n3"}, Tier.ANY, ["line-endings"]),
    "a file became binary": ({"a": b"1\n2\n3\n\0"}, Tier.ANY, ["binary-changed"]),
    "a file became executable": ({"a": (EXEC, b"1\n2\n3\n")}, Tier.ANY, ["mode-changed"]),
    "a file lost its executable bit": ({"run": (FILE, b"go\n")}, Tier.ANY, ["mode-changed"]),
    "a file became a link": ({"a": (LINK, b"d/b")}, Tier.ANY, ["type-changed", "symlink"]),
    "a file became a folder": ({"a": None, "a/x": b"\n"}, Tier.ANY, ["removed"]),
    "a folder became a file": ({"d/b": None, "d": b"\n"}, Tier.ANY, ["removed"]),
    "a new executable": ({"c": (EXEC, b"\n")}, Tier.NEW_FILES, ["executable"]),
    "a new link": ({"c": (LINK, b"/etc")}, Tier.NEW_FILES, ["symlink"]),
    "a new submodule": ({"c": (SUB, None)}, Tier.NEW_FILES, ["submodule"]),
    "a new entry of another mode": ({"c": ("100600", b"")}, Tier.NEW_FILES, ["unusual-mode"]),
    "a new file that cannot be read": ({"c": (FILE, None)}, Tier.NEW_FILES, ["unreadable"]),
    "a grown file that cannot be read": ({"a": (FILE, None)}, Tier.ANY, ["unreadable"]),
    "a collision by case": ({"A": b"\n"}, Tier.NEW_FILES, ["collision"]),
    "a collision of folders": ({"D/c": b"\n"}, Tier.NEW_FILES, ["collision"]),
    "a folder collides with a file": ({"A/c": b"\n"}, Tier.NEW_FILES, ["collision"]),
    "two new names collide": ({"n": b"\n", "N": b"\n"}, Tier.NEW_FILES, ["collision", "collision"]),
    "a collision by sharp s": ({"stra\xdfe": b"\n", "STRASSE": b"\n"}, Tier.NEW_FILES, ["collision"] * 2),
    "a collision by Unicode form": ({"\xe9": b"\n", "e\u0301": b"\n"}, Tier.NEW_FILES, ["collision"] * 2),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_change(case):
    """Each kind of change gets the least tier that admits it, and each fault its own reason."""
    edit, tier, reasons = CASES[case]
    after = {path: value for path, value in {**BASE, **edit}.items() if value is not None}
    found = step(BASE, after)
    assert (found.tier, codes(found)) == (tier, reasons)


@pytest.mark.parametrize(
    ("old", "new", "tier"),
    [
        (b"a", b"a\nb", Tier.ANY),
        (b"a", b"a\n", Tier.ANY),
        (b"a", b"b\na", Tier.ADDITIONS),
        (b"a\n", b"a\nb", Tier.ADDITIONS),
        (b"a\n", b"a", Tier.ANY),
        (b"", b"a", Tier.ADDITIONS),
        (b"\n", b"\n\n", Tier.ADDITIONS),
        (b"\n\n", b"\n", Tier.ANY),
        (b"a\r\n", b"a\r\nb\n", Tier.ADDITIONS),
        (b"a\rb\n", b"a\rb\nc\n", Tier.ADDITIONS),
        (b"a\rb\n", b"a\rX\rb\n", Tier.ANY),
        (b"a\x0cb\n", b"a\x0c\nb\n", Tier.ANY),
    ],
)
def test_line_ends_belong_to_their_lines(old, new, tier):
    """A line owns its newline: an unterminated last line is another line than the same text terminated."""
    assert step({"f": old}, {"f": new}).tier is tier


def test_links_and_submodules_that_change_are_not_additive():
    """A link or submodule that points elsewhere changes the base, whatever it points to."""
    found = step({"l": (LINK, b"a"), "s": (SUB, b"1")}, {"l": (LINK, b"b"), "s": (SUB, b"2")})
    assert found.tier is Tier.ANY
    assert codes(found) == ["symlink", "submodule"]


def test_facts_name_path_and_line():
    """The reason for a changed line names the path and the line of the base, counted from one."""
    (found,) = step({"f": b"1\n2\n3\n"}, {"f": b"1\nX\n3\n"}).reasons
    assert found.code is Code.LINES_REMOVED
    assert found.facts == {"path": "f", "line": 2}


def test_lines_are_counted():
    """New files count whole, grown ones by what they gained, changed ones by what differs."""
    old = {"grown": b"1\n2\n", "changed": b"1\n2\n3\n", "gone": b"1\n"}
    new = {"grown": b"1\nx\n2\ny\n", "changed": b"1\nx\ny\n3\n", "new": b"a\nb\nc"}
    found = step(old, new)
    assert found.added_lines == 2 + 2 + 3
    assert found.files == 4


@pytest.mark.parametrize(
    "path",
    [
        ".git/config", "x/.GIT/hooks/a", "git~1", "GIT~2/x", ".git /x", ".git.", ".g\u200cit/x",
        ".git::$INDEX_ALLOCATION/x",
        "a\\b", "a:b", "a\nb", "a\x7f", "tab\t", "con", "aux.c", "COM1.txt", "d/nul", "end.", "end ",
        "-rf", " lead",
        "a\u202eb", "zero\u200bwidth", b"\xff\xfe".decode("utf-8", "surrogateescape"), "x" * 256, "a/../b", "a//b",
    ],
)  # fmt: skip
def test_odd_names_are_refused(path):
    """A name that git, a shell or another system reads as something else is refused when it is added."""
    assert "odd-path" in codes(step({}, {path: b"\n"}))


@pytest.mark.parametrize(
    "path", ["a b", "é", "日本/語.txt", ".gitignore", "git", "console", "com10", "a-b", "x" * 255, "🎉.md"]
)
def test_ordinary_names_are_not_odd(path):
    """Spaces, emoji and every script are ordinary in names."""
    assert codes(step({}, {path: b"\n"})) == []


def test_a_missing_listing_is_unreadable():
    """Without the names beside an added path nobody can say that it collides with none."""
    change = Change("d/f", None, Entry(FILE, "1"), None, b"")
    assert codes(classify([change], {"": ["d"]})) == ["unreadable"]


LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"a\r\n", b"}\n"]), max_size=7)
TAIL = st.sampled_from([b"", b"a", b"b"])
CONTENT = st.builds(lambda lines, tail: b"".join(lines) + tail, LINES, TAIL)


def longest_common(old: list[bytes], new: list[bytes]) -> int:
    """The length of the longest common subsequence, by the textbook's table."""
    table = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i, one in enumerate(old):
        for j, other in enumerate(new):
            same = table[i][j] + 1 if one == other else 0
            table[i + 1][j + 1] = max(same, table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@settings(max_examples=400, deadline=None)
@given(CONTENT, CONTENT)
def test_subsequence_agrees_with_dynamic_programming(old, new):
    """The greedy walk finds a removed line exactly when the longest common subsequence is shorter than the base."""
    before, after = lines_of(old), lines_of(new)
    assert b"".join(before) == old
    assert (first_removed(before, after) is None) == (longest_common(before, after) == len(before))


@settings(max_examples=300, deadline=None)
@given(CONTENT, st.lists(st.tuples(st.integers(0, 8), st.sampled_from([b"new\n", b"a\n"])), max_size=5))
def test_inserting_lines_is_always_additive(old, inserted):
    """Whatever whole lines are put before, between or (after a final newline) behind the old ones, the file grew."""
    lines = lines_of(old)
    limit = len(lines) - (1 if lines and not lines[-1].endswith(b"\n") else 0)
    for at, line in inserted:
        lines.insert(min(at, limit), line)
    assert step({"f": old}, {"f": b"".join(lines)}).tier in (Tier.NEW_FILES, Tier.ADDITIONS)
