"""Readiness over 10,000 task files, against finding and reading the same files.

Run from the root: `python -m benchmarks.readiness [FILES [ROUNDS]]`. Each measurement is taken in a fresh process,
and each round measures all of them, so that a slow moment of the machine hits them alike. A look is everything from a
folder to an ordered queue: find, read (or take from the cache), parse, judge. Starting Python and importing is in none
of them.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

_SETTLE = 2.2  # seconds after which the cache trusts a file's times
_WORDS = ("parser", "cache", "index", "query", "retry", "token", "socket", "buffer", "ledger", "report")


def generate(folder: Path, count: int) -> None:
    """Write `count` task files of a usual shape: ten keys, a fifth with dependencies, bodies of 0.3 to 3 KB."""
    dice = random.Random(7)
    for number in range(count):
        project = folder / f"project-{number % 20}"
        project.mkdir(parents=True, exist_ok=True)
        depends = f"[task-{dice.randrange(number)}]" if number and dice.random() < 0.2 else "[]"
        title = " ".join(dice.choices(_WORDS, k=5))
        header = (
            f"id: task-{number}\ntitle: {title}\nstatus: {dice.choice(['ready', 'ready', 'done', 'inbox'])}\n"
            f"type: task\npriority: {dice.randrange(5)}\nproject: project-{number % 20}\nassignee: bot\n"
            f"depends_on: {depends}\ncreated: 2026-01-{1 + number % 28:02}T10:00:00Z\nmodified: 2026-02-01\n"
        )
        body = f"# {title}\n\n" + "\n".join(
            " ".join(dice.choices(_WORDS, k=12)) for _ in range(dice.randrange(4, 40))
        )
        (project / f"task-{number}.md").write_text(f"---\n{header}---\n\n{body}\n")


def read(folder: str) -> float:
    """Seconds to find and read every file, as a plain script does it."""
    began = time.perf_counter()
    size = sum(len(path.read_bytes()) for path in Path(folder).rglob("*.md"))
    seconds = time.perf_counter() - began
    return seconds if size else 0.0


def read_fast(folder: str) -> float:
    """The same by the quickest calls of the standard library: the harder yardstick."""
    began = time.perf_counter()
    size = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".md"):
                with open(f"{directory}/{name}", "rb") as file:  # noqa: PTH123 - the point here
                    size += len(file.read())
    seconds = time.perf_counter() - began
    return seconds if size else 0.0


def look(folder: str, cache: str) -> float:
    """Seconds for one look with this cache file, from nothing known in this process to an ordered queue."""
    from refinery.core.model import ForgeState  # noqa: PLC0415 - `read` is measured without it
    from refinery.core.plan import plan  # noqa: PLC0415 - as above
    from refinery.tasks.files import FileTasks  # noqa: PLC0415 - as above

    began = time.perf_counter()
    queue = plan(
        FileTasks(Path(folder), Path(cache)).all(), ForgeState(), time.time(), caller="bot", attempts=3
    )
    seconds = time.perf_counter() - began
    if not queue.ready:
        raise SystemExit("the generated tasks are not ready: this measures nothing")
    return seconds


def _measure(*arguments: str) -> float:
    command = [sys.executable, "-m", "benchmarks.readiness", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def run(count: int = 10_000, rounds: int = 7) -> dict[str, float]:
    """Median seconds and ratios: reading (two ways), first look, second look in a new process."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary, "tasks"), Path(temporary, "cache")
        generate(folder, count)
        time.sleep(_SETTLE)
        taken: dict[str, list[float]] = {"read": [], "read-fast": [], "first": [], "second": []}
        for _ in range(rounds):
            cache.unlink(missing_ok=True)
            taken["read"].append(_measure("read", str(folder)))
            taken["read-fast"].append(_measure("read-fast", str(folder)))
            taken["first"].append(_measure("look", str(folder), str(cache)))
            taken["second"].append(_measure("look", str(folder), str(cache)))
    seen = {name: statistics.median(seconds) for name, seconds in taken.items()}
    for name, plain in product(("first", "second"), ("read", "read-fast")):
        each = zip(taken[name], taken[plain], strict=True)
        seen[f"{name} / {plain}"] = statistics.median(mine / other for mine, other in each)
    return {name: round(value, 4) for name, value in seen.items()}


def main(argv: list[str] | None = None) -> int:
    """Print what was measured, as JSON; `read` and `look` are the measured processes themselves."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["read"]:
        print(read(words[1]))
    elif words[:1] == ["read-fast"]:
        print(read_fast(words[1]))
    elif words[:1] == ["look"]:
        print(look(words[1], words[2]))
    else:
        print(json.dumps(run(*(int(word) for word in words)), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
