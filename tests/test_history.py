"""`explain BASE..HEAD` and `replay` on real repositories, and how trees are read."""

import json
import shutil
import time
from itertools import pairwise

import pytest

from refinery.core.additive import Tier
from refinery.core.reasons import Code
from refinery.core.verdict import Policy, tree_reasons
from refinery.errors import GitError, UsageError
from refinery.git import Git
from refinery.history import explain_range, open_repository, render_range, render_replay, replay
from refinery.trees import compare, compare_many, merge_bases
from tests.support.repos import bare, checkout, commit, git


@pytest.fixture
def repo(tmp_path):
    return bare(tmp_path / "r.git", {"a.py": "1\n2\n3\n", "d/b.py": "x\n"})


def raw_commit(repo, entries, *parents):
    """A commit whose tree is exactly `entries` [(mode, kind, object, path bytes)], whatever git thinks of it."""
    tree = git(
        repo, "mktree", "-z", "--missing", stdin=b"".join(b"%s %s %s\t%s\0" % entry for entry in entries)
    )
    flags = [part for parent in parents for part in ("-p", parent)]
    return git(repo, "commit-tree", tree, *flags, "-m", "raw")


def blob(repo, content):
    return git(repo, "hash-object", "-w", "--stdin", stdin=content).encode()


def branch(repo, name):
    git(repo, "branch", "--quiet", name, "main")


def test_the_report_names_tier_and_full_commits(repo):
    """A range gives its two full SHAs, the least tier, and no reason where nothing stands against it."""
    branch(repo, "work")
    base, head = git(repo, "rev-parse", "main"), commit(repo, {"c.py": "new\n"}, branch="work")
    report = explain_range(repo, "main..work")
    assert report.to_json() == {"base": base, "head": head, "tier": "new-files", "reasons": []}
    commit(repo, {"a.py": "1\n2\n2.5\n3\n"}, branch="work")
    report = explain_range(repo, "main..work")
    assert (report.tier, report.reasons, report.files, report.added_lines) == (Tier.ADDITIONS, (), 2, 2)
    assert "nothing against it" in render_range(report)


def test_what_the_base_gained_since_is_not_held_against_the_head(repo):
    """The proof runs from the merge base: a file that only the base gained was not removed by the head."""
    branch(repo, "work")
    commit(repo, {"c.py": "new\n"}, branch="work")
    commit(repo, {"later.py": "later\n", "a.py": "1\n2\n3\n4\n"})
    for spec in ("main..work", "main...work"):
        assert explain_range(repo, spec).tier is Tier.NEW_FILES


def test_reasons_come_with_facts_and_cure(repo):
    """Each reason of the JSON has its code, facts and cure, and the text says the same to people."""
    branch(repo, "work")
    commit(repo, {"a.py": "1\nX\n3\n", "d/b.py": None, "conftest.py": "\n"}, branch="work")
    report = explain_range(repo, "main..work")
    reasons = json.loads(json.dumps(report.to_json()))["reasons"]
    assert {each["code"] for each in reasons} == {"lines-removed", "removed", "protected-path"}
    assert all(each["facts"]["path"] and each["cure"] for each in reasons)
    text = render_range(report)
    assert "line 2 of a.py" in text
    assert "conftest.py is protected by conftest.py" in text


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("main", "not a range"),
        ("..", "not a range"),
        ("", "not a range"),
        ("main..nowhere", "nowhere is not a commit"),
        ("nowhere..main", "nowhere is not a commit"),
        ("main..--help", "--help is not a commit"),
        ("main..main:a.py", "main:a.py is not a commit"),
    ],
)
def test_a_bad_range_is_a_usage_error(repo, spec, words):
    """A range that cannot be read names the part that is wrong, and a remedy."""
    with pytest.raises(UsageError, match=words) as caught:
        explain_range(repo, spec)
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_an_open_end_is_head(repo):
    """`BASE..` ends at HEAD, as in git."""
    assert explain_range(repo, "main..").head == git(repo, "rev-parse", "HEAD")


def test_no_repository_and_no_commit_are_usage_errors(tmp_path):
    """A folder that is no repository, one that is not there, and an unborn HEAD each say so."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    cases = {"plain": "not in a git repository", "missing": "not a folder", "empty": "no commit yet"}
    for name, words in cases.items():
        for call in (lambda where: explain_range(where, "HEAD..HEAD"), lambda where: replay(where, "1d")):
            with pytest.raises(UsageError, match=words) as caught:
                call(tmp_path / name)
            assert caught.value.remedy


def test_repositories_are_found_from_everywhere(tmp_path):
    """A checkout, a folder inside it, a linked worktree and a bare repository all lead to their commits."""
    where = checkout(tmp_path / "c", {"d/a.py": "1\n"})
    git(where, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    git(tmp_path, "clone", "--quiet", "--bare", str(where), "b.git")
    head = git(where, "rev-parse", "HEAD")
    for path in (where, where / "d", where / ".git", tmp_path / "linked", tmp_path / "b.git"):
        assert explain_range(path, "HEAD..HEAD").head == head
    assert explain_range(tmp_path / "linked", "HEAD..linked").tier is Tier.NEW_FILES


def test_a_shallow_clone_says_what_it_cannot_know(tmp_path, repo):
    """Where a shallow clone lacks the common commit, the remedy is to fetch it; replay notes where it stopped."""
    branch(repo, "work")
    commit(repo, {"c.py": "\n"}, branch="work")
    commit(repo, {"d.py": "\n"})
    commit(repo, {"e.py": "\n"})
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-single-branch", repo.as_uri(), "one")
    with pytest.raises(UsageError, match="shallow clone") as caught:
        explain_range(tmp_path / "one", "origin/main..origin/work")
    assert "--unshallow" in caught.value.remedy
    git(tmp_path, "clone", "--quiet", "--depth=2", repo.as_uri(), "two")
    report = replay(tmp_path / "two", "1d")
    assert (len(report.rows), len(report.notes)) == (1, 1)
    assert "shallow clone" in render_replay(report)


def test_unrelated_and_criss_crossed_histories_are_refused(repo):
    """Without exactly one merge base there is nothing to prove additions against."""
    other = raw_commit(repo, [(b"100644", b"blob", blob(repo, b"z\n"), b"z")])
    git(repo, "branch", "alone", other)
    assert [each.code for each in explain_range(repo, "main..alone").reasons] == [Code.NO_MERGE_BASE]
    branch(repo, "one")
    branch(repo, "two")
    one, two = commit(repo, {"one": "1\n"}, branch="one"), commit(repo, {"two": "2\n"}, branch="two")
    tree = git(repo, "merge-tree", "--write-tree", "one", "two")
    for name, parents in {"left": (one, two), "right": (two, one)}.items():
        merged = git(repo, "commit-tree", tree, "-p", parents[0], "-p", parents[1], "-m", name)
        git(repo, "branch", name, merged)
    assert set(merge_bases(Git(repo), "left", "right")) == {one, two}
    report = explain_range(repo, "left..right")
    assert [(each.code, each.facts) for each in report.reasons] == [(Code.SEVERAL_MERGE_BASES, {"count": 2})]
    assert report.tier is Tier.ANY
    with pytest.raises(GitError):
        merge_bases(Git(repo), "left", "f" * 40)


def test_f33_a_submodule_that_asks_to_be_ignored_is_seen(repo):
    """F33: `ignore = all` in .gitmodules or the configuration hides a submodule from a plain diff-tree, not from us."""
    where = repo.parent / "checkout"
    git(repo.parent, "clone", "--quiet", str(repo), str(where))
    base = git(where, "rev-parse", "HEAD")
    (where / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = x\n\tignore = all\n')
    git(where, "config", "submodule.s.ignore", "all")
    git(where, "add", ".gitmodules")
    git(where, "update-index", "--add", "--cacheinfo", f"160000,{base},s")
    git(where, "commit", "--quiet", "--message", "sub")
    assert "160000" not in git(where, "diff-tree", "-r", "--raw", base, "HEAD")
    for found in (compare(Git(where / ".git"), base, "HEAD"), next(steps(where, base, "HEAD"))):
        assert (Code.SUBMODULE, "s") in {(each.code, each.facts["path"]) for each in found.reasons}


def steps(where, base, head):
    git_dir = where / ".git" if (where / ".git").exists() else where
    return compare_many(
        Git(git_dir), [(base, git(where, "rev-parse", head), git(where, "rev-parse", f"{head}^{{tree}}"))]
    )


def test_attributes_and_configuration_have_no_say(tmp_path):
    """Text conversion, external diffs, attributes and rename settings of a repository change and run nothing."""
    where = checkout(tmp_path / "c", {"a.py": "1\n2\n", "old.py": "same\n" * 20})
    for key, value in {
        "diff.external": "touch ran-external",
        "diff.x.command": "touch ran-command",
        "diff.x.textconv": "touch ran-textconv",
        "filter.x.smudge": "touch ran-smudge",
        "filter.x.clean": "touch ran-clean",
        "diff.renames": "copies",
        "diff.noprefix": "true",
        "core.quotePath": "true",
        "log.showSignature": "true",
        "gpg.program": "touch ran-gpg",
        "core.fsmonitor": "touch ran-fsmonitor",
    }.items():
        git(where, "config", key, value)
    (where / ".git/info/attributes").write_text("* diff=x filter=x -text\n")
    (where / "old.py").rename(where / "new.py")
    (where / "a.py").write_text("1\n2\n3\n")
    found = git(where, "-c", "filter.x.clean=cat", "add", "--all")
    git(where, "-c", "core.fsmonitor=false", "commit", "--quiet", "--message", "rename")
    for ran in where.rglob("ran-*"):
        ran.unlink()
    report = explain_range(where, "HEAD~1..HEAD")
    assert found == ""
    assert [(each.code, each.facts["path"]) for each in report.reasons] == [(Code.REMOVED, "old.py")]
    assert replay(where, "1d").rows[0].reasons == report.reasons
    assert not list(tmp_path.rglob("ran-*"))


def test_f33_a_base_rename_carries_an_added_line_into_a_workflow(repo):
    """F33: only the second proof, current base → predicted tree, sees where an added line ends up."""
    commit(repo, {"ci/build.yml": "".join(f"step: {n}\n" for n in range(30))})
    branch(repo, "work")
    text = git(repo, "show", "main:ci/build.yml") + "\n"
    commit(repo, {"ci/build.yml": text + "run: evil\n"}, branch="work")
    commit(repo, {"ci/build.yml": None, ".github/workflows/build.yml": text})
    tree = Git(repo).text("merge-tree", "--write-tree", "main", "work").splitlines()[0]
    first, second = compare(Git(repo), "main~1", "work"), compare(Git(repo), "main", tree)
    assert tree_reasons([first], Policy()) == ()
    assert second.paths == (".github/workflows/build.yml",)
    assert [each.code for each in tree_reasons([first, second], Policy())] == [Code.PROTECTED]


def test_a_collision_may_exist_in_the_result_alone(repo):
    """Two names that collide, one from each side, show in the predicted tree and in neither side's change."""
    branch(repo, "work")
    commit(repo, {"docs/Readme": "1\n"}, branch="work")
    commit(repo, {"Docs/other": "1\n"})
    tree = Git(repo).text("merge-tree", "--write-tree", "main", "work").splitlines()[0]
    assert compare(Git(repo), "main~1", "work").reasons == ()
    (found,) = compare(Git(repo), "main", tree).reasons
    assert (found.code, found.facts) == (Code.COLLISION, {"path": "docs/Readme", "other": "Docs"})


def test_any_byte_may_stand_in_a_path(repo):
    """Paths with newlines, tabs, colons, quotes and bytes that are no UTF-8 are read as they are."""
    names = [b":x", b"a\nb", b"a\tb", b'"q"', b"\xff\xfe", b"  ", b"-x", b"\\"]
    content = blob(repo, b"1\n")
    start = raw_commit(repo, [(b"100644", b"blob", content, b"keep")])
    entries = [(b"100644", b"blob", content, name) for name in [b"keep", *names]]
    end = raw_commit(repo, entries, start)
    found = compare(Git(repo), start, end)
    assert {path.encode("utf-8", "surrogateescape") for path in found.paths} == set(names)
    assert found.added_lines == len(names)
    assert {each.facts["path"] for each in found.reasons if each.code is Code.ODD_PATH} == set(found.paths)
    git(repo, "branch", "odd", end)
    json.dumps(explain_range(repo, f"{start}..{end}").to_json(), ensure_ascii=False).encode()


def test_what_cannot_be_read_whole_is_refused(repo):
    """A file over the limit and one whose object is missing are unreadable, and unread growth is not proven."""
    small, big = blob(repo, b"1\n"), blob(repo, b"1\n" * 600)
    start = raw_commit(repo, [(b"100644", b"blob", small, b"a")])
    grown = raw_commit(repo, [(b"100644", b"blob", big, b"a"), (b"100644", b"blob", big, b"b")], start)
    found = compare(Git(repo), start, grown, max_blob=1000)
    assert found.tier is Tier.ANY
    assert [(each.code, each.facts["path"]) for each in found.reasons] == [
        (Code.UNREADABLE, "a"),
        (Code.UNREADABLE, "b"),
    ]
    assert compare(Git(repo), start, grown).tier is Tier.ADDITIONS
    lost = raw_commit(repo, [(b"100644", b"blob", small, b"a"), (b"100644", b"blob", b"1" * 40, b"b")], start)
    assert [each.code for each in compare(Git(repo), start, lost).reasons] == [Code.UNREADABLE]
    with pytest.raises(GitError):
        compare(Git(repo), start, "2" * 40)


def test_a_comparison_has_a_budget_of_bytes(repo, monkeypatch):
    """When all contents together are too much to read, the largest stay unread and the rest is judged."""
    monkeypatch.setattr("refinery.trees.MAX_TOTAL", 2000)
    start = raw_commit(repo, [])
    contents = {b"a": b"1\n" * 300, b"b": b"2\n" * 400, b"c": b"3\n" * 500}
    entries = [(b"100644", b"blob", blob(repo, content), name) for name, content in contents.items()]
    found = compare(Git(repo), start, raw_commit(repo, entries, start))
    assert [(each.code, each.facts["path"]) for each in found.reasons] == [(Code.UNREADABLE, "c")]


def test_small_batches_give_the_same_answers(repo, monkeypatch):
    """Judging a long history in many small batches is the same as in one."""
    for number in range(12):
        commit(repo, {f"f{number}.py": f"{number}\n" * number, "a.py": "1\n2\n3\n" + "x\n" * number})
    whole = replay(repo, "1d")
    monkeypatch.setattr("refinery.trees._HELD", 100)
    heard = []
    pieces = replay(repo, "1d", progress=lambda done, total: heard.append((done, total)))
    assert pieces.rows == whole.rows
    assert len(heard) > 3
    assert heard[-1] == (12, 12)


def test_replay_judges_landed_changes(repo):
    """Merges count against their first parent and squashes against their parent; the root landed on nothing."""
    branch(repo, "work")
    commit(repo, {"b.py": "1\n"}, branch="work")
    commit(repo, {"b.py": "2\n"}, branch="work")
    grown = commit(repo, {"a.py": "1\n2\n3\n4\n"}, "grow it")
    tree = git(repo, "merge-tree", "--write-tree", "main", "work")
    merged = git(repo, "commit-tree", tree, "-p", "main", "-p", "work", "-m", "merge it")
    git(repo, "update-ref", "refs/heads/main", merged)
    removed = commit(repo, {"a.py": None, "Makefile": "all:\n"}, "drop it")
    report = replay(repo, "180d")
    assert [(row.head, str(row.tier)) for row in report.rows] == [
        (removed, "any"),
        (merged, "new-files"),
        (grown, "additions"),
    ]
    shown = json.loads(json.dumps(report.to_json()))
    assert shown["changes"] == 3
    assert shown["tiers"] == {"new-files": 1, "additions": 1, "any": 1}
    assert shown["reasons"] == {"protected-path": 1, "removed": 1}
    assert shown["would_merge"] == {"new-files": 1, "additions": 2, "any": 2}
    assert set(shown["rows"][0]) == {"base", "head", "tier", "reasons"}
    assert shown["rows"][1]["base"] == grown


def test_replay_text_shows_what_each_tier_would_have_merged(repo):
    """The table has a line for each tier with its share, and one for each reason."""
    commit(repo, {"b.py": "1\n"})
    commit(repo, {"a.py": None})
    text = render_replay(replay(repo, "180d"))
    assert "2 changes landed" in text
    assert "tier: additions  1                  50%" in text
    assert "removed" in text
    assert "0 changes" in render_replay(replay(repo, "1d", now=time.time() + 90 * 86400))


def test_replay_looks_back_as_far_as_asked(repo):
    """Only what landed within the time counts, even behind a commit whose clock was wrong."""
    now = time.time()
    for age, name in [(40, "old"), (10, "new"), (400, "skewed"), (5, "newest")]:
        stamp = f"{int(now - age * 86400)} +0000"
        tree = git(repo, "rev-parse", "main^{tree}")
        new = git(
            repo,
            "commit-tree",
            tree,
            "-p",
            "main",
            "-m",
            name,
            env={"GIT_COMMITTER_DATE": stamp, "GIT_AUTHOR_DATE": stamp},
        )
        git(repo, "update-ref", "refs/heads/main", new)
    assert [row.subject for row in replay(repo, "30d").rows] == ["newest", "new"]
    assert len(replay(repo, "20000d").rows) == 4


@pytest.mark.parametrize("since", ["", "180", "soon", "-3d"])
def test_replay_refuses_what_is_no_duration(repo, since):
    """A duration that cannot be read is a usage error with an example."""
    with pytest.raises(UsageError, match="duration") as caught:
        replay(repo, since)
    assert "180d" in caught.value.remedy


def test_replay_is_fast_in_processes(repo):
    """A history of any length takes a handful of git processes, counted by git's own trace."""
    for number in range(8):
        commit(repo, {f"f{number}": "1\n"})
    trace = repo.parent / "trace"
    heads = git(repo, "rev-list", "--reverse", "main").split()
    pairs = [(old, new, git(repo, "rev-parse", f"{new}^{{tree}}")) for old, new in pairwise(heads)]
    traced = Git(repo, env={"GIT_TRACE2_EVENT": str(trace)})
    assert len(list(compare_many(traced, pairs))) == 8
    assert trace.read_text().count('"event":"version"') == 3
    trace.unlink()
    assert compare(traced, heads[0], heads[-1]).files == 8
    assert trace.read_text().count('"event":"version"') == 3


def test_nothing_is_written(tmp_path, repo):
    """Explaining and replaying leave every byte of the repository as it was."""
    commit(repo, {"b.py": "1\n"})
    shutil.copytree(repo, tmp_path / "before")
    explain_range(repo, "main~1..main")
    replay(repo, "1d")
    names = {path.relative_to(repo): path.stat().st_size for path in repo.rglob("*") if path.is_file()}
    before = tmp_path / "before"
    assert names == {
        path.relative_to(before): path.stat().st_size for path in before.rglob("*") if path.is_file()
    }


def test_a_sha256_repository_works_alike(tmp_path):
    """Object names of 64 digits are read like those of 40, in diffs and in raw trees."""
    where = tmp_path / "r.git"
    where.mkdir()
    git(where, "init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main")
    start, end = (
        raw_commit(where, [(b"100644", b"blob", blob(where, b"1\n"), name) for name in names])
        for names in ([b"a"], [b"A", b"a"])
    )
    (found,) = compare(open_repository(where), start, end).reasons
    assert (found.code, found.facts) == (Code.COLLISION, {"path": "A", "other": "a"})
