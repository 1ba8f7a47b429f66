"""Who of a swarm is stopped, started again, or done."""

import pytest

from refinery.core.blockers import Blocker, reason
from refinery.core.claims import SKEW
from refinery.core.model import Claim, ClaimState, ClaimTip, ForgeState, Pull, Role, Task
from refinery.core.outcomes import Outcome
from refinery.core.swarm import (
    Cause,
    Ended,
    Run,
    Standing,
    broken_for_all,
    cause_of,
    end_of_dead_merger,
    is_finished,
    keeps_failing,
    next_instant,
    restart_after,
    swarm_exit_code,
)

FAILED, GOOD = Outcome.AGENT_FAILED, Outcome.PUBLISHED
LOGIN = "the agent reported an error: Invalid API key"


def runs(*rows):
    """`(worker, task, outcome, reason)` rows, the reason optional."""
    return [Run(worker=row[0], task=row[1], outcome=row[2], reason=(*row, "")[3]) for row in rows]


@pytest.mark.parametrize(
    ("outcome", "reason_", "cause"),
    [
        (FAILED, "the agent did not run: claude was not found", Cause.CANNOT_START),
        (FAILED, "the agent did not run: its command exited with 127", Cause.CANNOT_START),
        (FAILED, LOGIN, Cause.CREDENTIALS),
        (FAILED, "the agent exited with 41: it is not logged in", Cause.CREDENTIALS),
        (FAILED, "the agent reported an error: You exceeded your current quota", Cause.QUOTA),
        (FAILED, "the agent reported an error: 429 Too Many Requests", Cause.QUOTA),
        (Outcome.OVER_BUDGET, "", Cause.QUOTA),
        (Outcome.INTERNAL_ERROR, "no space is left for /home/x", Cause.DISK),
        (Outcome.SETUP_FAILED, "setup exited with 1: no", Cause.SETUP),
        (Outcome.SETUP_FAILED, "setup exited with 1: No space left on device", Cause.DISK),
        (FAILED, "the agent exited with 1", None),
        (Outcome.TIMED_OUT, "the agent ran into its time limit", None),
        (Outcome.VERIFY_FAILED, "verify exited with 1: 401 is not 200", None),
        (Outcome.BLOCKED, "which API key should I use?", None),
        (GOOD, "", None),
    ],
)
def test_what_a_failure_tells_of_everybody(outcome, reason_, cause):
    """Only what no task can help, and never a run whose agent worked."""
    assert cause_of(Run(worker=0, task="a", outcome=outcome, reason=reason_)) is cause


@pytest.mark.parametrize(
    ("rows", "workers", "cause"),
    [
        ([(0, "a", FAILED, LOGIN), (1, "b", FAILED, LOGIN), (0, "c", FAILED, LOGIN)], 2, Cause.CREDENTIALS),
        ([(0, "a", FAILED, LOGIN), (1, "b", FAILED, LOGIN)], 2, None),
        ([(0, "a", FAILED, LOGIN), (0, "b", FAILED, LOGIN), (0, "c", FAILED, LOGIN)], 2, None),
        ([(0, "a", FAILED, LOGIN), (0, "b", FAILED, LOGIN), (0, "c", FAILED, LOGIN)], 1, Cause.CREDENTIALS),
        ([(0, "a", FAILED, LOGIN), (1, "a", FAILED, LOGIN), (0, "a", FAILED, LOGIN)], 2, None),
        (
            [(0, "a", FAILED, LOGIN), (1, "b", GOOD), (1, "b", FAILED, LOGIN), (0, "c", FAILED, LOGIN)],
            2,
            None,
        ),
        ([(0, "a", FAILED, "tests"), (1, "b", FAILED, "tests"), (0, "c", FAILED, "tests")], 2, None),
        (
            [
                (0, "a", FAILED, LOGIN),
                (1, "b", FAILED, "x"),
                (1, "b", FAILED, LOGIN),
                (0, "c", FAILED, LOGIN),
            ],
            2,
            Cause.CREDENTIALS,
        ),
        ([(n % 2, "a", Outcome.FORGE_UNAVAILABLE) for n in range(6)], 2, None),
        ([(n % 2, "a", Outcome.LEASE_LOST) for n in range(7)], 2, Cause.FORGE),
    ],
)
def test_the_breaker(rows, workers, cause):
    """One cause, different tasks, different workers, no success in between: then it is everybody's."""
    assert broken_for_all(runs(*rows), workers) is cause


@pytest.mark.parametrize(
    ("rows", "stops"),
    [
        ([(0, "a", FAILED), (0, "b", FAILED), (0, "c", FAILED)], True),
        ([(0, "a", FAILED), (1, "x", GOOD), (0, "b", Outcome.TIMED_OUT), (0, "c", FAILED)], True),
        ([(0, "a", FAILED), (0, "b", FAILED)], False),
        ([(0, "a", FAILED), (0, "a", FAILED), (0, "a", FAILED), (0, "b", FAILED)], False),
        ([(0, "a", FAILED), (0, "b", FAILED), (0, "x", GOOD), (0, "c", FAILED)], False),
        ([(0, "a", FAILED), (1, "b", FAILED), (1, "c", FAILED), (0, "d", FAILED)], False),
    ],
)
def test_a_worker_that_keeps_failing(rows, stops):
    """Three different tasks in a row: then it is the worker, or what it runs, and no longer the task."""
    assert keeps_failing(runs(*rows), 0) is stops


def test_a_dead_process_is_started_again_but_not_for_ever():
    """Each time a little later; then somebody has to look."""
    pauses = [restart_after(deaths) for deaths in range(1, 7)]
    assert pauses[:-1] == sorted(pauses[:-1])
    assert pauses[0] < 1
    assert pauses[-1] is None


IDLE = Standing(epoch=4, is_idle=True)


@pytest.mark.parametrize(
    ("workers", "merger", "finished"),
    [
        ([IDLE, IDLE], IDLE, True),
        ([IDLE, IDLE], None, True),
        ([], IDLE, True),
        ([IDLE, Standing(epoch=3, is_idle=True)], IDLE, False),
        ([IDLE, Standing(epoch=4, is_idle=False)], IDLE, False),
        ([Standing(epoch=4, is_idle=True, is_waiting_for_time=True)], IDLE, False),
        ([IDLE], Standing(epoch=3, is_idle=True), False),
        ([IDLE], Standing(epoch=4, is_idle=False), False),
    ],
)
def test_when_all_is_done(workers, merger, finished):
    """Everybody has looked after the last news, and found nothing, and nothing comes by waiting."""
    assert is_finished(workers, merger, 4) is finished


@pytest.mark.parametrize(
    ("ended", "rows", "code"),
    [
        (Ended.DONE, [], 0),
        (Ended.DONE, [(0, "a", FAILED), (1, "a", GOOD)], 0),
        (Ended.DONE, [(0, "a", GOOD), (1, "b", FAILED)], 10),
        (Ended.DONE, [(0, "a", Outcome.BLOCKED)], 0),
        (Ended.BROKEN, [], 10),
        (Ended.GIVEN_UP, [(0, "a", GOOD)], 10),
        (Ended.DRAINED, [(0, "a", FAILED)], 17),
        (Ended.FORCED, [], 130),
        (Ended.UNAVAILABLE, [], 20),
        (Ended.USAGE, [], 2),
    ],
)
def test_exit_codes(ended, rows, code):
    """0 only when all that could be done was done, and no task's last run failed (F10)."""
    assert swarm_exit_code(ended, runs(*rows)) == code


def claim(task, **values):
    fixed = {"attempt": 1, "holder": "bot@here:12-ab", "role": Role.WORK, "nonce": "n", "acquired_at": 0.0}
    return ClaimTip("c" * 40, Claim(task=task, **{**fixed, "expires_at": 90.0, **values}))


def test_what_becomes_ready_by_itself():
    """A back-off, and the lease of a process of this host, dead or alive; not another host's, nor a person's (F3)."""
    back = claim("back", state=ClaimState.RELEASED, not_before=500.0)
    held = {"mine": claim("mine"), "theirs": claim("theirs", holder="bot@there:12-ab", expires_at=1.0)}
    tasks = [Task(id=name, title=name) for name in ("back", "mine", "theirs", "inbox")]
    why = {
        "back": (reason(Blocker.BACKING_OFF, until="later"),),
        "mine": (reason(Blocker.CLAIMED, holder="bot", role="work", until="later"),),
        "theirs": (reason(Blocker.CLAIMED, holder="bot", role="work", until="later"),),
        "inbox": (reason(Blocker.INBOX),),
    }
    state = ForgeState(claims={"back": back, **held})
    assert next_instant(tasks, why, state, "here") == 90.0 + SKEW
    assert next_instant([tasks[0]], why, state, "here") == 500.0
    assert next_instant(tasks[2:], why, state, "here") is None
    stuck = {"back": (*why["back"], reason(Blocker.DEPENDENCY_UNKNOWN, task="x"))}
    assert next_instant([tasks[0]], stuck, state, "here") is None


@pytest.mark.parametrize(
    ("role", "has_pull", "until"),
    [(Role.MERGE, False, 90.0 + SKEW), (Role.MERGE, True, None), (Role.PERSON, False, None)],
)
def test_a_dead_reconciler_is_waited_for(role, has_pull, until):
    """It was giving the task back (F3); what a merger holds has a pull, and what a person holds is the person's."""
    pulls = (
        {1: Pull(number=1, task="a", branch="polecat/a", head="h", base="main", title="A")}
        if has_pull
        else {}
    )
    state = ForgeState(claims={"a": claim("a", role=role)}, pulls=pulls)
    why = {"a": (reason(Blocker.CLAIMED, holder="bot", role=str(role), until="later"),)}
    assert next_instant([Task(id="a", title="A")], why, state, "here") == until


def test_a_dead_merger_is_waited_for():
    """The base and the tasks that it held are free again when its leases end; a released one bars nobody."""
    held = claim("main", role=Role.MERGE)
    gone = claim("main", role=Role.MERGE, state=ClaimState.RELEASED)
    work = claim("a", expires_at=900.0)
    assert end_of_dead_merger(ForgeState(landing={"main": held}, claims={"a": work}), "here") == 90.0 + SKEW
    assert end_of_dead_merger(ForgeState(landing={"main": gone}, claims={"a": work}), "here") is None
    assert end_of_dead_merger(ForgeState(landing={"main": held}), "there") is None
