"""One task after the other, over one or several projects, until nothing is ready or somebody asks to stop."""

import select
from collections.abc import Callable, Sequence

from refinery.core.outcomes import ENDINGS, Outcome, exit_code
from refinery.errors import RateLimitedError, UsageError
from refinery.report import RunResult
from refinery.stop import Stop, StopFlag
from refinery.worker import Worker

_LONGEST_WAIT = 300.0  # seconds that a loop waits for a task that is backing off
_MOST_LOST = (
    100  # claims lost in a row: others are faster, or something is wrong; either way we are not needed
)
_NOT_HELD = frozenset({Outcome.NOTHING_READY, Outcome.CLAIM_LOST})


def run_once(workers: Sequence[Worker], task_id: str = "") -> RunResult:
    """Work on the named task, or on the first ready one of the first project that has any.

    Raises:
        UsageError: no project has such a task.
    """
    if task_id:
        worker = next((each for each in workers if each.knows(task_id)), workers[0])
        return worker.run(task_id)
    result = None
    for worker in workers:
        result = worker.run()
        if result.outcome is not Outcome.NOTHING_READY:
            return result
    if result is None:
        raise UsageError("there is no project to work on", remedy="`refinery init` registers one")
    return result


def run_loop(
    workers: Sequence[Worker], stop: StopFlag, on_result: Callable[[RunResult], None]
) -> list[RunResult]:
    """Run until nothing is ready.

    A task that is merely backing off is waited for, five minutes at the most; a forge's rate limit is waited for
    until its end (F37).
    """
    results: list[RunResult] = []
    lost = 0
    while stop.state is Stop.NONE:
        try:
            result = run_once(workers)
        except RateLimitedError as error:
            workers[0].options.echo(error.message)
            _rest(error.until - workers[0].forge.now(), stop)
            continue
        lost = lost + 1 if result.outcome is Outcome.CLAIM_LOST else 0
        if 0 < lost < _MOST_LOST:
            continue
        if lost:
            return results or [result]
        if result.outcome is Outcome.NOTHING_READY:
            if not _wait(workers, stop):
                return results or [result]
            continue
        if not result.task_id:
            return results or [result]
        on_result(result)
        results.append(result)
    return results or [RunResult(outcome=Outcome.DRAINED, reason="stopped before anything was claimed")]


def _wait(workers: Sequence[Worker], stop: StopFlag) -> bool:
    """Wait for the next end of a back-off, or a signal; False when there is none to wait for."""
    try:
        seconds = min((worker.until_next() for worker in workers), default=float("inf"))
    except RateLimitedError:
        return stop.state is Stop.NONE  # the next look waits
    if seconds > _LONGEST_WAIT:
        return False
    _rest(seconds, stop)
    return stop.state is Stop.NONE


def _rest(seconds: float, stop: StopFlag) -> None:
    select.select([stop], [], [], max(0.0, seconds) + 0.01)


def loop_exit_code(results: Sequence[RunResult]) -> int:
    """0 when every run published or left a question, 3 when there was nothing, 10 when a task failed."""
    held = [result for result in results if result.outcome not in _NOT_HELD]
    if not held:
        return exit_code(results[-1].outcome) if results else exit_code(Outcome.NOTHING_READY)
    for outcome in (Outcome.FORCE_STOPPED, Outcome.DRAINED, Outcome.FORGE_UNAVAILABLE):
        if held[-1].outcome is outcome:
            return exit_code(outcome)
    last_of = {result.task_id: result.outcome for result in held}
    failed = any(ENDINGS[outcome].is_failure for outcome in last_of.values())
    return exit_code(Outcome.AGENT_FAILED) if failed else 0
