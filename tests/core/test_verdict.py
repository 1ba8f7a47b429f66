"""The verdict: one pull that merges, and each condition perturbed alone."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery.core.additive import Classification, Tier
from refinery.core.claims import SKEW
from refinery.core.model import (
    Check,
    ClaimState,
    ClaimTip,
    Conclusion,
    Freeze,
    PullState,
    ReviewState,
    Role,
    Status,
)
from refinery.core.outcomes import Outcome
from refinery.core.reasons import _TEXT, WAITS, Code, reason
from refinery.core.verdict import POLL, Decision, Policy, judge, policy_digest, tree_reasons
from tests.support.snapshots import (
    HEAD,
    MERGEABLE,
    NOW,
    OLD,
    PASSED,
    POLICY,
    PULL,
    check,
    claim,
    fact,
    found,
    proof,
    pull,
    review,
)

REQUESTED, APPROVED, COMMENTED = ReviewState.CHANGES_REQUESTED, ReviewState.APPROVED, ReviewState.COMMENTED
HELD = {"state": ClaimState.HELD, "outcome": None, "expires_at": NOW + 30}
LOST = {"state": ClaimState.HELD, "outcome": None, "expires_at": NOW - 3600}
BLOCKERS = {
    "merged": (pull(state=PullState.MERGED), Code.NOT_OPEN),
    "closed": (pull(state=PullState.CLOSED), Code.NOT_OPEN),
    "no label": (pull(labels=()), Code.NO_LABEL),
    "another label": (pull(labels=("bug",)), Code.NO_LABEL),
    "hold": (pull(labels=("polecat", "Hold")), Code.HOLD),
    "queued": (pull(is_queued=True), Code.QUEUED),
    "pull_unknown": (pull(unknown=("its reviews",)), Code.UNKNOWN),
    "fork": (pull(same_repository=False), Code.FORK),
    "draft": (pull(draft=True), Code.DRAFT),
    "another base": (pull(base="release"), Code.BASE_NOT_ALLOWED),
    "no default base": (fact(default_base=""), Code.BASE_NOT_ALLOWED),
    "frozen": (fact(freeze=Freeze(base="main", reason="odd tree", by="bot", at=NOW)), Code.FROZEN),
    "no claim": (fact(claim=None), Code.NO_CLAIM),
    "another pull's claim": (claim(pull=4), Code.NO_CLAIM),
    "unreadable claim": (fact(claim=ClaimTip("d", None, "version 9")), Code.CLAIM_UNREADABLE),
    "live work": (claim(**HELD), Code.CLAIMED),
    "live person": (claim(**HELD, role=Role.PERSON), Code.CLAIMED),
    "dead work": (claim(**LOST), Code.WORK_UNFINISHED),
    "dead person": (claim(**LOST, role=Role.PERSON), Code.WORK_UNFINISHED),
    "partial work": (claim(work_outcome=Outcome.TIMED_OUT), Code.NOT_PUBLISHED),
    "failed verify": (claim(work_outcome=Outcome.VERIFY_FAILED), Code.NOT_PUBLISHED),
    "no work": (claim(work_outcome=None), Code.NOT_PUBLISHED),
    "branch moved": (fact(head=OLD), Code.MOVED),
    "branch gone": (fact(head=""), Code.MOVED),
    "pull head moved": (pull(head=OLD), Code.MOVED),
    "nothing recorded": (claim(head=""), Code.MOVED),
    "head not known": (fact(head=None), Code.UNKNOWN),
    "changes requested": (pull(reviews=(review(REQUESTED),)), Code.CHANGES_REQUESTED),
    "no merge base": (fact(merge_bases=()), Code.NO_MERGE_BASE),
    "two merge bases": (fact(merge_bases=("e", "f")), Code.SEVERAL_MERGE_BASES),
    "merge base not known": (fact(merge_bases=None), Code.UNKNOWN),
    "change not known": (fact(change=None), Code.UNKNOWN),
    "result not known": (fact(result=None), Code.UNKNOWN),
    "not predicted": (fact(conflicts=None), Code.UNKNOWN),
    "conflict": (fact(conflicts=("a.py",), result=None), Code.CONFLICT),
    "removed file": (found(Code.REMOVED, path="x.py"), Code.REMOVED),
    "removed line": (found(Code.LINES_REMOVED, path="x.py", line=3), Code.LINES_REMOVED),
    "line endings": (found(Code.LINE_ENDINGS, path="x.py", line=3), Code.LINE_ENDINGS),
    "binary": (found(Code.BINARY_CHANGED, path="x.png"), Code.BINARY_CHANGED),
    "link": (found(Code.SYMLINK, path="x"), Code.SYMLINK),
    "submodule": (found(Code.SUBMODULE, path="x"), Code.SUBMODULE),
    "executable": (found(Code.EXECUTABLE, path="x"), Code.EXECUTABLE),
    "mode": (found(Code.MODE_CHANGED, path="x", old="100644", new="100755"), Code.MODE_CHANGED),
    "type": (found(Code.TYPE_CHANGED, path="x", old="100644", new="120000"), Code.TYPE_CHANGED),
    "odd mode": (found(Code.UNUSUAL_MODE, path="x", mode="100600"), Code.UNUSUAL_MODE),
    "collision": (found(Code.COLLISION, path="x", other="X"), Code.COLLISION),
    "collision in the result": (found(Code.COLLISION, "result", path="x", other="X"), Code.COLLISION),
    "odd path": (found(Code.ODD_PATH, path="con", why="is a device"), Code.ODD_PATH),
    "unreadable": (found(Code.UNREADABLE, path="big"), Code.UNREADABLE),
    "protected": (proof(paths=("src/conftest.py",)), Code.PROTECTED),
    "protected in the result": (proof("result", paths=(".github/workflows/x.yml",)), Code.PROTECTED),
    "too many lines": (proof(added_lines=501), Code.TOO_MANY_LINES),
    "too many lines in the result": (proof("result", added_lines=501), Code.TOO_MANY_LINES),
    "too many files": (proof(paths=tuple(f"f{n}" for n in range(51))), Code.TOO_MANY_FILES),
    "no result": (fact(checks=()), Code.CHECK_MISSING),
    "check of another App": (check(app="elsewhere"), Code.CHECK_MISSING),
    "another check": (check(name="lint"), Code.CHECK_MISSING),
    "check of another tree": (check(subject="f" * 40), Code.CHECK_MISSING),
    "check of no tree": (lambda s: replace(check(subject="")(s), tree=""), Code.CHECK_MISSING),
    "check failed": (check(conclusion=Conclusion.FAILURE), Code.CHECK_FAILED),
    "check timed out": (check(conclusion=Conclusion.TIMED_OUT), Code.CHECK_FAILED),
    "check did not run": (check(conclusion=Conclusion.DID_NOT_RUN), Code.CHECK_NOT_RUN),
    "check skipped": (check(conclusion=Conclusion.SKIPPED), Code.CHECK_NOT_RUN),
    "check pending": (check(conclusion=Conclusion.PENDING), Code.CHECK_PENDING),
    "the forge asks for more": (fact(required=(("build", "ci"),)), Code.CHECK_MISSING),
    "dependency open": (fact(dependencies={"t-0": Status.REVIEW}), Code.DEPENDENCY_WAITING),
    "dependency unknown": (fact(dependencies={"t-0": None}), Code.DEPENDENCY_WAITING),
    "dependency failed": (fact(dependencies={"t-0": Status.FAILED}), Code.DEPENDENCY_DEAD),
    "dependency cancelled": (fact(dependencies={"t-0": Status.CANCELLED}), Code.DEPENDENCY_DEAD),
    "cancelled by a person": (fact(task_status=Status.CANCELLED), Code.TASK_ENDED),
    "something unanswered": (fact(unknown=("the branch protection",)), Code.UNKNOWN),
}


def test_the_fixture_merges():
    """A pull without any fault merges, with no reason and nothing to wait for."""
    verdict = judge(MERGEABLE, POLICY, NOW)
    assert (verdict.decision, verdict.reasons, verdict.look_again_at) == (Decision.MERGE, (), None)


@pytest.mark.parametrize("name", BLOCKERS)
def test_each_condition_alone(name):
    """One fault gives one reason, and waits only if time can cure it."""
    blocker, code = BLOCKERS[name]
    verdict = judge(blocker(MERGEABLE), POLICY, NOW)
    assert {each.code for each in verdict.reasons} == {code}
    assert verdict.decision is (Decision.WAIT if code in WAITS else Decision.REFUSE)
    assert (verdict.look_again_at is not None) == (verdict.decision is Decision.WAIT)
    assert all(each.cure and each.text for each in verdict.reasons)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(sorted(BLOCKERS)), min_size=1, max_size=8, unique=True))
def test_adding_a_blocker_never_makes_it_merge(names):
    """However many faults come together, none cancels another: refusing stays, and nothing merges."""
    snapshot, refused = MERGEABLE, False
    for name in names:
        snapshot = BLOCKERS[name][0](snapshot)
        verdict = judge(snapshot, POLICY, NOW)
        assert verdict.decision is not Decision.MERGE
        refused = any(not each.waits for each in verdict.reasons)
        assert verdict.decision is (Decision.REFUSE if refused else Decision.WAIT)


TOGETHER = str.split(
    "hold;fork;draft;another base;frozen;partial work;branch moved;changes requested;two merge bases;"
    "removed file;link;collision in the result;too many lines;check skipped;dependency failed;something unanswered",
    ";",
)


@given(st.sets(st.sampled_from(TOGETHER)))
def test_of_a_closed_pull_there_is_nothing_else_to_say(names):
    """A merged pull's branch, claim and checks are history."""
    snapshot = BLOCKERS["merged"][0](MERGEABLE)
    for name in sorted(names):
        snapshot = BLOCKERS[name][0](snapshot)
    assert [each.code for each in judge(snapshot, POLICY, NOW).reasons] == [Code.NOT_OPEN]


@settings(max_examples=200, deadline=None)
@given(st.sets(st.sampled_from(TOGETHER)))
def test_all_reasons_are_collected(names):
    """Faults of different fields are all reported at once, so that nobody mends them one by one."""
    snapshot = MERGEABLE
    for name in sorted(names):
        snapshot = BLOCKERS[name][0](snapshot)
    assert {each.code for each in judge(snapshot, POLICY, NOW).reasons} == {
        BLOCKERS[name][1] for name in names
    }


def test_every_code_has_words_and_can_occur():
    """Each code has a sentence and a cure, and each is given by some perturbation (two only by the landing)."""
    assert set(_TEXT) == set(Code)
    at_landing = {Code.IN_THE_WAY, Code.FORGE_REFUSES}
    occurring = {code for _, code in BLOCKERS.values()} | {Code.NO_CHECKS, Code.FILE_CHANGED} | at_landing
    assert occurring == set(Code)


def test_f19_a_check_that_did_not_run_has_not_passed():
    """F19: a check that could not start, or was skipped, refuses like a failed one and says so."""
    for conclusion in (Conclusion.DID_NOT_RUN, Conclusion.SKIPPED):
        verdict = judge(check(conclusion=conclusion)(MERGEABLE), POLICY, NOW)
        assert verdict.decision is Decision.REFUSE
        assert "did not run" in verdict.reasons[0].text


def test_f19_one_bad_result_is_not_outvoted():
    """F19: several results of one check on one tree count as the worst of them."""
    failed = replace(PASSED, conclusion=Conclusion.FAILURE)
    assert judge(replace(MERGEABLE, checks=(failed, PASSED)), POLICY, NOW).decision is Decision.REFUSE
    assert judge(replace(MERGEABLE, checks=(PASSED, failed)), POLICY, NOW).decision is Decision.REFUSE


def test_f20_a_push_after_the_release_is_seen():
    """F20: a head other than the released one is refused by name, even when everything else fits the new head."""
    moved = replace(
        MERGEABLE, head=OLD, pull=replace(PULL, head=OLD), checks=(PASSED, replace(PASSED, subject=OLD))
    )
    verdict = judge(moved, POLICY, NOW)
    assert [each.code for each in verdict.reasons] == [Code.MOVED]
    assert verdict.reasons[0].facts == {"actual": OLD, "recorded": HEAD}


@pytest.mark.parametrize(
    ("reviews", "stands"),
    [
        ([review(REQUESTED)], True),
        ([review(REQUESTED), review(APPROVED, at=2)], False),
        ([review(APPROVED), review(REQUESTED, at=2)], True),
        ([review(REQUESTED), review(APPROVED, at=2, head=OLD)], True),
        ([review(REQUESTED, head=OLD), review(APPROVED, at=2)], False),
        ([review(REQUESTED, head=OLD)], True),
        ([review(REQUESTED), review(COMMENTED, at=2)], True),
        ([review(REQUESTED), review(APPROVED, at=2, author="bob")], True),
        ([review(APPROVED, at=2), review(REQUESTED, at=1)], False),
        ([review(APPROVED, head=OLD)], False),
        ([review(COMMENTED)], False),
    ],
)
def test_f21_requested_changes_stand(reviews, stands):
    """F21: only its author's later approval of this very head lifts a request for changes."""
    verdict = judge(pull(reviews=tuple(reviews))(MERGEABLE), POLICY, NOW)
    assert [each.code for each in verdict.reasons] == ([Code.CHANGES_REQUESTED] if stands else [])


def test_f25_results_of_an_earlier_commit_say_nothing():
    """F25: a success on another tree or head is no result here, next to it or instead of it."""
    stale = replace(PASSED, subject=OLD)
    verdict = judge(replace(MERGEABLE, checks=(stale,)), POLICY, NOW)
    assert [each.code for each in verdict.reasons] == [Code.CHECK_MISSING]
    failed = replace(stale, conclusion=Conclusion.FAILURE)
    assert judge(replace(MERGEABLE, checks=(failed, PASSED)), POLICY, NOW).decision is Decision.MERGE


def test_f25_our_own_checks_are_of_the_predicted_tree():
    """F25: a result of `checks:` counts on the predicted tree alone, another App's on the head as well."""
    on_head = replace(PASSED, subject=HEAD)
    assert judge(replace(MERGEABLE, checks=(on_head,)), POLICY, NOW).decision is Decision.WAIT
    ci = replace(POLICY, required=(("tests", "ci"),))
    assert judge(replace(MERGEABLE, checks=(replace(on_head, app="ci"),)), ci, NOW).decision is Decision.MERGE


@pytest.mark.parametrize("required", [(), (("refinery", "refinery"),)])
def test_without_a_check_nothing_merges(required):
    """With no check but our own verdict nothing merges, and the cure is the line to add, and where."""
    own = Check(name="refinery", app="refinery", subject=HEAD, conclusion=Conclusion.SUCCESS)
    verdict = judge(replace(MERGEABLE, checks=(own, PASSED)), Policy(required=required), NOW)
    assert verdict.decision is Decision.REFUSE
    assert [each.code for each in verdict.reasons] == [Code.NO_CHECKS]
    assert 'checks: {tests: "<your test command>"}' in verdict.reasons[0].cure


def test_a_check_of_any_app_is_never_our_own():
    """A required check without an App takes any App's result but the one that we publish."""
    policy = Policy(required=(("tests", ""),))
    assert judge(MERGEABLE, policy, NOW).decision is Decision.MERGE
    assert judge(check(app="refinery", subject=HEAD)(MERGEABLE), policy, NOW).decision is Decision.WAIT


@pytest.mark.parametrize(
    "path",
    [".github/workflows/x.yml", "conftest.py", "tests/conftest.py", "evil.pth", "AGENTS.md", ".gitmodules"],
)
def test_f33_additive_files_that_act_are_refused(path):
    """F33: a pull that only adds a file which acts by existing is refused, in either proof."""
    added = Classification(tier=Tier.NEW_FILES, paths=(path,), added_lines=1)
    for which in ("change", "result"):
        verdict = judge(replace(MERGEABLE, **{which: added}), POLICY, NOW)
        assert [each.code for each in verdict.reasons] == [Code.PROTECTED]


def test_the_tier_decides_about_growth():
    """Tier `new-files` refuses a file that grew; `any` globs lift that, and removals, for their paths alone."""
    policy = replace(POLICY, tier=Tier.NEW_FILES)
    assert {each.code for each in judge(MERGEABLE, policy, NOW).reasons} == {Code.FILE_CHANGED}
    assert judge(MERGEABLE, replace(policy, any_paths=("src/",)), NOW).decision is Decision.MERGE
    removed = found(Code.REMOVED, path="docs/x.md")(MERGEABLE)
    assert judge(removed, replace(POLICY, any_paths=("docs/",)), NOW).decision is Decision.MERGE
    assert judge(removed, replace(POLICY, any_paths=("src/",)), NOW).decision is Decision.REFUSE
    assert judge(removed, replace(POLICY, tier=Tier.ANY), NOW).decision is Decision.REFUSE


@pytest.mark.parametrize(
    "name", ["mode", "type", "link", "executable", "unreadable", "collision", "odd path"]
)
def test_any_lifts_the_additive_tier_alone(name):
    """Links, modes, collisions and what cannot be read stay refused where `any` covers the path."""
    verdict = judge(BLOCKERS[name][0](MERGEABLE), replace(POLICY, any_paths=("**",)), NOW)
    assert verdict.decision is Decision.REFUSE


def test_bases_of_the_policy():
    """Configured bases replace the default one, as whole names."""
    policy = replace(POLICY, bases=("release/*",))
    assert judge(MERGEABLE, policy, NOW).reasons[0].code is Code.BASE_NOT_ALLOWED
    assert judge(pull(base="release/1")(MERGEABLE), policy, NOW).decision is Decision.MERGE


def test_limits_are_inclusive():
    """The limits themselves are still admitted."""
    at_limit = proof(added_lines=500, paths=tuple(f"f{n}" for n in range(50)))(MERGEABLE)
    assert judge(at_limit, POLICY, NOW).decision is Decision.MERGE


def test_the_merger_s_own_lease_is_no_obstacle():
    """A live claim of role `merge` is the merger itself, about to land."""
    assert judge(claim(**HELD, role=Role.MERGE)(MERGEABLE), POLICY, NOW).decision is Decision.MERGE


def test_waiting_looks_again_when_the_lease_ends():
    """A wait ends when the lease does if that is soon, and is polled otherwise."""
    assert judge(claim(**HELD)(MERGEABLE), POLICY, NOW).look_again_at == NOW + 30 + SKEW
    later = claim(**{**HELD, "expires_at": NOW + 9000})(MERGEABLE)
    assert judge(later, POLICY, NOW).look_again_at == NOW + POLL
    assert judge(check(conclusion=Conclusion.PENDING)(MERGEABLE), POLICY, NOW).look_again_at == NOW + POLL


def test_a_live_attempt_waits_whatever_it_has_done_so_far():
    """While a worker repairs a pull, its moving head and old outcome are not held against it."""
    busy = claim(**HELD, work_outcome=Outcome.VERIFY_FAILED, head=OLD)(MERGEABLE)
    assert judge(busy, POLICY, NOW).decision is Decision.WAIT


def test_both_proofs_are_reported_once():
    """What both proofs say is one reason; what only the result shows is there too."""
    both = found(Code.COLLISION, "result", path="z", other="Z")(
        found(Code.REMOVED, "result", path="x")(found(Code.REMOVED, path="x")(MERGEABLE))
    )
    assert [each.code for each in judge(both, POLICY, NOW).reasons] == [Code.REMOVED, Code.COLLISION]


def test_reasons_print_whatever_the_path_holds():
    """Undecodable bytes, newlines and braces in a path come out printable, in facts and cure alike."""
    odd = reason(Code.REMOVED, path=b"{x}\xff\n".decode("utf-8", "surrogateescape"))
    shown = odd.to_json()
    assert shown["facts"] == {"path": "{x}\\xff\\n"}
    assert "{x}\\xff\\n" in str(shown["cure"])
    str(shown).encode()


def test_policy_digest_is_of_the_whole_policy():
    """Any change of the policy changes its digest, and equal policies share one."""
    assert policy_digest(Policy()) == policy_digest(Policy(tier=Tier.ADDITIONS))
    variants = [Policy(), Policy(tier=Tier.NEW_FILES), Policy(max_lines=1), Policy(protected=("x",)), POLICY]
    assert len({policy_digest(policy) for policy in variants}) == len(variants)


def test_a_policy_with_a_senseless_pattern_cannot_exist():
    """A pattern nobody can read is refused when the policy is made, not when a pull is judged."""
    with pytest.raises(ValueError, match="not a pattern"):
        Policy(protected=("[z-a]",))


def test_no_proof_no_tree_reason():
    """The tree rules speak about proofs alone; that a proof is missing is for `judge` to say."""
    assert tree_reasons([], POLICY) == ()
