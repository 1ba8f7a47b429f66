"""Trees of a git directory as the classifier reads them: what differs, and which names lie beside it.

Three git processes for one comparison, whatever its size. Only plumbing runs, and no attribute, filter, external diff
or configuration of the repository has a say: `diff-tree --raw` compares object names, `cat-file --batch` gives raw
bytes. `--ignore-submodules=none` is needed: a `.gitmodules` may ask that its submodules be left out of every diff.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from refinery.core.additive import Change, Classification, Entry, classify
from refinery.core.paths import ancestors
from refinery.errors import GitError
from refinery.git import Git

MAX_BLOB: Final = 16 << 20  # bytes of one file; a larger one counts as unreadable
MAX_TOTAL: Final = 256 << 20  # bytes of all contents of one comparison; what goes beyond counts as unreadable
_HELD: Final = 64 << 20  # bytes held at once while many comparisons are made
_FOLDER: Final = "040000"
_RAW: Final = ("-r", "-t", "--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules=none")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RawDiff:
    """What differs between two trees, without contents.

    `folders` names the new tree of every folder below which something changed, as git can look it up; "" is the root.
    """

    entries: tuple[tuple[str, Entry | None, Entry | None], ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)

    def wanted(self) -> set[str]:
        """The names of the objects that `classify` reads."""
        return {name for _, old, new in self.entries for name in _read(old, new)} | {*self._listed().values()}

    def classify(self, objects: Mapping[str, bytes]) -> Classification:
        """Judge it by the contents in `objects`; what is missing there counts as unreadable."""
        width = max((len(side.sha) // 2 for _, *sides in self.entries for side in sides if side), default=0)
        siblings = {
            folder: tree_names(objects[tree], width)
            for folder, tree in self._listed().items()
            if tree in objects
        }
        return classify((_change(objects, *entry) for entry in self.entries), siblings)

    def _listed(self) -> dict[str, str]:
        added = (path for path, old, _ in self.entries if old is None)
        needed = {folder for path in added for folder in ancestors(path)}
        return {folder: self.folders[folder] for folder in needed if folder in self.folders}


def compare(git: Git, old: str, new: str, *, max_blob: int = MAX_BLOB) -> Classification:
    """Classify the step from `old` to `new` (commits or trees); files over `max_blob` bytes count as unreadable.

    Raises:
        GitError: one of the trees cannot be read.
    """
    out = git.run("diff-tree", *_RAW, old, new, "--")
    diff = parse_raw(out).get("", RawDiff())
    return next(_classify_all(git, [_rooted(diff, f"{new}^{{tree}}")], max_blob, _silent))


def compare_many(
    git: Git,
    steps: Sequence[tuple[str, str, str]],
    *,
    max_blob: int = MAX_BLOB,
    progress: Progress | None = None,
) -> Iterator[Classification]:
    """Classify many steps of a history in a handful of processes, in order.

    Each step is (parent commit, commit, the commit's tree); `progress` hears how many of all are done.
    """
    lines = "".join(f"{commit} {parent}\n" for parent, commit, _ in steps)
    diffs = parse_raw(git.run("diff-tree", "--stdin", *_RAW, stdin=lines.encode()))
    rooted = [_rooted(diffs.get(commit, RawDiff()), tree) for _, commit, tree in steps]
    yield from _classify_all(git, rooted, max_blob, progress or _silent)


def merge_bases(git: Git, one: str, other: str) -> tuple[str, ...]:
    """All best common ancestors of two commits; empty when they share no history.

    Raises:
        GitError: a commit cannot be read.
    """
    done = git.attempt("merge-base", "--all", one, other)
    if done.code not in (0, 1):
        raise GitError(f"git merge-base failed ({done.code})", code=done.code, stderr=done.err)
    return tuple(done.out.decode().split())


def parse_raw(out: bytes) -> dict[str, RawDiff]:
    """The differences in the output of `diff-tree --raw -z`, by the commit named before each ("" if none is)."""
    found: dict[str, tuple[list[tuple[str, Entry | None, Entry | None]], dict[str, str]]] = {}
    tokens = iter(out.split(b"\0")[:-1])
    entries, folders = found.setdefault("", ([], {}))
    for token in tokens:
        if not token.startswith(b":"):
            entries, folders = found.setdefault(token.decode(), ([], {}))
            continue
        old_mode, new_mode, old_sha, new_sha, _ = token[1:].decode().split(" ")
        path = next(tokens).decode("utf-8", "surrogateescape")
        if new_mode == _FOLDER:
            folders[path] = new_sha
        old, new = _entry(old_mode, old_sha), _entry(new_mode, new_sha)
        if old or new:
            entries.append((path, old, new))
    return {name: RawDiff(tuple(entries), folders) for name, (entries, folders) in found.items()}


def tree_names(content: bytes, sha_bytes: int) -> list[str]:
    """The names in a raw tree object (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects)."""
    names, at = [], 0
    while at < len(content):
        space = content.index(b" ", at)
        end = content.index(b"\0", space)
        names.append(content[space + 1 : end].decode("utf-8", "surrogateescape"))
        at = end + 1 + sha_bytes
    return names


def _entry(mode: str, sha: str) -> Entry | None:
    return None if mode in ("000000", _FOLDER) else Entry(mode, sha)


def _read(old: Entry | None, new: Entry | None) -> list[str]:
    """Contents decide only about added files, and about files of one mode on both sides."""
    if new is None or not new.is_file or (old is not None and old.mode != new.mode):
        return []
    return [new.sha] if old is None else [old.sha, new.sha]


def _change(objects: Mapping[str, bytes], path: str, old: Entry | None, new: Entry | None) -> Change:
    read = _read(old, new)
    before, after = (objects.get(side.sha) if side and side.sha in read else None for side in (old, new))
    return Change(path, old, new, before, after)


def _rooted(diff: RawDiff, root: str) -> RawDiff:
    return replace(diff, folders={**diff.folders, "": root})


def _silent(done: int, total: int) -> None:
    """Nobody wants to hear about progress."""


def _classify_all(
    git: Git, diffs: Sequence[RawDiff], max_blob: int, progress: Progress
) -> Iterator[Classification]:
    asked = sorted({name for diff in diffs for name in diff.wanted()})
    sizes = {name: size for name, size in _sizes(git, asked).items() if size <= max_blob}
    done = 0
    for group, names in _groups(diffs, sizes):
        objects = _objects(git, sorted(names))
        for diff in group:
            yield diff.classify(objects)
        done += len(group)
        progress(done, len(diffs))


def _groups(diffs: Iterable[RawDiff], sizes: Mapping[str, int]) -> Iterator[tuple[list[RawDiff], set[str]]]:
    """Neighbours that together need no more than `_HELD` bytes (or one that does), with what they need."""
    group: list[RawDiff] = []
    names: set[str] = set()
    held = 0
    for diff in diffs:
        needed = _affordable(diff.wanted() & sizes.keys(), sizes)
        cost = sum(sizes[name] for name in needed - names)
        if group and held + cost > _HELD:
            yield group, names
            group, names, held = [], set(), 0
            cost = sum(sizes[name] for name in needed)
        group.append(diff)
        names |= needed
        held += cost
    if group:
        yield group, names


def _affordable(names: Iterable[str], sizes: Mapping[str, int]) -> set[str]:
    kept, total = set(), 0
    for name in sorted(names, key=lambda name: (sizes[name], name)):
        total += sizes[name]
        if total > MAX_TOTAL:
            break
        kept.add(name)
    return kept


def _sizes(git: Git, asked: Sequence[str]) -> dict[str, int]:
    """The bytes of each object that exists, by the name that it was asked for."""
    if not asked:
        return {}
    out = git.text("cat-file", "--batch-check", stdin="".join(f"{name}\n" for name in asked).encode())
    lines = (line.split(" ") for line in out.split("\n"))
    return {name: int(parts[2]) for name, parts in zip(asked, lines, strict=True) if len(parts) == 3}


def _objects(git: Git, names: Sequence[str]) -> dict[str, bytes]:
    if not names:
        return {}
    out = git.run("cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode())
    found, at = {}, 0
    for name in names:
        end = out.index(b"\n", at)
        word = out[at:end].rpartition(b" ")[2]
        if word == b"missing":
            at = end + 1
            continue
        size = int(word)
        found[name] = out[end + 1 : end + 1 + size]
        at = end + 2 + size
    return found
