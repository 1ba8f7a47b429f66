"""The classifier on generated histories in real git, against a checker that shares no code with it.

The checker reads both trees whole, compares them as dictionaries, measures lines by the textbook's table for the
longest common subsequence, and looks for collisions among all pairs of names.
"""

import io
import subprocess
import unicodedata

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from refinery.core.additive import Tier
from refinery.git import Git
from refinery.trees import compare, compare_many
from tests.support.repos import ENV, git

FILE, EXEC, LINK, SUB = "100644", "100755", "120000", "160000"
NAMES = ["a", "A", "b.txt", "B.TXT", "é", "e\u0301", "straße", "STRASSE", "x y", 'q"', "new\nline"]
FOLDERS = ["", "d/", "D/", "d/e/", "é/", "e\u0301/", "moved/"]
CONTENTS = [
    b"",
    b"1\n",
    b"1\n2\n3\n",
    b"1\n2\n3",
    b"a\r\nb\r\n",
    b"x\0y\n",
    b"}\n\n}\n",
    b"one\ntwo\none\ntwo\n",
]
LINES = [b"1\n", b"2\n", b"\n", b"}\n", b"n\r\n", b"end"]
KINDS = st.integers(0, 13) | st.integers(
    0, 2
)  # growth more often than the rest, or few histories are additive
STEP = st.tuples(KINDS, st.integers(0, 999), st.integers(0, 999))


def apply(tree, step):
    """`tree` ({path: (mode, content)}) after one edit; the numbers choose which, where and what."""
    kind, where, what = step
    tree = dict(tree)
    paths = sorted(tree)
    path = paths[where % len(paths)] if paths else "a"
    mode, content = tree.get(path, (FILE, b""))
    fresh = FOLDERS[what % len(FOLDERS)] + NAMES[where % len(NAMES)]
    lines = io.BytesIO(content).readlines()
    at = what % (len(lines) + 1)
    edits = {
        0: {fresh: (FILE, CONTENTS[what % len(CONTENTS)])},
        1: {path: (mode, b"".join([*lines[:at], LINES[where % 5], *lines[at:]]))},
        2: {path: (mode, content + LINES[what % len(LINES)])},
        3: {path: (mode, b"".join(lines[:at] + lines[at + 1 :]))},
        4: {path: None, fresh: (mode, content)},
        5: {path: (EXEC if mode == FILE else FILE, content)},
        6: {fresh: (LINK, b"a")},
        7: {fresh: (SUB, f"{what:040x}".encode())},
        8: {
            path: (
                mode,
                content.replace(b"\r\n", b"\n") if b"\r" in content else content.replace(b"\n", b"\r\n"),
            )
        },
        9: {path: (mode, content.removesuffix(b"\n"))},
        10: {path: (mode, b"".join(lines[at:] + lines[:at]))},
        11: {path: None},
        12: {fresh: (EXEC, b"#!\n")},
        13: moved_folder(tree, path),
    }
    for name, value in edits[kind].items():
        if value is None or (kind in (1, 2, 3, 8, 9, 10) and mode not in (FILE, EXEC)):
            tree.pop(name, None)
            continue
        clash = [old for old in tree if old.startswith(name + "/") or name.startswith(old + "/")]
        tree = {old: kept for old, kept in tree.items() if old not in clash}
        tree[name] = value
    return tree


def moved_folder(tree, path):
    folder, found, _ = path.rpartition("/")
    if not found:
        return {}
    inside = {old: value for old, value in tree.items() if old.startswith(folder + "/")}
    return dict.fromkeys(inside) | {
        "moved" + old.removeprefix(folder): value for old, value in inside.items()
    }


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    where = tmp_path_factory.mktemp("brute") / "r.git"
    where.mkdir()
    git(where, "init", "--quiet", "--bare")
    return where


@pytest.fixture(scope="module")
def blob(repo):
    """Read a blob through one plain `cat-file --batch` that stays open."""
    process = subprocess.Popen(
        ["git", "cat-file", "--batch"], cwd=repo, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENV
    )

    def read(sha):
        process.stdin.write(f"{sha}\n".encode())
        process.stdin.flush()
        size = int(process.stdout.readline().split()[2])
        return process.stdout.read(size + 1)[:-1]

    yield read
    process.stdin.close()
    process.stdout.close()
    process.wait()


def write(repo, trees, ref, start=None):
    """Commit `trees` one after another on `ref`; returns the commits."""
    stream = [b"feature done\n"]
    for number, tree in enumerate(trees, 1):
        stream.append(
            b"commit %s\nmark :%d\ncommitter A <a> 1700000000 +0000\ndata 0\n" % (ref.encode(), number)
        )
        stream.append(f"from {start}\n".encode() if start and number == 1 else b"")
        stream.append(b"deleteall\n")
        for path, (mode, content) in tree.items():
            name = b'"' + b"".join(b"\\%03o" % byte for byte in path.encode()) + b'"'
            if mode == SUB:
                stream.append(b"M 160000 %s %s\n" % (content, name))
            else:
                stream.append(b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), name, len(content), content))
        stream.append(b"get-mark :%d\n" % number)
    out = git(repo, "fast-import", "--quiet", "--force", "--done", stdin=b"".join([*stream, b"done\n"]))
    return out.split()


def whole(repo, blob, name):
    """{path: (mode, content)} of a commit or tree, by plain `ls-tree`."""
    out = git(repo, "ls-tree", "-r", "-z", name)
    found = {}
    for record in out.split("\0")[:-1]:
        head, path = record.split("\t", 1)
        mode, kind, sha = head.split()
        found[path] = (mode, blob(sha) if kind == "blob" else sha.encode())
    return found


def common(old, new):
    table = [[0] * (len(new) + 1)]
    for one in old:
        row = [0]
        for j, other in enumerate(new):
            row.append(max(row[-1], table[-1][j + 1], table[-1][j] + (one == other)))
        table.append(row)
    return table[-1][-1]


def grew(old, new):
    before, after = io.BytesIO(old).readlines(), io.BytesIO(new).readlines()
    return 0 not in old + new and common(before, after) == len(before)


def expected_tier(old, new):
    kept = all(new.get(path) == value for path, value in old.items())
    if kept:
        return Tier.NEW_FILES
    for path, (mode, content) in old.items():
        other = new.get(path)
        if other == (mode, content):
            continue
        if other is None or other[0] != mode or mode not in (FILE, EXEC) or not grew(content, other[1]):
            return Tier.ANY
    return Tier.ADDITIONS


def expected_faults(old, new):
    """(code, path) of every fault that an added path has, and of every removed one."""
    faults = {("removed", path) for path in old if path not in new}
    modes = {LINK: "symlink", SUB: "submodule", EXEC: "executable"}
    added = [path for path in new if path not in old]
    faults |= {(modes[new[path][0]], path) for path in added if new[path][0] in modes}
    prefixes = {"/".join(path.split("/")[:n]) for path in new for n in range(1, path.count("/") + 2)}
    folded = {
        prefix: unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", prefix).casefold())
        for prefix in prefixes
    }
    for path in added:
        mine = {prefix for prefix in prefixes if path == prefix or path.startswith(prefix + "/")}
        twin = any(
            folded[one] == folded[other] for one in mine for other in prefixes - {one} if siblings(one, other)
        )
        faults |= {("collision", path)} if twin else set()
        faults |= {("odd-path", path)} if set(path) & set('"\n') else set()
    return faults


def siblings(one, other):
    return one.rpartition("/")[0] == other.rpartition("/")[0]


ON_ADDED = {"removed", "symlink", "submodule", "executable", "collision", "odd-path"}


def agree(found, old, new):
    assert found.tier is expected_tier(old, new)
    changed = {path for path in {*old, *new} if old.get(path) != new.get(path)}
    assert set(found.paths) == changed
    told = {
        (str(each.code), str(each.facts["path"]))
        for each in found.reasons
        if each.code in ON_ADDED and (each.facts["path"] not in old or each.facts["path"] not in new)
    }
    assert told == expected_faults(old, new)
    unlike = found.tier is Tier.ANY
    assert unlike == any(str(each.facts["path"]) in old for each in found.reasons)
    event(f"tier {found.tier}")


SETTINGS = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SETTINGS
@given(st.lists(STEP, min_size=1, max_size=6), st.lists(st.lists(STEP, max_size=3), min_size=1, max_size=5))
def test_every_step_of_a_history_is_classified_as_by_brute_force(repo, blob, start, steps):
    """Each step of a generated history, and the whole of it, gets tier, paths and faults as the checker says."""
    trees = [{}]
    for edits in [start, *steps]:
        tree = trees[-1]
        for edit in edits:
            tree = apply(tree, edit)
        trees.append(tree)
    commits = write(repo, trees[1:], "refs/heads/steps")
    roots = git(repo, "rev-parse", *(f"{commit}^{{tree}}" for commit in commits)).split()
    wholes = [whole(repo, blob, commit) for commit in commits]
    assert wholes == trees[1:]
    pairs = list(zip(commits, commits[1:], roots[1:], strict=False))
    for number, found in enumerate(compare_many(Git(repo), pairs)):
        agree(found, wholes[number], wholes[number + 1])
    agree(compare(Git(repo), commits[0], commits[-1]), wholes[0], wholes[-1])


@SETTINGS
@given(*[st.lists(STEP, min_size=1, max_size=4)] * 3)
def test_both_proofs_of_a_merge_are_as_by_brute_force(repo, blob, start, theirs, ours):
    """Where base and branch went apart, merge base → head and current base → predicted tree are judged alike."""
    trees = []
    for edits in (start, theirs, ours):
        tree = dict(trees[0]) if trees else {"d/e/keep": (FILE, b"1\n2\n3\n"), "d/f": (FILE, b"f\n")}
        for edit in edits:
            tree = apply(tree, edit)
        trees.append(tree)
    (root,) = write(repo, trees[:1], "refs/heads/root")
    (base,) = write(repo, trees[1:2], "refs/heads/base", root)
    (head,) = write(repo, trees[2:], "refs/heads/head", root)
    agree(compare(Git(repo), root, head), whole(repo, blob, root), whole(repo, blob, head))
    done = Git(repo).attempt("merge-tree", "--write-tree", base, head)
    if done.code == 0:
        tree = done.out.decode().split("\n")[0]
        agree(compare(Git(repo), base, tree), whole(repo, blob, base), whole(repo, blob, tree))
    event("clean" if done.code == 0 else "conflict")
