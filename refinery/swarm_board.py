"""What a supervisor knows at this moment, as its view shows it and as its report counts it.

Only news from children come in here; nothing is decided. Times are `time.monotonic()`, leases `time.time()`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refinery.core.swarm import Run
from refinery.events import Claimed, Event, Idle, Line, Looked, Looks, Passed, Phase, Renewed, Result, Waiting
from refinery.report import RunResult


@dataclass(slots=True)
class WorkerRow:
    """One worker. `state` is a word: starting, idle, waiting, working, stopping, stopped, dead."""

    number: int
    agent: str
    pid: int = 0
    state: str = "starting"
    since: float = 0.0
    task: str = ""
    title: str = ""
    attempt: int = 0
    last: str = ""
    lease_until: float = 0.0
    told: str = ""  # why it waits, as people were told

    @property
    def prefix(self) -> str:
        """What its lines begin with."""
        return f"[{self.agent.upper()}-Worker-{self.pid}]"

    def turn(self, state: str, now: float, last: str = "") -> None:
        """Go over to `state`; one that it has already keeps its time."""
        if state != self.state:
            self.state, self.since = state, now
        self.last = last

    def take(self, event: Event, now: float) -> None:
        """What the worker reports of itself."""
        match event:
            case Claimed():
                self.turn("working", now)
                self.since = now
                self.task, self.title, self.attempt = event.task, event.title, event.attempt
                self.lease_until = event.until
            case Phase():
                self.agent = event.agent or self.agent
                self.last = event.name
            case Renewed():
                self.lease_until = event.until
            case Line():
                self.last = event.text.partition("] ")[2] or self.last
            case Looked() if self.task:  # it lost what it had claimed to somebody faster
                self.free("idle", now)
            case Idle():
                self.free("idle", now, "")
            case Waiting():
                self.free("waiting", now, event.why)
            case Result():
                self.free("idle", now, "")
            case _:
                pass

    def free(self, state: str, now: float, last: str = "") -> None:
        """Go over to `state`, with no task in hand."""
        self.turn(state, now, last)
        self.task, self.title, self.attempt, self.lease_until = "", "", 0, 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRow:
    """A pull, as the merger saw it last. `verdict` is merged, wait or refuse; `why` is for people alone."""

    project: str
    number: int
    task: str
    verdict: str
    why: str = field(compare=False)
    codes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What becomes of it, and why."""
        word = {"wait": "waits", "refuse": "is refused"}.get(self.verdict, self.verdict)
        return f"{word}: {self.why}" if self.why else word


@dataclass(slots=True)
class Board:
    """Everything that is shown and counted."""

    workers: list[WorkerRow]
    started: float
    has_merger: bool = False
    merger: str = ""
    closing: str = ""
    looks: Looks = field(default_factory=Looks)
    pulls: dict[tuple[str, int], PullRow] = field(default_factory=dict)
    merged: list[Mapping[str, Any]] = field(default_factory=list)
    results: list[RunResult] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    _told: set[PullRow] = field(default_factory=set)

    def ended(self, worker: int, result: RunResult) -> None:
        """A run ended."""
        self.results.append(result)
        self.runs.append(
            Run(worker=worker, task=result.task_id, outcome=result.outcome, reason=result.reason)
        )

    def judged(self, event: Passed) -> tuple[list[PullRow], list[PullRow]]:
        """A pass of the merger: the rows that changed, and those that people should hear of.

        What waits is told when it still waits in a later pass: most of it waits for its worker to let go.
        """
        fresh, telling = [], []
        for row in (*event.merged, *event.waiting, *event.refused):
            shown = _pull_row(row, is_merged=bool(row["commit"]))
            at = (shown.project, shown.number)
            if self.pulls.get(at) != shown:
                self.pulls.pop(at, None)  # what changed last stands last
                self.pulls[at] = shown
                fresh.append(shown)
                if shown.verdict == "refuse":
                    telling.append(shown)
            elif shown.verdict == "wait" and shown not in self._told:
                self._told.add(shown)
                telling.append(shown)
        self.merged += [{name: row[name] for name in row if name != "why"} for row in event.merged]
        return fresh, telling

    @property
    def total_tokens(self) -> int:
        """The sum of what agents reported."""
        return sum(result.tokens or 0 for result in self.results)

    @property
    def cost_usd(self) -> float:
        """As `total_tokens`."""
        return sum(result.cost_usd or 0.0 for result in self.results)


def _pull_row(row: Mapping[str, Any], *, is_merged: bool) -> PullRow:
    return PullRow(
        project=row["project"],
        number=row["pull"],
        task=row["task"],
        verdict="merged" if is_merged else row["verdict"],
        why="" if is_merged else row["why"],
        codes=tuple(str(each["code"]) for each in row["reasons"]),
    )
