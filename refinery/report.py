"""What a run says of itself: one value for terminal, JSON, summaries and pages."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from refinery.core.outcomes import Outcome, run_status


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One run: `seconds` of wall time; `commit` the pushed or preserved head; `tokens` and `cost_usd` as reported."""

    outcome: Outcome
    task_id: str = ""
    reason: str = ""
    attempt: int | None = None
    agent: str = ""
    commit: str = ""
    branch: str = ""
    pull: int | None = None
    seconds: float = 0.0
    tokens: int | None = None
    cost_usd: float | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The object that `run --json` prints: the founding keys, with `status` derived."""
        values = asdict(self)
        values["outcome"] = str(self.outcome)
        values["seconds"] = round(self.seconds, 3)
        return {"task_id": values.pop("task_id") or None, "status": run_status(self.outcome), **values}
