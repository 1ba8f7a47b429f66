"""Landing on a plain repository: base, pulls and claims in one leased transaction, read back afterwards.

A base that is checked out on this machine moves together with its working tree. Crash points: before the
transaction nothing happened; after it the landing claim's intent names base, old tip and commit, so `repair` can bring
a checkout along that was left at the old tip.
"""

from collections.abc import Sequence
from dataclasses import replace

from refinery.core.claims import encode, tip_of
from refinery.core.keys import key_for
from refinery.core.lease import Lease
from refinery.core.model import BRANCHES, LANDING, PULLS, Claim, PullState
from refinery.core.outcomes import Outcome
from refinery.errors import ForgeUnavailableError, InTheWayError, RefMovedError
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.checkouts import Move, bring_along, checkouts_of, is_left_behind, moving
from refinery.forges.git.checkouts import obstacles as in_the_way
from refinery.forges.git.locks import exclusive, noted, recover
from refinery.forges.git.records import encode_pull
from refinery.forges.git.refs import Refs, RefUpdate
from refinery.git import Signature
from refinery.ports import Landed, LandingItem, LandingPlan


def obstacles(refs: Refs, base: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Paths that are locally changed or untracked in a checkout of `base`."""
    if not isinstance(refs, PathRefs):
        return ()
    found = [path for each in checkouts_of(refs.git_dir, base) for path in in_the_way(each, paths)]
    return tuple(sorted(set(found)))


def land(refs: Refs, landing: Lease, claim: Claim, plan: LandingPlan, now: float) -> Landed:
    """Move everything at once; see the Protocol."""
    at = _signed(now)
    landing_sha = refs.commit(encode(claim), [landing.tip], at)
    updates = [
        RefUpdate(BRANCHES + plan.base, plan.old, plan.commit),
        RefUpdate(landing.ref, landing.tip, landing_sha),
    ]
    leases = []
    for item in plan.items:
        moved, more = _item(refs, item, plan, now)
        leases.append(moved)
        updates += more
    _transact(refs, updates, plan)
    tip, tree, parent = _read_back(refs, plan)
    return Landed(
        landing=landing.moved(landing_sha, claim), leases=tuple(leases), tip=tip, tree=tree, parent=parent
    )


def _item(refs: Refs, item: LandingItem, plan: LandingPlan, now: float) -> tuple[Lease, list[RefUpdate]]:
    claim = replace(item.lease.claim, outcome=Outcome.MERGED, reason="")
    claim_sha = refs.commit(encode(claim), [item.lease.tip], _signed(now))
    pull = item.pull
    merged = replace(pull, state=PullState.MERGED, merged_as=item.commit, closed_at=now, claim=item.lease.tip)
    pull_sha = refs.commit(encode_pull(merged), [pull.tip, pull.head], _signed(now))
    updates = [
        RefUpdate(item.lease.ref, item.lease.tip, claim_sha),
        RefUpdate(f"{PULLS}{pull.number}", pull.tip, pull_sha),
        RefUpdate(BRANCHES + pull.branch, pull.head, None if plan.delete_branches else pull.head),
    ]
    return item.lease.moved(claim_sha, claim), updates


def _transact(refs: Refs, updates: Sequence[RefUpdate], plan: LandingPlan) -> None:
    if not isinstance(refs, PathRefs):
        _expect(refs, [update for update in updates if update.old == update.new])
        refs.transact([update for update in updates if update.old != update.new])
        return
    refs.receive([plan.commit], [plan.old, *(item.pull.head for item in plan.items)])
    checkouts = checkouts_of(refs.git_dir, plan.base)
    with exclusive(refs.git_dir) as held:
        move = Move(plan.old, plan.commit, held)
        with noted(refs.git_dir, updates) as note, moving(checkouts, move):
            refs.swap(held, updates, note)


def _expect(refs: Refs, unmoved: Sequence[RefUpdate]) -> None:
    """What stays must be as it was judged: a push does not check a lease on what it leaves alone.

    Accepted race: a push to the branch right after this look stays on the branch, and what was judged lands.
    """
    there = {row.ref: row.sha for row in refs.rows()} if unmoved else {}
    for update in unmoved:
        if there.get(update.ref) != update.old:
            raise RefMovedError(update.ref, there.get(update.ref))


def _read_back(refs: Refs, plan: LandingPlan) -> tuple[str, str, str]:
    """The base's commit, tree and first parent as the repository itself has them now."""
    row = refs.tip(BRANCHES + plan.base)
    if row is None:
        raise ForgeUnavailableError(f"{plan.base} cannot be read back at {refs.where} after landing")
    tree, parent = refs.header(row)
    return row.sha, tree, parent


def repair(refs: Refs, base: str) -> tuple[str, ...]:
    """Clear noted locks; bring checkouts along that a crashed landing left at the tree before it."""
    if not isinstance(refs, PathRefs):
        return ()
    done = [f"removed {name}" for name in recover(refs.git_dir)]
    with exclusive(refs.git_dir) as held:
        return (*done, *_bring_along(refs, base, held))


def _bring_along(refs: PathRefs, base: str, held: int) -> list[str]:
    """What was done to checkouts of `base`; the landing claim's intent says where they stood before."""
    row = refs.tip(LANDING + key_for(base))
    claim = tip_of(row.sha, row.message).claim if row else None
    intent = claim.intent if claim is not None else None
    tip = refs.tip(BRANCHES + base)
    done = []
    for checkout in checkouts_of(refs.git_dir, base):
        is_behind = is_left_behind(checkout)
        if tip is None or not (is_behind or (intent and tip.sha == intent.get("commit"))):
            continue
        try:
            bring_along(checkout, Move(str(intent["old"]) if intent else tip.sha, tip.sha, held))
        except InTheWayError as error:
            done.append(str(error))
        if is_behind:
            done.append(f"removed {checkout.lock}, the lock of a dead landing")
    return done


def _signed(at: float) -> Signature:
    return Signature("Refinery", "refinery@localhost", at)
