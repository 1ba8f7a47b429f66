"""A swarm's supervisor: starts workers and a merger, hears what they report, and decides who goes on.

Properties kept
- It holds nothing that anybody needs: killed at any moment, its children drain (their standard input ends), and the
  next start reconciles.
- A task's failure is the task's; a worker is stopped only when it keeps failing on different tasks, the swarm only
  when everybody fails of one cause.
- It ends by itself only when every process has looked after the last thing that happened, and found nothing; so has
  a last reconcile, for the lease of somebody who died may have ended meanwhile.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from refinery.core.outcomes import Outcome
from refinery.core.swarm import (
    FAILURES,
    Ended,
    Standing,
    bars_everybody,
    broken_for_all,
    is_finished,
    keeps_failing,
    swarm_exit_code,
)
from refinery.core.text import plural
from refinery.events import Claimed, Event, Failed, Idle, Line, Looked, Note, Passed, Result, Waiting
from refinery.process import Stop, StopFlag
from refinery.report import RunResult
from refinery.swarm_board import Board, WorkerRow
from refinery.swarm_child import Child, core_share, usable_cores
from refinery.swarm_fleet import STARTING, Fleet, Slot

_STEP: Final = 0.5  # seconds between two looks at clocks, and at most between two pictures of a view
_RECONCILE: Final = 180.0  # seconds between two reconciles, and two looks at the pool
_REFILL: Final = 2.0  # seconds before the pool is filled up: whoever just took from it goes first
_SAVE: Final = 60.0  # seconds that a child has to save its work after its deadline, or after a force-stop


class Show(Protocol):
    """Where a supervisor tells people what happens."""

    def line(self, prefix: str, text: str) -> None:
        """A line of a child; `prefix` is empty where the line has one."""

    def news(self, prefix: str, text: str) -> None:
        """Something began, ended, landed or was refused."""

    def alert(self, text: str) -> None:
        """Something that a person should hear of now."""

    def refresh(self, board: Board) -> None:
        """The picture of this moment, at least twice a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmOptions:
    """What to run: each worker's agent (for its prefix) and arguments; those of the reconciler, and of others if any.

    `filler` keeps the warm pool full. `drain_seconds` is what the workers were told too.
    """

    workers: Sequence[tuple[str, Sequence[str]]]
    mender: Sequence[str]
    merger: Sequence[str] = ()
    filler: Sequence[str] = ()
    is_forever: bool = False
    drain_seconds: float = 600.0
    most_failures: int = FAILURES


class Supervisor:
    """One swarm, from its first child to its last. `stop` is raised by signals; `show` is told everything."""

    def __init__(self, options: SwarmOptions, stop: StopFlag, show: Show) -> None:
        self.options, self._stop, self._show = options, stop, show
        rows = [WorkerRow(number, agent) for number, (agent, _) in enumerate(options.workers)]
        self.board = Board(rows, time.monotonic(), has_merger=bool(options.merger))
        self._workers = _worker_slots(options, rows)
        self._merger = Slot("Merger", options.merger) if options.merger else None
        self._mender = Slot("Reconciler", options.mender)
        self._filler = Slot("Pool", options.filler)
        self._filled = ""
        self._mended: list[str] = []
        self._fleet = Fleet(stop, self._hear, self._on_line, self._on_end)
        self._epoch = 0
        self._is_mended = (
            True  # whether nothing has happened since the last reconcile that a look at the end would see
        )
        self._ended: Ended | None = None
        self._deadline = float("inf")

    @property
    def ended(self) -> Ended:
        """Why it came to its end."""
        is_merged = self._merger is None or self._merger.gone is None
        return Ended.GIVEN_UP if self._ended is Ended.DONE and not is_merged else self._ended or Ended.DONE

    @property
    def exit_code(self) -> int:
        """As docs/design.md has it."""
        return swarm_exit_code(self.ended, self.board.runs)

    def run(self) -> None:
        """Reconcile, then work until nothing is left to do, or until somebody asks to stop."""
        try:
            self._fleet.start(self._mender, time.monotonic())
            while self._mender.child is not None:
                self._turn()
            for slot in self._looping:
                slot.start_at = time.monotonic()
            self._refill(0.0)
            while self._ended is None or self._fleet.running:
                self._turn()
        finally:
            self._fleet.close()

    @property
    def _looping(self) -> list[Slot]:
        return [*self._workers, *([self._merger] if self._merger is not None else [])]

    def _turn(self) -> None:
        now = time.monotonic()
        if self._ended is None:
            self._fleet.start_due([*self._looping, self._mender, self._filler], now)
        self._show.refresh(self.board)
        self._fleet.step(_STEP)
        self._heed_stop()
        if self._ended is None and self._is_over():
            if self._is_mended:
                self._close(Ended.DONE)
            else:
                self._is_mended, self._mender.start_at = True, now
        if time.monotonic() > self._deadline:
            self._fleet.kill()

    def _heed_stop(self) -> None:
        if self._stop.state is Stop.DRAIN and self._ended is None:
            self._show.news(
                "[swarm]", "draining: current tasks are finished, none is begun; again to stop at once"
            )
            self._close(Ended.DRAINED)
        if self._stop.state is Stop.FORCE and self._ended is not Ended.FORCED:
            self._show.news("[swarm]", "stopping at once: work so far is kept on its branches")
            self._close(Ended.FORCED)

    def _close(self, why: Ended) -> None:
        """Have all children end; those that do not in time are killed, and their claims expire."""
        self._ended, self.board.closing = why, str(why)
        is_forced = why is Ended.FORCED
        for slot in self._looping:
            if slot.child is not None:
                slot.child.stop(Stop.FORCE if is_forced else Stop.DRAIN)
        for slot in (self._mender, self._filler):
            if is_forced and slot.child is not None:
                slot.child.kill()  # it may die at any moment, like everybody
        if not is_forced and self._filler.child is not None:
            self._filler.child.stop(Stop.DRAIN)
        self._deadline = time.monotonic() + _SAVE + (0.0 if is_forced else self.options.drain_seconds)
        for slot in self._workers:
            if slot.row is not None and slot.child is not None and slot.row.state != "working":
                slot.row.turn("stopping", time.monotonic())

    def _is_over(self) -> bool:
        if all(slot.gone is not None for slot in self._workers):
            self._close(_common_end(self._workers))
            return False
        if self.options.is_forever or self._mender.child is not None:
            return False
        merger = self._merger.standing if self._merger is not None and self._merger.gone is None else None
        return is_finished(
            [slot.standing for slot in self._workers if slot.gone is None], merger, self._epoch
        )

    def _news(self) -> None:
        """Something changed on the forge: all shall look again."""
        self._epoch += 1
        self._is_mended = False
        self._fleet.tell(self._epoch)

    def _refill(self, seconds: float) -> None:
        """Have the pool looked after in so many seconds, or before; once its process has ended, if one runs."""
        if self.options.filler:
            at = time.monotonic() + seconds
            self._filler.start_at = min(at, self._filler.start_at or at)

    def _hear(self, slot: Slot, event: Event) -> None:
        """Every event of every child."""
        if slot is self._filler:
            if isinstance(event, Note) and event.text != self._filled:
                self._filled = event.text
                self._show.news(slot.prefix, event.text)
            return
        if isinstance(event, Claimed):
            self._refill(_REFILL)
        self._on_event(slot, event)

    def _on_event(self, slot: Slot, event: Event) -> None:
        now = time.monotonic()
        if slot.row is not None:
            slot.row.take(event, now)
        match event:
            case Looked():
                self.board.looks.add(event)
            case Line():
                self._show.line("", event.text)
            case Note():
                self._show.news(slot.prefix, event.text)
            case Waiting():
                self._on_waiting(slot, event)
            case Result() if slot.row is not None:
                self._on_result(slot, slot.row, event.result)
            case Passed():
                self._on_pass(slot, event)
            case Failed():
                slot.failed = event
            case _:
                slot.standing = _standing(event, slot.standing)
                self._is_mended = self._is_mended and not slot.standing.is_waiting_for_time

    def _on_waiting(self, slot: Slot, event: Waiting) -> None:
        slot.standing = STARTING
        if slot is self._merger:
            is_new, self.board.merger = self.board.merger != event.why, event.why
            if is_new:
                self._alert(f"the merger cannot go on: {event.why}")
        elif slot.row is not None and slot.row.told != event.why:
            slot.row.told = event.why
            self._show.news(slot.prefix, f"waiting: {event.why}")

    def _on_result(self, slot: Slot, row: WorkerRow, result: RunResult) -> None:
        slot.standing, slot.deaths, row.told = STARTING, 0, ""
        self.board.ended(row.number, result)
        pull = f" (pull {result.pull})" if result.pull is not None else ""
        why = f": {result.reason}" if result.reason else ""
        self._show.news(slot.prefix, f"{result.task_id}: {result.outcome}{pull}{why}")
        self._news()
        if self._ended is not None:
            return
        limit = self.options.most_failures
        cause = broken_for_all(self.board.runs, len(self._workers), limit)
        if cause is not None:
            self._alert(f"the swarm stops, since every task fails alike: {cause} ({result.reason})")
            self._close(Ended.BROKEN)
        elif keeps_failing(self.board.runs, row.number, limit):
            slot.gone = Ended.GIVEN_UP
            self._alert(
                f"{row.prefix} is stopped: it failed on {plural(limit, 'task')} in a row ({result.reason})"
            )
            if slot.child is not None:
                slot.child.stop(Stop.DRAIN)

    def _on_pass(self, slot: Slot, event: Passed) -> None:
        slot.deaths, self.board.merger = 0, ""
        fresh, telling = self.board.judged(event)
        for row in telling:
            self._show.news(slot.prefix, f"pull {row.number} ({row.task}) {row.sentence}")
        slot.standing = Standing(
            epoch=event.epoch, is_idle=not event.merged, is_waiting_for_time=event.next_at is not None
        )
        if event.merged:
            self._refill(_REFILL)
        if fresh or event.merged:
            self._news()

    def _on_line(self, slot: Slot, text: str, is_output: bool) -> None:
        """Plain text: what the reconciler puts out is its report; all else is a warning, a pause or a traceback."""
        if slot is self._mender and is_output:
            self._mended.append(text)
        else:
            self._show.line(slot.prefix, text)

    def _on_end(self, slot: Slot, child: Child) -> None:
        now = time.monotonic()
        if slot is self._mender:
            self._on_mended(now)
            return
        if slot is self._filler:
            self._refill(_RECONCILE)
            return
        slot.standing = STARTING
        if slot.row is not None:
            if slot.row.task:
                self._on_lost(slot.row, child)
            slot.row.free("stopped", now)
        if self._ended is None and slot.gone is None:
            self._replace(slot, child, now)

    def _on_lost(self, row: WorkerRow, child: Child) -> None:
        """A worker died with a task in hand: its claim expires, and somebody takes it over."""
        why = f"its worker {child.how_it_ended}; the task is free again when the lease has ended"
        result = RunResult(
            outcome=Outcome.INTERNAL_ERROR,
            task_id=row.task,
            attempt=row.attempt,
            agent=row.agent,
            reason=why,
            seconds=time.monotonic() - row.since,
        )
        self.board.ended(row.number, result)
        self._show.news(row.prefix, f"{row.task}: {why}")

    def _replace(self, slot: Slot, child: Child, now: float) -> None:
        """What to do about a child that ended by itself."""
        failed = slot.failed
        if failed is not None and failed.outcome in (Outcome.USAGE, Outcome.FORGE_UNAVAILABLE):
            slot.gone = Ended.USAGE if failed.outcome is Outcome.USAGE else Ended.UNAVAILABLE
            remedy = f" ({failed.remedy})" if failed.remedy else ""
            self._alert(f"{slot.prefix} ended: {failed.message}{remedy}")
            return
        cause = bars_everybody(failed.message) if failed is not None else None
        if failed is not None and cause is not None:
            self._alert(f"the swarm stops, since nobody can go on: {cause} ({failed.message})")
            self._close(Ended.BROKEN)
            return
        why = failed.message if failed is not None else f"it {child.how_it_ended}"
        self._mender.start_at = now
        self._news()
        if slot.retry(now):
            self._show.news(slot.prefix, f"ended: {why}; another one is started")
            if slot.row is not None:
                slot.row.turn("dead", now, why)
            return
        slot.gone = Ended.GIVEN_UP
        self._alert(f"{slot.prefix} is given up after {slot.deaths} deaths: {why}")

    def _on_mended(self, now: float) -> None:
        self._mender.start_at = now + _RECONCILE
        lines, self._mended = self._mended, []
        try:
            told = json.loads("\n".join(lines))
            repairs, failed = told.get("repairs", []), told.get("error")
        except (ValueError, AttributeError):
            self._show.line("[Reconciler]", " ".join(lines)[:500] or "it said nothing")
            return
        if failed:
            self._show.news("[Reconciler]", f"it could not look: {failed}")
        for each in repairs:
            error = f": {each['error']}" if each["error"] else ""
            self._show.news("[Reconciler]", f"{each['repair']} {each['subject']}: {each['why']}{error}")
        if repairs:
            self._news()

    def _alert(self, text: str) -> None:
        self.board.alerts.append(text)
        self._show.alert(text)


def _worker_slots(options: SwarmOptions, rows: Sequence[WorkerRow]) -> list[Slot]:
    cores, count = usable_cores(), len(rows)
    return [
        Slot("Worker", args, row, core_share(row.number, count, cores) if cores else frozenset())
        for row, (_, args) in zip(rows, options.workers, strict=True)
    ]


def _standing(event: Event, before: Standing) -> Standing:
    """Where a worker stands after an event that says so."""
    if isinstance(event, Idle):
        return Standing(epoch=event.epoch, is_idle=True, is_waiting_for_time=event.next_at is not None)
    return STARTING if isinstance(event, Claimed) else before


def _common_end(workers: Sequence[Slot]) -> Ended:
    """Why no worker is left: what all say, or else that they were given up."""
    reasons = {slot.gone for slot in workers}
    return reasons.pop() or Ended.GIVEN_UP if len(reasons) == 1 else Ended.GIVEN_UP
