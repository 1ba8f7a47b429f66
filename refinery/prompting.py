"""From a held task to its prompt: what the configuration, the claim's history and the pull's reviews contribute."""

import shlex
from collections.abc import Iterable

from refinery.core.model import ForgeState, PullState, ReviewState, Task
from refinery.core.outcomes import ENDINGS
from refinery.core.prompt import PromptFacts, build_prompt
from refinery.project import View
from refinery.worktree import Worktree


def prompt_for(
    task: Task, seen: View, worktree: Worktree, *, attempt: int, base: str, result_file: str, delimiter: str
) -> str:
    """The prompt of one attempt; `delimiter` is random and new."""
    config = seen.config
    facts = PromptFacts(
        delimiter=delimiter,
        attempt=attempt,
        base=base,
        result_file=result_file,
        verify=[shlex.join(argv) for argv in config.verify],
        checks=[shlex.join(check.command) for check in config.checks.values()],
        is_continued=bool(worktree.tip),
        conflicts=worktree.conflicts,
        last_failure=_last_failure(task, seen.state),
        requests=tuple(_requests(task, seen.state)),
        additions=config.prompt,
        tier=config.policy.tier,
    )
    return build_prompt(task, facts)


def _last_failure(task: Task, state: ForgeState) -> str:
    tip = state.claims.get(task.key)
    claim = tip.claim if tip is not None else None
    if claim is None or claim.outcome is None or not ENDINGS[claim.outcome].is_failure:
        return ""
    return f"{claim.outcome}: {claim.reason}"


def _requests(task: Task, state: ForgeState) -> Iterable[str]:
    pull = state.pull_of(task.key)
    if pull is None or pull.state is not PullState.OPEN:
        return
    for review in pull.reviews:
        if review.state is ReviewState.CHANGES_REQUESTED and review.body.strip():
            yield f"{review.author}: {review.body}"
