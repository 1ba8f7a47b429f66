"""GraphQL questions about pulls on the fake: mergeability, checks, reviews, files, forks."""

import pytest
from support.questions import Asker, about

from .conftest import NAME


@pytest.fixture
def ask(hub):
    """Questions by mona."""
    return Asker(hub, hub.token("mona"))


@pytest.fixture
def pull(hub):
    """Pull 1 by bob, from the branch `topic`."""
    hub.push(NAME, {"b.py": "b = 1\n"}, branch="topic", by="bob")
    return hub.open_pull(NAME, by="bob", head="topic", body="Fine")


@pytest.mark.usefixtures("pull")
def test_mergeability_is_found_out_later(ask, hub):
    """UNKNOWN for the first who asks about this head and base; a push to either makes it unknown again."""
    fields = "pullRequest(number: 1) { mergeable mergeStateStatus }"
    unknown = {"mergeable": "UNKNOWN", "mergeStateStatus": "UNKNOWN"}
    assert ask.repository(fields)["pullRequest"] == unknown
    assert ask.repository(fields)["pullRequest"] == {
        "mergeable": "MERGEABLE",
        "mergeStateStatus": "CLEAN",
    }
    hub.push(NAME, {"b.py": "b = 2\n"}, by="mona")
    assert ask.repository("pullRequest(number: 1) { mergeable }")["pullRequest"]["mergeable"] == "UNKNOWN"
    assert ask.repository(fields)["pullRequest"] == {
        "mergeable": "CONFLICTING",
        "mergeStateStatus": "DIRTY",
    }


def test_checks_and_statuses_roll_up(hub, ask, pull):
    """F25: each result says its App and its commit; a run of an earlier commit is not on the head."""
    old = pull.pull.head_sha
    hub.report_check(NAME, old, "tests", "failure", app="ci-app")
    head = hub.push(NAME, {"c.py": "c = 1\n"}, branch="topic", by="bob")
    fields = """pullRequest(number: 1) { mergeable mergeStateStatus commits(last: 1) { totalCount nodes { commit { oid
        statusCheckRollup { state contexts(first: 9) { nodes { __typename
          ... on CheckRun { name conclusion status isRequired(pullRequestNumber: 1)
            checkSuite { app { slug } commit { oid } } }
          ... on StatusContext { context state creator { login } isRequired(pullRequestNumber: 1) } } } } } } } }"""
    (commit,) = ask.repository(fields)["pullRequest"]["commits"]["nodes"]
    assert commit["commit"] == {"oid": head, "statusCheckRollup": None}
    hub.protect(NAME, checks=(("tests", "ci-app"),))
    hub.report_check(NAME, head, "tests", status="in_progress")
    hub.report_check(NAME, head, "tests", "success", app="other-app")
    hub.report_status(NAME, head, "lint", "success", by="bob")
    shown = ask.repository(fields)["pullRequest"]
    rollup = shown["commits"]["nodes"][0]["commit"]["statusCheckRollup"]
    assert (shown["mergeStateStatus"], shown["commits"]["totalCount"], rollup["state"]) == (
        "BLOCKED",
        2,
        "PENDING",
    )
    runs = {each["checkSuite"]["app"]["slug"]: each for each in rollup["contexts"]["nodes"][:2]}
    assert runs["ci-app"]["conclusion"] is None
    assert (runs["ci-app"]["isRequired"], runs["other-app"]["isRequired"]) == (True, False)
    assert runs["ci-app"]["checkSuite"]["commit"]["oid"] == head
    assert rollup["contexts"]["nodes"][2] == {
        "__typename": "StatusContext",
        "context": "lint",
        "state": "SUCCESS",
        "creator": {"login": "bob"},
        "isRequired": False,
    }


@pytest.mark.usefixtures("pull")
def test_the_latest_opinion_of_each_person(hub, ask):
    """Comments are no opinions; an approval after a change request replaces it; who may not write does not count."""
    for who, state in (
        ("mona", "CHANGES_REQUESTED"),
        ("eve", "APPROVED"),
        ("mona", "APPROVED"),
        ("mona", "COMMENTED"),
    ):
        hub.review(NAME, 1, state, by=who)
    fields = """pullRequest(number: 1) { reviewDecision
        latestOpinionatedReviews(first: 9, writersOnly: $writers) { nodes { state author { login } commit { oid } } }
        latestReviews(first: 9) { nodes { state author { login } } }
        reviews(first: 9, states: [APPROVED]) { totalCount } }"""
    document = about(fields, "($writers: Boolean!)")
    found = ask(document, writers=True)["repository"]["pullRequest"]
    assert [
        (each["state"], each["author"]["login"]) for each in found["latestOpinionatedReviews"]["nodes"]
    ] == [("APPROVED", "mona")]
    assert {(each["state"], each["author"]["login"]) for each in found["latestReviews"]["nodes"]} == {
        ("APPROVED", "eve"),
        ("COMMENTED", "mona"),
    }
    assert (found["reviews"]["totalCount"], found["reviewDecision"]) == (2, None)
    assert (
        len(ask(document, writers=False)["repository"]["pullRequest"]["latestOpinionatedReviews"]["nodes"])
        == 2
    )
    hub.protect(NAME, reviews=2)
    assert ask(document, writers=True)["repository"]["pullRequest"]["reviewDecision"] == "REVIEW_REQUIRED"


def test_a_fork_is_another_repository(hub, ask):
    """A pull from a fork says so, whatever its branch is called."""
    fork = hub.fork(NAME, "eve")
    hub.push(fork, {"b.py": "b = 1\n"}, branch="polecat/1", by="eve")
    hub.open_pull(NAME, by="eve", head="polecat/1", fork=fork)
    found = ask.repository(
        "pullRequest(number: 1) { isCrossRepository headRefName headRepository { nameWithOwner } headRef { name } }",
    )
    assert found["pullRequest"] == {
        "isCrossRepository": True,
        "headRefName": "polecat/1",
        "headRepository": {"nameWithOwner": fork},
        "headRef": {"name": "polecat/1"},
    }


@pytest.mark.usefixtures("pull")
def test_files_and_commits_of_a_pull(hub, ask):
    """What it adds and removes, file by file, and where it landed."""
    fields = """pullRequest(number: 1) { state additions deletions changedFiles baseRefName baseRefOid
        files(first: 9) { nodes { path additions deletions changeType } }
        mergeCommit { oid message tree { oid } parents(first: 2) { nodes { oid } } } mergedBy { login } }"""
    shown = ask.repository(fields)["pullRequest"]
    assert shown["files"]["nodes"] == [
        {"path": "b.py", "additions": 1, "deletions": 0, "changeType": "ADDED"}
    ]
    assert (shown["additions"], shown["changedFiles"], shown["mergeCommit"]) == (1, 1, None)
    base = hub.repository(NAME).known["refs/heads/main"]
    landed = hub.merge(NAME, 1, by="mona")
    shown = ask.repository(fields)["pullRequest"]
    assert (shown["state"], shown["mergedBy"]["login"], shown["baseRefOid"]) == ("MERGED", "mona", base)
    assert shown["mergeCommit"]["oid"] == landed
    assert shown["mergeCommit"]["parents"]["nodes"] == [{"oid": base}]
