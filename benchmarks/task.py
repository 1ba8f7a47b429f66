"""Whole tasks with an instant agent: one looping worker, then a merger, against a shell script of plain git commands.

The script (`plain.sh`) does what the same job needs, and no more: claim, clone, checkout, agent, commit, push of
branch and claim, pull record, release; and for landing merge-tree, a checkout of the result, the check, commit,
update. It keeps its claims as durable as we do. It has no lease, no read-back, no judgement and no recovery. It
removes its worktrees at once; we put ours into the trash, and the time to empty that is counted as ours.
"""

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import ratio, timed
from tests.support.repos import bare

_SCRIPT = Path(__file__).with_name("plain.sh")
_CONFIG = """\
agents: {stub: {command: [sh, -c, 'echo "$REFINERY_TASK" > "work-$REFINERY_TASK.txt"']}}
checks: {tests: 'true'}
"""
_FILES = 200


def run(rounds: int = 3, count: int = 100) -> list[str]:
    """The lines to print."""
    taken: dict[str, list[float]] = {"ours": [], "plain": [], "our landing": [], "plain landing": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as temporary:
            _measure(Path(temporary), count, taken)
    seen = {name: statistics.median(seconds) / count for name, seconds in taken.items()}
    both, plain = seen["ours"] + seen["our landing"], seen["plain"] + seen["plain landing"]
    return [
        ratio("one task, without landing / plain git", seen["ours"], seen["plain"], 1.5),
        ratio("one task, with landing / plain git", both, plain, 2.0),
        ratio("one landing alone / plain git", seen["our landing"], seen["plain landing"]),
    ]


def _measure(root: Path, count: int, taken: dict[str, list[float]]) -> None:
    """One round: both do the work, then both land it."""
    source = {f"src/part{n % 10}/m{n}.py": f"VALUE = {n}\n" * 40 for n in range(_FILES)}
    ours = bare(root / "ours.git", {"refinery.yml": _CONFIG, **source})
    plain, home = root / "plain.git", ("--home", str(root / "home"))
    shutil.copytree(ours, plain)
    for who in ("our-tasks", "plain-tasks"):
        (root / who).mkdir()
        for number in range(count):
            text = f"---\nid: t-{number}\ntitle: Write file {number}\nstatus: ready\n---\n\nWrite it.\n"
            (root / who / f"t-{number}.md").write_text(text)
    program = [sys.executable, "-m", "refinery", *home]
    timed([*program, "init", "demo", "--repo", str(ours), "--tasks", str(root / "our-tasks")])
    script = ["sh", str(_SCRIPT), str(plain), str(root / "plain-tasks"), str(root / "scratch")]
    empty = ["rm", "-rf", str(root / "home" / "trash")]
    taken["ours"].append(timed([*program, "run", "--loop", "--quiet"]) + timed(empty))
    taken["plain"].append(timed([*script, "work"]))
    taken["our landing"].append(timed([*program, "merge"]) + timed(empty))
    taken["plain landing"].append(timed([*script, "land"]))
    for repo in (ours, plain):
        _expect(repo, count)


def _expect(repo: Path, count: int) -> None:
    """Whoever did not land everything was not measured doing the job."""
    timed(
        ["sh", "-c", f'test "$(git -C "$0" rev-list --first-parent --count main)" = {count + 1}', str(repo)]
    )
