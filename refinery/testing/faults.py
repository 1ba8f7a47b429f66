"""Faults on demand: what a request meets instead of a plain answer.

hub.faults.add("drop-after", method="POST", path=r"/git/refs$")        the next one is handled, and never answered
hub.faults.add("status", status=503, path=r"/issues", nth=2)           the second one fails
hub.faults.add("status", status=429, headers={"retry-after": "30"})
hub.faults.add("drop", probability=0.05, seed=7, count=None)           one in twenty, for ever
hub.faults.add("stale", path=r"/git/ref/")                             answered from before the last write
hub.faults.add("partial", where="repository.pullRequests")             GraphQL: null there, and an error
"""

import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["drop", "drop-after", "status", "slow", "truncate", "stale", "rate-limited", "partial"]


@dataclass(slots=True)
class Fault:
    """One knob: the `nth` request that fits meets it, and the next ones, `count` in all (None: without end).

    `method` is exact; `path` and `body` are regular expressions, searched for in path with query, and in what was
    sent. `probability` (with `seed`) lets some of those that fit go. A `slow` one waits until `released` is set.
    """

    kind: Kind
    method: str = ""
    path: str = ""
    body: str = ""
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "Server Error"
    where: str = ""
    nth: int = 1
    count: int | None = 1
    probability: float = 1.0
    seed: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    met: int = 0
    _chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311  (a seed that fails must fail again)

    def strikes(self, method: str, path: str, body: str) -> bool:
        """Whether this request meets it; counts it."""
        if self.count == 0 or (self.method and self.method != method):
            return False
        if not re.search(self.path, path) or not re.search(self.body, body):
            return False
        if self.probability < 1.0 and self._chance.random() >= self.probability:
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        if self.count is not None:
            self.count -= 1
        self.met += 1
        return True


class Faults:
    """All knobs of one server. `on_add` is called with each new one."""

    def __init__(self, on_add: Callable[[Fault], None] = lambda _: None) -> None:
        self._all: list[Fault] = []
        self._lock = threading.Lock()
        self._on_add = on_add

    def add(self, kind: Kind, **values: object) -> Fault:
        """Turn one on; see `Fault` for the values."""
        made = Fault(kind, **values)  # type: ignore[arg-type]  # the fields of Fault, by name
        self._on_add(made)
        with self._lock:
            self._all.append(made)
        return made

    def clear(self) -> None:
        """Turn all off, and let go what waits."""
        with self._lock:
            for fault in self._all:
                fault.released.set()
            self._all.clear()

    def is_armed(self, kind: Kind) -> bool:
        """Whether a request may still meet one of this kind."""
        with self._lock:
            return any(fault.kind == kind and fault.count != 0 for fault in self._all)

    def struck(self, method: str, path: str, body: str = "") -> Fault | None:
        """The first that this request meets."""
        with self._lock:
            return next((fault for fault in self._all if fault.strikes(method, path, body)), None)
