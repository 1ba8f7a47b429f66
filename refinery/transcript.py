"""One file per attempt with what its processes printed: redacted line by line, readable by its owner only (F35).

Properties: what was written before a crash is in the file; the file never grows beyond its limit, and keeps both its
head and its tail; neither the file nor the echo holds a secret that the redactor knows or recognises.
"""

import os
import shlex
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from refinery.core.sanitise import one_line, visible

LIMIT: Final = 16 * 1024 * 1024
_LONGEST_LINE: Final = 1024 * 1024
_LONGEST_ARGUMENT: Final = 200
_TAIL_LINES: Final = 200
_TAIL_BYTES: Final = 4 * 1024 * 1024
_LONGEST_WORD: Final = 8192
_SEPARATORS: Final = b" \t,;\"'{}[]()<>"


def transcript_path(folder: Path, project: str, key: str, attempt: int, claim: str) -> Path:
    """Where an attempt's transcript lies below `folder`; `claim` is the SHA of the claim it worked under."""
    return folder / project / key / f"{attempt}-{claim[:12]}.log"


def prefix_of(agent: str, pid: int) -> str:
    """What each echoed line of an agent begins with."""
    return f"[{agent.upper()}-Worker-{pid}] "


class Transcript:
    """The transcript of one attempt; `write` takes a process's output as it comes, in pieces of any size.

    `redact` gets each line in turn. `echo`, if any, gets each line with `prefix`, without what could steer a terminal.
    `limit` is the file's largest size in bytes.
    """

    def __init__(
        self,
        path: Path,
        *,
        redact: Callable[[str], str],
        echo: Callable[[str], None] | None = None,
        prefix: str = "",
        limit: int = LIMIT,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._redact = redact
        self._echo = echo
        self._prefix = prefix
        self._rest = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._file = _BoundedFile(path, limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, what: str, argv: Sequence[str]) -> None:
        """Open a section: what is started now (`agent claude`, `verify`), and its command line, shortened."""
        shown = " ".join(one_line(shlex.quote(argument), _LONGEST_ARGUMENT) for argument in argv)
        self._note(f"{what}: {shown}")
        self._tail.clear()
        self._tail_bytes = 0

    def end(self, how: str) -> None:
        """Close a section with how it ended."""
        self._note(how)

    def write(self, piece: bytes) -> None:
        """Take output: whole lines are written, the rest waits for its end."""
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._rest += line + b"\n"
            self._flush()
        self._rest += rest
        while len(self._rest) > _LONGEST_LINE:
            cut = _cut_between_words(self._rest)
            part = bytes(self._rest[:cut])
            del self._rest[:cut]
            self._line(part)

    def tail(self) -> tuple[str, ...]:
        """The section's last lines, as they came: for an adapter to parse; redact whatever is shown of them."""
        lines = [*self._tail, bytes(self._rest)] if self._rest else self._tail
        return tuple(line.decode("utf-8", "replace").rstrip("\r\n") for line in lines)

    def close(self) -> None:
        """Write what is left and close the file."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rest:
            line = bytes(self._rest)
            self._rest.clear()
            self._line(line)

    def _line(self, line: bytes) -> None:
        self._tail.append(line)
        self._tail_bytes += len(line)
        while len(self._tail) > _TAIL_LINES or (self._tail_bytes > _TAIL_BYTES and len(self._tail) > 1):
            self._tail_bytes -= len(self._tail.popleft())
        self._put(line.decode("utf-8", "surrogateescape"))

    def _note(self, text: str) -> None:
        if self._rest:
            self._rest += b"\n"
            self._flush()
        self._put(f"--- {text}\n")

    def _put(self, line: str) -> None:
        shown = self._redact(line)
        self._file.write(shown.encode("utf-8", "surrogateescape"))
        if self._echo is not None and shown:
            self._echo(self._prefix + visible(shown).rstrip("\n"))


def _cut_between_words(text: bytearray) -> int:
    """Where to cut a line that is too long, so that no secret is cut in two: after a separator near its end."""
    end = len(text)
    near = max(text.rfind(one, end - _LONGEST_WORD) for one in _SEPARATORS)
    return near + 1 if near >= 0 else end


class _BoundedFile:
    """An append-only file that drops its middle when it grows beyond `limit` bytes."""

    def __init__(self, path: Path, limit: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        os.fchmod(self._descriptor, 0o600)
        self._limit = limit
        self._head = limit // 2
        self._size = os.lseek(self._descriptor, 0, os.SEEK_END)
        self._dropped = 0

    def write(self, data: bytes) -> None:
        data = data[-(self._limit // 8) :]
        if self._size + len(data) > self._limit:
            self._drop_middle()
        while data:
            written = os.pwrite(self._descriptor, data, self._size)
            self._size += written
            data = data[written:]

    def _drop_middle(self) -> None:
        """Keep half the limit of the head, and the last quarter of it, cut at line ends."""
        start = self._size - self._limit // 4
        kept = os.pread(self._descriptor, self._size - start, start)
        kept = kept[kept.find(b"\n") + 1 :]
        head = os.pread(self._descriptor, self._head, 0)
        self._head = head.rfind(b"\n") + 1 or len(head)
        self._dropped += self._size - self._head - len(kept)
        note = f"--- {self._dropped} bytes are left out here\n".encode()
        os.ftruncate(self._descriptor, self._head)
        self._size = self._head
        for part in (note, kept):
            self._size += os.pwrite(self._descriptor, part, self._size)

    def close(self) -> None:
        os.close(self._descriptor)
