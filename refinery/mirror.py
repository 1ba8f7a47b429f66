"""The mirror: a bare repository under the home folder that Refinery alone writes, and the only one that it judges with.

Properties:
- Its config, HEAD and layout are bytes written here. Before every git command they are compared, without a process;
  anything else in the folder (hooks, `info/attributes`, alternates, replace refs, `commondir`) is a TamperedError.
- Heads of the forge land under `refs/remotes/origin/*`, Refinery's own refs under `refs/forge/*`. There is no
  `refs/heads/*` and no born HEAD, so nothing in here is ever "checked out".
- No object is ever pruned: worktrees borrow them. A fetch prunes refs only inside the refspecs it was given.
- Fetches may run side by side: who loses a ref's lock looks again.
"""

import random
import re
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from refinery.errors import ForgeUnavailableError, GitError, TamperedError
from refinery.git import Completed, Git, Signature, commit_bytes, write_object
from refinery.git_credentials import GitCredentials
from refinery.skeleton import difference, write_skeleton
from refinery.source import asked, fetch_error, local_repository, pick_default, transport_options
from refinery.trees import merge_bases

HEADS: Final = "+refs/heads/*:refs/remotes/origin/*"
FORGE: Final = "+refs/refinery/*:refs/forge/*"
ORIGIN: Final = "refs/remotes/origin/"
_LOST_LOCK: Final = (
    "cannot lock ref",
    "Unable to create",
    "could not delete ref",
    "unable to update local ref",
)
_TRIES: Final = 12
_STALE_LOCK: Final = 60.0  # seconds; the mirror's locks are held for milliseconds


@dataclass(frozen=True, slots=True)
class Prediction:
    """The tree that a merge makes. With `conflicts` it holds conflict markers and must not land.

    `has_directory_rename`: a folder was renamed on one side, and git asks where the other side's new file belongs.
    """

    tree: str
    conflicts: tuple[str, ...] = ()
    has_directory_rename: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """What a commit says of its tree and its parents."""

    tree: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mirror:
    """The mirror in folder `path`. What was once seen of its objects stays true: none is ever pruned.

    `credentials` are ours for the forge that it mirrors; without, network commands use the person's own.
    """

    path: Path
    credentials: GitCredentials | None = field(default=None, compare=False, repr=False)
    _present: set[str] = field(default_factory=set, compare=False, repr=False)
    _headers: dict[str, Header] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def create(
        cls, path: Path, source: str, *, is_url: bool = False, credentials: GitCredentials | None = None
    ) -> "Mirror":
        """The mirror at `path`, made (without commits) unless it is there; `source` is looked at first.

        Raises:
            UsageError: `source` is a path without a usable repository.
        """
        if not is_url:
            local_repository(Path(source))
        if not path.exists():
            write_skeleton(path)
        mirror = cls(path, credentials)
        mirror.verify_untouched()
        return mirror

    def git(
        self,
        *,
        work_tree: Path | None = None,
        index: Path | None = None,
        user_config: bool = False,
    ) -> Git:
        """Git with the mirror as its git directory, verified just now; `user_config` for network commands to a URL.

        Raises:
            TamperedError: as `verify_untouched`.
        """
        self.verify_untouched()
        return Git(
            self.path,
            work_tree=work_tree,
            index=index,
            user_config=user_config,
            credentials=self.credentials if user_config else None,
        )

    def verify_untouched(self) -> None:
        """Compare what only Refinery writes; about 0.1 ms, no process.

        Raises:
            TamperedError: a file that could change git's behaviour was edited or has appeared.
            UsageError: there is no mirror.
        """
        problem = difference(self.path)
        if problem:
            raise TamperedError(
                f"the mirror {self.path} was changed by somebody else: {problem}",
                remedy="find out who did; then delete that folder and run `refinery sync`, which makes it again",
            )

    def fetch(
        self,
        source: str,
        refspecs: Sequence[str] = (HEADS, FORGE),
        timeout: float | None = None,
        *,
        is_url: bool = False,
    ) -> None:
        """Bring refs and their objects from `source`; refs that are gone there go here, inside `refspecs` only.

        Raises:
            ForgeUnavailableError: no answer, none within `timeout` (seconds), or not one that can be trusted.
            UsageError: a ref or repository that does not exist, a shallow or an SHA-256 one.
        """
        git = self.git(user_config=is_url)
        options = ("--prune", "--quiet", *transport_options(source, is_url), "--", source, *refspecs)
        for _ in range(_TRIES):
            done = asked(git, *_FETCH, *options, timeout=timeout)
            if done.code == 0:
                return
            if not any(words in done.err for words in _LOST_LOCK):
                raise fetch_error(source, done.code, done.err)
            _clear_stale_lock(self.path, done.err)
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311  (spreads contenders, guards nothing)
        raise ForgeUnavailableError(
            f"the refs of {self.path} stay locked: {done.err.strip()}",
            remedy="a killed git left a lock; a minute after that it is removed by itself",
        )

    def default_branch(self, source: str, timeout: float | None = None, *, is_url: bool = False) -> str:
        """The branch that the HEAD of `source` names.

        Raises:
            UsageError: it is empty, or its HEAD is unborn or detached.
            ForgeUnavailableError: as `fetch`.
        """
        git = self.git(user_config=is_url)
        options = (*transport_options(source, is_url), "--symref", "--", source, "HEAD", "refs/heads/*")
        done = asked(git, "ls-remote", *options, timeout=timeout)
        if done.code != 0:
            raise fetch_error(source, done.code, done.err)
        return pick_default(source, done.out.decode("utf-8", "surrogateescape"))

    def resolve(self, name: str) -> str | None:
        """The commit that a ref or SHA names, or None."""
        done = self.git().attempt("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
        return done.out.decode().strip() or None if done.code in (0, 1) else _fail(done, "rev-parse")

    def has(self, sha: str) -> bool:
        """Whether the object is here; a loose one is seen without a process, and none is asked for twice."""
        if sha not in self._present and (
            (self.path / "objects" / sha[:2] / sha[2:]).exists()
            or self.git().attempt("cat-file", "-e", sha).code == 0
        ):
            self._present.add(sha)
        return sha in self._present

    def tree_of(self, commit: str) -> str:
        """The SHA of a commit's tree."""
        return self._header(commit).tree

    def _header(self, commit: str) -> Header:
        """A commit's tree and parents; a loose one is read without a process, and none twice."""
        if commit not in self._headers:
            head = self._raw(commit).partition(b"\n\n")[0].decode("ascii", "replace")
            (tree,) = re.findall(r"\Atree ([0-9a-f]{40})$", head, re.MULTILINE)
            parents = re.findall(r"^parent ([0-9a-f]{40})$", head, re.MULTILINE)
            self._headers[commit] = Header(tree, tuple(parents))
        return self._headers[commit]

    def _raw(self, commit: str) -> bytes:
        with suppress(OSError, zlib.error):
            raw = zlib.decompress((self.path / "objects" / commit[:2] / commit[2:]).read_bytes())
            kind, _, body = raw.partition(b"\0")
            if kind.startswith(b"commit ") and body.startswith(b"tree "):
                return body
        return self.git().run("cat-file", "commit", commit)

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """All best common ancestors of two commits; none for unrelated histories."""
        if one in self._header(other).parents:
            return (one,)
        return merge_bases(self.git(), one, other)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` contains `old`; a commit contains itself."""
        done = self.git().attempt("merge-base", "--is-ancestor", old, new)
        return done.code == 0 if done.code in (0, 1) else _fail(done, "merge-base")

    def predict(self, base: str, head: str) -> Prediction:
        """The tree of merging commit `head` into commit `base`; attributes play no part in a bare repository.

        A child of the base brings its own tree: that takes no process.

        Raises:
            GitError: an object is missing, or the histories are unrelated (git says "conflict" for the former).
        """
        if base in self._header(head).parents:
            return Prediction(self.tree_of(head))
        done = self.git().attempt("merge-tree", "--write-tree", "--name-only", "--messages", "-z", base, head)
        fields = done.out.split(b"\0")
        if done.code not in (0, 1) or not re.fullmatch(rb"[0-9a-f]{40}", fields[0]):
            return _fail(done, "merge-tree")
        paths = fields[1 : fields.index(b"", 1)] if done.code == 1 else []
        names = tuple(dict.fromkeys(path.decode("utf-8", "surrogateescape") for path in paths))
        has_rename = any(re.match(rb"CONFLICT \((directory rename|file location)", text) for text in fields)
        return Prediction(fields[0].decode(), names, has_rename)

    def commit(
        self, tree: str, parents: Sequence[str], author: Signature, committer: Signature, message: str
    ) -> str:
        """Write a commit, durably, and return its SHA; no ref moves."""
        self.verify_untouched()
        return write_object(self.path, "commit", commit_bytes(tree, parents, author, committer, message))

    def read_file(self, rev: str, path: str) -> bytes | None:
        """The content of one file of a commit or tree, or None if it has no such file.

        Raises:
            GitError: `rev` itself is not here (that is not "no file").
        """
        return self.read_files(rev, (path,))[path]

    def read_files(self, rev: str, paths: Sequence[str]) -> dict[str, bytes | None]:
        """`read_file` for many paths in one process; bytes are read as they are stored."""
        specs = [f"{rev}^{{tree}}", *(f"{rev}:{path}" for path in paths)]
        found = self.read_blobs(specs)
        if not found[specs[0]][0]:
            raise GitError(
                f"{rev} is not in the mirror {self.path}", remedy="run `refinery sync` and try again"
            )
        blobs = {path: found[spec] for path, spec in zip(paths, specs[1:], strict=True)}
        return {path: body if kind == "blob" else None for path, (kind, body) in blobs.items()}

    def read_blobs(self, specs: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        """Kind and body of each object named by an extended SHA; kind is empty where there is none."""
        asked = [spec.encode("utf-8", "surrogateescape") for spec in specs]
        out = self.git().run("cat-file", "--batch", "-z", stdin=b"".join(spec + b"\0" for spec in asked))
        found, at = {}, 0
        for name, spec in zip(specs, asked, strict=True):
            if out.startswith(spec + b" missing\n", at):  # looked at first: a spec may hold a newline
                found[name] = ("", b"")
                at += len(spec) + len(b" missing\n")
                continue
            end = out.index(b"\n", at)
            _, kind, size = out[at:end].split(b" ")
            found[name] = (kind.decode(), out[end + 1 : end + 1 + int(size)])
            at = end + int(size) + 2
        return found


_FETCH: Final = (
    "fetch",
    "--no-write-fetch-head",
    "--no-auto-gc",
    "--no-tags",
    "--no-recurse-submodules",
)


def _fail(done: Completed, verb: str) -> NoReturn:
    words = done.err.strip().splitlines()
    raise GitError(
        f"git {verb} failed ({done.code}): {words[-1] if words else 'no message'}",
        code=done.code,
        stderr=done.err,
    )


def _clear_stale_lock(path: Path, stderr: str) -> None:
    """Remove a ref lock that a killed git left in the mirror: nobody but us writes here."""
    for name in re.findall(r"Unable to create '([^']+\.lock)': File exists", stderr):
        lock = Path(name)
        if lock.is_relative_to(path) and lock.exists() and time.time() - lock.stat().st_mtime > _STALE_LOCK:
            lock.unlink(missing_ok=True)
