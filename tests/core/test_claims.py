"""The claim protocol's rules: encoding, liveness, take-over, release."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery.core import claims
from refinery.core.model import Claim, ClaimState, ClaimTip, Role, Status, Task
from refinery.core.outcomes import ENDINGS, After, Outcome

NOW = 1_800_000_000.0
CLAIM = Claim(
    task="a", attempt=2, holder="bot@host:1", role=Role.WORK, nonce="n", acquired_at=NOW, expires_at=NOW + 900
)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
INSTANT = st.integers(0, 4_000_000_000).map(float)
CLAIMS = st.builds(
    Claim,
    task=TEXT,
    attempt=st.integers(1, 99),
    holder=TEXT,
    role=st.sampled_from(Role),
    nonce=TEXT,
    acquired_at=INSTANT,
    expires_at=INSTANT,
    state=st.sampled_from(ClaimState),
    failures=st.integers(0, 9),
    outcome=st.none() | st.sampled_from(Outcome),
    work_outcome=st.none() | st.sampled_from(Outcome),
    reason=TEXT,
    not_before=INSTANT,
    branch=TEXT,
    pull=st.none() | st.integers(1, 99),
    mirror=st.none() | st.sampled_from(Status),
    repairs=st.integers(0, 3),
    intent=st.none() | st.just({"pulls": [1], "tree": "t"}),
)


@given(CLAIMS)
def test_a_claim_survives_its_commit_message(claim: Claim) -> None:
    """What is written is what is read."""
    assert claims.decode(claims.encode(claim)) == claim


@given(CLAIMS)
def test_equal_claims_make_equal_messages(claim: Claim) -> None:
    """An unanswered write can be repeated with the very same commit."""
    assert claims.encode(claim) == claims.encode(replace(claim))


@pytest.mark.parametrize(
    "message",
    ["", "subject only", "s\n\n[]", "s\n\nnull", 's\n\n{"version": 2}', 's\n\n{"version": 1}', "s\n\n{"],
)
def test_what_cannot_be_read_counts_as_held(message: str) -> None:
    """A damaged tip or a newer version is held, with its reason, for ever."""
    tip = claims.tip_of("1" * 40, message)
    assert tip.claim is None
    assert tip.problem
    assert claims.is_live(tip, NOW + 10**9)


def test_liveness_allows_for_clock_skew() -> None:
    """Held until expiry and the skew are over; released at once; absent is free."""
    tip = ClaimTip("1", CLAIM)
    assert claims.is_live(tip, NOW + 900)
    assert claims.is_live(tip, NOW + 900 + claims.SKEW - 0.1)
    assert not claims.is_live(tip, NOW + 900 + claims.SKEW)
    assert not claims.is_live(ClaimTip("1", replace(CLAIM, state=ClaimState.RELEASED)), NOW)
    assert not claims.is_live(None, NOW)


def test_a_lease_beyond_the_longest_is_broken() -> None:
    """A clock was wrong when it was written, or is wrong now: reported, and still held."""
    far = ClaimTip("1", replace(CLAIM, expires_at=NOW + 30 * 86400))
    assert claims.is_broken(far, NOW)
    assert claims.is_live(far, NOW)
    assert not claims.is_broken(ClaimTip("1", CLAIM), NOW)


def test_f02_attempts_continue_from_the_highest_trace() -> None:
    """F2, F4: an attempt's number is never used again, even when the claim was deleted."""
    assert claims.first_attempt("a", None, [], []) == 1
    assert claims.first_attempt("a", ClaimTip("1", CLAIM), [], []) == 3
    assert claims.first_attempt("a", None, [4], ["a/6-abc", "b/9-abc", "a/x-abc"]) == 7


def test_a_child_copies_what_the_design_says() -> None:
    """Role `work` starts fresh with the copied history; `merge` keeps the attempt and the text's digest."""
    old = replace(
        CLAIM, failures=2, head="h", pull=7, branch="b", work_outcome=Outcome.PUBLISHED, task_sha256="t"
    )
    fresh = replace(CLAIM, attempt=3, nonce="m")
    work = claims.successor(ClaimTip("1", old), fresh)
    assert (work.attempt, work.failures, work.head, work.pull, work.work_outcome) == (
        3,
        2,
        "h",
        7,
        "published",
    )
    merge = claims.successor(ClaimTip("1", old), replace(fresh, role=Role.MERGE))
    assert (merge.attempt, merge.task_sha256) == (2, "t")
    assert claims.successor(None, fresh) == fresh


@pytest.mark.parametrize("outcome", Outcome)
def test_release_counts_failures_as_the_table_says(outcome: Outcome) -> None:
    """Failures count once, back off doubling; a publication clears them; what never held leaves no trace."""
    done = claims.released(replace(CLAIM, failures=1), outcome, NOW, backoff=60, cap=3)
    assert done.state is ClaimState.RELEASED
    if ENDINGS[outcome].is_failure:
        assert (done.failures, done.not_before) == (2, NOW + 120)
    elif outcome is Outcome.PUBLISHED:
        assert (done.failures, done.not_before) == (0, 0)
    else:
        assert (done.failures, done.not_before) == (1, 0)
    if ENDINGS[outcome].after is After.UNCHANGED:
        assert done.work_outcome is None
    else:
        assert done.work_outcome is outcome


def test_role_merge_never_touches_the_work_outcome() -> None:
    """The merger's release does not make unfinished work look published."""
    merge = replace(CLAIM, role=Role.MERGE, work_outcome=Outcome.TIMED_OUT)
    assert claims.released(merge, Outcome.WAITING, NOW, backoff=60, cap=3).work_outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize(
    ("outcome", "failures", "status"),
    [
        (Outcome.PUBLISHED, 0, Status.REVIEW),
        (Outcome.AGENT_FAILED, 1, Status.READY),
        (Outcome.AGENT_FAILED, 3, Status.FAILED),
        (Outcome.TIMED_OUT, 3, Status.FAILED),
        (Outcome.VERIFY_FAILED, 3, Status.REVIEW),
        (Outcome.CONFLICT, 3, Status.BLOCKED),
        (Outcome.NO_CHANGES, 0, Status.BLOCKED),
        (Outcome.BLOCKED, 0, Status.BLOCKED),
        (Outcome.DRAINED, 9, Status.READY),
        (Outcome.MERGED, 0, Status.DONE),
        (Outcome.CLAIM_LOST, 0, None),
    ],
)
def test_f11_the_mirror_follows_the_outcome(outcome: Outcome, failures: int, status: Status | None) -> None:
    """F11: "no changes" asks a person; it never closes a task."""
    assert claims.mirror_after(outcome, failures, 3) is status


def test_f29_the_digest_covers_what_was_approved() -> None:
    """F29: title, body, dependencies and agent; not the status, which mirrors write."""
    task = Task(id="a", title="t", body="b")
    same = claims.task_sha256(replace(task, status=Status.REVIEW, modified="now"))
    assert same == claims.task_sha256(task)
    changed = [
        replace(task, title="x"),
        replace(task, body="x"),
        replace(task, depends_on=("x",)),
        replace(task, agent="x"),
    ]
    assert len({claims.task_sha256(each) for each in [task, *changed]}) == 5
