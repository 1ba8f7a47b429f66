"""A git of ours that is killed while its worker lives on: the locks that it leaves bar nobody for long."""

import os
import shutil
from pathlib import Path

import pytest
from support.repos import bare, git

from refinery.errors import ForgeUnavailableError
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.refs import RefUpdate
from refinery.git import Signature
from refinery.mirror import Mirror

REF = "refs/refinery/pulls/2"
WHO = Signature("Somebody", "somebody@example.org", 1.0)
KILLED = """#!/bin/sh
case "$*" in *update-ref*) mkdir {once} 2> /dev/null && printf %s "{held}" > {lock} && kill -KILL $$;; esac
exec {git} "$@"
"""


@pytest.fixture
def refs(tmp_path: Path) -> PathRefs:
    """A repository by path."""
    origin = bare(tmp_path / "origin.git")
    (origin / REF).parent.mkdir(parents=True)
    return PathRefs(origin, Mirror.create(tmp_path / "mirror.git", str(origin)))


@pytest.fixture
def killed(refs: PathRefs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A transaction whose git is killed once it holds the lock; the commit that it was about."""
    sha = refs.commit("two", [], WHO)
    return _kill(refs, tmp_path, monkeypatch, sha, held=f"{sha}\n")


def _kill(refs: PathRefs, root: Path, monkeypatch: pytest.MonkeyPatch, sha: str, *, held: str) -> str:
    program = root / "bin" / "git"
    program.parent.mkdir()
    lock = refs.git_dir / f"{REF}.lock"
    program.write_text(KILLED.format(once=root / "once", held=held, lock=lock, git=shutil.which("git")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(ForgeUnavailableError):
        refs.transact([RefUpdate(REF, None, sha)])
    assert lock.exists()
    return sha


def test_f22_the_lock_of_a_killed_git_goes_with_the_next_write(refs: PathRefs, killed: str) -> None:
    """F22: it holds what was noted; any of our writers removes it, the same process too."""
    refs.transact([RefUpdate("refs/refinery/pulls/1", None, killed)])
    refs.transact([RefUpdate(REF, None, killed)])
    assert git(refs.git_dir, "rev-parse", REF) == killed
    assert (refs.git_dir / "refinery.journal").read_text() == ""


def test_f22_an_empty_lock_of_a_killed_git_stays_noted_until_it_is_old(
    refs: PathRefs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F22: a person's git may hold a young one; other writes in between do not forget it."""
    monkeypatch.setattr("refinery.forges.git.by_path._PATIENCE", 0.1)
    sha = _kill(refs, tmp_path, monkeypatch, refs.commit("two", [], WHO), held="")
    refs.transact([RefUpdate("refs/refinery/pulls/1", None, sha)])
    with pytest.raises(ForgeUnavailableError, match="lock"):
        refs.transact([RefUpdate(REF, None, sha)])
    os.utime(refs.git_dir / f"{REF}.lock", (1, 1))
    refs.transact([RefUpdate(REF, None, sha)])
    assert git(refs.git_dir, "rev-parse", REF) == sha
