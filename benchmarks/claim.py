"""Claim and release of one task, durable, against the four git processes that a plain script needs for it.

The baseline is started without a shell: two `commit-tree` on the empty tree, two `update-ref` with the old value. It
is measured twice, with the `core.fsync` that our claims have, and as git comes (which syncs neither).
"""

import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import interleaved, ratio
from refinery import lease
from refinery.core.model import CLAIMS, Role
from refinery.core.outcomes import Outcome
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.forge import GitForge
from refinery.git import EMPTY_TREE, ZERO
from refinery.mirror import Mirror
from tests.support.repos import ENV, bare

_DURABLE = "core.fsync=loose-object,reference"
_EACH = 20  # claims of one measurement


def run(rounds: int = 15) -> list[str]:
    """The lines to print."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        seen = interleaved(
            rounds,
            {
                "ours": _ours(root),
                "durable": _plain(bare(root / "durable.git"), _DURABLE),
                "as it comes": _plain(bare(root / "plain.git"), "core.fsync=none"),
            },
        )
    title = "claim + release / commit-tree and update-ref, twice"
    return [
        ratio(f"{title}, as durable", seen["ours"], seen["durable"], 1.0),
        ratio(f"{title}, which sync nothing", seen["ours"], seen["as it comes"]),
    ]


def _ours(root: Path) -> Callable[[], float]:
    repo = bare(root / "ours.git")
    mirror = Mirror.create(root / "mirror.git", str(repo))
    forge = GitForge(PathRefs(repo, mirror), mirror, str(repo), is_url=False)
    numbers = itertools.count()

    def once() -> None:
        key = f"t-{next(numbers)}"
        wanted = lease.Wanted(key=key, task=key, role=Role.WORK, holder="bench", seconds=900)
        held = lease.acquire(forge, None, wanted, forge.now())
        lease.release(forge, held, Outcome.DRAINED, forge.now())

    return _repeated(once)


def _plain(repo: Path, fsync: str) -> Callable[[], float]:
    numbers = itertools.count()

    def git(*args: str) -> str:
        command = ["git", "-c", fsync, *args]
        return subprocess.run(command, cwd=repo, env=ENV, check=True, capture_output=True, text=True).stdout

    def once() -> None:
        ref = f"{CLAIMS}t-{next(numbers)}"
        body = f"held {ref}\n\n" + "x" * 300 + os.urandom(16).hex()
        held = git("commit-tree", EMPTY_TREE, "-m", body).strip()
        git("update-ref", ref, held, ZERO)
        released = git("commit-tree", EMPTY_TREE, "-p", held, "-m", body).strip()
        git("update-ref", ref, released, held)

    return _repeated(once)


def _repeated(once: Callable[[], None]) -> Callable[[], float]:
    """Seconds for one, from a number of them."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(_EACH):
            once()
        return (time.perf_counter() - began) / _EACH

    return measure
