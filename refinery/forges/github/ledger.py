"""What the clients of one identity on this machine know together about GitHub's limits: in a file, if there is one.

GitHub counts by identity, and a swarm has many processes. Each request looks here first, so that a pause that one of
them was asked for holds for all, and all together keep the pace. Nothing depends on the file: one that is damaged, or
that says what cannot be, is begun anew.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from refinery.forges.github.limits import UNPACED, Limited, Pace
from refinery.git_credentials import is_loopback

_LONGEST_LIMIT: Final = 3700.0  # seconds; GitHub's hour, and a little
_LONGEST_DEBT: Final = 3600.0
_UNUSABLE: Final = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(slots=True)
class Page:
    """What is known: the pace so far (instants of the local clock), and the limits by resource (GitHub's clock)."""

    pace: Pace = field(default_factory=Pace)
    limits: dict[str, Limited] = field(default_factory=dict)


class Ledger:
    """One page, in memory, or shared through the file `path`."""

    def __init__(self, path: Path | None = None, pace: Pace | None = None) -> None:
        self._path = path
        self._pace = pace or Pace()
        self._own = Page(self._pace)

    @classmethod
    def shared(cls, folder: Path, api_url: str, secret: str) -> "Ledger":
        """The ledger of an identity; its file's name tells nothing about the secret.

        A server on this machine is nobody's but ours: it is not spared.
        """
        name = hashlib.sha256(f"{api_url}\n{secret}".encode()).hexdigest()[:16]
        is_ours = is_loopback(urlsplit(api_url).hostname or "")
        return cls(folder / f"github-{name}.json", UNPACED if is_ours else None)

    @contextmanager
    def opened(self, local: float, now: float) -> Iterator[Page]:
        """The page, for one short change that nobody else makes at the same time; instants of both clocks."""
        file = self._open()
        if file is None:
            yield self._own
            return
        with file:
            text = file.read()
            page = self._read(text, local, now)
            yield page
            written = json.dumps(asdict(page)).encode()
            if written != text:
                with suppress(OSError):
                    file.seek(0)
                    file.write(written)
                    file.truncate()

    def _open(self) -> FileIO | None:
        """The file, locked; None where there is none, or none can be had."""
        if self._path is None:
            return None
        with suppress(OSError):
            file = FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
            fcntl.flock(file, fcntl.LOCK_EX)
            return file
        return None

    def _read(self, text: bytes, local: float, now: float) -> Page:
        with suppress(*_UNUSABLE):
            values = json.loads(text)
            pace = self._read_pace(values["pace"], local)
            found = {name: Limited(**value) for name, value in values["limits"].items()}
            return Page(
                pace, {name: each for name, each in found.items() if now < each.until < now + _LONGEST_LIMIT}
            )
        return Page(self._pace)

    def _read_pace(self, values: Any, local: float) -> Pace:
        """Instants that lie ahead by more than any pace makes are of a clock before a restart."""
        created = tuple(float(each) for each in values["created"])
        debts = (float(values["points"]["full_at"]), float(values["writes"]["full_at"]))
        if max(*debts, *created, 0.0) > local + _LONGEST_DEBT:
            return self._pace
        points, writes = (
            replace(self._pace.points, full_at=debts[0]),
            replace(self._pace.writes, full_at=debts[1]),
        )
        return Pace(points, writes, created)
