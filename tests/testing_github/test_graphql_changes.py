"""GraphQL mutations of the fake: each does what its REST sibling does, and answers its whole payload."""

import base64

import graphql
import pytest
from support.questions import Asker
from support.repos import git

from refinery.git import ZERO
from refinery.testing.graphql.schema import executable

from .conftest import NAME

CLAIM = "refs/refinery/claims/1"
REFS = """mutation($r: ID!, $u: [RefUpdate!]!) {
    updateRefs(input: {repositoryId: $r, refUpdates: $u}) { clientMutationId } }"""


@pytest.fixture
def ask(hub):
    """Questions by mona."""
    return Asker(hub, hub.token("mona"))


@pytest.fixture
def ids(hub, ask):
    """Opaque names: of the repository, mona, label `bug`, branches, and bob's issue 1, its comment, pulls 2 and 3."""
    hub.open_issue(NAME, "One", by="bob")
    hub.comment(NAME, 1, "Hm", by="bob")
    for branch in ("topic", "second"):
        hub.push(NAME, {f"{branch}.py": "b = 1\n"}, branch=branch, by="bob")
        hub.open_pull(NAME, by="bob", head=branch)
    hub.push(NAME, {"third.py": "c = 1\n"}, branch="third", by="bob")
    found = ask(
        """{ viewer { id } repository(owner: "acme", name: "widgets") { id label(name: "bug") { id }
        main: ref(qualifiedName: "main") { id } third: ref(qualifiedName: "third") { id target { oid } }
        issue(number: 1) { id comments(first: 1) { nodes { id } } }
        two: pullRequest(number: 2) { id headRefOid } three: pullRequest(number: 3) { id } } }"""
    )
    repo = found["repository"]
    return {
        "mona": found["viewer"]["id"],
        "repo": repo["id"],
        "label": repo["label"]["id"],
        "main": repo["main"]["id"],
        "third": repo["third"]["id"],
        "tip": repo["third"]["target"]["oid"],
        "issue": repo["issue"]["id"],
        "comment": repo["issue"]["comments"]["nodes"][0]["id"],
        "pull": repo["two"]["id"],
        "head": repo["two"]["headRefOid"],
        "other": repo["three"]["id"],
    }


def change(name, fields=""):
    """A mutation that asks for its whole payload, or for these fields."""
    mutation = executable().mutation_type.fields[name]
    kind = graphql.get_named_type(mutation.args["input"].type).name
    payload = graphql.get_named_type(mutation.type)
    asked = fields or " ".join(_whole(field, each) for field, each in payload.fields.items())
    return f"mutation($input: {kind}!) {{ done: {name}(input: $input) {{ {asked} }} }}"


def _whole(name, field):
    return name if graphql.is_leaf_type(graphql.get_named_type(field.type)) else f"{name} {{ __typename }}"


# Each mutation with what it is given, in an order in which all succeed; a word after `$` is an opaque name.
CHANGES = [
    ("createLabel", {"repositoryId": "$repo", "name": "new", "color": "ff0000"}),
    ("addLabelsToLabelable", {"labelableId": "$issue", "labelIds": ["$label"]}),
    ("removeLabelsFromLabelable", {"labelableId": "$issue", "labelIds": ["$label"]}),
    ("addAssigneesToAssignable", {"assignableId": "$issue", "assigneeIds": ["$mona"]}),
    ("removeAssigneesFromAssignable", {"assignableId": "$issue", "assigneeIds": ["$mona"]}),
    ("addComment", {"subjectId": "$issue", "body": "Hello"}),
    ("updateIssueComment", {"id": "$comment", "body": "Other"}),
    ("deleteIssueComment", {"id": "$comment"}),
    (
        "createIssue",
        {"repositoryId": "$repo", "title": "New", "labelIds": ["$label"], "assigneeIds": ["$mona"]},
    ),
    ("updateIssue", {"id": "$issue", "title": "Other", "labelIds": ["$label"], "state": "CLOSED"}),
    ("reopenIssue", {"issueId": "$issue"}),
    ("closeIssue", {"issueId": "$issue", "stateReason": "NOT_PLANNED"}),
    ("addBlockedBy", {"issueId": "$issue", "blockingIssueId": "$pull"}),
    ("removeBlockedBy", {"issueId": "$issue", "blockingIssueId": "$pull"}),
    (
        "createPullRequest",
        {"repositoryId": "$repo", "title": "P", "headRefName": "third", "baseRefName": "main"},
    ),
    ("createRef", {"repositoryId": "$repo", "name": "refs/heads/new", "oid": "$tip"}),
    ("updateRef", {"refId": "$main", "oid": "$tip"}),
    ("updateRefs", {"repositoryId": "$repo", "refUpdates": [{"name": CLAIM, "afterOid": "$tip"}]}),
    (
        "createCommitOnBranch",
        {"branch": {"id": "$third"}, "message": {"headline": "More"}, "expectedHeadOid": "$tip"},
    ),
    ("deleteRef", {"refId": "$third"}),
    ("updatePullRequest", {"pullRequestId": "$pull", "title": "Other", "state": "OPEN"}),
    ("convertPullRequestToDraft", {"pullRequestId": "$pull"}),
    ("markPullRequestReadyForReview", {"pullRequestId": "$pull"}),
    ("addPullRequestReview", {"pullRequestId": "$pull", "event": "APPROVE"}),
    ("enablePullRequestAutoMerge", {"pullRequestId": "$pull", "expectedHeadOid": "$head"}),
    ("disablePullRequestAutoMerge", {"pullRequestId": "$pull"}),
    ("closePullRequest", {"pullRequestId": "$other"}),
    ("reopenPullRequest", {"pullRequestId": "$other"}),
    ("mergePullRequest", {"pullRequestId": "$pull", "expectedHeadOid": "$head", "mergeMethod": "SQUASH"}),
]
QUEUE = ("enqueuePullRequest", "dequeuePullRequest")


def filled(given, ids):
    """`given` with the opaque names in their places."""
    if isinstance(given, str):
        return ids[given[1:]] if given.startswith("$") else given
    if isinstance(given, list):
        return [filled(each, ids) for each in given]
    return {name: filled(value, ids) for name, value in given.items()}


def test_each_mutation_answers_its_whole_payload(ask, ids):
    """Each on its main path, one after the other, with `clientMutationId` given back."""
    for name, given in CHANGES:
        done = ask(change(name), input={**filled(given, ids), "clientMutationId": "mine"})["done"]
        assert done.pop("clientMutationId") == "mine"
        assert None not in done.values(), name


def test_every_mutation_is_tried():
    """The table above leaves none out."""
    assert {name for name, _ in CHANGES} | set(QUEUE) == set(executable().mutation_type.fields)


def test_each_mutation_needs_permission(hub, ids):
    """A token that may only read changes nothing, and is FORBIDDEN to."""
    reader = Asker(hub, hub.token("mona", {"contents": "read", "issues": "read", "pull_requests": "read"}))
    events, refs = len(hub.issue(NAME, 1).events), hub.repository(NAME).known.copy()
    for name, given in CHANGES:
        assert reader.refused(change(name), input=filled(given, ids))[0] == "FORBIDDEN", name
    assert (len(hub.issue(NAME, 1).events), hub.repository(NAME).known) == (events, refs)


def test_strangers_may_comment_and_no_more(hub, ids):
    """On a public repository anybody may open and say something; labels are for those who triage."""
    eve = Asker(hub, hub.token("eve"))
    eve(change("addComment"), input={"subjectId": ids["issue"], "body": "Me too"})
    made = {"repositoryId": ids["repo"], "title": "Please", "labelIds": [ids["label"]]}
    eve(change("createIssue"), input=made)
    assert hub.labels(NAME, 4) == []
    for name, given in CHANGES:
        if name not in ("addComment", "createIssue", "addPullRequestReview"):
            assert eve.refused(change(name), input=filled(given, ids))[0] == "FORBIDDEN", name


def test_an_archived_repository_takes_nothing(hub, ask, ids):
    """Its words are GitHub's."""
    hub.repository(NAME).archived = True
    said = ask.refused(change("addComment"), input={"subjectId": ids["issue"], "body": "Hm"})
    assert said == ("FORBIDDEN", "Repository was archived so is read-only.")


def test_what_is_named_must_be_of_the_kind(ask, ids):
    """An issue is no pull, and a name of nothing is nothing."""
    assert ask.refused(change("closePullRequest"), input={"pullRequestId": ids["issue"]})[0] == "NOT_FOUND"
    assert ask.refused(change("closeIssue"), input={"issueId": ids["label"]})[0] == "NOT_FOUND"
    assert ask.refused(change("closeIssue"), input={"issueId": "no name"})[0] == "NOT_FOUND"


def updates(*moves):
    return [dict(zip(("name", "beforeOid", "afterOid"), move, strict=False)) for move in moves]


@pytest.fixture
def two(hub):
    """Two orphan commits."""
    where = hub.folder(NAME)
    return [git(where, "commit-tree", "-m", name, "HEAD^{tree}").strip() for name in ("a", "b")]


def test_f17_refs_are_created_once(hub, ask, ids, two):
    """F17: with forty zeros before, a ref is created by the first and by nobody else, even for the same commit."""
    ask(REFS, r=ids["repo"], u=updates((CLAIM, ZERO, two[0])))
    assert git(hub.folder(NAME), "rev-parse", CLAIM).strip() == two[0]
    for sha in two:
        assert ask.refused(REFS, r=ids["repo"], u=updates((CLAIM, ZERO, sha)))[0] == "UNPROCESSABLE"
    assert git(hub.folder(NAME), "rev-parse", CLAIM).strip() == two[0]


def test_refs_are_deleted_only_at_what_was_seen(hub, ask, ids, two):
    """Pinned by `beforeOid`; a claim that moved since stays."""
    ask(REFS, r=ids["repo"], u=updates((CLAIM, ZERO, two[0])))
    assert ask.refused(REFS, r=ids["repo"], u=updates((CLAIM, two[1], ZERO)))[0] == "UNPROCESSABLE"
    ask(REFS, r=ids["repo"], u=updates((CLAIM, two[0], ZERO)))
    assert git(hub.folder(NAME), "for-each-ref", CLAIM) == ""


def test_several_refs_move_together_or_not_at_all(hub, ask, ids, two):
    """One of them elsewhere, or not a fast-forward: none moves."""
    other = "refs/refinery/claims/2"
    wrong = updates((CLAIM, ZERO, two[0]), (other, two[1], ZERO))
    assert ask.refused(REFS, r=ids["repo"], u=wrong)[0] == "UNPROCESSABLE"
    assert git(hub.folder(NAME), "for-each-ref", "refs/refinery/") == ""
    ask(REFS, r=ids["repo"], u=updates((CLAIM, ZERO, two[0]), (other, ZERO, two[1])))
    backwards = updates((CLAIM, two[0], two[1]))
    assert "not a fast-forward" in ask.refused(REFS, r=ids["repo"], u=backwards)[1]
    ask(REFS, r=ids["repo"], u=[{**backwards[0], "force": True}])
    assert git(hub.folder(NAME), "rev-parse", CLAIM).strip() == two[1]


@pytest.mark.parametrize(
    ("name", "sha", "words"),
    [("claims/1", None, "not a valid ref name"), (CLAIM, "1" * 40, "does not exist")],
)
def test_refs_that_cannot_be(ask, ids, two, name, sha, words):
    """A name outside of `refs/`, and an object that is not there."""
    assert words in ask.refused(REFS, r=ids["repo"], u=updates((name, ZERO, sha or two[0])))[1]


def test_moving_a_branch_moves_its_pull(hub, ask, ids):
    """As a push does: the pull's head follows, and its deletion closes it."""
    move = updates(("refs/heads/topic", ids["head"], ids["tip"]))
    ask(REFS, r=ids["repo"], u=[{**move[0], "force": True}])
    assert hub.issue(NAME, 2).pull.head_sha == ids["tip"]
    ask(REFS, r=ids["repo"], u=updates(("refs/heads/topic", ids["tip"], ZERO)))
    assert hub.issue(NAME, 2).state == "closed"


def test_f20_a_moved_head_is_not_merged(hub, ask, ids):
    """F20: nor queued, nor armed."""
    hub.push(NAME, {"late.py": "x = 1\n"}, branch="topic", by="bob")
    hub.ruleset(NAME, merge_queue=True)
    given = {"pullRequestId": ids["pull"], "expectedHeadOid": ids["head"]}
    for name in ("mergePullRequest", "enqueuePullRequest", "enablePullRequestAutoMerge"):
        assert ask.refused(change(name), input=given)[0] == "UNPROCESSABLE"
    row = hub.issue(NAME, 2).pull
    assert (row.merged, row.is_queued, row.auto_merge_by) == (False, False, None)


def test_the_merge_queue(hub, ask, ids):
    """Where the base has one: in with a position, out again; a plain merge is refused. Elsewhere there is none."""
    given = {"pullRequestId": ids["pull"]}
    assert "not enabled" in ask.refused(change("enqueuePullRequest"), input=given)[1]
    hub.ruleset(NAME, merge_queue=True)
    fields = "clientMutationId mergeQueueEntry { position state enqueuer { login } pullRequest { isInMergeQueue } }"
    for place, name in enumerate(("pull", "other"), start=1):
        done = ask(change("enqueuePullRequest", fields), input={"pullRequestId": ids[name]})["done"]
        assert done["mergeQueueEntry"] == {
            "position": place,
            "state": "QUEUED",
            "enqueuer": {"login": "mona"},
            "pullRequest": {"isInMergeQueue": True},
        }
    assert "merge queue" in ask.refused(change("mergePullRequest"), input=given)[1]
    ask(change("dequeuePullRequest"), input={"id": ids["pull"]})
    assert hub.issue(NAME, 2).pull.is_queued is False
    assert "not in the merge queue" in ask.refused(change("dequeuePullRequest"), input={"id": ids["pull"]})[1]


def test_a_second_pull_of_one_branch_is_refused(ask, ids):
    """In GitHub's words."""
    given = {"repositoryId": ids["repo"], "title": "Again", "headRefName": "topic", "baseRefName": "main"}
    kind, words = ask.refused(change("createPullRequest"), input=given)
    assert (kind, "A pull request already exists for acme:topic." in words) == ("UNPROCESSABLE", True)


def test_a_commit_on_a_branch(hub, ask, ids):
    """Files added and removed on the expected head; another head is refused."""
    given = {
        "branch": {"repositoryNameWithOwner": NAME, "branchName": "third"},
        "message": {"headline": "Change", "body": "Why"},
        "expectedHeadOid": ids["tip"],
        "fileChanges": {
            "additions": [{"path": "new.txt", "contents": base64.b64encode(b"hi\n").decode()}],
            "deletions": [{"path": "third.py"}],
        },
    }
    done = ask(change("createCommitOnBranch", "commit { oid message }"), input=given)["done"]["commit"]
    assert done["message"] == "Change\n\nWhy"
    assert git(hub.folder(NAME), "ls-tree", "--name-only", "third").split() == ["README.md", "new.txt", "src"]
    assert "points to" in ask.refused(change("createCommitOnBranch"), input=given)[1]


def test_what_an_update_changes(hub, ask, ids):
    """State, labels and people of an issue in one go; its events are those of single changes."""
    given = {"id": ids["issue"], "title": "Two", "labelIds": [ids["label"]], "assigneeIds": [ids["mona"]]}
    ask(change("updateIssue"), input=given)
    ask(
        change("updateIssue"),
        input={"id": ids["issue"], "labelIds": [], "assigneeIds": [], "state": "CLOSED"},
    )
    kinds = [event.kind for event in hub.issue(NAME, 1).events]
    assert kinds == ["renamed", "labeled", "assigned", "unlabeled", "unassigned", "closed"]


def test_one_request_stops_at_no_error(hub, ask, ids):
    """Several mutations in one document run in order; one that fails does not undo the others."""
    body = ask.body(
        """mutation($a: ID!, $b: ID!) { one: addComment(input: {subjectId: $a, body: "x"}) { clientMutationId }
        two: closePullRequest(input: {pullRequestId: $a}) { clientMutationId }
        three: closePullRequest(input: {pullRequestId: $b}) { clientMutationId } }""",
        a=ids["issue"],
        b=ids["pull"],
    )
    assert body["data"] == {
        "one": {"clientMutationId": None},
        "two": None,
        "three": {"clientMutationId": None},
    }
    assert [error["path"] for error in body["errors"]] == [["two"]]
    assert hub.issue(NAME, 2).state == "closed"
