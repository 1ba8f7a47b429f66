"""Kill a worker and a merger at every point where they touch the outside world, and look at what reconcile makes of it.

How they are killed: `support.crash`. Then the clock goes on past the lease.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import crash
from support.aftermath import go_on, problems
from support.crash import sampled, survey
from support.scene import Scene

from refinery.core.outcomes import Outcome

EXPIRED = 4000.0
SAMPLE = 32  # points of each verb in a normal run
PARTS = 4


class Stage(crash.Stage):
    """A run of one task, or a landing of two as one batch."""

    def __init__(self, root: Path, kind: str, verb: str) -> None:
        super().__init__(Scene(root / "scene", kind=kind))
        self.tasks = ["a"] if verb == "run" else ["a", "b"]
        for name in self.tasks:
            self.scene.task(name)
        self.act = self.scene.run
        if verb == "merge":
            assert {self.scene.run().outcome for _ in self.tasks} == {Outcome.PUBLISHED}
            self.act = self.scene.merge
        self.save()

    def recover(self) -> None:
        """Reconcile, then work and merge as ever."""
        go_on(self.scene, EXPIRED)

    def problems(self, branches: dict[str, str]) -> Iterator[str]:
        """As `problems`."""
        return problems(self.scene, self.tasks, branches, EXPIRED)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("kind", "verb"), [("bare", "run"), ("checkout", "merge")])
def test_f22_a_crash_anywhere_loses_nothing_and_lands_once(
    tmp_path: Path, kind: str, verb: str, part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """F3, F9, F22: an evenly spread sample of all points; every one of them under `make test-long`."""
    stage = Stage(tmp_path, kind, verb)
    points = stage.points()
    chosen = sampled(points, SAMPLE, part, PARTS)
    with capsys.disabled():
        print(f"\n{verb}: {len(chosen)} of {len(points)} crash points")  # noqa: T201  (the survey's size is its worth)
    assert survey(stage, chosen) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["bare", "checkout", "file"])
@pytest.mark.parametrize("verb", ["run", "merge"])
def test_every_crash_point(tmp_path: Path, kind: str, verb: str) -> None:
    """F3, F9, F22: all of them, on every kind of repository."""
    stage = Stage(tmp_path, kind, verb)
    assert survey(stage, stage.points()) == []
