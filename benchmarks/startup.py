"""Starting up: `refinery --help`, and `refinery run` with nothing ready, against `python -c pass`."""

import sys
import tempfile
from pathlib import Path

from benchmarks.measure import interleaved, ratio, timed
from tests.support.repos import bare

_REFINERY = (sys.executable, "-m", "refinery")
_DONE = "---\nid: t-{n}\ntitle: Done long ago\nstatus: done\n---\n"


def run(rounds: int = 15) -> list[str]:
    """The lines to print."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        repo, tasks = bare(root / "code.git"), root / "tasks"
        tasks.mkdir()
        for number in range(10):
            (tasks / f"t-{number}.md").write_text(_DONE.format(n=number))
        home = ("--home", str(root / "home"))
        timed([*_REFINERY, *home, "init", "demo", "--repo", str(repo), "--tasks", str(tasks)])
        seen = interleaved(
            rounds,
            {
                "pass": lambda: timed([sys.executable, "-c", "pass"]),
                "help": lambda: timed([*_REFINERY, "--help"]),
                "run": lambda: timed([*_REFINERY, *home, "run"], codes=(3,)),
            },
        )
    return [
        ratio("refinery --help / python -c pass", seen["help"], seen["pass"], 7),
        ratio("refinery run with nothing ready / python -c pass", seen["run"], seen["pass"], 20),
    ]
