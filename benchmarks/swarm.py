"""Swarms against one worker, and against the ideal: tasks per second, and a second's work spread over eight.

Whole processes are timed, from `refinery swarm` to its end: starting, two reconciles and ending are counted. One worker
with landing is measured twice: with the merger beside it, which is two processes at work, and by `run --loop` with
`merge` after it, which is one.
"""

import tempfile
from pathlib import Path

from benchmarks.measure import interleaved, ratio, timed
from benchmarks.stage import AGENT, Stage

_MANY = 4
_EIGHT, _SECONDS = 8, 1


def run(rounds: int = 2, count: int = 120, long_count: int = 200) -> list[str]:
    """The lines to print."""
    seen = interleaved(
        rounds,
        {
            "one": lambda: _instant(count, 1),
            "many": lambda: _instant(count, _MANY),
            "one, landing": lambda: _instant(count, 1, "--merge"),
            "many, landing": lambda: _instant(count, _MANY, "--merge"),
            "one process": lambda: _one_process(count),
        },
    )
    each = {name: seconds / count for name, seconds in seen.items()}
    title = f"one task, 1 worker / {_MANY} workers"
    return [
        gain(f"{title}, instant agent", each["one"], each["many"], 1.3),
        gain(f"{title}, and a merger beside them", each["one, landing"], each["many, landing"], 1.3),
        gain(
            f"one task, 1 process / {_MANY} workers and a merger",
            each["one process"],
            each["many, landing"],
            1.3,
        ),
        _ideal(long_count),
    ]


def gain(title: str, baseline: float, seconds: float, aim: float) -> str:
    """One line: how many times as fast as the baseline."""
    found = baseline / seconds
    verdict = "met" if found >= aim else "MISSED"
    return f"{title}: {1000 * baseline:.1f} ms / {1000 * seconds:.1f} ms = {found:.2f}x (aim {aim:g}x, {verdict})"


def _instant(count: int, workers: int, *options: str) -> float:
    """Seconds of a swarm over `count` tasks of an instant agent."""
    with tempfile.TemporaryDirectory() as temporary:
        stage = Stage(Path(temporary), count)
        seconds = timed(stage.swarm(workers, *options))
        _expect(stage, count, has_merger=bool(options))
    return seconds


def _one_process(count: int) -> float:
    """Seconds of working on `count` tasks one after the other, then landing them."""
    with tempfile.TemporaryDirectory() as temporary:
        stage = Stage(Path(temporary), count)
        seconds = timed([*stage.program, "run", "--loop", "--quiet"]) + timed([*stage.program, "merge"])
        _expect(stage, count, has_merger=True)
    return seconds


def _ideal(count: int) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        stage = Stage(Path(temporary), count, agent=f"sleep {_SECONDS}; {AGENT}")
        seconds = timed(stage.swarm(_EIGHT))
        _expect(stage, count, has_merger=False)
    title = f"{_EIGHT} workers over {count} tasks of a second / the ideal"
    return ratio(title, seconds, count * _SECONDS / _EIGHT, 1.25)


def _expect(stage: Stage, count: int, *, has_merger: bool) -> None:
    """A swarm that did not do everything was not measured doing the job."""
    done = stage.landed() if has_merger else stage.refs("refs/heads/polecat/")
    if done != count:
        raise SystemExit(f"{done} of {count} tasks were done")
