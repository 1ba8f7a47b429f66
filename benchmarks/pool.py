"""A worktree of 50,000 files: taken from the warm pool and verified, against `git worktree add`; with set-up too.

Set-up writes 5,000 small files, as installing dependencies does. The baseline runs it after its checkout; the pool's
ran ahead of need, and every file that it left is looked at before the worktree is used. Preparing is not counted:
that is what the pool is for.
"""

import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import interleaved, timed
from refinery import pool
from refinery.attempt import Work
from refinery.core.config import ProjectConfig
from refinery.mirror import ORIGIN, Mirror
from refinery.worktree import Worktree, empty_trash, remove
from tests.support.repos import ENV, git

_SET_UP = """\
for d in $(seq 50); do
    mkdir -p node_modules/p$d
    for f in $(seq 100); do echo $d > node_modules/p$d/$f; done
done
"""
_AIM = 25


def run(rounds: int = 3, files: int = 50_000) -> list[str]:
    """The lines to print."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        repo = _repository(root / "repo.git", files)
        mirror = Mirror.create(root / "home" / "mirrors" / "bench.git", str(repo))
        mirror.fetch(str(repo))
        bench = _Bench(root, repo, mirror)
        seen = interleaved(
            rounds,
            {
                "add": bench.adding(""),
                "take": bench.taking(""),
                "add, set up": bench.adding(_SET_UP),
                "take, set up": bench.taking(_SET_UP),
            },
        )
    return [
        _faster("without set-up", seen["add"], seen["take"]),
        _faster("with set-up", seen["add, set up"], seen["take, set up"]),
    ]


def _faster(title: str, baseline: float, ours: float) -> str:
    found = baseline / ours
    verdict = "met" if found >= _AIM else "MISSED"
    figures = f"{1000 * baseline:.0f} ms / {1000 * ours:.0f} ms"
    return (
        f"{title}: git worktree add / the pool: {figures} = {found:.1f} times as fast (aim {_AIM}, {verdict})"
    )


class _Bench:
    """Both ways, on one repository."""

    def __init__(self, root: Path, repo: Path, mirror: Mirror) -> None:
        self.root, self.repo, self.mirror = root, repo, mirror
        self.home = root / "home"
        self.numbers = itertools.count(1)

    def adding(self, set_up: str) -> Callable[[], float]:
        """What git offers: a linked worktree, then set-up."""

        def measure() -> float:
            folder = self.root / f"added{next(self.numbers)}"
            seconds = timed(
                ["git", "-C", str(self.repo), "worktree", "add", "-q", "--detach", str(folder), "main"]
            )
            seconds += timed(["sh", "-c", set_up], cwd=folder) if set_up else 0.0
            subprocess.run(["rm", "-rf", str(folder)], check=True)
            git(self.repo, "worktree", "prune")
            return seconds

        return measure

    def taking(self, set_up: str) -> Callable[[], float]:
        """Ours: one is prepared, then the time of taking it is measured."""
        base = self.mirror.resolve(ORIGIN + "main") or ""
        wanted = pool.Wanted(
            project="bench", kind=set_up, base=base, base_branch="main", config=ProjectConfig()
        )

        def prepared(worktree: Worktree) -> str:
            if set_up:
                subprocess.run(["sh", "-c", set_up], cwd=worktree.tree, env=ENV, check=True)
            return ""

        def measure() -> float:
            pool.fill(self.mirror, self.home, wanted, prepared)
            work = Work(
                project="bench",
                task="T",
                key="t",
                attempt=1,
                claim=f"{next(self.numbers):040x}",
                branch="polecat/t",
                base=base,
            )
            os.sync()  # what preparing wrote is not to be paid by whoever is measured next
            began = time.perf_counter()
            taken = pool.take(self.mirror, self.home, wanted, work)
            seconds = time.perf_counter() - began
            if taken is None:
                raise SystemExit("the prepared worktree was not taken, so the figure would mean nothing")
            remove(taken.worktree.folder, self.home)
            empty_trash(self.home)
            return seconds

        return measure


def _repository(path: Path, files: int) -> Path:
    """A bare repository with one commit of so many files of 6 KB, in 500 folders."""
    git(path.parent, "init", "-q", "--bare", "-b", "main", str(path))
    head = b"commit refs/heads/main\ncommitter P <p@example.org> 1700000000 +0000\ndata 1\nx"
    rows = [head]
    for number in range(files):
        body = f"line {number} of a file that somebody wrote\n".encode() * 150
        name = f"src/part{number % 20}/module{number % 500}/file{number}.txt"
        rows.append(f"M 644 inline {name}\ndata {len(body)}\n".encode() + body)
    git(path, "fast-import", "--quiet", stdin=b"\n".join(rows) + b"\n")
    return path
