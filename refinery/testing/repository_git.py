"""What the fake does in a repository's real git: refs, commits, merges. Every function takes the bare repository."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from refinery.git import ZERO, Completed, Git, Signature, commit_bytes, write_object

_WHO = Signature("GitHub", "noreply@github.localhost", 0.0)


_CONFIG: Final = """\
[http]
\treceivepack = true
[gc]
\tauto = 0
[receive]
\tautogc = false
\tfsckObjects = true
\thideRefs = refs/pull
[uploadpack]
\tallowAnySHA1InWant = true
\tallowFilter = true
"""
# Asked by git for each pushed ref; what is refused, and why, comes in the environment.
_UPDATE: Final = """\
#!/bin/sh
if [ -n "$FAKE_REFUSED" ]; then
  printf '%s\\n' "$FAKE_REFUSED" | while IFS="$(printf '\\t')" read -r pattern words; do
    case $1 in $pattern) echo "error: $words" >&2; exit 1 ;; esac
  done || exit 1
fi
if [ -n "$FAKE_WORKFLOWS" ] && [ "$3" != 0000000000000000000000000000000000000000 ]; then
  file=$(git log --format= --name-only "$3" --not --branches -- .github/workflows | head -n 1)
  [ -z "$file" ] || { echo "$FAKE_WORKFLOWS \\`$file\\` without \\`workflows\\` permission" >&2; exit 1; }
fi
"""
_SHA: Final = re.compile(r"[0-9a-f]{40}")


class RefProblemError(Exception):
    """A ref could not be moved; the message is GitHub's."""


@dataclass(frozen=True, slots=True)
class Made:
    """A commit as the API shows it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str
    author: tuple[str, str, str]
    committer: tuple[str, str, str]


def create(path: Path, files: Mapping[str, str | bytes], at: float, branch: str = "main") -> None:
    """A bare repository that takes pushes, with one commit of `files` on `branch`; without files it is empty."""
    path.mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(
        ["git", "init", "-q", "--bare", "--template=", "-b", branch, str(path)], env=environment, check=True
    )
    git = Git(path)
    with (path / "config").open("a") as file:
        file.write(_CONFIG)
    write_object(path, "tree", b"", durable=False)  # git knows it by heart, so it would never be written
    hook = path / "hooks" / "update"
    hook.parent.mkdir()
    hook.write_text(_UPDATE)
    hook.chmod(0o755)
    if files:
        sha = commit_files(path, None, files, "Initial commit", at)
        git.run("update-ref", f"refs/heads/{branch}", sha, ZERO)


def commit_files(
    path: Path, parent: str | None, files: Mapping[str, str | bytes | None], message: str, at: float
) -> str:
    """A commit that adds, replaces or (None) removes files of `parent`."""
    entries = [
        (name, "100644", None if content is None else _blob(path, content)) for name, content in files.items()
    ]
    tree = write_tree(path, parent, entries)
    who = Signature(_WHO.name, _WHO.email, at)
    return make_commit(path, tree, [parent] if parent else [], who, who, message)


def _blob(path: Path, content: str | bytes) -> str:
    raw = content.encode() if isinstance(content, str) else content
    return write_object(path, "blob", raw, durable=False)


def make_commit(
    path: Path, tree: str, parents: Sequence[str], author: Signature, committer: Signature, message: str
) -> str:
    """Write a commit, byte for byte as git would; returns its SHA."""
    if not has(path, tree):
        raise RefProblemError("Tree SHA does not exist")
    for parent in parents:
        if not has(path, parent):
            raise RefProblemError("Parent SHA does not exist or is not a commit object")
    body = commit_bytes(tree, parents, author, committer, message)
    return write_object(path, "commit", body, durable=False)


class _Unsettled(Exception):  # noqa: N818  (not an error: the same question may have another answer later)
    pass


@lru_cache(20_000)
def _settled(path: Path, codes: tuple[int, ...], *args: str) -> Completed:
    """Git's answer about objects, which never changes once these are its exit codes."""
    done = Git(path).attempt(*args)
    if done.code not in codes:
        raise _Unsettled(done)
    return done


def _asked(path: Path, codes: tuple[int, ...], *args: str, about: Sequence[str]) -> Completed:
    """As `_settled`, but always asked again where a name in `about` is not a full SHA."""
    if not all(_SHA.fullmatch(name) for name in about):
        return Git(path).attempt(*args)
    try:
        return _settled(path, codes, *args)
    except _Unsettled as unsettled:
        done: Completed = unsettled.args[0]
        return done


def has(path: Path, sha: str) -> bool:
    """Whether there is such an object."""
    return _asked(path, (0,), "cat-file", "-e", sha, about=[sha]).code == 0


def refs(path: Path, prefix: str = "refs/") -> dict[str, str]:
    """Every ref whose full name starts with `prefix`."""
    out = Git(path).text("for-each-ref", "--format=%(objectname) %(refname)")
    pairs = (line.split(" ", 1) for line in out.splitlines())
    return {name: sha for sha, name in pairs if name.startswith(prefix)}


def ref(path: Path, name: str) -> str | None:
    """What a ref holds."""
    # Git replaces a loose ref's file whole, so reading it needs no process.
    with suppress(OSError, UnicodeDecodeError, ValueError):
        found = (path / name).read_text().strip() if name.startswith("refs/") else ""
        if _SHA.fullmatch(found):
            return found
    done = Git(path).attempt("rev-parse", "--verify", "--quiet", "--end-of-options", name)
    return done.out.decode().strip() or None if done.code == 0 else None


def create_ref(path: Path, name: str, sha: str) -> None:
    """Create a ref.

    Raises:
        RefProblemError: it exists, or the object does not.
    """
    if not has(path, sha):
        raise RefProblemError("Object does not exist")
    if Git(path).attempt("update-ref", name, sha, ZERO).code != 0:
        raise RefProblemError("Reference already exists" if ref(path, name) else "Reference update failed")


def update_ref(path: Path, name: str, sha: str, *, force: bool) -> None:
    """Move a ref.

    Raises:
        RefProblemError: it is not there, or it is no fast-forward.
    """
    old = ref(path, name)
    if old is None:
        raise RefProblemError("Reference does not exist")
    if not has(path, sha):
        raise RefProblemError("Object does not exist")
    if not force and not is_ancestor(path, old, sha):
        raise RefProblemError("Update is not a fast forward")
    if Git(path).attempt("update-ref", name, sha, old).code != 0:
        raise RefProblemError("Update is not a fast forward")


def transact(path: Path, updates: Sequence[tuple[str, str | None, str | None]]) -> bool:
    """Move several refs from what they must hold (None: anything) to what they shall (None: absent): all or none."""
    lines = ["start"]
    for name, old, new in updates:
        before = "" if old is None else f" {old}"
        lines.append(f"update {name} {new or ZERO}{before}" if new else f"delete {name}{before}")
    lines += ["prepare", "commit", ""]
    return Git(path).attempt("update-ref", "--stdin", stdin="\n".join(lines).encode()).code == 0


def delete_ref(path: Path, name: str) -> bool:
    """Delete a ref, whatever it holds; False when there is none."""
    old = ref(path, name)
    return old is not None and Git(path).attempt("update-ref", "-d", name).code == 0


def is_ancestor(path: Path, old: str, new: str) -> bool:
    """Whether `new` contains `old`."""
    return _asked(path, (0, 1), "merge-base", "--is-ancestor", old, new, about=[old, new]).code == 0


def commits_between(path: Path, base: str, head: str) -> list[str]:
    """What `head` has and `base` has not, the oldest first."""
    done = _asked(path, (0,), "rev-list", "--reverse", head, f"^{base}", about=[base, head])
    return done.out.decode().split()


def merge_base(path: Path, one: str, other: str) -> str | None:
    """One common ancestor."""
    done = _asked(path, (0, 1), "merge-base", one, other, about=[one, other])
    return done.out.decode().strip() if done.code == 0 else None


def merge_tree(path: Path, base: str, head: str) -> str | None:
    """The tree of a clean merge; None for a conflict."""
    done = _asked(path, (0, 1), "merge-tree", "--write-tree", base, head, about=[base, head])
    return done.out.decode().split("\n", 1)[0] if done.code == 0 else None


def show(path: Path, sha: str) -> Made | None:
    """A commit; None when there is none."""
    form = "%T%n%P%n%an%n%ae%n%aI%n%cn%n%ce%n%cI%n%B"
    done = _asked(path, (0,), "log", "-1", f"--format={form}", sha, "--", about=[sha])
    if done.code != 0:
        return None
    lines = done.out.decode("utf-8", "replace").split("\n", 8)
    return Made(
        sha=sha,
        tree=lines[0],
        parents=tuple(lines[1].split()),
        author=(lines[2], lines[3], lines[4]),
        committer=(lines[5], lines[6], lines[7]),
        message=lines[8].rstrip("\n"),
    )


def author_of(path: Path, sha: str) -> Signature:
    """Who wrote a commit, and when."""
    name, email, at = Git(path).text("log", "-1", "--format=%an%n%ae%n%at", sha, "--").split("\n")
    return Signature(name, email, float(at))


def changed_files(path: Path, base: str, head: str) -> list[tuple[str, str, int, int]]:
    """Status (`added|modified|removed`), name, added and removed lines of every file from `base` to `head`."""
    words = {"A": "added", "M": "modified", "D": "removed", "T": "changed"}
    names = _diff(path, "--name-status", base, head)
    kinds = dict(zip(names[1::2], names[0::2], strict=False))
    found = []
    for line in _diff(path, "--numstat", base, head):
        if line:
            added, removed, name = line.split("\t", 2)
            counts = (int(added) if added.isdigit() else 0, int(removed) if removed.isdigit() else 0)
            found.append((words.get(kinds.get(name, "M"), "modified"), name, *counts))
    return found


def write_tree(path: Path, base: str | None, entries: Sequence[tuple[str, str, str | None]]) -> str:
    """The tree of `base` with these (path, mode, SHA); without a SHA the path is taken away.

    Raises:
        GitError: an object is missing, or a path cannot be.
    """
    index = path / f"tmp-index-{os.getpid()}-{os.urandom(4).hex()}"
    git = Git(path, index=index)
    try:
        git.run("read-tree", *([base] if base else ["--empty"]))
        lines = (f"{mode if sha else '0'} {sha or ZERO}\t{name}\0" for name, mode, sha in entries)
        git.run("update-index", "-z", "--index-info", stdin="".join(lines).encode())
        return git.text("write-tree")
    finally:
        index.unlink(missing_ok=True)


def _diff(path: Path, form: str, base: str, head: str) -> list[str]:
    """The fields of `diff-tree`, without renames."""
    args = ("diff-tree", "-r", "-z", "--no-renames", form, base, head)
    return _asked(path, (0,), *args, about=[base, head]).out.decode("utf-8", "surrogateescape").split("\0")
