"""What every benchmark shares: rounds that measure all contenders in turn, and ratios of the medians."""

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.repos import ENV


def interleaved(rounds: int, contenders: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Median seconds of each contender; every round measures all, so that a slow moment hits them alike."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            taken[name].append(measure())
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def timed(command: Sequence[str], *, codes: Sequence[int] = (0,), cwd: Path | None = None) -> float:
    """Seconds that a process takes, from its start to its end.

    Raises:
        SystemExit: it ended with none of `codes`, so the figure would mean nothing.
    """
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=ENV)
    seconds = time.perf_counter() - began
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return seconds


def ratio(title: str, seconds: float, baseline: float, aim: float | None = None) -> str:
    """One line: the figures, their ratio, and whether the aim was met, where there is one."""
    found = seconds / baseline
    verdict = f" (aim {aim:g}x, {'met' if found <= aim else 'MISSED'})" if aim is not None else ""
    return f"{title}: {1000 * seconds:.1f} ms / {1000 * baseline:.1f} ms = {found:.2f}x{verdict}"
