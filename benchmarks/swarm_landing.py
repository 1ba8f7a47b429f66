"""Landed pulls per run of the checks, against a run for each: 32 ready, disjoint pulls; none bad, then one of them.

The place of the bad one decides how the rest falls into batches: it is first, in the middle, or last.
"""

import tempfile
from pathlib import Path

from benchmarks.measure import timed
from benchmarks.stage import AGENT, Stage

_COUNT = 32


def run() -> list[str]:
    """The lines to print."""
    bad = {place: _landed_per_run(number) for place, number in (("1st", 0), ("17th", 16), ("32nd", 31))}
    places = ", ".join(f"the {place}: {each:.1f}" for place, each in bad.items())
    return [
        _line(f"landed of {_COUNT} pulls per run of the checks, none bad", _landed_per_run(-1), 16),
        _line(f"one bad, at its worst ({places})", min(bad.values()), 4),
    ]


def _line(title: str, found: float, aim: float) -> str:
    return f"{title}: {found:.2f} / 1 = {found:.2f}x (aim {aim:g}x, {'met' if found >= aim else 'MISSED'})"


def _landed_per_run(bad: int) -> float:
    """With the pull of that number turning the checks red; -1: none does."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        noted = root / "runs"
        stage = Stage(root, _COUNT, agent=AGENT, check=f"echo >> {noted}; test ! -e work-t-{bad}.txt")
        timed([*stage.program, "run", "--loop", "--quiet"])
        timed([*stage.program, "merge"], codes=(0, 7))
        landed, runs = stage.landed(), len(noted.read_text().splitlines())
    if landed != _COUNT - (bad >= 0):
        raise SystemExit(f"{landed} of {_COUNT} pulls landed")
    return landed / runs
