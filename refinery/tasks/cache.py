"""What the last look at a task folder found, kept in one file so that the next process need not read it all again.

Never the truth: a cache that is missing, damaged or of another version is ignored, one of another folder is useless,
and a failed write is none. `marshal` reads 10,000 tasks five times faster than JSON and, unlike pickle, builds nothing
but plain values; since damaged input may crash it, a checksum is compared first. Columns, not rows: a column of
strings fills a slot of 10,000 tasks without running Python code for each.
"""

import contextlib
import marshal
import mmap
import os
import sys
import tempfile
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import fields
from itertools import accumulate, pairwise, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from refinery import __version__
from refinery.core.model import Problem, Status, Task
from refinery.tasks.scan import Signature

Found = Task | Problem | None
Known = dict[str, tuple[Signature | None, Found]]
_FORMAT: Final = 1  # raise it with every change of what `parse` makes of a file
_MAGIC: Final = f"refinery tasks {_FORMAT} {__version__} {sys.implementation.cache_tag}\n".encode()
_BUFFER: Final = 1 << 20  # bytes
_NUMBER: Final = (
    4  # bytes of a number; the checksum is a CRC-32, against damage: whoever writes here can write tasks
)
_TASK: Final = tuple(field.name for field in fields(Task))
_PROBLEM: Final = tuple(field.name for field in fields(Problem))
_STATUS: Final = _TASK.index("status")
_BODY: Final = _TASK.index("body")
_STATUSES: Final = {status.value: status for status in Status}


def load(path: Path) -> Known:
    """What the cache at `path` says of files, by their full paths; empty when it cannot be used."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            return _unpacked(raw)
    except (OSError, ValueError):  # ValueError: an empty file
        return {}


def save(path: Path, known: Known) -> None:
    """Write the cache in one step; entries without a signature are left out. Failure costs time, nothing else."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb", _BUFFER) as file:
                file.writelines(_packed(known))
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink()
            raise


def _packed(known: Known) -> list[bytes]:
    """Magic, checksum, length of the plain values, the values, and then the bodies as UTF-8, end to end."""
    kept = {name: pair for name, pair in known.items() if pair[0] is not None}
    tasks = {name: found for name, (_, found) in kept.items() if isinstance(found, Task)}
    problems = {name: found for name, (_, found) in kept.items() if isinstance(found, Problem)}
    columns = [list(map(attrgetter(field), tasks.values())) for field in _TASK]
    columns[_STATUS] = [status.value for status in columns[_STATUS]]
    bodies = [body.encode() for body in columns[_BODY]]
    columns[_BODY] = list(map(len, bodies))
    rows = [tuple(getattr(problem, field) for field in _PROBLEM) for problem in problems.values()]
    signatures = [pair[0] for pair in kept.values()]
    values = marshal.dumps((list(kept), signatures, list(tasks), columns, list(problems), rows))
    parts = [len(values).to_bytes(_NUMBER, "big"), values, *bodies]
    return [_MAGIC, _checksum(parts), *parts]


def _unpacked(raw: mmap.mmap) -> Known:
    with memoryview(raw) as view, view[len(_MAGIC) + _NUMBER :] as packed:
        if view[: len(_MAGIC) + _NUMBER] != _MAGIC + _checksum([packed]):
            return {}
        length = int.from_bytes(packed[:_NUMBER], "big")
        bodies = _NUMBER + length
        values = marshal.loads(packed[_NUMBER:bodies])  # noqa: S302 - our own file, its checksum compared
        names, signatures, tasks, columns, problems, rows = values
        ends = list(accumulate(columns[_BODY], initial=bodies))
        columns[_BODY] = [str(packed[start:end], "utf-8") for start, end in pairwise(ends)]
    found: dict[str, Found] = dict(zip(tasks, _tasks(len(tasks), columns), strict=True))
    found |= {
        name: Problem(**dict(zip(_PROBLEM, row, strict=True)))
        for name, row in zip(problems, rows, strict=True)
    }
    return dict(zip(names, zip(signatures, map(found.get, names), strict=True), strict=True))


def _checksum(parts: Iterable[bytes | memoryview]) -> bytes:
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum.to_bytes(_NUMBER, "big")


def _tasks(count: int, columns: list[list[Any]]) -> list[Task]:
    """Frozen tasks, filled slot by slot in C: half the time of calling the class."""
    tasks = list(map(object.__new__, repeat(Task, count)))
    columns[_STATUS] = [_STATUSES[word] for word in columns[_STATUS]]
    for field, column in zip(_TASK, columns, strict=True):
        deque(map(getattr(Task, field).__set__, tasks, column), maxlen=0)
    return tasks
