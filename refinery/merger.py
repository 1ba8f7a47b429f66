"""Landing what may merge by itself: judge every pull, land those that may, keep the reasons of the rest.

One merger at a time per base holds the claim `landing/<base>`. What it does with one pull is in `landing`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from refinery import lease as leases
from refinery.core.keys import key_for
from refinery.core.model import Pull, PullState, Role
from refinery.core.reasons import Code, reason
from refinery.core.verdict import POLL, Decision, Verdict
from refinery.errors import ClaimLostError, UsageError
from refinery.judging import Judge, Judged
from refinery.landing import LEASE, Line, lacks_only_checks
from refinery.process import StopFlag
from refinery.project import Project, View, view


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """How to merge: as whom, which pulls (none: all), and what to do beside landing."""

    holder: str
    pulls: tuple[int, ...] = ()
    delete_branches: bool = False
    is_rehearsal: bool = False
    stop: StopFlag | None = None
    echo: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Row:
    """One pull in a report: its verdict, and the landed commit if there is one."""

    pull: int
    task: str
    verdict: Verdict
    commit: str = ""

    def to_json(self) -> dict[str, object]:
        """`{pull, task, verdict, reasons, commit}`."""
        told = self.verdict.to_json()
        return {
            "pull": self.pull,
            "task": self.task,
            "verdict": told["verdict"],
            "reasons": told["reasons"],
            "commit": self.commit or None,
        }


@dataclass(slots=True)
class MergeReport:
    """What a pass did with each pull; in a rehearsal, `merged` holds what would have been."""

    merged: list[Row] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)
    refused: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Put a row where its verdict belongs."""
        lists = {Decision.MERGE: self.merged, Decision.WAIT: self.waiting, Decision.REFUSE: self.refused}
        lists[row.verdict.decision].append(row)

    def extend(self, other: "MergeReport") -> None:
        """Take another report's rows in."""
        for row in (*other.merged, *other.waiting, *other.refused):
            self.add(row)

    @property
    def exit_code(self) -> int:
        """8 when a base is frozen, 7 when something was refused, 6 when something waits, else 0."""
        left = [*self.waiting, *self.refused]
        if any(each.code is Code.FROZEN for row in left for each in row.verdict.reasons):
            return 8
        if self.refused:
            return 7
        return 6 if self.waiting else 0

    def to_json(self) -> dict[str, object]:
        """`{merged, waiting, refused}`."""
        return {
            "merged": [row.to_json() for row in self.merged],
            "waiting": [row.to_json() for row in self.waiting],
            "refused": [row.to_json() for row in self.refused],
        }


class Merger:
    """Merges the pulls of one project."""

    def __init__(self, project: Project, options: MergeOptions) -> None:
        self.project = project
        self.options = options
        self.judge = Judge(project)

    def merge(self) -> MergeReport:
        """Judge all pulls, land those that may, and report every one of them.

        Raises:
            ForgeUnavailableError: the forge did not answer; what landed before stays landed.
            UsageError: a pull was asked for that does not exist.
        """
        seen = view(self.project)
        report = MergeReport()
        for base, pulls in _by_base(self._chosen(seen), seen).items():
            judged = [self.judge.judge(pull, seen) for pull in pulls]
            if self.options.is_rehearsal or not any(may_land(each) for each in judged):
                _tell(report, judged)
            else:
                self._land(base, judged, seen, report)
        return report

    def _chosen(self, seen: View) -> list[Pull]:
        pulls = seen.state.pulls
        if not self.options.pulls:
            return [pull for pull in pulls.values() if pull.state is PullState.OPEN]
        missing = [number for number in self.options.pulls if number not in pulls]
        if missing:
            raise UsageError(
                f"{self.project.slug} has no pull {missing[0]}", remedy="`refinery status` lists the pulls"
            )
        return [pulls[number] for number in self.options.pulls]

    def _land(self, base: str, judged: Sequence[Judged], seen: View, report: MergeReport) -> None:
        key = key_for(base)
        seconds = min(LEASE, seen.config.limits.lease)
        wanted = leases.Wanted(
            key=key, task=base, role=Role.MERGE, holder=self.options.holder, seconds=seconds
        )
        forge = self.project.forge
        tip = seen.state.landing.get(key)
        if tip is not None and tip.claim is not None and tip.claim.intent:
            forge.repair(base)  # a killed landing may have left a checkout of the base behind (F22)
        try:
            lease = leases.acquire_landing(forge, tip, base, wanted, forge.now())
        except ClaimLostError as error:
            busy = reason(Code.UNKNOWN, what=f"what the other merger does ({error.message})")
            waits = Verdict(Decision.WAIT, (busy,), forge.now() + POLL)
            _tell(report, [replace(each, verdict=waits) if may_land(each) else each for each in judged])
            return
        _tell(report, [each for each in judged if not may_land(each)])
        with Line(self.project, self.judge, lease, self.options) as line:
            for done, commit in line.land([each for each in judged if may_land(each)]):
                report.add(Row(done.pull.number, done.pull.task, done.verdict, commit))


def may_land(judged: Judged) -> bool:
    """Whether nothing speaks against a pull but checks of ours that have not run on its predicted result."""
    return judged.verdict.decision is Decision.MERGE or lacks_only_checks(judged)


def _tell(report: MergeReport, judged: Iterable[Judged]) -> None:
    for each in judged:
        report.add(Row(each.pull.number, each.pull.task, each.verdict))


def _by_base(pulls: Iterable[Pull], seen: View) -> dict[str, list[Pull]]:
    """Pulls by base, in the order that they land in: priority, order, age."""

    def rank(pull: Pull) -> tuple[int, float, float, int]:
        task = seen.tasks.tasks.get(pull.task)
        priority, order = (task.priority, task.order) if task is not None else (9, 0.0)
        return priority, order, pull.opened_at, pull.number

    found: dict[str, list[Pull]] = {}
    for pull in sorted(pulls, key=rank):
        found.setdefault(pull.base, []).append(pull)
    return found
