"""The forge that is a plain git repository: every claim, pull, check, intent and freeze is a ref in it.

Two homes, two users or two hosts on one repository therefore never collide, and nothing else has to be reachable.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from refinery.core import claims
from refinery.core.keys import key_for
from refinery.core.lease import Lease
from refinery.core.model import (
    BRANCHES,
    CHECKS,
    FREEZE,
    PRESERVED,
    PULLS,
    Check,
    Claim,
    Comment,
    ForgeState,
    Freeze,
    Pull,
    PullState,
    Review,
)
from refinery.errors import ForgeUnavailableError, RefMovedError, UsageError
from refinery.forges.git import landing
from refinery.forges.git.observe import state_of
from refinery.forges.git.records import decode_freeze, decode_pull, encode_checks, encode_freeze, encode_pull
from refinery.forges.git.refs import Refs, RefUpdate
from refinery.git import Signature
from refinery.mirror import ORIGIN, Mirror
from refinery.ports import BranchPush, Landed, LandingPlan, PullDraft

_TRIES: Final = 50
_LOOK: Final = 4  # lost numbers after which all pulls are looked at again
_MARGIN: Final = 1.0  # seconds of the lease that must be left for another try
_TIMEOUT: Final = 600.0


class GitForge:
    """A git repository by path or URL, seen through `refs`; `source` is what the mirror fetches from."""

    kind = "git"
    lands_together = True

    def __init__(self, refs: Refs, mirror: Mirror, source: str, *, is_url: bool) -> None:
        self._refs = refs
        self._mirror = mirror
        self._source = source
        self._is_url = is_url

    def now(self) -> float:
        """This machine's clock: a plain repository has none of its own."""
        return time.time()

    def observe(self) -> ForgeState:
        """Everything, from one listing."""
        return state_of(self._refs.rows())

    def write_claim(self, ref: str, claim: Claim, parent: str | None) -> str:
        """Compare-and-swap a claim ref; the same claim on the same parent makes the same SHA."""
        sha = self._claim_commit(claim, parent)
        self._refs.transact([RefUpdate(ref, parent, sha)])
        return sha

    def _claim_commit(self, claim: Claim, parent: str | None) -> str:
        parents = [parent] if parent else []
        return self._refs.commit(claims.encode(claim), parents, _signed(claim.acquired_at))

    def sync(self, state: ForgeState, branches: Sequence[str]) -> None:
        """Fetch what the mirror lacks of these branches."""
        missing = [
            name for name in branches if name in state.heads and not self._mirror.has(state.heads[name])
        ]
        if missing:
            specs = [f"+{BRANCHES}{name}:{ORIGIN}{name}" for name in missing]
            self._mirror.fetch(self._source, specs, _TIMEOUT, is_url=self._is_url)

    def push(self, lease: Lease, claim: Claim, push: BranchPush) -> Lease:
        """Branch and claim in one leased transaction."""
        sha = self._claim_commit(claim, lease.tip)
        updates = [
            RefUpdate(lease.ref, lease.tip, sha),
            RefUpdate(BRANCHES + push.branch, push.old or None, push.new),
        ]
        self._refs.transact(updates, objects=[push.new], have=[push.base, push.old])
        return lease.moved(sha, claim)

    def retire(self, lease: Lease, claim: Claim, branch: str, old: str) -> Lease:
        """An old tip goes to `preserved/` before its branch name is used again."""
        sha = self._claim_commit(claim, lease.tip)
        kept = f"{PRESERVED}{lease.key}/{claim.attempt - 1}-{old}"
        updates = [
            RefUpdate(lease.ref, lease.tip, sha),
            RefUpdate(BRANCHES + branch, old, None),
        ]
        if self._refs.tip(kept) is None:
            updates.append(RefUpdate(kept, None, old))
        self._refs.transact(updates)
        return lease.moved(sha, claim)

    def preserve(self, key: str, attempt: int, claim: str, commit: str) -> str:
        """Create-only; the same commit there already is success."""
        ref = f"{PRESERVED}{key}/{attempt}-{claim}"
        try:
            self._refs.transact([RefUpdate(ref, None, commit)], objects=[commit], have=self._parents(commit))
        except RefMovedError:
            ref = f"{ref}-{commit}"
            if self._refs.tip(ref) is None:
                self._refs.transact([RefUpdate(ref, None, commit)], objects=[commit])
        return ref

    def _parents(self, commit: str) -> list[str]:
        return self._mirror.git().text("rev-list", "--parents", "-1", commit).split()[1:]

    def open_pull(self, lease: Lease, draft: PullDraft) -> Pull:
        """Open or update; the number is the lowest free one above all others."""
        state = self.observe()
        now = self.now()
        same = [
            pull
            for pull in state.pulls.values()
            if pull.branch == draft.branch and pull.base == draft.base and pull.state is PullState.OPEN
        ]
        fresh = Pull(
            number=max(state.pulls, default=0) + 1,
            task=draft.task,
            branch=draft.branch,
            head=draft.head,
            base=draft.base,
            title=draft.title,
            body=draft.body,
            labels=draft.labels,
            draft=draft.draft,
            claim=lease.tip,
            opened_at=now,
        )
        if not same:
            return self._create_pull(lease, fresh)

        def update(old: Pull) -> Pull:
            told = replace(old, title=draft.title, body=draft.body, draft=draft.draft)
            return replace(told, head=draft.head, claim=lease.tip)

        return self._change_pull(same[0].number, update)

    def _create_pull(self, lease: Lease, pull: Pull) -> Pull:
        """Take the next free number: for as long as the lease lasts, since every loss is somebody else's success."""
        number, losses = pull.number, 0
        while not losses or lease.left(self.now()) > _MARGIN:
            numbered = replace(pull, number=number)
            sha = self._refs.commit(encode_pull(numbered), [pull.head], _signed(pull.opened_at))
            try:
                self._refs.transact([RefUpdate(f"{PULLS}{number}", None, sha)])
            except RefMovedError:
                losses += 1
                number = number + 1 if losses % _LOOK else max(number, *self.observe().pulls) + 1
                continue
            return replace(numbered, tip=sha)
        raise ForgeUnavailableError(
            f"{self._refs.where} gave no number for a pull: others were faster {losses} times",
            remedy="try again in a moment",
        )

    def _change_pull(self, number: int, change: Callable[[Pull], Pull]) -> Pull:
        ref = f"{PULLS}{number}"
        for _ in range(_TRIES):
            row = self._refs.tip(ref)
            if row is None:
                raise UsageError(f"there is no pull {number}", remedy="`refinery status` lists the pulls")
            old = decode_pull(row.message, row.sha)
            new = change(old)
            if new == old:
                return old
            sha = self._pull_commit(old, new)
            try:
                self._refs.transact([RefUpdate(ref, old.tip, sha)])
            except RefMovedError:
                continue
            return replace(new, tip=sha)
        raise RefMovedError(ref, None)

    def _pull_commit(self, old: Pull, new: Pull) -> str:
        parents = [old.tip] + ([new.head] if new.head != old.head else [])
        return self._refs.commit(encode_pull(new), parents, _signed(self.now()))

    def comment(self, lease: Lease, pull: int, body: str) -> None:
        """Append, unless the same words already stand there."""
        said = Comment(author="refinery", body=body, at=self.now(), claim=lease.tip)

        def add(old: Pull) -> Pull:
            known = any(comment.body == body for comment in old.comments)
            return old if known else replace(old, comments=(*old.comments, said))

        self._change_pull(pull, add)

    def review(self, pull: int, review: Review) -> Pull:
        """Append a person's review."""
        return self._change_pull(pull, lambda old: replace(old, reviews=(*old.reviews, review)))

    def set_checks(self, landing: Lease, subject: str, checks: Sequence[Check]) -> None:
        """Replace the results on `subject`, under the landing lease."""
        del landing
        ref = CHECKS + subject
        row = self._refs.tip(ref)
        old = row.sha if row else None
        sha = self._refs.commit(encode_checks(subject, checks), [old] if old else [], _signed(self.now()))
        self._refs.transact([RefUpdate(ref, old, sha)])

    def obstacles(self, base: str, paths: Sequence[str]) -> tuple[str, ...]:
        """What stands in a landing's way in checkouts of the base; nothing where there is none."""
        return landing.obstacles(self._refs, base, paths)

    def land(self, landing_lease: Lease, claim: Claim, plan: LandingPlan, now: float) -> Landed:
        """Base, pulls, task claims and the landing claim move in one transaction; then everything is read back."""
        return landing.land(self._refs, landing_lease, claim, plan, now)

    def freeze(self, landing: Lease, freeze: Freeze) -> None:
        """Create the freeze; one that is there already stays."""
        del landing
        ref = FREEZE + key_for(freeze.base)
        if self._refs.tip(ref) is None:
            sha = self._refs.commit(encode_freeze(freeze), [], _signed(freeze.at))
            self._refs.transact([RefUpdate(ref, None, sha)])

    def unfreeze(self, base: str) -> Freeze | None:
        """Delete the freeze that is seen now."""
        ref = FREEZE + key_for(base)
        row = self._refs.tip(ref)
        if row is None:
            return None
        self._refs.transact([RefUpdate(ref, row.sha, None)])
        return decode_freeze(row.message, row.sha)

    def delete_refs(self, refs: Mapping[str, str]) -> None:
        """Delete, each pinned to the SHA seen."""
        if refs:
            self._refs.transact([RefUpdate(ref, sha, None) for ref, sha in sorted(refs.items())])

    def repair(self, base: str) -> tuple[str, ...]:
        """Clear a dead writer's locks, and finish a checkout that a killed landing left behind."""
        return landing.repair(self._refs, base)


def _signed(at: float) -> Signature:
    return Signature("Refinery", "refinery@localhost", at)
