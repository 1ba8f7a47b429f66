"""A repository behind any git URL: listed by `ls-remote`, moved by lease-pinned, atomic pushes.

Several hosts can share any git server this way. Pushing a SHA that a ref already has reports success and checks no
lease, so every written claim is a commit of its own and `--porcelain` output is never trusted alone: refs are read
back after anything but a plain success (https://git-scm.com/docs/git-push, `--porcelain`).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from refinery.core.model import BRANCHES, NS
from refinery.errors import ForgeUnavailableError
from refinery.forges.git.refs import RefRow, RefUpdate, parse_header, settle
from refinery.git import EMPTY_TREE, Signature, commit_bytes, write_object
from refinery.mirror import Mirror
from refinery.source import asked, fetch_error

_TIMEOUT: Final = 120.0
_AT_ONCE: Final = 500


class UrlRefs:
    """The refs of the repository at `url`; objects live in the mirror."""

    def __init__(self, url: str, mirror: Mirror) -> None:
        self.where = url
        self._mirror = mirror
        self._messages: dict[str, str] = {}

    def rows(self) -> Sequence[RefRow]:
        """Every branch and every ref of ours: one `ls-remote`, and a fetch of the commits not seen before."""
        return self._read(self._listed(f"{BRANCHES}*", f"{NS}*"))

    def tip(self, ref: str) -> RefRow | None:
        """One ref now."""
        rows = self._read({name: sha for name, sha in self._listed(ref).items() if name == ref})
        return next(iter(rows), None)

    def _listed(self, *patterns: str) -> dict[str, str]:
        git = self._mirror.git(user_config=True)
        done = asked(git, "ls-remote", "--refs", self.where, *patterns, timeout=_TIMEOUT)
        if done.code != 0:
            raise fetch_error(self.where, done.code, done.err)
        pairs = (line.split("\t") for line in done.out.decode("utf-8", "surrogateescape").splitlines())
        return {ref: sha for sha, ref in pairs}

    def _read(self, listed: dict[str, str]) -> list[RefRow]:
        wanted = {ref: sha for ref, sha in listed.items() if ref.startswith(NS) and sha not in self._messages}
        if wanted:
            self._learn(wanted)
        return [RefRow(ref, sha, self._messages.get(sha, "")) for ref, sha in listed.items()]

    def _learn(self, wanted: dict[str, str]) -> None:
        """Bring the messages of `wanted` commits; what moved meanwhile stays unread, hence held."""
        unknown = self._load(wanted)
        names = sorted(unknown)
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            fetch = ("fetch", "--no-write-fetch-head", "--no-tags", "--no-auto-gc", "--quiet", self.where)
            done = self._mirror.git(user_config=True).attempt(*fetch, *part, timeout=_TIMEOUT)
            if done.code != 0 and len(part) == 1:
                continue  # deleted between listing and fetching
            if done.code != 0:
                for ref in part:
                    self._mirror.git(user_config=True).attempt(*fetch, ref, timeout=_TIMEOUT)
        self._load(unknown)

    def _load(self, wanted: dict[str, str]) -> dict[str, str]:
        """Remember the messages of those commits that the mirror has; returns the others."""
        shas = sorted(set(wanted.values()))
        out = self._mirror.git().run("cat-file", "--batch", stdin=("\n".join(shas) + "\n").encode())
        at = 0
        while at < len(out):
            end = out.index(b"\n", at)
            head = out[at:end].decode().split()
            at = end + 1
            if head[-1] == "missing":
                continue
            body = out[at : at + int(head[2])]
            at += int(head[2]) + 1
            if head[1] == "commit":
                self._messages[head[0]] = body.partition(b"\n\n")[2].decode("utf-8", "surrogateescape")
            else:
                self._messages[head[0]] = ""
        return {ref: sha for ref, sha in wanted.items() if sha not in self._messages}

    def header(self, row: RefRow) -> tuple[str, str]:
        """Tree and first parent of a listed commit, fetched where the mirror lacks it."""
        done = self._mirror.git().attempt("cat-file", "commit", row.sha)
        if done.code != 0:
            fetch = (
                "fetch",
                "--no-write-fetch-head",
                "--no-tags",
                "--no-auto-gc",
                "--quiet",
                self.where,
                row.ref,
            )
            self._mirror.git(user_config=True).attempt(*fetch, timeout=_TIMEOUT)
            done = self._mirror.git().attempt("cat-file", "commit", row.sha)
        if done.code != 0:
            raise ForgeUnavailableError(f"{row.ref} of {self.where} cannot be read back")
        return parse_header(done.out.decode("utf-8", "surrogateescape"))

    def commit(self, message: str, parents: Sequence[str], signature: Signature) -> str:
        """Write the commit into the mirror, as a loose object."""
        write_object(self._mirror.path, "tree", b"")
        sha = write_object(
            self._mirror.path, "commit", commit_bytes(EMPTY_TREE, parents, signature, signature, message)
        )
        self._messages[sha] = message
        return sha

    def transact(
        self, updates: Sequence[RefUpdate], objects: Iterable[str] = (), have: Iterable[str] = ()
    ) -> None:
        """Move all refs by one atomic push with a lease on each; the push itself finds what to send."""
        del objects, have
        leases = [f"--force-with-lease={update.ref}:{update.old or ''}" for update in updates]
        specs = [f"{update.new or ''}:{update.ref}" for update in updates]
        push = ("push", "--porcelain", "--atomic", "--no-verify", "--quiet", *leases, self.where, *specs)
        done = self._mirror.git(user_config=True).attempt(*push, timeout=_TIMEOUT)
        if done.code == 0:
            return
        words = done.out.decode("utf-8", "replace") + done.err
        actual = self._listed(*(update.ref for update in updates))
        settle(updates, actual, words, self.where)
