"""A pull that merges, as the verdict sees it, and ways to perturb one field of it."""

from dataclasses import replace

from refinery.core.additive import Classification, Tier
from refinery.core.model import (
    Check,
    Claim,
    ClaimState,
    ClaimTip,
    Conclusion,
    Pull,
    Review,
    Role,
    Status,
)
from refinery.core.outcomes import Outcome
from refinery.core.reasons import reason
from refinery.core.verdict import Policy, Snapshot

NOW = 1_000_000.0
HEAD, OLD, TREE = "a" * 40, "b" * 40, "c" * 40
PULL = Pull(number=3, task="t-1", branch="polecat/t-1", head=HEAD, base="main", title="Add a stub")
CLAIM = Claim(
    task="t-1",
    attempt=1,
    holder="bot",
    role=Role.WORK,
    nonce="n",
    acquired_at=NOW - 600,
    expires_at=NOW - 60,
    state=ClaimState.RELEASED,
    outcome=Outcome.PUBLISHED,
    work_outcome=Outcome.PUBLISHED,
    branch="polecat/t-1",
    base="main",
    head=HEAD,
    pull=3,
)
GROWTH = Classification(
    tier=Tier.ADDITIONS, paths=("src/a.py", "src/b.py"), grown=("src/a.py",), added_lines=10
)
PASSED = Check(name="tests", app="checks", subject=TREE, conclusion=Conclusion.SUCCESS)
POLICY = Policy(required=(("tests", "checks"),))
MERGEABLE = Snapshot(
    pull=PULL,
    claim=ClaimTip("d" * 40, CLAIM),
    head=HEAD,
    default_base="main",
    tree=TREE,
    merge_bases=("e" * 40,),
    conflicts=(),
    change=GROWTH,
    result=GROWTH,
    checks=(PASSED,),
    dependencies={"t-0": Status.DONE},
)


def pull(**changes):
    return lambda snapshot: replace(snapshot, pull=replace(snapshot.pull, **changes))


def claim(**changes):
    def change(snapshot):
        tip = snapshot.claim
        held = tip.claim if tip is not None else None
        return replace(snapshot, claim=replace(tip, claim=replace(held, **changes))) if held else snapshot

    return change


def proof(which="change", **changes):
    def change(snapshot):
        old = getattr(snapshot, which)
        return replace(snapshot, **{which: replace(old, **changes)}) if old else snapshot

    return change


def found(code, which="change", **facts):
    def change(snapshot):
        old = getattr(snapshot, which)
        more = (*old.reasons, reason(code, **facts)) if old else ()
        return replace(snapshot, **{which: replace(old, reasons=more)}) if old else snapshot

    return change


def check(**changes):
    return lambda snapshot: replace(
        snapshot, checks=tuple(replace(each, **changes) for each in snapshot.checks)
    )


def fact(**changes):
    return lambda snapshot: replace(snapshot, **changes)


def review(state, *, author="ann", head=HEAD, at=1.0):
    return Review(author=author, state=state, head=head, at=at)
