"""Git LFS without running it: a pointer whose real content was downloaded into the worktree is unchanged.

Refinery runs no filter, so a file that `git lfs pull` filled in would be committed whole.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from refinery.mirror import Mirror

_POINTER: Final = re.compile(rb"version \S+\n(?:ext-\S+ \S+\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_LONGEST_POINTER: Final = 1024  # bytes; the format's own limit
_LONGEST_ATTRIBUTES: Final = 1 << 20


def is_used(tree: Path, attributes: Iterable[str]) -> bool:
    """Whether any of these `.gitattributes` files (regular ones, as scanned) mentions the LFS filter."""
    for path in attributes:
        with suppress(FileNotFoundError), (tree / path).open("rb") as file:
            if b"filter=lfs" in file.read(_LONGEST_ATTRIBUTES):
                return True
    return False


def filled_in(mirror: Mirror, tree: Path, changed: Mapping[str, str]) -> frozenset[str]:
    """Those paths of `changed` (path → blob before) that hold exactly what their pointer names."""
    blobs = sorted(set(changed.values()))
    query = "".join(sha + "\n" for sha in blobs).encode()
    sizes = mirror.git().text(
        "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", stdin=query
    )
    rows = [line.split(" ") for line in sizes.splitlines()]
    small = [sha for sha, kind, size in rows if kind == "blob" and int(size) <= _LONGEST_POINTER]
    bodies = mirror.read_blobs(small) if small else {}
    pointers = {sha: match for sha, (_, body) in bodies.items() if (match := _POINTER.fullmatch(body))}
    return frozenset(
        path for path, sha in changed.items() if sha in pointers and _matches(tree / path, pointers[sha])
    )


def _matches(path: Path, pointer: re.Match[bytes]) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != int(pointer[2]):
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().encode() == pointer[1]
