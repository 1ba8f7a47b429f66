"""Markdown tasks: reading front matter strings-first, and changing it byte by byte."""

import time

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refinery.core import frontmatter, yaml_entries
from refinery.core.frontmatter import FrontMatterError, Shape
from refinery.core.frontmatter_edit import edit as edit_values
from refinery.core.model import Problem, Status, Task
from refinery.core.tasks import edit, new_task_file, parse, slug, stamped
from refinery.errors import TaskFileError


def note(header, body="\nText.\n", eol="\n"):
    return f"---\n{header}\n---\n{body}".replace("\n", eol).encode()


def task_of(header, body="\nText.\n"):
    task = parse(note(header, body), "folder/stem.md", "stem")
    assert isinstance(task, Task), task
    return task


def problem_of(raw):
    problem = parse(raw, "folder/stem.md", "stem")
    assert isinstance(problem, Problem), problem
    return problem


# What counts as a task.


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"# A note\n",
        b"---\ntitle: A note\n---\n",
        b"---\n",
        b"---\nHello.\n\nA rule above, and one below.\n---\n",
        b"---\n- a\n- b\n---\n",
        b"---\n---\n",
        b"----\nid: a\n----\n",
        b"\xff\xfe\x00binary",
        b"\x89PNG\r\n---\nid: a\n---\n",
        b"\n---\nid: a\n---\n",
        b"---\nsome prose after a rule, never closed\n",
        b"---\ntags: [x]\nnested: {id: 1, status: ready}\n---\n",
    ],
)
def test_other_notes_are_not_tasks(raw):
    """A file without front matter, or whose front matter has neither id nor status, is none of our business."""
    assert parse(raw, "note.md", "note") is None


def test_an_id_or_a_status_makes_a_task():
    """Either key suffices; the rest falls back to the file's name, the first heading and the inbox."""
    named = task_of("id: 007")
    assert (named.id, named.title, named.status) == ("007", "stem", Status.INBOX)
    assert task_of("status: ready").id == "stem"
    assert task_of("status:").status is Status.INBOX


def test_the_title_falls_back_to_the_first_heading():
    """The first heading outside fenced code is the title; without one it is the file's name."""
    assert (
        task_of("id: a", "\n```sh\n# no title\n```\n\n## The *title* ##\n\n# Later\n").title == "The *title*"
    )
    assert task_of("id: a", "~~~\n# never closed\n").title == "stem"
    assert task_of("id: a\ntitle: Given", "# Heading\n").title == "Given"
    assert task_of("id: a\ntitle: |\n  Two\n  lines").title == "Two lines"


def test_every_field_is_read():
    """All fields of a full task arrive, with the body kept as it is."""
    header = (
        "id: a\ntitle: T\nstatus: active\ntype: Bug\npriority: P1\norder: 2.5\nproject: '[[aops]]'\n"
        "assignee: [[bot|the bot]]\ndepends_on:\n- b\n- '[[c|see c]]'\nlabels: x, y\nagent: stub\n"
        'parent: "[[epic]]"\n'
        "complexity: low\ncreated: 2026-01-02\nmodified: 12:30\naliases: [other]\n"
    )
    assert task_of(header, "\n  Body \n") == Task(
        id="a",
        title="T",
        body="\n  Body \n",
        status=Status.READY,
        type="bug",
        priority=1,
        order=2.5,
        project="aops",
        assignee="bot",
        depends_on=("b", "c"),
        labels=("x", "y"),
        agent="stub",
        parent="epic",
        complexity="low",
        created="2026-01-02",
        modified="12:30",
        source="folder/stem.md",
    )


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("", ()),
        ("~", ()),
        ("[]", ()),
        ("a", ("a",)),
        ("a, b ,,c", ("a", "b", "c")),
        ("[a, b, a]", ("a", "b")),
        ("[a, '', ~]", ("a",)),
        ('["a,b", c]', ("a,b", "c")),
        ("[[a]]", ("a",)),
        ("[[a|some words]]", ("a",)),
        ("[[[a]], [[b|x]]]", ("a", "b")),
        ('"[[a|one, two]], [[b]], c"', ("a", "b", "c")),
        ("\n  - a\n  - [[b]]\n  - '[[c|d]]'", ("a", "b", "c")),
        ("[007, 12:30, on]", ("007", "12:30", "on")),
    ],
)
def test_dependencies_are_a_list_a_text_or_links(written, names):
    """Every way in which people write several names gives the same names."""
    assert task_of(f"id: a\ndepends_on: {written}").depends_on == names


@pytest.mark.parametrize(
    "word", ["007", "12:30:00", "on", "no", "1e3", "0x1F", "2026-01-02", "1_000", "3.10", ".5"]
)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_values_stay_what_was_typed(word, quote):
    """No value becomes a number, a date or a truth value on its way in."""
    assert task_of(f"id: {quote}{word}{quote}").id == word
    assert task_of(f"id: !!str {quote}{word}{quote}").id == word


@pytest.mark.parametrize(
    "raw",
    [
        note("id: a\nstatus: ready", eol="\r\n"),
        b"\xef\xbb\xbf" + note("id: a\nstatus: ready"),
        b"---\nid: a\nstatus: ready\n---",
        b"---\nid: a\nstatus: ready\n...\n# Body",
        b"---  \nid: a\nstatus: ready\n---\t\n",
        b"---\r\nid: a\r\nstatus: ready\r\n...",
        note("{id: a, status: ready}"),
        note("  id: a\n  status: ready"),
        note("\n# a comment\n\nid: &name a\nparent: *name\nstatus: ready # behind\n"),
        note('"id": a\n? status\n: ready'),
    ],
)
def test_every_form_of_front_matter_works(raw):
    """Line endings, byte order mark, terminator, missing final newline and YAML's other spellings change nothing."""
    task = parse(raw, "p.md", "p")
    assert isinstance(task, Task)
    assert (task.id, task.status) == ("a", Status.READY)


def test_a_large_body_is_kept_whole():
    """Five megabytes of body are no problem, and all of them arrive."""
    body = "\n" + "word " * 1_000_000
    assert task_of("id: a", body).body == body


# What is refused.


def test_f7_an_unknown_status_is_an_error():
    """F7: a status that nobody knows is reported with file, line and a suggestion, and never read as ready."""
    for word in ("on-hold", "wontfix", "redy", "'no'", "true"):
        problem = problem_of(note(f"id: a\n# c\nstatus: {word}"))
        assert (problem.path, problem.line, problem.task) == ("folder/stem.md", 4, "a")
        assert "unknown status" in problem.message
    assert "ready" in problem_of(note("id: a\nstatus: redy")).message


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("active", Status.READY),
        ("todo", Status.READY),
        ("open", Status.READY),
        ("merge_ready", Status.REVIEW),
        ("waiting", Status.BLOCKED),
        ("closed", Status.DONE),
        ("completed", Status.DONE),
        ("Ready", Status.READY),
        *((status.value, status) for status in Status),
    ],
)
def test_statuses_and_their_aliases(word, status):
    """Every status and every alias is known, in any case."""
    assert task_of(f"status: {word}").status is status


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (note("id: a\ntitle: x: y"), 3, "not valid YAML"),
        (note("id: a\nlabels: [x\ntitle: T"), 3, "not valid YAML"),
        (note("id: a\ntitle: 'x"), 3, "not valid YAML"),
        (note("id: a\n\ttitle: x"), 3, "not valid YAML"),
        (note("title: a\nid: b\ntitle: c"), 4, "`title` is given twice"),
        (note("id: a\nmine: {x: 1, x: 2}"), 3, "`x` is given twice"),
        (note("id: a\npriority: high"), 3, "0 (first) to 4"),
        (note("id: a\npriority: 5"), 3, "0 (first) to 4"),
        (note("id: a\norder: last"), 3, "must be a number"),
        (note("id: a\norder: .inf\nx: y"), 3, "must be a number"),
        (note("id: a\nstatus: [ready, done]"), 3, "one value"),
        (note("id: a\nstatus: {x: y}"), 3, "one value"),
        (note("id: a\ndepends_on: {b: c}"), 3, "list of names"),
        (note("id: a\ndepends_on: [{b: c}]"), 3, "list of names"),
        (note("id: a\nparent: *nobody"), 3, "names nothing"),
        (note("id: a\nx: \x07"), 3, "not valid YAML"),
        (note('id: "a\\nb"'), 2, "control character"),
        (note("id: a\n--- b\nstatus: c"), 3, "second YAML document"),
        (b"---\nid: a\nstatus: ready\n\nno end", 1, "no closing line"),
        (b"---\nid: a\ntitle: caf\xe9\n---\n", 3, "not UTF-8"),
        (b"---\nid: a\n---\n\n\xff\n", 5, "not UTF-8"),
        ("---\nid: a\n---\n".encode("utf-16"), 1, "UTF-16"),
        (note("id: a\nx: " + "[" * 200_000), 3, "deep"),
        (note("id: a\nx: " + "[" * 2_000 + "]" * 2_000), 3, "deep"),
        (note("id: a\nx:\n" + "- " * 50 + "b"), 4, "deep"),
    ],
)
def test_what_is_wrong_is_reported_with_path_and_line(raw, line, words):
    """A file that cannot be used is a problem that says where, what and how to mend it; it is never rewritten."""
    problem = problem_of(raw)
    assert (problem.path, problem.line) == ("folder/stem.md", line)
    assert words in problem.message
    assert problem.remedy
    with pytest.raises(TaskFileError, match="not changed"):
        edit(raw, {"status": "done"})


def test_hostile_front_matter_ends_quickly():
    """Aliases that multiply, and lines that almost fit the quick reader, cost no more than a moment."""
    bomb = "\n".join(
        ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    )
    began = time.perf_counter()
    task_of(f"id: a\n{bomb}\nlabels: [x]")
    for line in (
        "k: " + "a " * 50_000 + ": b",
        "k: [" + "a, " * 50_000,
        "k: '" + "a'" * 50_001,
        "k:" + "\n  - a" * 50_000,
    ):
        parse(note(f"id: a\n{line}"), "p", "p")
    assert time.perf_counter() - began < 5


# The two readers.

LINE = st.one_of(
    st.text("abz09 :#-_.,/[]{}'\"\\|>&*!%@`~?=+()<\t\r\x85\u2028\ufeff\xa0é🎉", max_size=12),
    st.sampled_from(
        ["null", "~", "- a", "  - b", "    - c", "[a, b]", "'x'", '"y"', "a # c", "#c", "12:30", "[[a]]"]
    ),
)
KEY = st.sampled_from(["id", "status", "title", "a", "b-c", "k_1", "é", "a b", "'q'", "- x", "  id", "#"])
HEADERS = st.lists(
    st.one_of(
        st.builds("{}: {}".format, KEY, LINE),
        st.builds("{}:{}".format, KEY, LINE),
        st.builds("{}:".format, KEY),
        LINE,
    ),
    max_size=6,
).map(lambda lines: "".join(f"{line}\n" for line in lines))


@settings(max_examples=1500, deadline=None)
@given(HEADERS)
@example("a: b\n  - c\n")
@example("a:\n- b\n  - c\n")
@example("a:\n# x\n- b\n")
@example("a: [b, 'c d', \"e\"] # f\n")
@example("a: b:c d#e\n")
@example("a:\n- b:c # d\n")
@example("a: null\nb: 'null'\nc: [null, '']\n")
@example("a: b\r\nc:\r\n  - d\r\n")
def test_both_readers_agree(header):
    """Wherever the quick reader gives an answer, PyYAML gives the same."""
    fields = frontmatter.quick(header)
    if fields is not None:
        assert fields == {entry.key: entry.value for entry in yaml_entries.entries(header)}


@pytest.mark.parametrize(
    "header",
    [
        "id: a\ntitle: Some words\nstatus: ready\n",
        "id: task-1 # mine\n\n# comment\ndepends_on: [a, b c]\nlabels:\n  - x\n  - 'y z' # w\n",
        "id: a\ncreated: 2026-01-02T10:00:00Z\n",
        "id: a\r\nlabels:\r\n- x\r\nempty:\r\nurl: https://example.org/x?y\r\n",
        "title: Größe 🎉 (neu), 100%\n",
    ],
)
def test_usual_front_matter_is_read_quickly(header):
    """The quick reader takes what people usually write: otherwise a look at many tasks is slow."""
    assert frontmatter.quick(header) is not None


@settings(max_examples=300, deadline=None)
@given(HEADERS)
def test_the_full_reader_agrees_with_pyyaml(header):
    """The full reader accepts no text that PyYAML rejects, and gives its keys and plain texts."""
    try:
        found = yaml_entries.entries(header)
    except FrontMatterError:
        return
    node = yaml.compose(header, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    wanted = {key.value: value for key, value in pairs if isinstance(key, yaml.ScalarNode)}
    assert [entry.key for entry in found] == list(wanted)
    for entry in found:
        value = wanted[entry.key]
        if isinstance(entry.value, str):
            assert entry.value == value.value
        elif entry.value is None:
            assert value.value in frontmatter.NULLS
        else:
            assert isinstance(value, yaml.CollectionNode)


# Changing values.

FULL = (
    "# mine\r\n"
    "id:   a   # the id\r\n"
    "title: 'It''s'\r\n"
    'status: "ready"  # soon\r\n'
    "labels: [x,  y]\r\n"
    "depends_on:\r\n"
    "    - b\r\n"
    "    - c\r\n"
    "\r\n"
    "empty: # nothing\r\n"
    "own: {x: [1, 2]}\r\n"
)


def changed(header, changes, **kwargs):
    before = note(header.replace("\r\n", "\n").rstrip("\n"), eol="\r\n")
    return edit(before, changes, **kwargs).decode()


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        ({"status": "in_progress"}, 'status: "ready"  #', 'status: "in_progress"  #'),
        ({"title": "Isn't: # it"}, "'It''s'", "'Isn''t: # it'"),
        ({"title": "tab\tline\nend"}, "'It''s'", '"tab\\x09line\\x0aend"'),
        ({"labels": "x, z, p q"}, "[x,  y]", "[x, z, p q]"),
        ({"labels": ""}, "[x,  y]", "[]"),
        ({"depends_on": "d"}, "    - b\r\n    - c\r\n", "    - d\r\n"),
        ({"depends_on": "on:, #1"}, "    - b\r\n    - c\r\n", '    - "on:"\r\n    - "#1"\r\n'),
        ({"depends_on": ""}, "depends_on:\r\n    - b\r\n    - c\r\n", "depends_on: []\r\n"),
        ({"empty": "full"}, "empty: #", "empty: full #"),
        ({"project": "p: q"}, "[1, 2]}\r\n", '[1, 2]}\r\nproject: "p: q"\r\n'),
        ({"agent": "007"}, "[1, 2]}\r\n", "[1, 2]}\r\nagent: 007\r\n"),
    ],
)
def test_only_the_value_changes(changes, old, new):
    """One value changes in its own quoting; comments, spacing, order and line endings stay."""
    before = note(FULL.replace("\r\n", "\n").rstrip("\n"), eol="\r\n").decode()
    assert before.count(old) == 1
    assert changed(FULL, changes) == before.replace(old, new)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "ready"},
        {"title": "It's"},
        {"labels": "x, y"},
        {"depends_on": "b,c"},
        {"depends_on": "[[b]], [[c|see c]]"},
        {"empty": ""},
        {"id": "a", "status": "ready"},
        {},
    ],
)
def test_the_present_value_changes_nothing(changes):
    """Writing what is there already gives the very same bytes."""
    before = note(FULL.replace("\r\n", "\n").rstrip("\n"), eol="\r\n")
    assert edit(before, changes) == before


@pytest.mark.parametrize(
    ("header", "changes", "words"),
    [
        ("id: a\nown: {x: 1}", {"own": "b"}, "nested structure"),
        ("id: a\nown: [b]", {"own": "b"}, "holds a list"),
        ("id: a\nown: |\n  b", {"own": "c"}, "block of text"),
        ("id: a\nown: &x b\nother: *x", {"own": "c"}, "anchor"),
        ("id: &x a\nown: *x", {"own": "c"}, "alias"),
        ("id: a\ndepends_on:\n  - b # why\n  - c", {"depends_on": "c"}, "comments"),
        ("id: a\ndepends_on: # why\n  - b\n", {"depends_on": "c"}, "comments"),
        ("{id: a}", {"status": "ready"}, "cannot be changed"),
        ("id: a", {"a b": "c"}, "not a key"),
        ("id: a", {"status": "on-hold"}, "unknown status"),
        ("id: a", {"title": "\ud800"}, "not Unicode"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(header, changes, words):
    """A change that would touch anything else, or make the task unusable, is refused with its reason."""
    with pytest.raises(TaskFileError, match=words) as refused:
        edit(note(header), changes, "here.md")
    assert refused.value.remedy


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\ud800"), max_size=20) | st.sampled_from(
    [
        "null",
        "~",
        "on",
        "a: b",
        "a #b",
        "- a",
        "[a",
        "'",
        '"',
        "\\",
        "|",
        "...",
        "---",
        "\u2028",
        "\ufeff",
        " a ",
    ]
)
STYLES = st.sampled_from(["{}", "'{}'", '"{}"'])
COMMENTS = st.sampled_from(["", " # c: 'd", "   # é"])


@st.composite
def documents(draw):
    """A file with several keys in several styles, and the name of each key."""
    keys = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1, max_size=5))
    lines = []
    for key in keys:
        value = draw(st.sampled_from(["x", "x y", "x,y", "12:30", "http://e/f", "é🎉"]))
        lines.append(f"{key}: {draw(STYLES).format(value)}{draw(COMMENTS)}")
        lines += draw(st.sampled_from([[], ["# between"], [""], ["list" + key + ":", "  - q", "  - r"]]))
    eol = draw(st.sampled_from(["\n", "\r\n"]))
    start = draw(st.sampled_from(["---", "\ufeff---", "---  "]))
    end = draw(st.sampled_from(["---", "..."]))
    body = draw(st.sampled_from(["", eol, f"{eol}Text: x{eol}---{eol}a: b{eol}", f"{eol}no newline"]))
    return eol.join([start, *lines, end]).encode() + body.encode(), keys


def values(raw):
    found = frontmatter.split(raw)
    return frontmatter.load(found.header)


@settings(max_examples=300, deadline=None)
@given(documents(), WORDS, st.data())
def test_an_edit_changes_one_value_and_nothing_else(document, word, data):
    """Whatever is written reads back; all else stays, byte for byte; a second time changes nothing."""
    raw, keys = document
    key = data.draw(st.sampled_from([*keys, "new"]))
    before, after = values(raw), edit_values(raw, {key: word})
    assert values(after) == {
        **before,
        key: before[key] if before.get(key, word) == word and key in before else word,
    }
    assert edit_values(after, {key: word}) == after
    if before.get(key) == word:
        assert after == raw
    lines, kept = raw.splitlines(keepends=True), after.splitlines(keepends=True)
    assert len(kept) == len(lines) + (key == "new")
    differing = [number for number, line in enumerate(kept) if number >= len(lines) or line != lines[number]]
    if key != "new":
        assert len(differing) <= 1
    else:
        added = next(number for number, line in enumerate(kept) if line.startswith(b"new: "))
        assert kept[:added] + kept[added + 1 :] == lines


@settings(max_examples=100, deadline=None)
@given(documents(), st.sampled_from(["7", "on", "word"]), st.data())
def test_editing_back_restores_the_file(document, word, data):
    """The old value, written again, gives the old bytes wherever the new one kept the quoting style."""
    raw, keys = document
    key = data.draw(st.sampled_from(keys))
    assert edit_values(edit_values(raw, {key: word}), {key: values(raw)[key]}) == raw


def test_the_modification_date_keeps_its_form():
    """A `modified` that is there is brought up to date, as a date or an instant; a missing one is not added."""
    assert b"modified: 2026-03-01 # c" in stamped(note("id: a\nmodified: 2025-01-01 # c"), 1772323200)
    assert b"modified: '2026-03-01T00:00:00Z'" in stamped(
        note("id: a\nmodified: '2025-01-01 10:00'"), 1772323200
    )
    assert stamped(note("id: a"), 1772323200) == note("id: a")


# New files.

NAMES = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12
).filter(lambda name: not name.startswith("[[") and name not in ("", ",") and name.strip() == name)
TASKS = st.builds(
    Task,
    id=NAMES,
    title=NAMES,
    body=st.sampled_from(["", "Text\n", "---\nid: x\n", "    code\n\nmore"]),
    status=st.sampled_from(list(Status)),
    type=st.sampled_from(["task", "bug", "epic"]),
    priority=st.integers(0, 4),
    order=st.sampled_from([0.0, 3.0, -1.5]),
    project=NAMES | st.just(""),
    assignee=NAMES | st.just(""),
    depends_on=st.lists(NAMES, unique=True, max_size=3).map(tuple),
    labels=st.lists(NAMES, unique=True, max_size=3).map(tuple),
    agent=NAMES | st.just(""),
    created=st.sampled_from(["", "2026-01-02"]),
)


@settings(max_examples=150, deadline=None)
@given(TASKS)
def test_a_new_file_reads_back_as_its_task(task):
    """A task that was written to a new file is the task that is read from it."""
    read = parse(new_task_file(task), "new.md", "other")
    assert isinstance(read, Task)
    assert read.body.strip("\n") == task.body.strip("\n")
    for name in (
        "id",
        "title",
        "status",
        "type",
        "priority",
        "order",
        "project",
        "depends_on",
        "labels",
        "agent",
    ):
        assert getattr(read, name) == getattr(task, name), name


def test_a_new_file_looks_as_a_person_would_write_it():
    """Defaults are left out, and nothing is quoted without need."""
    task = Task(
        id="007", title="Fix it (now)!", status=Status.READY, depends_on=("a", "b"), order=3.0, body="Text"
    )
    assert new_task_file(task) == (
        b"---\nid: 007\ntitle: Fix it (now)!\nstatus: ready\norder: 3\ndepends_on: [a, b]\n---\n\nText\n"
    )


@pytest.mark.parametrize(
    ("words", "name"),
    [("Fix it (now)!", "fix-it-now"), ("Größe/Übung", "groe-ubung"), ("🎉", ""), ("a" * 99, "a" * 60)],
)
def test_a_slug_is_a_plain_file_name(words, name):
    """Any words become letters, digits and dashes."""
    assert slug(words) == name


def test_nested_values_are_told_apart_from_texts():
    """A nested structure is never read as text."""
    assert frontmatter.load("a: {b: c}\nd: [e, {f: g}]\n") == {"a": Shape.NESTED, "d": Shape.NESTED}
