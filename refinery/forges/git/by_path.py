"""A repository on this machine, worked on directly: no server process, durable compare-and-swap by `update-ref`."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from refinery.core.model import BRANCHES, NS
from refinery.errors import ForgeUnavailableError, PushRefusedError
from refinery.forges.git.locks import Note, disk_full, exclusive, gone, noted, writing
from refinery.forges.git.refs import RefRow, RefUpdate, parse_header, settle
from refinery.git import EMPTY_TREE, ZERO, Git, Signature, commit_bytes, is_full, write_object
from refinery.mirror import Mirror

_FORMAT: Final = "--format=%(refname)%00%(objectname)%00%(contents)%00"
_BUSY: Final = ("Unable to create", "File exists", "unable to create lock")
_MANY: Final = 100  # objects; below it loose ones are cheaper than a pack each
_PATIENCE: Final = 10.0  # seconds to wait for a person's git that holds a ref's lock


class PathRefs:
    """The refs of the repository whose git directory is `git_dir`; new objects come from the mirror."""

    def __init__(self, git_dir: Path, mirror: Mirror) -> None:
        self.where = str(git_dir)
        self.git_dir = git_dir
        safe = (f"safe.directory={git_dir}", f"safe.directory={git_dir.parent}")
        identity = {"GIT_COMMITTER_NAME": "Refinery", "GIT_COMMITTER_EMAIL": "refinery@localhost"}
        self.git = Git(git_dir, extra=safe, durable=True, env=identity)
        self._mirror = mirror

    def rows(self) -> Sequence[RefRow]:
        """Every branch and every ref of ours, by one `for-each-ref`."""
        return self._list(BRANCHES, NS)

    def tip(self, ref: str) -> RefRow | None:
        """One ref now."""
        return next((row for row in self._list(ref) if row.ref == ref), None)

    def _list(self, *patterns: str) -> list[RefRow]:
        if not (self.git_dir / "objects").is_dir():
            raise gone(self.git_dir)
        done = self.git.attempt("for-each-ref", _FORMAT, *patterns)
        if done.code != 0:
            raise ForgeUnavailableError(f"the refs of {self.where} cannot be read: {done.err.strip()[:300]}")
        parts = done.out.decode("utf-8", "surrogateescape").split("\0")
        return [
            RefRow(parts[i].lstrip("\n"), parts[i + 1], parts[i + 2]) for i in range(0, len(parts) - 2, 3)
        ]

    def header(self, row: RefRow) -> tuple[str, str]:
        """Tree and first parent of a listed commit."""
        return parse_header(self.git.text("cat-file", "commit", row.sha))

    def commit(self, message: str, parents: Sequence[str], signature: Signature) -> str:
        """Write the commit as a loose object, without a process."""
        body = commit_bytes(EMPTY_TREE, parents, signature, signature, message)
        with writing(self.git_dir):
            write_object(self.git_dir, "tree", b"")
            return write_object(self.git_dir, "commit", body)

    def transact(
        self, updates: Sequence[RefUpdate], objects: Iterable[str] = (), have: Iterable[str] = ()
    ) -> None:
        """Move all refs in one `update-ref` transaction under the repository's flock."""
        self.receive(objects, have)
        with writing(self.git_dir), exclusive(self.git_dir) as held, noted(self.git_dir, updates) as note:
            self.swap(held, updates, note)

    def swap(self, held: int, updates: Sequence[RefUpdate], note: Note) -> None:
        """The transaction itself, for a caller that holds the flock `held` and has noted `updates` in `note`."""
        git = replace(self.git, pass_fds=(held,))
        script = "\n".join(["start", *map(_line, updates), "prepare", "commit", ""]).encode()
        deadline = time.monotonic() + _PATIENCE
        while True:
            done = git.attempt("update-ref", "--stdin", stdin=script)
            if done.code == 0:
                return
            note.was_killed = note.was_killed or done.code < 0
            if not any(word in done.err for word in _BUSY) or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        actual = {row.ref: row.sha for row in self._list(*(update.ref for update in updates))}
        settle(updates, actual, done.err, self.where)

    def receive(self, objects: Iterable[str], have: Iterable[str]) -> None:
        """Copy commits, and what they need beyond `have`, from the mirror; checked strictly on arrival."""
        self._receive([sha for sha in objects if sha], [sha for sha in have if sha])

    def _receive(self, shas: Sequence[str], have: Sequence[str]) -> None:
        if not shas:
            return
        wanted = "\n".join([*shas, *(f"^{sha}" for sha in have), ""]).encode()
        pack = self._mirror.git().run("pack-objects", "--revs", "--thin", "--stdout", "-q", stdin=wanted)
        many = int.from_bytes(pack[8:12], "big") > _MANY
        verb = (
            ("index-pack", "--stdin", "--fix-thin", "--strict")
            if many
            else ("unpack-objects", "-q", "--strict")
        )
        done = self.git.attempt(*verb, stdin=pack)
        if done.code != 0 and have:  # the repository has lost what it once gave us: send everything
            self._receive(shas, ())
        elif is_full(done.err):
            raise disk_full(self.git_dir)
        elif done.code != 0:
            raise PushRefusedError(f"{self.where} does not take the objects: {done.err.strip()[:300]}")


def _line(update: RefUpdate) -> str:
    if update.new is None:
        return f"delete {update.ref} {update.old}"
    return f"update {update.ref} {update.new} {update.old or ZERO}"
