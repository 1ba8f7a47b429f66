"""GitHub as the forge: the claims, pushes and landing of a git forge, with pulls, checks and merging by its API.

What a git forge keeps in refs of its own (claims, landing, freezes, preserved work, results of our own checks) is kept
in the same refs here, so that the same rules read both.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from refinery.core.claims import encode, tip_of
from refinery.core.keys import key_for, name_of
from refinery.core.lease import Lease
from refinery.core.model import (
    BRANCHES,
    CLAIMS,
    LANDING,
    Claim,
    ClaimState,
    ForgeState,
    Freeze,
    Pull,
    PullState,
    Review,
    ReviewState,
)
from refinery.core.outcomes import Outcome
from refinery.errors import ForgeUnavailableError, RefMovedError
from refinery.forges.git.forge import GitForge
from refinery.forges.git.observe import state_of
from refinery.forges.git.refs import RefUpdate
from refinery.forges.github.client import Client
from refinery.forges.github.landing import Merging, message_of, unfinished
from refinery.forges.github.pulls import PullBook, PullsSeen
from refinery.forges.github.refs import GitHubRefs
from refinery.forges.github.remarks import Remarks
from refinery.forges.github.rules import RuleBook
from refinery.git import Signature
from refinery.mirror import ORIGIN, Mirror
from refinery.ports import BranchPush, Landed, LandingItem, LandingPlan, PullDraft

_TIMEOUT: Final = 600.0
_PATIENCE: Final = 30.0  # seconds that a request waits for a rate limit while a lease runs
_EVENTS: Final = {
    ReviewState.APPROVED: "APPROVE",
    ReviewState.CHANGES_REQUESTED: "REQUEST_CHANGES",
    ReviewState.COMMENTED: "COMMENT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which repository: `owner/name`, its git URL, and whether its own issues are the tasks.

    `label` tells the polecat label at a base commit.
    """

    repository: str
    url: str
    base: str
    has_issue_tasks: bool
    label: Callable[[str], str]


def _has_moved(pull: Pull, heads: Mapping[str, str]) -> bool:
    """Whether its branch moved, which a listing does not show where two changes fall into one second."""
    is_open = pull.state is PullState.OPEN and pull.same_repository
    return is_open and heads.get(pull.branch, pull.head) != pull.head


class GitHubForge(GitForge):
    """A repository on GitHub."""

    kind = "github"
    lands_together = False

    def __init__(self, client: Client, mirror: Mirror, place: Place) -> None:
        self._github = GitHubRefs(place.url, mirror, client, place.repository)
        super().__init__(self._github, mirror, place.url, is_url=True)
        self._client = client
        self._place = place
        self._pulls = PullBook(client, place.repository)
        self._rules = RuleBook(client, place.repository)
        self._remarks = Remarks(client, place.repository)
        self._held: set[str] = set()
        self._closes = "Closes #{}" if place.has_issue_tasks else ""

    def now(self) -> float:
        """GitHub's clock, as its answers tell it."""
        return self._client.now()

    def observe(self) -> ForgeState:
        """Refs by one listing of git; pulls and checks by the API, only where something may have changed."""
        state = state_of(self._refs.rows())
        tip = state.heads.get(self._place.base)
        if tip is None:
            return state
        self.sync(state, [self._place.base])
        names = {key: claim.claim.task for key, claim in state.claims.items() if claim.claim is not None}

        def task_of(key: str) -> str:
            return names.get(key) or name_of(key) or f"(branch {key})"

        label = self._place.label(tip)
        seen = self._pulls.look(label, task_of)
        if any(_has_moved(pull, state.heads) for pull in seen.pulls.values()):
            seen = self._pulls.look(label, task_of, is_fresh=True)
        seen = self._claimed(state, seen, task_of)
        bases = {pull.base for pull in seen.pulls.values() if pull.state is PullState.OPEN}
        return replace(
            state,
            pulls=seen.pulls,
            checks={**state.checks, **seen.checks},
            required={base: self._rules.of(base).named(seen.apps) for base in sorted(bases)},
        )

    def _claimed(self, state: ForgeState, seen: PullsSeen, task_of: Callable[[str], str]) -> PullsSeen:
        """With the pulls that claims name and the label does not: somebody took it off."""
        pulls, checks, apps = dict(seen.pulls), dict(seen.checks), dict(seen.apps)
        for tip in state.claims.values():
            number = tip.claim.pull if tip.claim is not None else None
            if number is None or number in pulls:
                continue
            one = self._pulls.one(number, task_of)
            pulls |= one.pulls
            checks |= one.checks
            apps |= one.apps
        return PullsSeen(pulls, checks, apps)

    def write_claim(self, ref: str, claim: Claim, parent: str | None) -> str:
        """Tasks' claims and renewals by the API; the merger's, take-overs and releases by a leased push: no quota."""
        sha = self._written(ref, claim, parent)
        if claim.state is ClaimState.HELD:
            self._held.add(ref)
        else:
            self._held.discard(ref)
        self._client.hurry(_PATIENCE if self._held else math.inf)
        return sha

    def _written(self, ref: str, claim: Claim, parent: str | None) -> str:
        signature = Signature("Refinery", "refinery@localhost", claim.acquired_at)
        if parent is None and ref.startswith(CLAIMS):
            return self._github.create(ref, encode(claim), signature)
        if parent is not None and self._is_renewal(claim, parent):
            return self._github.renew(ref, encode(claim), parent, signature)
        return super().write_claim(ref, claim, parent)

    def _is_renewal(self, claim: Claim, parent: str) -> bool:
        """Whether nothing but the time limit changes."""
        old = tip_of(parent, self._github.message(parent)).claim
        return (
            old is not None
            and claim.state is ClaimState.HELD
            and encode(replace(old, expires_at=claim.expires_at))
            == encode(claim)  # instants are rounded there
        )

    def push(self, lease: Lease, claim: Claim, push: BranchPush) -> Lease:
        """As git does; whatever pull the branch has is another one now."""
        moved = super().push(lease, claim, push)
        self._pulls.expire()
        return moved

    def open_pull(self, lease: Lease, draft: PullDraft) -> Pull:
        """Open it, or update the open one of the same branch and base; then label it."""
        body = self._remarks.signed(self._body(draft), lease)
        row = self._remarks.open_pull(draft, body)
        self._pulls.expire()
        return Pull(
            number=int(row["number"]),
            task=draft.task,
            branch=draft.branch,
            head=str(row["head"]["sha"]),
            base=draft.base,
            title=str(row["title"]),
            body=body,
            labels=draft.labels,
            draft=draft.draft,
            claim=lease.tip,
            opened_at=self.now(),
            tip=str(row["node_id"]),
        )

    def _body(self, draft: PullDraft) -> str:
        closes = self._closes.format(draft.task)
        return f"{draft.body}\n\n{closes}".strip() if closes else draft.body

    def comment(self, lease: Lease, pull: int, body: str) -> None:
        """Say it, unless the same words already stand there."""
        self._remarks.comment(lease, pull, body)

    def review(self, pull: int, review: Review) -> Pull:
        """A review by the identity that this process uses; nobody reviews their own pull."""
        seen = self._pulls.one(pull, lambda key: name_of(key) or key).pulls[pull]
        body = {"event": _EVENTS[review.state], "body": review.body, "commit_id": seen.head}
        self._client.send("POST", f"/repos/{self._place.repository}/pulls/{pull}/reviews", body, "review")
        self._pulls.expire()
        return replace(seen, reviews=(*seen.reviews, review))

    def obstacles(self, base: str, paths: Sequence[str]) -> tuple[str, ...]:
        """None: nobody works in GitHub's repository."""
        del base, paths
        return ()

    def land(self, landing_lease: Lease, claim: Claim, plan: LandingPlan, now: float) -> Landed:
        """Merge one pull by the API, with its expected head; then move the claims, and read back."""
        (item,) = plan.items
        self._expect(plan)
        for lease in (landing_lease, item.lease):
            self._still(lease)
        merging = Merging(self._client, self._place.repository, item)
        if self._rules.of(plan.base).has_queue:
            merging.enqueue()
        is_squash = len(self._parents(item.commit)) == 1
        sha = merging.put(message_of(self._mirror, item.commit), is_squash=is_squash)
        self._pulls.expire()
        tree, parent = self._landed(plan.base, sha)
        landing, lease = self._advance(landing_lease, claim, item, plan, now)
        return Landed(landing=landing, leases=(lease,), tip=sha, tree=tree, parent=parent)

    def _expect(self, plan: LandingPlan) -> None:
        """The base must hold the tree that the prediction was made on."""
        ref = BRANCHES + plan.base
        row = self._refs.tip(ref)
        if row is None:
            raise RefMovedError(ref, None)
        self.sync(ForgeState(heads={plan.base: row.sha}), [plan.base])
        if self._mirror.tree_of(row.sha) != self._mirror.tree_of(plan.old):
            raise RefMovedError(ref, row.sha)

    def _still(self, lease: Lease) -> None:
        """A merge cannot be fenced, so the claims are looked at right before it: RefMovedError for a lost one."""
        row = self._refs.tip(lease.ref)
        if row is None or row.sha != lease.tip:
            raise RefMovedError(lease.ref, row.sha if row is not None else None)

    def _landed(self, base: str, sha: str) -> tuple[str, str]:
        """Tree and first parent of a landed commit, as GitHub's repository has it."""
        self._mirror.fetch(self._source, [f"+{BRANCHES}{base}:{ORIGIN}{base}"], _TIMEOUT, is_url=True)
        if not self._mirror.has(sha):
            raise ForgeUnavailableError(f"{sha[:12]}, said to be merged into {base}, cannot be read back")
        return self._mirror.tree_of(sha), next(iter(self._parents(sha)), "")

    def _advance(
        self, landing: Lease, claim: Claim, item: LandingItem, plan: LandingPlan, now: float
    ) -> tuple[Lease, Lease]:
        """Landing claim and task claim, and the landed branch where it goes, in one leased push."""
        merged = replace(item.lease.claim, outcome=Outcome.MERGED, reason="")
        shas = [
            self._refs.commit(encode(each), [lease.tip], Signature("Refinery", "refinery@localhost", now))
            for each, lease in ((claim, landing), (merged, item.lease))
        ]
        updates = [
            RefUpdate(landing.ref, landing.tip, shas[0]),
            RefUpdate(item.lease.ref, item.lease.tip, shas[1]),
        ]
        branch = BRANCHES + item.pull.branch
        if plan.delete_branches and self._refs.tip(branch) is not None:
            updates.append(RefUpdate(branch, item.pull.head, None))
        self._refs.transact(updates)
        return landing.moved(shas[0], claim), item.lease.moved(shas[1], merged)

    def delete_refs(self, refs: Mapping[str, str]) -> None:
        """Delete, each pinned to the SHA seen."""
        if not refs:
            return
        if not self._pulls.id:
            self.observe()
        self._github.delete(dict(refs), self._pulls.id)

    def repair(self, base: str) -> tuple[str, ...]:
        """Look at a landing that was begun and not finished: what landed must be what was predicted, else freeze.

        Crash points of a landing: before the merge nothing happened; after it the intent stands on the landing claim.
        """
        row = self._refs.tip(LANDING + key_for(base))
        landing = tip_of(row.sha, row.message).claim if row is not None else None
        begun = unfinished(landing)
        if landing is None or begun is None:
            return ()
        number, head, tree = begun
        pull = self._pulls.one(number, lambda key: name_of(key) or key).pulls[number]
        if pull.state is not PullState.MERGED or pull.head != head:
            return ()
        actual, parent = self._landed(base, pull.merged_as)
        predicted = self._mirror.predict(parent, head)
        if actual == tree or (actual == predicted.tree and not predicted.conflicts):
            return ()
        why = f"pull {number} landed as {pull.merged_as[:12]} with tree {actual[:12]}, not the predicted {tree[:12]}"
        freeze = Freeze(base=base, reason=why, by=landing.holder, at=self.now())
        self.freeze(Lease(row.ref if row else "", row.sha if row else "", landing), freeze)
        return (f"froze {base}: {why}",)
