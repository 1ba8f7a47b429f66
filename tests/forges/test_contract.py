"""The promises of the `Forge` protocol, each kept by every forge: git by path, in a checkout, by URL; and GitHub."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.forges import KINDS, LANDING, NOW, TASK, Place, claim, opened
from support.repos import git

from refinery.core.lease import Lease
from refinery.core.model import Check, ClaimState, Conclusion, Freeze, PullState, Review, ReviewState, Role
from refinery.core.outcomes import Outcome
from refinery.errors import ForgeUnavailableError, RefMovedError
from refinery.ports import BranchPush, PullDraft


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The same promises, wherever the repository is."""
    with opened(request.param, tmp_path) as made:
        yield made


def test_the_clock_is_the_forges(place: Place) -> None:
    """`now`: the forge's clock, in seconds since the epoch."""
    place.forge.observe()
    assert abs(place.forge.now() - place.clock()) < 5


def test_one_look_shows_everything(place: Place) -> None:
    """`observe`: everything that rules look at, once."""
    lease, number, head = place.published({"new.txt": "x\n"})
    landing = place.acquire(LANDING, Role.MERGE)
    kept = place.forge.preserve("t", 1, "c" * 40, head)
    tree = place.mirror.tree_of(head)
    check = Check(name="tests", app="checks", subject=tree, conclusion=Conclusion.SUCCESS)
    place.forge.set_checks(landing, tree, [check])
    place.forge.freeze(landing, Freeze(base="main", reason="why", by="x", at=NOW))
    state = place.forge.observe()
    assert state.heads == {"main": place.main(), "polecat/t": head}
    assert (state.claims["t"].sha, state.landing["main"].sha) == (lease.tip, landing.tip)
    pull = state.pulls[number]
    assert (pull.task, pull.branch, pull.base, pull.head) == ("t", "polecat/t", "main", head)
    assert (pull.state, pull.labels, pull.same_repository) == (PullState.OPEN, ("polecat",), True)
    assert {f"refs/refinery/preserved/{name}": sha for name, sha in state.preserved.items()} == {kept: head}
    assert state.checks[tree] == (check,)
    assert (state.freezes["main"].reason, state.problems) == ("why", ())


def test_f06_no_answer_is_neither_won_nor_lost(place: Place) -> None:
    """F6: unanswered reads and writes raise ForgeUnavailableError."""
    lease = place.acquire()
    place.fall_silent()
    with pytest.raises(ForgeUnavailableError):
        place.forge.observe()
    with pytest.raises(ForgeUnavailableError):
        place.forge.write_claim("refs/refinery/claims/other", claim(task="other"), None)
    with pytest.raises(ForgeUnavailableError):
        place.forge.write_claim(lease.ref, replace(lease.claim, expires_at=NOW + 1800), lease.tip)


def test_refs_that_cannot_be_read_are_named_not_dropped(place: Place) -> None:
    """`observe`: somebody's garbage in our namespace is a claim that is held, with a reason."""
    git(place.git_dir, "update-ref", "refs/refinery/claims/odd", "main")
    git(place.git_dir, "update-ref", "refs/refinery/freeze/main", "main")
    state = place.forge.observe()
    assert state.claims["odd"].claim is None
    assert any("refs/refinery/freeze/main" in problem for problem in state.problems)


def test_a_claim_is_written_once_and_read_back(place: Place) -> None:
    """`write_claim`: the tip says what was written, and a second orphan loses."""
    lease = place.acquire()
    tip = place.forge.observe().claims["t"]
    assert (tip.sha, tip.claim) == (lease.tip, lease.claim)
    with pytest.raises(RefMovedError) as lost:
        place.acquire()
    assert lost.value.actual == lease.tip


def test_the_same_claim_is_the_same_commit(place: Place) -> None:
    """`write_claim`: the same claim makes the same SHA, so an unanswered write may be offered again."""
    lease = place.acquire()
    assert place.forge.write_claim(lease.ref, lease.claim, None) == lease.tip
    renewed = replace(lease.claim, expires_at=NOW + 1800)
    sha = place.forge.write_claim(lease.ref, renewed, lease.tip)
    assert place.forge.write_claim(lease.ref, renewed, lease.tip) == sha != lease.tip
    assert place.forge.observe().claims["t"].claim == renewed


def test_a_claim_goes_from_hand_to_hand(place: Place) -> None:
    """`write_claim`: renewed, released and taken over, each from the tip that was seen, and from no other."""
    lease = place.acquire()
    over = replace(lease.claim, state=ClaimState.RELEASED, outcome=Outcome.DRAINED)
    sha = place.forge.write_claim(TASK, over, lease.tip)
    theirs = claim(holder="y", attempt=2)
    taken = place.forge.write_claim(TASK, theirs, sha)
    assert git(place.git_dir, "rev-list", "--first-parent", TASK).split() == [taken, sha, lease.tip]
    for late in (replace(lease.claim, expires_at=NOW + 1800), over, claim(holder="z", attempt=2)):
        with pytest.raises(RefMovedError):
            place.forge.write_claim(TASK, replace(late, nonce=os.urandom(8).hex()), sha)
    assert place.forge.observe().claims["t"].claim == theirs


def test_branches_come_into_the_mirror(place: Place) -> None:
    """`sync`: brings the commits of these branches into the mirror."""
    person = git(
        place.git_dir,
        "commit-tree",
        "main^{tree}",
        "-p",
        "main",
        "-m",
        "theirs",
        env={"GIT_DIR": str(place.git_dir)},
    )
    git(place.git_dir, "update-ref", "refs/heads/theirs", person)
    state = place.forge.observe()
    place.forge.sync(state, ["theirs", "no-such-branch"])
    assert place.mirror.has(person)


def test_f17_a_push_moves_branch_and_claim_or_neither(place: Place) -> None:
    """F17: `push` moves a branch together with the claim's next commit, and under a lost lease nothing."""
    lease = place.acquire()
    place.forge.write_claim(lease.ref, claim(nonce="other"), lease.tip)
    head = place.work({"new.txt": "x\n"})
    push = BranchPush(branch="polecat/t", old="", new=head, base=place.main())
    with pytest.raises(RefMovedError) as lost:
        place.forge.push(lease, lease.claim, push)
    assert lost.value.ref == lease.ref
    assert "polecat/t" not in place.forge.observe().heads


def test_f17_a_branch_that_somebody_moved_is_not_overwritten(place: Place) -> None:
    """F17: `push` takes the branch from the commit that was seen, and leaves the claim where it was otherwise."""
    lease, _, head = place.published({"new.txt": "x\n"})
    theirs = place.work({"theirs.txt": "t\n"}, parent=head)
    place.person_moves("polecat/t", theirs)
    mine = place.work({"mine.txt": "m\n"}, parent=head)
    push = BranchPush(branch="polecat/t", old=head, new=mine, base=place.main())
    with pytest.raises(RefMovedError) as moved:
        place.forge.push(lease, replace(lease.claim, head=mine), push)
    state = place.forge.observe()
    assert moved.value.ref == "refs/heads/polecat/t"
    assert (state.heads["polecat/t"], state.claims["t"].sha) == (theirs, lease.tip)


def test_an_old_branch_is_kept_before_its_name_is_used_again(place: Place) -> None:
    """`retire`: moves an old tip to `preserved/` and deletes the branch in one step (F9)."""
    lease, _, head = place.published({"new.txt": "x\n"})
    place.forge.retire(lease, replace(lease.claim, attempt=2), "polecat/t", head)
    state = place.forge.observe()
    assert "polecat/t" not in state.heads
    assert head in state.preserved.values()


def test_f09_preserving_is_create_only(place: Place) -> None:
    """F9: `preserve` saves the same work once; other work under the same name gets a ref of its own."""
    one = place.work({"one.txt": "1\n"})
    two = place.work({"two.txt": "2\n"})
    first = place.forge.preserve("t", 1, "c" * 40, one)
    assert place.forge.preserve("t", 1, "c" * 40, one) == first
    assert place.forge.preserve("t", 1, "c" * 40, two) != first
    assert set(place.forge.observe().preserved.values()) == {one, two}


def test_a_pull_opens_once_and_is_updated_after(place: Place) -> None:
    """`open_pull`: opens it, or updates the open one of the same branch and base."""
    lease, number, head = place.published({"new.txt": "x\n"})
    words = {"task": "t", "branch": "polecat/t", "base": "main", "head": head}
    for draft in (True, False):
        again = PullDraft(**words, title=f"Better {draft}", body="c", draft=draft)
        assert place.forge.open_pull(lease, again).number == number
        (pull,) = place.forge.observe().pulls.values()
        assert (pull.number, pull.title, pull.draft) == (number, f"Better {draft}", draft)


def test_a_comment_is_made_once(place: Place) -> None:
    """`comment`: says something on a pull, once per claim commit and text."""
    lease, number, _ = place.published({"new.txt": "x\n"})
    for words in ("hello", "hello", "good-bye"):
        place.forge.comment(lease, number, words)
    said = place.comments(number)
    assert [words.partition("\n")[0] for words in said] == ["hello", "good-bye"]


def test_a_review_stays_with_the_head_that_it_was_given_on(place: Place) -> None:
    """`review`: records a person's review."""
    _, number, head = place.published({"new.txt": "x\n"})
    given = Review(author="mona", state=ReviewState.CHANGES_REQUESTED, head=head, at=NOW, body="no")
    place.reviewer.review(number, given)
    moved = place.work({"more.txt": "y\n"}, parent=head)
    place.person_moves("polecat/t", moved)
    pull = place.forge.observe().pulls[number]
    (seen,) = pull.reviews
    assert (seen.author, seen.state, seen.head, seen.body) == (
        "mona",
        ReviewState.CHANGES_REQUESTED,
        head,
        "no",
    )
    assert (seen.is_trusted, pull.head) == (True, moved)


def test_a_head_moves_with_its_branch_and_closes_with_it(place: Place) -> None:
    """`observe`: a person's push moves the pull's head; deleting the branch closes the pull."""
    _, number, head = place.published({"new.txt": "x\n"})
    moved = place.work({"more.txt": "y\n"}, parent=head)
    place.person_moves("polecat/t", moved)
    assert place.forge.observe().pulls[number].head == moved
    place.person_deletes("polecat/t")
    assert place.forge.observe().pulls[number].state is PullState.CLOSED


def test_results_of_checks_replace_one_another(place: Place) -> None:
    """`set_checks`: records check results on a predicted tree."""
    landing = place.acquire(LANDING, Role.MERGE)
    for conclusion in (Conclusion.DID_NOT_RUN, Conclusion.SUCCESS):
        check = Check(name="tests", app="checks", subject="a" * 40, conclusion=conclusion)
        place.forge.set_checks(landing, "a" * 40, [check])
        assert place.forge.observe().checks["a" * 40] == (check,)


def test_nothing_is_in_the_way_where_nobody_works(place: Place) -> None:
    """`obstacles`: paths that somebody has changed where the base is checked out; here nobody has."""
    assert place.forge.obstacles("main", ["README.md", "new.txt"]) == ()


@pytest.mark.parametrize("delete", [False, True])
def test_landing_moves_base_pull_and_claims_together(place: Place, delete: bool) -> None:
    """`land`: the base holds the predicted tree, the pull is merged, the branch goes only when asked."""
    lease, number, head = place.published({"new.txt": "x\n"})
    landing = place.acquire(LANDING, Role.MERGE)
    plan = place.plan(lease, number, head, delete=delete)
    landed = place.forge.land(landing, replace(landing.claim, nonce="2"), plan, NOW)
    assert (landed.tree, landed.parent, landed.tip) == (plan.tree, plan.old, place.main())
    state = place.forge.observe()
    assert (state.pulls[number].state, state.pulls[number].merged_as) == (PullState.MERGED, landed.tip)
    assert ("polecat/t" in state.heads) is not delete
    tips = (state.landing["main"].sha, state.claims["t"].sha)
    assert tips == (landed.landing.tip, landed.leases[0].tip)
    tip = state.claims["t"].claim
    assert tip is not None
    assert tip.outcome is Outcome.MERGED
    assert git(place.git_dir, "show", "main:new.txt") == "x"
    assert git(place.git_dir, "fsck", "--strict", "--no-dangling") == ""
    if place.repo != place.git_dir:
        assert (place.repo / "new.txt").read_text() == "x\n"
        assert git(place.repo, "status", "--porcelain") == ""


@pytest.mark.parametrize("what", ["base", "head", "pull"])
def test_f20_what_moved_since_the_plan_was_made_lands_nothing(place: Place, what: str) -> None:
    """F20: `land` raises RefMovedError where base, head or claim are no longer what the plan was made on."""
    lease, number, head = place.published({"new.txt": "x\n"})
    landing = place.acquire(LANDING, Role.MERGE)
    plan = place.plan(lease, number, head)
    before = place.main()
    if what == "base":
        before = place.work({"theirs.txt": "t\n"})
        place.person_moves("main", before)
    elif what == "head":
        place.person_moves("polecat/t", place.work({"theirs.txt": "t\n"}, parent=head))
    else:
        place.forge.write_claim(lease.ref, claim(holder="y", attempt=2), lease.tip)
    with pytest.raises(RefMovedError):
        place.forge.land(landing, landing.claim, plan, NOW)
    assert place.forge.observe().pulls[number].state is PullState.OPEN
    assert place.main() == before


def test_f23_a_freeze_stays_until_it_is_lifted(place: Place) -> None:
    """F23: `freeze` does not replace another; `unfreeze` returns what was lifted, or nothing."""
    landing = place.acquire(LANDING, Role.MERGE)
    place.forge.freeze(landing, Freeze(base="main", reason="wrong tree", by="x", at=NOW))
    place.forge.freeze(landing, Freeze(base="main", reason="later", by="x", at=NOW))
    assert place.forge.observe().freezes["main"].reason == "wrong tree"
    lifted = place.forge.unfreeze("main")
    assert lifted is not None
    assert lifted.reason == "wrong tree"
    assert not place.forge.observe().freezes
    assert place.forge.unfreeze("main") is None


def test_deletion_is_pinned_to_what_was_seen(place: Place) -> None:
    """`delete_refs`: deletes refs of ours, each pinned to the SHA seen, all or none."""
    lease = place.acquire()
    other = place.acquire("refs/refinery/claims/u")
    moved = place.forge.write_claim(other.ref, replace(other.claim, expires_at=NOW + 1800), other.tip)
    with pytest.raises(RefMovedError):
        place.forge.delete_refs({lease.ref: lease.tip, other.ref: other.tip})
    assert set(place.forge.observe().claims) == {"t", "u"}
    place.forge.delete_refs({lease.ref: lease.tip, other.ref: moved})
    place.forge.delete_refs({})
    assert not place.forge.observe().claims


def test_where_nothing_broke_nothing_is_mended(place: Place) -> None:
    """`repair`: finishes what a killed writer left in the repository itself; here nobody was killed."""
    lease, number, head = place.published({"new.txt": "x\n"})
    landing = place.acquire(LANDING, Role.MERGE)
    assert place.forge.repair("main") == ()
    landed = place.forge.land(
        landing, replace(landing.claim, nonce="2"), place.plan(lease, number, head), NOW
    )
    assert isinstance(landed.landing, Lease)
    assert place.forge.repair("main") == ()
