"""Several ready pulls as one tree: predicted one on top of the other, checked once, landed together or bisected.

Properties: the base only ever moves to a tree that the checks passed on; a tree is checked once, by whichever pass came
first (F24); a red batch costs about log2 of its size in runs, names the first pull that turns it red, and the pulls
before and behind that one still land. Pulls keep their order, so nothing starves.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from refinery.core.additive import Classification
from refinery.core.model import Check, Conclusion
from refinery.core.reasons import CHECKS_APP
from refinery.core.verdict import Policy, Verdict, judge, tree_reasons
from refinery.errors import GitError
from refinery.judging import Judged
from refinery.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Step:
    """One pull of a batch: its commit on top of `parent`, the step before, with the predicted tree of them together."""

    judged: Judged
    parent: str
    commit: str
    tree: str
    result: Classification

    def verdict(self, tested: str, checks: Sequence[Check], policy: Policy, now: float) -> Verdict:
        """The verdict on the pull as part of the batch whose whole tree is `tested`; its head's checks count too."""
        mine = [check for check in self.judged.snapshot.checks if check.subject == self.judged.pull.head]
        found = (*mine, *(check for check in checks if check.subject == tested))
        snapshot = replace(self.judged.snapshot, tree=tested, result=self.result, checks=found)
        return judge(snapshot, policy, now)


def stack(
    known: Predictions,
    base: str,
    pulls: Iterable[Judged],
    policy: Policy,
    commit_of: Callable[[Judged, str, str], str],
) -> list[Step]:
    """The longest batch of `pulls`, in their order: those that are clean and admitted on top of those before.

    `commit_of(judged, tree, parent)` makes the commit that carries a pull. What does not fit is judged again later.
    """
    steps: list[Step] = []
    parent = base
    for each in pulls:
        try:
            predicted = known.merge(parent, each.pull.head)
            if predicted.conflicts or len(known.bases(parent, each.pull.head)) != 1:
                continue
            result = known.step(parent, predicted.tree)
        except GitError:
            continue
        if tree_reasons([result], policy):
            continue
        commit = commit_of(each, predicted.tree, parent)
        steps.append(Step(each, parent, commit, predicted.tree, result))
        parent = commit
    return steps


def green_prefix(steps: Sequence[Step], passes: Callable[[Step], bool]) -> int:
    """How many steps from the first one may land together: all, or up to the first that turns the checks red.

    `passes` tells whether the checks pass on a step's tree; it is asked about log2(steps) + 1 times at the most.
    """
    if not steps or passes(steps[-1]):
        return len(steps)
    green, red = 0, len(steps)
    while red - green > 1:
        middle = (green + red) // 2
        if passes(steps[middle - 1]):
            green = middle
        else:
            red = middle
    return green


def did_run(checks: Iterable[Check]) -> bool:
    """Whether every result is one: a batch whose checks did not run tells nothing about its pulls (F19)."""
    return all(check.conclusion is not Conclusion.DID_NOT_RUN for check in checks if check.app == CHECKS_APP)
