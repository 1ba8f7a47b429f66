"""What a worker or merger process tells its supervisor: one JSON object a line, on standard output.

Events are news, never state: a lost one costs a line in a view, since claims, pulls and the queue are on the forge.
"""

import json
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from refinery.core.outcomes import Outcome
from refinery.core.swarm import next_instant
from refinery.project import View
from refinery.queue import Queue
from refinery.report import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The queue of a project: how many are ready, how many are not by each reason, when the next one will be."""

    project: str
    ready: int
    skipped: Mapping[str, int]
    next_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A task is ours until `until` (seconds since the epoch)."""

    task: str
    title: str
    attempt: int
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What the attempt does now."""

    name: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """The lease runs until then."""

    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that the agent, set-up or verify printed, redacted and with its prefix."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line for people from the process itself."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A run ended."""

    result: RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Nothing was ready in a look that began after news `epoch`; `next_at` as in `Looked`, the earliest."""

    epoch: int
    next_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """There may be work, and something keeps this process from it."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A merger judged all pulls, in a pass that began after news `epoch`.

    Rows are those of `merge --json`, with `why` in words. `next_at` (seconds since the epoch): when the lease
    ends that a dead merger of this host left in our way.
    """

    epoch: int
    next_at: float | None = None
    merged: Sequence[Mapping[str, Any]] = ()
    waiting: Sequence[Mapping[str, Any]] = ()
    refused: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The process ends because of this."""

    message: str
    remedy: str
    outcome: Outcome


Event = Looked | Claimed | Phase | Renewed | Line | Note | Result | Idle | Waiting | Passed | Failed
_KINDS: Final = {
    kind.__name__.lower(): kind
    for kind in (Looked, Claimed, Phase, Renewed, Line, Note, Result, Idle, Waiting, Passed, Failed)
}


def encode(event: Event) -> str:
    """The event as one line, without its end."""
    return json.dumps({"event": type(event).__name__.lower(), **asdict(event)})


def decode(line: str) -> Event:
    """The event of a line.

    Raises:
        ValueError: it holds none that this version knows.
    """
    try:
        values = json.loads(line)
        kind = _KINDS[values.pop("event")]
        if kind is Result:
            values["result"] = _result(values["result"])
        if kind is Failed:
            values["outcome"] = Outcome(values["outcome"])
        event: Event = kind(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an event: {error}") from error
    return event


def _result(values: Mapping[str, Any]) -> RunResult:
    known = {each.name: values[each.name] for each in fields(RunResult)}
    return RunResult(**{**known, "outcome": Outcome(known["outcome"])})


def looked(project: str, seen: View, found: Queue) -> Looked:
    """What a worker saw of a project's queue."""
    ours = [seen.tasks.tasks[name] for name in found.skipped]
    why = found.plan.skipped
    return Looked(
        project=project,
        ready=len(found.ready),
        skipped=dict(Counter(str(why[task.id][0].code) for task in ours)),
        next_at=next_instant(ours, why, seen.state, socket.gethostname()),
    )


@dataclass(slots=True)
class Looks:
    """The latest look at each project."""

    latest: dict[str, Looked] = field(default_factory=dict)

    def add(self, event: Looked) -> None:
        """Take a newer one."""
        self.latest[event.project] = event

    @property
    def next_at(self) -> float | None:
        """When the first task of any project becomes ready by itself."""
        instants = [each.next_at for each in self.latest.values() if each.next_at is not None]
        return min(instants, default=None)

    @property
    def ready(self) -> int:
        """How many tasks are ready."""
        return sum(each.ready for each in self.latest.values())

    @property
    def skipped(self) -> Counter[str]:
        """How many tasks are not, by reason."""
        total: Counter[str] = Counter()
        for each in self.latest.values():
            total.update(each.skipped)
        return total
