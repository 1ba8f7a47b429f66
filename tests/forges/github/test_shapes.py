"""From GitHub's JSON to pulls and checks: what is missing, cut short or unknown is never good news."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery.core.model import Conclusion, PullState, ReviewState
from refinery.forges.github.shapes import open_pull_of, pull_of, required_of

HEAD, OLD = "a" * 40, "b" * 40
WHOLE = {"hasNextPage": False, "hasPreviousPage": False}


def row(**changes):
    plain = {
        "id": "PR_1",
        "number": 7,
        "title": "Add a greeting",
        "body": "",
        "state": "OPEN",
        "isDraft": False,
        "isCrossRepository": False,
        "isInMergeQueue": False,
        "mergeable": "UNKNOWN",
        "createdAt": "2026-01-01T00:00:00Z",
        "closedAt": None,
        "updatedAt": "2026-01-01T00:00:00Z",
        "headRefName": "polecat/12",
        "headRefOid": HEAD,
        "baseRefName": "main",
        "mergeCommit": None,
        "labels": {"pageInfo": WHOLE, "nodes": [{"name": "polecat"}]},
        "reviews": {"pageInfo": WHOLE, "nodes": []},
        "latestOpinionatedReviews": {"nodes": []},
        "commits": {"nodes": []},
    }
    return {**plain, **changes}


def run(name="ci", conclusion="SUCCESS", status="COMPLETED", *, number=1, suite=1, app=("ci-app", 9)):
    return {
        "__typename": "CheckRun",
        "databaseId": number,
        "name": name,
        "status": status,
        "conclusion": conclusion,
        "title": "",
        "checkSuite": {"databaseId": suite, "app": {"databaseId": app[1], "slug": app[0]}},
    }


def status(state="SUCCESS", creator=("Bot", "ci-app[bot]")):
    kind, login = creator
    return {
        "__typename": "StatusContext",
        "context": "ci",
        "state": state,
        "description": "",
        "creator": {"__typename": kind, "login": login},
    }


def with_checks(*nodes, info=WHOLE, oid=HEAD):
    contexts = {"pageInfo": info, "nodes": list(nodes)}
    return row(commits={"nodes": [{"commit": {"oid": oid, "statusCheckRollup": {"contexts": contexts}}}]})


def read(found):
    return open_pull_of(found, lambda key: f"task {key}")


def test_a_pull_of_ours():
    """Its task is that of its branch."""
    pull = pull_of(row(), lambda key: f"task {key}")
    assert (pull.task, pull.head, pull.state, pull.labels) == ("task 12", HEAD, PullState.OPEN, ("polecat",))
    assert pull.unknown == ()


def test_a_forks_pull_is_no_tasks_pull():
    """A fork may name its branch and label as it likes: it is refused, and nobody's task."""
    pull = pull_of(row(isCrossRepository=True), lambda key: f"task {key}")
    assert not pull.same_repository
    assert pull.task == "(pull 7)"


@pytest.mark.parametrize("branch", ["polecat/", "feature", "polecat"])
def test_another_branch_is_no_tasks(branch):
    """A person's labelled pull belongs to no task."""
    assert pull_of(row(headRefName=branch), lambda key: f"task {key}").task == "(pull 7)"


@pytest.mark.parametrize("part", ["labels", "reviews"])
def test_what_was_cut_short_is_unknown(part):
    """A truncated listing is not a complete one."""
    cut = {"pageInfo": {"hasNextPage": True, "hasPreviousPage": True}, "nodes": []}
    pull, _, _ = read(row(**{part: cut}))
    assert len(pull.unknown) == 1


def test_cut_checks_are_unknown():
    """A hundred green checks say nothing of the hundred and first."""
    pull, checks, _ = read(with_checks(run(), info={"hasNextPage": True}))
    assert checks
    assert pull.unknown


def test_f25_checks_carry_the_commit_that_they_are_of():
    """F25: results of an earlier commit name that commit, not the head."""
    _, (check,), _ = read(with_checks(run(), oid=OLD))
    assert check.subject == OLD


@pytest.mark.parametrize(
    ("conclusion", "meaning"),
    [
        ("SUCCESS", Conclusion.SUCCESS),
        ("SKIPPED", Conclusion.SKIPPED),
        ("NEUTRAL", Conclusion.SKIPPED),
        ("CANCELLED", Conclusion.DID_NOT_RUN),
        ("STALE", Conclusion.DID_NOT_RUN),
        ("ACTION_REQUIRED", Conclusion.PENDING),
        ("TIMED_OUT", Conclusion.TIMED_OUT),
        ("STARTUP_FAILURE", Conclusion.FAILURE),
        ("SOMETHING_NEW", Conclusion.DID_NOT_RUN),
    ],
)
def test_f25_only_success_is_success(conclusion, meaning):
    """F25: a skipped, neutral or unheard-of conclusion has not passed."""
    _, (check,), _ = read(with_checks(run(conclusion=conclusion)))
    assert check.conclusion is meaning


@given(st.text(min_size=1), st.sampled_from(["QUEUED", "IN_PROGRESS", "WAITING", "REQUESTED", "PENDING"]))
def test_a_run_that_goes_on_is_pending(conclusion, state):
    """Whatever an unfinished run says of its end."""
    _, (check,), _ = read(with_checks(run(conclusion=conclusion, status=state)))
    assert check.conclusion is Conclusion.PENDING


def test_of_a_job_run_again_the_newest_counts():
    """Within its suite; the same name in another suite counts beside it."""
    first, again = run(conclusion="FAILURE", number=1), run(number=2)
    other = run(conclusion="FAILURE", number=3, suite=2)
    assert [check.conclusion for check in read(with_checks(again, first))[1]] == [Conclusion.SUCCESS]
    assert {check.conclusion for check in read(with_checks(first, again, other))[1]} == {
        Conclusion.SUCCESS,
        Conclusion.FAILURE,
    }


def test_an_app_is_told_from_a_person_of_that_name():
    """A status by a user called as an App is not the App's."""
    (app,) = read(with_checks(status()))[1]
    (person,) = read(with_checks(status(creator=("User", "ci-app"))))[1]
    assert (app.app, person.app) == ("ci-app", "@ci-app")


def test_reviews_of_those_who_may_write_are_trusted():
    """Others' reviews are kept, and marked."""

    def review(login):
        return {
            "state": "CHANGES_REQUESTED",
            "body": "no",
            "submittedAt": "2026-01-02T00:00:00Z",
            "author": {"login": login},
            "commit": {"oid": HEAD},
        }

    found = row(
        reviews={"pageInfo": WHOLE, "nodes": [review("mona"), review("mallory")]},
        latestOpinionatedReviews={"nodes": [{"author": {"login": "mona"}}]},
    )
    pull, _, _ = read(found)
    assert [(each.author, each.is_trusted) for each in pull.reviews] == [("mona", True), ("mallory", False)]
    assert {each.state for each in pull.reviews} == {ReviewState.CHANGES_REQUESTED}


def test_required_checks_are_the_union_of_protection_and_rulesets():
    """By name and App; an App that nobody pinned is any."""
    branch = {
        "protection": {
            "required_status_checks": {
                "contexts": ["ci", "lint"],
                "checks": [{"context": "ci", "app_id": 9}, {"context": "lint", "app_id": -1}],
            }
        }
    }
    rules = [
        {"type": "deletion"},
        {
            "type": "required_status_checks",
            "parameters": {
                "required_status_checks": [{"context": "docs", "integration_id": 9}, {"context": "ci"}]
            },
        },
    ]
    assert required_of(branch, rules) == ((("ci", 0), ("ci", 9), ("docs", 9), ("lint", 0)), False)
    assert required_of({}, [{"type": "merge_queue"}]) == ((), True)
