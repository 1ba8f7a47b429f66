"""The boundary: nothing that an agent plants in its worktree runs in Refinery, and nothing of it lands.

Each plant is shown to be live first: the agent's own git, in its own worktree, trips it. Then Refinery does everything
that it does after an agent, and the canary must not be there.
"""

import os
import shutil
from pathlib import Path

import pytest
from machine import FILES, Machine, commit, git, make_machine, sh, write

from refinery.errors import TamperedError
from refinery.git import Signature
from refinery.snapshot import Snapshot, Stamp, commit_snapshot, snapshot
from refinery.worktree import Worktree

BASE = {name: f"100644 {text.rstrip()}" for name, text in FILES.items()}
WHO = Signature("Agent", "agent@localhost", 1_700_000_000)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


@pytest.fixture
def canary(machine: Machine) -> Path:
    """The file whose existence shows that the agent's code ran, and beside it the program that makes it."""
    program = machine.root / "evil"
    program.write_text(f"#!/bin/sh\ntouch {machine.root / 'canary'}\nexec cat\n")
    program.chmod(0o755)
    return machine.root / "canary"


def everything(machine: Machine, worktree: Worktree) -> tuple[dict[str, str], Snapshot]:
    """All that Refinery does with git after an agent: snapshot, commit, predict, read, fetch, continue from it."""
    taken = snapshot(machine.mirror, worktree, timeout=30)
    stamp = Stamp("t-1", 1, "c" * 40)
    head = commit_snapshot(machine.mirror, taken, worktree.parents, stamp, WHO, "work")
    base = commit(machine.repo, {"meanwhile": "x\n"})
    machine.sync()
    merged = machine.mirror.predict(base, head)
    machine.mirror.read_file(head, "README.md")
    machine.mirror.merge_bases(base, head)
    again = machine.worktree(base=base, tip=head, carry_from=machine.repo)
    assert again.start_tree == merged.tree
    assert not snapshot(machine.mirror, again, timeout=30).is_changed
    return machine.listing(taken.tree), taken


PLANTS = {
    "filter in the config, attributes in the tree": """
        git config filter.evil.clean {evil}; git config filter.evil.smudge {evil}
        git config filter.evil.process {evil}; git config filter.evil.required true
        echo '* filter=evil' > .gitattributes
    """,
    "filter in the config, info/attributes": """
        git config filter.evil.clean {evil}; mkdir -p .git/info; echo '* filter=evil' > .git/info/attributes
        echo > .gitattributes
    """,
    "fsmonitor": "git config core.fsmonitor {evil}; echo > .gitattributes",
    "hooks": """
        for name in post-index-change pre-commit commit-msg post-commit reference-transaction; do
            mkdir -p .git/hooks; cp {evil} .git/hooks/$name
        done
        echo > .gitattributes
    """,
    "hooksPath": """
        mkdir h; cp {evil} h/post-index-change; cp {evil} h/pre-commit; git config core.hooksPath $PWD/h
        mv h .git/h; git config core.hooksPath $PWD/.git/h; echo > .gitattributes
    """,
    "commondir": """
        mkdir .git/other; cp -r .git/objects .git/refs .git/config .git/other; echo other > .git/commondir
        git config --file .git/other/config core.fsmonitor {evil}; echo > .gitattributes
    """,
    "worktree config": """
        git config extensions.worktreeConfig true; git config --worktree core.fsmonitor {evil}; echo > .gitattributes
    """,
    "included config": """
        git config --file .git/more core.fsmonitor {evil}; git config include.path more; echo > .gitattributes
    """,
    "a .git file that leads elsewhere": """
        mv .git ../elsewhere; echo "gitdir: $PWD/../elsewhere" > .git; git config core.fsmonitor {evil}
        echo > .gitattributes
    """,
    "a .git link that leads elsewhere": """
        mv .git ../elsewhere; ln -s ../elsewhere .git; git config core.fsmonitor {evil}; echo > .gitattributes
    """,
}


@pytest.mark.parametrize("name", PLANTS)
def test_f32_planted_configuration_does_not_run(machine: Machine, canary: Path, name: str) -> None:
    """F32: filters, hooks, fsmonitor and whatever leads to them fire in the agent's git, and never in ours."""
    worktree = machine.worktree()
    sh(worktree.tree, PLANTS[name].format(evil=machine.root / "evil") + "\necho changed > README.md")
    sh(worktree.tree, "git add -A || true; git commit -qm x || true; git status >&2 || true")
    assert canary.exists(), "the plant is dead: the test would show nothing"
    canary.unlink()
    listing, taken = everything(machine, worktree)
    assert not canary.exists()
    attributes = (worktree.tree / ".gitattributes").read_text().rstrip()
    assert listing == {**BASE, "README.md": "100644 changed", ".gitattributes": f"100644 {attributes}"}
    assert taken.left_out == ()


def test_f32_a_nested_repositorys_filter_does_not_run(machine: Machine, canary: Path) -> None:
    """F32: `status` of an outer repository runs the filter of an inner one; ours never looks inside."""
    worktree = machine.worktree()
    sh(
        worktree.tree,
        f"""
        git init -q inner; cd inner; echo a > a; echo '* filter=evil' > .gitattributes; git add .; git commit -qm x
        git config filter.evil.clean {machine.root / "evil"}; git config core.fsmonitor {machine.root / "evil"}
        echo b > a; cd ..; git add inner 2>/dev/null; git status; echo x > ok
        """,
    )
    assert canary.exists()
    canary.unlink()
    listing, taken = everything(machine, worktree)
    assert not canary.exists()
    assert listing == {**BASE, "ok": "100644 x"}
    assert [one.path for one in taken.left_out] == ["inner"]


def test_f32_settings_in_the_agents_home_do_not_count(
    machine: Machine, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F32: a global config, global attributes and a global ignore file of the same user change nothing."""
    home = machine.root / "person"
    evil = machine.root / "evil"
    write(
        home,
        {
            ".gitconfig": f'[filter "evil"]\n\tclean = {evil}\n[core]\n\tfsmonitor = {evil}\n',
            ".config/git/attributes": "* filter=evil text eol=crlf\n",
            ".config/git/ignore": "hidden\n",
        },
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    worktree = machine.worktree()
    write(worktree.tree, {"hidden": "x", "crlf": "a\r\n"})
    sh(worktree.tree, f"HOME={home} GIT_CONFIG_GLOBAL={home}/.gitconfig git status")
    assert canary.exists()
    canary.unlink()
    taken = snapshot(machine.mirror, worktree)
    assert not canary.exists()
    assert machine.mirror.read_file(taken.tree, "crlf") == b"a\r\n"
    assert machine.mirror.read_file(taken.tree, "hidden") == b"x"


def test_f32_a_url_that_is_rewritten_leads_nowhere(machine: Machine, canary: Path) -> None:
    """F32: `url.insteadOf` and a promisor's `uploadpack` in the agent's config do not touch our fetches."""
    worktree = machine.worktree()
    other = machine.root / "other"
    git(machine.root, "clone", "-q", str(machine.repo), str(other))
    stolen, evil = commit(other, {"stolen": "x"}), machine.root / "evil"
    sh(
        worktree.tree,
        f"""
        git config url.{other}.insteadOf {machine.repo}
        git config remote.origin.url {machine.repo}; git config remote.origin.uploadpack "{evil} </dev/null;:"
        git config remote.origin.promisor true; git config extensions.partialClone origin
        git ls-remote {machine.repo} main | grep {stolen}; git ls-remote origin || true
        echo ok > ok
        """,
    )
    assert canary.exists()
    canary.unlink()
    listing, _ = everything(machine, worktree)
    assert not canary.exists()
    assert not machine.mirror.has(stolen)
    assert listing == {**BASE, "ok": "100644 ok"}


def test_f32_a_merge_driver_does_not_run(machine: Machine, canary: Path) -> None:
    """F32: a merge that the agent's git resolves with its driver is a conflict in ours."""
    worktree = machine.worktree()
    sh(
        worktree.tree,
        f"""
        echo '* merge=evil' > .gitattributes; git config merge.evil.driver {machine.root / "evil"}
        echo theirs > README.md; git add .; git commit -qm x; git branch mine; git checkout -q HEAD~1
        echo '* merge=evil' > .gitattributes; echo ours > README.md; git add .; git commit -qm y
        git merge -q mine </dev/null || true; git merge --abort || true; git checkout -q mine
        """,
    )
    assert canary.exists()
    canary.unlink()
    taken = snapshot(machine.mirror, worktree)
    head = commit_snapshot(machine.mirror, taken, worktree.parents, Stamp("t", 1, "c"), WHO, "x")
    base = commit(machine.repo, {"README.md": "ours\n"})
    machine.sync()
    assert machine.mirror.predict(base, head).conflicts == ("README.md",)
    assert machine.worktree(tip=head).conflicts == ("README.md",)
    assert not canary.exists()


@pytest.mark.parametrize(
    "script", ["rm -rf .git", "rm -rf .git; mkfifo .git", "rm -rf .git/*", "rm -rf .git; touch .git"]
)
def test_the_agents_git_directory_is_not_needed(machine: Machine, script: str) -> None:
    """Removed, emptied or replaced by something that hangs a reader: the work is taken all the same."""
    worktree = machine.worktree()
    sh(worktree.tree, f"{script}; echo ok > ok; rm README.md")
    listing, _ = everything(machine, worktree)
    assert listing == {
        **{name: text for name, text in BASE.items() if name != "README.md"},
        "ok": "100644 ok",
    }


def test_hidden_changes_are_found(machine: Machine) -> None:
    """assume-unchanged, skip-worktree, info/exclude and a sparse checkout hide changes from the agent's git only."""
    worktree = machine.worktree()
    sh(
        worktree.tree,
        """
        git update-index --assume-unchanged README.md; git update-index --skip-worktree src/app.py
        echo 1 > README.md; echo 2 > src/app.py; echo hidden > .git/info/exclude; echo 3 > hidden
        git config core.excludesFile $PWD/../ignore; echo other > ../ignore; echo 4 > other
        git config core.fileMode false; chmod +x src/lib/util.py; git config core.ignoreStat true
        git config core.trustctime false; git config core.checkStat minimal
        [ -z "$(git status --porcelain)" ]
        """,
    )
    listing, _ = everything(machine, worktree)
    changed = {"README.md": "100644 1", "src/app.py": "100644 2", "src/lib/util.py": "100755 x = 1"}
    assert listing == {**BASE, **changed, "hidden": "100644 3", "other": "100644 4"}


def test_f12_ignored_files_do_not_land(machine: Machine) -> None:
    """F12: what the project ignores is not committed, however the agent staged or committed it."""
    worktree = machine.worktree()
    sh(
        worktree.tree,
        "echo k > .env; mkdir node_modules; echo x > node_modules/x; git add -f .; git commit -qm x",
    )
    listing, taken = everything(machine, worktree)
    assert (listing, taken.is_changed) == (BASE, False)


def test_history_cannot_be_forged(machine: Machine) -> None:
    """Grafts, replace refs, a shallow file and a false commit-graph change the agent's log, not our merge bases."""
    first = machine.base()
    second = commit(machine.repo, {"a": "1"})
    machine.sync()
    worktree = machine.worktree()
    sh(
        worktree.tree,
        f"""
        echo ok > ok; git checkout -q --orphan lie; git add -A; git commit -qm lie; lie=$(git rev-parse HEAD)
        git replace {second} $lie; git replace {first} $lie
        echo "{second}" > .git/info/grafts; echo {second} > .git/shallow
        git checkout -q -f polecat/t-1; git -c core.commitGraph=true commit-graph write --reachable || true
        [ "$(git rev-list --count HEAD)" = 1 ]; echo ok > ok
        """,
    )
    taken = snapshot(machine.mirror, worktree)
    head = commit_snapshot(machine.mirror, taken, worktree.parents, Stamp("t", 1, "c"), WHO, "x")
    assert machine.mirror.merge_bases(first, head) == (first,)
    assert machine.mirror.is_ancestor(second, head)
    assert git(machine.mirror.path, "rev-list", "--count", head) == "3"
    assert machine.listing(taken.tree) == {**BASE, "a": "100644 1", "ok": "100644 ok"}


def test_f14_a_rewritten_main_in_the_worktree_moves_nothing(machine: Machine) -> None:
    """F14: `main`, `origin/main` and the branch itself, moved in the agent's git, are not ours."""
    base = machine.base()
    worktree = machine.worktree(base_branch="main")
    sh(
        worktree.tree,
        """
        echo evil > evil; git add evil; git commit -qm evil; git branch -f main HEAD
        git update-ref refs/remotes/origin/main HEAD; git update-ref refs/refinery/claims/t-1 HEAD
        git reset -q --hard HEAD~1; echo ok > ok
        """,
    )
    assert (machine.base(), git(machine.repo, "rev-parse", "main")) == (base, base)
    listing, _ = everything(machine, worktree)
    assert listing == {**BASE, "ok": "100644 ok"}


def test_a_push_into_the_mirror_lands_nowhere(machine: Machine) -> None:
    """The agent can read from its alternates where the mirror is; refs that it makes there are not what we read."""
    worktree = machine.worktree()
    base = machine.base()
    sh(
        worktree.tree,
        """
        mirror=$(dirname "$(cat .git/objects/info/alternates)"); echo evil > evil; git add evil; git commit -qm evil
        git push -q "$mirror" +HEAD:refs/remotes/origin/main; rm evil; echo ok > ok
        """,
    )
    assert machine.base() != base, (
        "an agent of the same user can: hence the fetch before each use, and the box"
    )
    assert machine.sync() == base
    listing, _ = everything(machine, worktree)
    assert listing == {**BASE, "ok": "100644 ok"}


@pytest.mark.parametrize(
    "plant",
    [
        "cp {evil} $mirror/hooks/post-index-change",
        "git config --file $mirror/config core.fsmonitor {evil}",
        "git config --file $mirror/config filter.evil.clean {evil}; echo '* filter=evil' > .gitattributes",
        "mkdir $mirror/info; echo '* filter=evil' > $mirror/info/attributes",
        "echo $PWD/.git > $mirror/commondir",
        "git push -q $mirror HEAD:refs/heads/main",
        "git -C $mirror replace HEAD@{{0}} 2>/dev/null || mkdir -p $mirror/refs/replace",
    ],
)
def test_f32_a_changed_mirror_stops_everything(machine: Machine, canary: Path, plant: str) -> None:
    """F32: an agent of the same user that finds the mirror and plants there is named, before any git runs."""
    worktree = machine.worktree()
    find = 'mirror=$(dirname "$(cat .git/objects/info/alternates)"); mkdir -p $mirror/hooks; '
    find += (
        plant.format(evil=machine.root / "evil") + "; rmdir $mirror/hooks 2>/dev/null || true; echo ok > ok"
    )
    sh(worktree.tree, find)
    canary.unlink(missing_ok=True)
    with pytest.raises(TamperedError, match="changed by somebody else"):
        snapshot(machine.mirror, worktree)
    with pytest.raises(TamperedError):
        machine.sync()
    assert not canary.exists()


def test_f33_links_devices_and_pipes_do_not_act(machine: Machine) -> None:
    """F33: links to outside stay links in the tree, are followed by nobody, and special files are not in it."""
    worktree = machine.worktree()
    outside = machine.root / "outside"
    write(outside, {"x": "secret\n"})
    before = {path: path.stat().st_mtime_ns for path in outside.rglob("*")}
    device = "mknod dev c 1 5 2>/dev/null || true" if os.geteuid() == 0 else "true"
    sh(
        worktree.tree,
        f"""
        ln -s {outside} out; ln -s {outside}/x file; ln -s /dev/zero zero; ln -s ../../.. up; ln -s loop loop
        rm -r src; ln -s {outside} src; ln -s {outside}/x .gitattributes; mkfifo .gitmodules; mkfifo pipe; {device}
        rm .gitignore; mkdir sub; mkfifo sub/.gitignore; ln -s ../pipe sub/.gitattributes; mkfifo .gitignore
        """,
    )
    listing, taken = everything(machine, worktree)
    links = {"out": outside, "file": outside / "x", "zero": "/dev/zero", "up": "../../..", "loop": "loop"}
    links |= {"src": outside, ".gitattributes": outside / "x", "sub/.gitattributes": "../pipe"}
    kept = {name: BASE[name] for name in ("README.md", ".gitignore")}
    assert listing == {**kept, **{name: f"120000 {target}" for name, target in links.items()}}
    assert {".gitmodules", "pipe", "sub/.gitignore", ".gitignore"} <= {one.path for one in taken.left_out}
    assert {path: path.stat().st_mtime_ns for path in outside.rglob("*")} == before


def test_the_next_checkout_does_not_write_through_links(machine: Machine) -> None:
    """A branch that put a link where the base has a folder conflicts or links, but writes nothing outside."""
    worktree = machine.worktree()
    outside = machine.root / "outside"
    (outside / "lib").mkdir(parents=True)
    sh(worktree.tree, f"rm -r src; ln -s {outside} src")
    taken = snapshot(machine.mirror, worktree)
    head = commit_snapshot(machine.mirror, taken, worktree.parents, Stamp("t", 1, "c"), WHO, "x")
    base = commit(machine.repo, {"src/lib/util.py": "x = 2\n", "src/new.py": "n\n"})
    machine.sync()
    again = machine.worktree(base=base, tip=head)
    assert again.conflicts
    assert [path.name for path in outside.rglob("*")] == ["lib"]


def test_a_repository_layout_of_plain_files_is_only_files(machine: Machine, canary: Path) -> None:
    """A bare repository's files in a folder are committed as files; nothing takes them for a repository."""
    worktree = machine.worktree()
    sh(
        worktree.tree,
        f"""
        git init -q --bare bare; git -C bare config core.fsmonitor {machine.root / "evil"}
        rm -rf bare/hooks bare/info bare/branches bare/description; touch bare/objects/x bare/refs/x
        """,
    )
    canary.unlink(missing_ok=True)
    listing, taken = everything(machine, worktree)
    assert not canary.exists()
    assert set(listing) == {*BASE, "bare/HEAD", "bare/config", "bare/objects/x", "bare/refs/x"}
    assert taken.left_out == ()


def test_objects_of_the_agent_are_not_taken(machine: Machine) -> None:
    """Its commits, blobs and packs stay in its own store: the mirror gets the snapshot's objects alone."""
    worktree = machine.worktree()
    sh(worktree.tree, "echo junk > junk; git add junk; git commit -qm junk; rm junk; echo ok > ok; git gc -q")
    junk = git(worktree.tree, "rev-parse", "HEAD:junk")
    everything(machine, worktree)
    assert not machine.mirror.has(junk)
    shutil.rmtree(worktree.folder)
    git(machine.mirror.path, "fsck", "--strict", "--no-dangling")
