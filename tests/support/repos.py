"""Small real repositories, made by plain git, apart from the code under test."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
}


def git(where: Path, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run plain git in `where`; its standard output, stripped. Fails the test when git does."""
    done = subprocess.run(
        ["git", *args], cwd=where, input=stdin, capture_output=True, check=False, env={**ENV, **(env or {})}
    )
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def bare(path: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    """A bare repository with branch `main` at one commit of `files`."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--bare", "--initial-branch=main")
    commit(path, files if files is not None else {"README.md": "hello\n"}, "first")
    return path


def checkout(path: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    """Somebody's checkout with branch `main` at one commit of `files`."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    for name, content in (files if files is not None else {"README.md": "hello\n"}).items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message", "first")
    return path


def commit(
    repo: Path, files: Mapping[str, str | bytes | None], message: str = "change", branch: str = "main"
) -> str:
    """Commit `files` (None deletes) on `branch` of a bare repository without a work tree; returns the commit."""
    index = repo / f"test-index-{os.getpid()}"
    env = {"GIT_INDEX_FILE": str(index)}
    ref = f"refs/heads/{branch}"
    old = (
        subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", ref],
            cwd=repo,
            capture_output=True,
            check=False,
            env=ENV,
        )
        .stdout.decode()
        .strip()
    )
    git(repo, "read-tree", old or "--empty", env=env)
    for name, content in files.items():
        if content is None:
            git(repo, "update-index", "--index-info", stdin=f"0 {'0' * 40}\t{name}\n".encode(), env=env)
            continue
        raw = content.encode() if isinstance(content, str) else content
        blob = git(repo, "hash-object", "-w", "--stdin", stdin=raw)
        git(repo, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=env)
    tree = git(repo, "write-tree", env=env)
    parents = ["-p", old] if old else []
    new = git(repo, "commit-tree", tree, *parents, "-m", message)
    git(repo, "update-ref", ref, new, *([old] if old else []))
    index.unlink()
    return new
