r"""Whether a change adds and does nothing else, proven from the two trees alone.

There is no rename detection: a rename is a removal and an addition. A file grows when its old lines are a subsequence
of its new ones, bytewise. A line ends with b"\n" and owns that byte: `a` without a final newline is not the line
`a\n`, so growing past an unterminated last line, turning LF into CRLF or dropping the final newline changes a line of
the base, exactly as `git diff` shows it with a `-`. A NUL byte on either side makes a file binary, and a binary file
that changed is not additive.

Properties: tier `new-files` means that every entry of the base is in the result with the same mode and blob; tier
`additions` that besides regular files only grew; no reason is lost when changes are added.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from refinery.core.paths import ancestors, fold, oddity
from refinery.core.reasons import Code, Reason, reason

REGULAR: Final = "100644"
EXECUTABLE: Final = "100755"
SYMLINK: Final = "120000"
GITLINK: Final = "160000"
_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")
_FILES: Final = frozenset({REGULAR, EXECUTABLE})


class Tier(StrEnum):
    """How far a change goes beyond its base; each tier includes the ones before it."""

    NEW_FILES = "new-files"
    ADDITIONS = "additions"
    ANY = "any"


TIERS: Final = tuple(Tier)


@dataclass(frozen=True, slots=True)
class Entry:
    """A path's entry in a tree: mode in six octal digits, and the object's name."""

    mode: str
    sha: str

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, executable or not."""
        return self.mode in _FILES


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs. `path` keeps bytes that are not UTF-8 as surrogates (`surrogateescape`).

    Contents are None where nobody needs them (links, removed files) and where they could not be read whole.
    """

    path: str
    old: Entry | None
    new: Entry | None
    old_content: bytes | None = None
    new_content: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What a change does to its base: the least tier that admits it, all reasons, and how much of it there is.

    `grown` are the files that tier `additions` admits and `new-files` does not. `added_lines` counts lines; of a file
    that did more than grow, all new lines between its first and its last difference.
    """

    tier: Tier
    reasons: tuple[Reason, ...] = ()
    paths: tuple[str, ...] = ()
    grown: tuple[str, ...] = ()
    added_lines: int = 0

    @property
    def files(self) -> int:
        """How many paths differ."""
        return len(self.paths)


class _Judged(NamedTuple):
    tier: Tier
    reasons: tuple[Reason, ...] = ()
    added_lines: int = 0


def classify(changes: Iterable[Change], siblings: Mapping[str, Sequence[str]]) -> Classification:
    """Judge the difference between two trees, free of any policy.

    `siblings` gives, for every folder of the *new* tree that holds an added path at any depth ("" is the root), the
    names in it; an added path whose folder is missing counts as unreadable.
    """
    changed = sorted(changes, key=lambda change: change.path)
    judged = [_judge(change) for change in changed]
    reasons = [each for one in judged for each in one.reasons]
    reasons += _collisions([change.path for change in changed if change.old is None], siblings)
    return Classification(
        tier=max((one.tier for one in judged), key=TIERS.index, default=Tier.NEW_FILES),
        reasons=tuple(reasons),
        paths=tuple(change.path for change in changed),
        grown=tuple(
            change.path for change, one in zip(changed, judged, strict=True) if one.tier is Tier.ADDITIONS
        ),
        added_lines=sum(one.added_lines for one in judged),
    )


def lines_of(content: bytes) -> list[bytes]:
    r"""The lines of `content`, each with its b"\n"; only the last one may lack it."""
    return _LINE.findall(content)


def first_removed(old: Sequence[bytes], new: Sequence[bytes]) -> int | None:
    """The index in `old` up to which its lines are a subsequence of `new` and with which they are not; or None."""
    rest = iter(new)
    return next((index for index, line in enumerate(old) if line not in rest), None)


def _judge(change: Change) -> _Judged:
    path, old, new = change.path, change.old, change.new
    if new is None:
        return _Judged(Tier.ANY, (reason(Code.REMOVED, path=path),))
    if old is None:
        return _judge_added(path, new, change.new_content)
    kinds = _kind(path, new)
    if old.is_file != new.is_file or (kinds and old.mode != new.mode):
        return _Judged(Tier.ANY, (reason(Code.TYPE_CHANGED, path=path, old=old.mode, new=new.mode), *kinds))
    if old.mode != new.mode:
        return _Judged(Tier.ANY, (reason(Code.MODE_CHANGED, path=path, old=old.mode, new=new.mode),))
    return _Judged(Tier.ANY, kinds) if kinds else _judge_contents(change)


def _judge_added(path: str, new: Entry, content: bytes | None) -> _Judged:
    reasons = list(_kind(path, new))
    if new.mode == EXECUTABLE:
        reasons.append(reason(Code.EXECUTABLE, path=path))
    if new.is_file and content is None:
        reasons.append(reason(Code.UNREADABLE, path=path))
    if why := oddity(path):
        reasons.append(reason(Code.ODD_PATH, path=path, why=why))
    return _Judged(Tier.NEW_FILES, tuple(reasons), len(lines_of(content or b"")))


def _kind(path: str, entry: Entry) -> tuple[Reason, ...]:
    if entry.is_file:
        return ()
    if entry.mode in (SYMLINK, GITLINK):
        return (reason(Code.SYMLINK if entry.mode == SYMLINK else Code.SUBMODULE, path=path),)
    return (reason(Code.UNUSUAL_MODE, path=path, mode=entry.mode),)


def _judge_contents(change: Change) -> _Judged:
    path, before, after = change.path, change.old_content, change.new_content
    if before is None or after is None:
        return _Judged(Tier.ANY, (reason(Code.UNREADABLE, path=path),))
    old, new = lines_of(before), lines_of(after)
    if b"\0" in before or b"\0" in after:
        return _Judged(Tier.ANY, (reason(Code.BINARY_CHANGED, path=path),), _changed_lines(old, new))
    removed = first_removed(old, new)
    if removed is None:
        return _Judged(Tier.ADDITIONS, (), len(new) - len(old))
    bare = first_removed([line.rstrip(b"\r\n") for line in old], [line.rstrip(b"\r\n") for line in new])
    code = Code.LINE_ENDINGS if bare is None else Code.LINES_REMOVED
    return _Judged(Tier.ANY, (reason(code, path=path, line=removed + 1),), _changed_lines(old, new))


def _changed_lines(old: Sequence[bytes], new: Sequence[bytes]) -> int:
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    tail = next((at for at in range(shorter - head) if old[-1 - at] != new[-1 - at]), shorter - head)
    return len(new) - head - tail


def _collisions(added: Iterable[str], siblings: Mapping[str, Sequence[str]]) -> Iterator[Reason]:
    by_fold = {folder: _by_fold(names) for folder, names in siblings.items()}
    for path in added:
        parts = path.split("/")
        for folder, name in zip(ancestors(path), parts, strict=True):
            twins = by_fold.get(folder, {}).get(fold(name), [])
            if name not in twins:
                yield reason(Code.UNREADABLE, path=path)
                break
            twins = [*twins]
            twins.remove(name)
            for other in twins:
                yield reason(Code.COLLISION, path=path, other=f"{folder}/{other}" if folder else other)


def _by_fold(names: Iterable[str]) -> dict[str, list[str]]:
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(fold(name), []).append(name)
    return folded
