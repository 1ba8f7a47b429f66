"""From a held task to its prompt: what the configuration, the claim's history and the pull's reviews contribute."""

import secrets
import shlex
from collections.abc import Iterable, Sequence

from refinery.core.model import Check, ForgeState, PullState, ReviewState, Task
from refinery.core.outcomes import ENDINGS
from refinery.core.prompt import PromptFacts, build_prompt
from refinery.project import View
from refinery.worktree import Worktree


def prompt_for(
    task: Task,
    seen: View,
    worktree: Worktree,
    *,
    failed: Sequence[Check],
    attempt: int,
    base: str,
    result_file: str,
) -> str:
    """The prompt of one attempt; `failed` are the checks that its pull failed.

    `seen` is a look without the attempt's own claim, so that the last one's ending is in it.
    """
    config = seen.config
    facts = PromptFacts(
        delimiter=secrets.token_hex(8),
        attempt=attempt,
        base=base,
        result_file=result_file,
        verify=[shlex.join(argv) for argv in config.verify],
        checks=[shlex.join(check.command) for check in config.checks.values()],
        is_continued=bool(worktree.tip),
        conflicts=worktree.conflicts,
        last_failure=_last_failure(task, seen.state, failed),
        requests=tuple(_requests(task, seen.state)),
        additions=config.prompt,
        tier=config.policy.tier,
    )
    return build_prompt(task, facts)


def _last_failure(task: Task, state: ForgeState, failed: Sequence[Check]) -> str:
    if failed:
        return "\n\n".join(
            f"The check {each.name} ended with {each.conclusion}:\n{each.summary}" for each in failed
        )
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
        if review.is_trusted and review.state is ReviewState.CHANGES_REQUESTED and review.body.strip():
            yield f"{review.author}: {review.body}"
