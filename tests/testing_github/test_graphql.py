"""GraphQL questions to the fake: what GitHub answers, with its errors, partial data and limits."""

import pytest
import requests
from support.questions import WHERE, Asker, about

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


def test_what_is_not_there_is_null_and_named(ask):
    """Data is partial: what could be given is given, and each missing part has a typed error with its path."""
    body = ask.body('{ viewer { login } repository(owner: "acme", name: "nothing") { id } }')
    assert body["data"] == {"viewer": {"login": "mona"}, "repository": None}
    (error,) = body["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["repository"])
    assert error["message"] == "Could not resolve to a Repository with the name 'acme/nothing'."
    inside = ask.body(about("name issue(number: 9) { id }"))
    assert inside["data"]["repository"] == {"name": "widgets", "issue": None}
    assert inside["errors"][0]["path"] == ["repository", "issue"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{ viewer {", "Syntax Error"),
        ("{ viewer { shoesize } }", "Cannot query field 'shoesize' on type 'User'."),
        (
            "query($n: Int!) { viewer { login } repository(owner: $n, name: $n) { id } }",
            "Variable '$n' of type",
        ),
        (
            'query($n: Int!) { rateLimit { cost } search(first: $n, query: "", type: ISSUE) { issueCount } }',
            "$n",
        ),
    ],
)
def test_a_question_that_makes_no_sense_has_no_data(ask, document, words):
    """What cannot be read, names what is not there, or lacks a variable has errors alone, with status 200."""
    body = ask.body(document)
    assert words in body["errors"][0]["message"]
    assert "data" not in body


@pytest.mark.parametrize("sent", [{}, {"query": 3}, {"query": "{ id }", "variables": [1]}])
def test_what_is_no_question_is_refused(ask, sent):
    """GraphQL's one use of another status, but for the login."""
    headers = {"Authorization": f"Bearer {ask.token}"}
    assert requests.post(ask.hub.graphql, json=sent, headers=headers, timeout=30).status_code == 400
    assert requests.post(ask.hub.graphql, json={"query": "{ id }"}, timeout=30).status_code == 401


def test_lists_must_be_bounded(ask):
    """As GitHub: a bound of a hundred at most on each connection."""
    unbounded, too_many = about("issues { totalCount }"), about("issues(first: 101) { totalCount }")
    assert ask.refused(unbounded)[0] == "MISSING_PAGINATION_BOUNDARIES"
    assert ask.refused(too_many)[0] == "EXCESSIVE_PAGINATION"
    deep = "comments(first: 100) { nodes { userContentEdits(first: 100) { totalCount } } }"
    kind, words = ask.refused(about(f"issues(first: 100) {{ nodes {{ {deep} }} }}"))
    assert (kind, "1,010,100" in words) == ("MAX_NODE_LIMIT_EXCEEDED", True)


def test_f37_points_are_counted_and_run_out(hub, ask):
    """F37: the points go down by what a question costs; without any left it is RATE_LIMITED, with status 200."""
    hub.limits.most["graphql"] = 60
    many = "pullRequests(first: 100) { nodes { labels(first: 60) { totalCount } comments(first: 9) { totalCount } } }"
    first = ask("{ rateLimit { cost limit remaining used } }")["rateLimit"]
    assert first == {"cost": 1, "limit": 60, "remaining": 59, "used": 1}
    for _ in range(30):
        assert ask(f"{{ rateLimit {{ cost }} {WHERE} {{ {many} }} }}")["rateLimit"]["cost"] == 2
    assert ask.refused("{ id }")[0] == "RATE_LIMITED"
    hub.clock.advance(3700)
    assert ask("{ rateLimit { remaining } }")["rateLimit"]["remaining"] == 59


def test_faults_of_graphql(hub, ask):
    """RATE_LIMITED and partial data on demand."""
    hub.faults.add("rate-limited", path="/graphql")
    assert ask.refused("{ id }")[0] == "RATE_LIMITED"
    hub.faults.add("partial", where="repository.issues")
    body = ask.body(about("id issues(first: 1) { totalCount }"))
    assert body["data"]["repository"]["id"]
    assert body["data"]["repository"]["issues"] is None
    assert body["errors"][0]["path"] == ["repository", "issues"]


def test_a_renamed_repository_is_found(hub, ask):
    """By its old name too, unless one asks not to follow."""
    hub.rename(NAME, "gadgets")
    assert ask.repository("nameWithOwner") == {"nameWithOwner": "acme/gadgets"}
    strict = '{ repository(owner: "acme", name: "widgets", followRenames: false) { id } }'
    assert ask.refused(strict)[0] == "NOT_FOUND"


def test_what_may_not_be_seen_is_not_there(hub):
    """A private repository does not exist for strangers, by name, by id or in a search."""
    hub.create_repository("acme/secret", files={"a": "a"}, private=True)
    hub.open_issue("acme/secret", "Quiet", by="mona")
    hub.grant("acme/secret", "mona", "read")
    question = '{ repository(owner: "acme", name: "secret") { id viewerPermission } }'
    seen = Asker(hub, hub.token("mona"))(question)["repository"]
    assert seen["viewerPermission"] == "READ"
    stranger = Asker(hub, hub.token("eve"))
    assert stranger.refused(question)[0] == "NOT_FOUND"
    assert stranger.refused("query($id: ID!) { node(id: $id) { id } }", id=seen["id"])[0] == "NOT_FOUND"
    assert (
        stranger('{ search(type: ISSUE, query: "Quiet", first: 5) { issueCount } }')["search"]["issueCount"]
        == 0
    )


def test_a_token_without_a_permission_is_told(hub):
    """FORBIDDEN where it may not look; the rest of the answer is there."""
    narrow = Asker(hub, hub.token("mona", {"contents": "write", "issues": "read"}))
    hub.open_issue(NAME, "One", by="mona")
    body = narrow.body(about("name issue(number: 1) { title } pullRequest(number: 1) { title }"))
    assert body["data"]["repository"] == {"name": "widgets", "issue": {"title": "One"}, "pullRequest": None}
    assert body["errors"][0]["type"] == "FORBIDDEN"


def test_a_bot_has_two_names(hub, ask):
    """An author's login lacks the `[bot]` that the bot's own `viewer` has."""
    hub.open_issue(NAME, "By CI", by="github-actions[bot]")
    job = Asker(hub, hub.actions_token(NAME))
    assert job("{ viewer { login } }")["viewer"]["login"] == "github-actions[bot]"
    author = ask.repository("issue(number: 1) { author { __typename login } }")["issue"]["author"]
    assert author == {"__typename": "Bot", "login": "github-actions"}


def test_issues_are_filtered_and_paged(hub, ask):
    """By label in any case, state and author, in the order asked for; a cursor outlives what left the list."""
    for number in range(1, 8):
        hub.open_issue(NAME, f"Issue {number}", by="bob" if number % 2 else "mona", labels=("Polecat",))
    hub.close(NAME, 7, by="mona")
    page = """issues(first: 3, after: $after, labels: ["polecat"], states: [OPEN],
        orderBy: {field: CREATED_AT, direction: DESC}) {
        totalCount pageInfo { hasNextPage endCursor } nodes { number } }"""
    question = about(page, "($after: String)")
    first = ask(question)["repository"]["issues"]
    assert ([each["number"] for each in first["nodes"]], first["totalCount"]) == ([6, 5, 4], 6)
    hub.close(NAME, 5, by="mona")
    second = ask(question, after=first["pageInfo"]["endCursor"])["repository"]["issues"]
    assert [each["number"] for each in second["nodes"]] == [3, 2, 1]
    assert second["pageInfo"]["hasNextPage"] is False
    mine = ask.repository('issues(first: 9, filterBy: {createdBy: "mona"}) { nodes { number } }')
    assert [each["number"] for each in mine["issues"]["nodes"]] == [2, 4, 6]


def test_f29_the_timeline_tells_labels_from_edits(hub, ask):
    """F29: who put which label on and when, renames as events, and a body's edit in `lastEditedAt` alone."""
    hub.clock.freeze(1_800_000_000)
    hub.open_issue(NAME, "First", "text", by="eve", labels=("polecat",))
    hub.clock.advance(60)
    hub.label(NAME, 1, "polecat", by="mona")
    hub.clock.advance(60)
    hub.edit(NAME, 1, by="eve", title="Second")
    fields = """issue(number: 1) { lastEditedAt title userContentEdits(first: 5) { totalCount } editor { login }
        timelineItems(last: 9, itemTypes: [LABELED_EVENT, UNLABELED_EVENT, RENAMED_TITLE_EVENT]) { nodes { __typename
        ... on LabeledEvent { createdAt actor { login } label { name } }
        ... on RenamedTitleEvent { createdAt actor { login } previousTitle } } } }"""
    issue = ask.repository(fields)["issue"]
    labeled, unlabeled, again, renamed = issue["timelineItems"]["nodes"]
    assert [labeled["actor"]["login"], again["actor"]["login"]] == ["eve", "mona"]
    assert (unlabeled["__typename"], again["createdAt"]) == ("UnlabeledEvent", "2027-01-15T08:01:00Z")
    assert (renamed["previousTitle"], renamed["createdAt"]) == ("First", "2027-01-15T08:02:00Z")
    assert (issue["lastEditedAt"], issue["userContentEdits"]["totalCount"]) == (None, 0)
    hub.edit(NAME, 1, by="bob", body="other text")
    issue = ask.repository(fields)["issue"]
    assert (issue["lastEditedAt"], issue["editor"]["login"]) == ("2027-01-15T08:02:00Z", "bob")
    assert issue["userContentEdits"]["totalCount"] == 2


def test_why_an_issue_is_closed(hub, ask):
    """The state's reason, and what closed it."""
    for number in (1, 2):
        hub.open_issue(NAME, f"Issue {number}", by="mona")
    hub.push(NAME, {"b.py": "b = 1\n"}, branch="topic", by="bob")
    pull = hub.open_pull(NAME, by="bob", head="topic", body="Closes #1")
    fields = """issue(number: %d) { state stateReason
        closedByPullRequestsReferences(first: 5, includeClosedPrs: true) { nodes { number } }
        timelineItems(last: 1, itemTypes: [CLOSED_EVENT]) { nodes {
          ... on ClosedEvent { closer { __typename } } } } }"""
    hub.merge(NAME, pull.number, by="mona")
    hub.close(NAME, 2, by="mona", reason="not_planned")
    done, refused = (ask.repository(fields % number)["issue"] for number in (1, 2))
    assert (done["state"], done["stateReason"]) == ("CLOSED", "COMPLETED")
    assert done["closedByPullRequestsReferences"]["nodes"] == [{"number": 3}]
    assert done["timelineItems"]["nodes"] == [{"closer": {"__typename": "PullRequest"}}]
    assert (refused["stateReason"], refused["timelineItems"]["nodes"]) == ("NOT_PLANNED", [{"closer": None}])


def test_git_objects(ask, main):
    """Refs by prefix, objects by expression, trees and files."""
    fields = """defaultBranchRef { name prefix target { oid } }
        refs(refPrefix: "refs/heads/", first: 9) { nodes { name } }
        none: ref(qualifiedName: "nothing") { id } nowhere: object(expression: "main:no/such") { id }
        tree: object(expression: "main:") { ... on Tree { entries { name type mode } } }
        file: object(expression: "main:src/a.py") { ... on Blob { text byteSize isBinary } }"""
    found = ask.repository(fields)
    assert found["defaultBranchRef"] == {"name": "main", "prefix": "refs/heads/", "target": {"oid": main}}
    assert found["refs"]["nodes"] == [{"name": "main"}]
    assert (found["none"], found["nowhere"]) == (None, None)
    assert found["tree"]["entries"][1] == {"name": "src", "type": "tree", "mode": 0o40000}
    assert found["file"] == {"text": "a = 1\n", "byteSize": 6, "isBinary": False}
    assert "starts with refs/" in ask.refused(about('refs(refPrefix: "heads", first: 1) { totalCount }'))[1]


def test_rules_of_a_branch(hub, ask):
    """Classic protection for administrators alone, rulesets for everybody; checks with their App."""
    hub.protect(NAME, checks=(("tests", "ci-app"),), strict=True)
    hub.ruleset(NAME, checks=(("lint", ""),), merge_queue=True)
    fields = """branchProtectionRules(first: 9) { nodes { pattern requiresStrictStatusChecks
          requiredStatusChecks { context app { slug } } } }
        rulesets(first: 9) { nodes { enforcement conditions { refName { include } } rules(first: 9) { nodes { type
          parameters { ... on RequiredStatusChecksParameters {
            requiredStatusChecks { context integrationId } } } } } } }
        mergeQueue(branch: "main") { entries(first: 1) { totalCount } }"""
    found = ask.repository(fields)
    (rule,) = found["branchProtectionRules"]["nodes"]
    assert rule["requiredStatusChecks"] == [{"context": "tests", "app": {"slug": "ci-app"}}]
    (ruleset,) = found["rulesets"]["nodes"]
    assert ruleset["conditions"]["refName"]["include"] == ["refs/heads/main"]
    assert [each["type"] for each in ruleset["rules"]["nodes"]] == ["REQUIRED_STATUS_CHECKS", "MERGE_QUEUE"]
    assert found["mergeQueue"] == {"entries": {"totalCount": 0}}
    other = Asker(hub, hub.token("bob")).repository(fields)
    assert (other["branchProtectionRules"]["nodes"], len(other["rulesets"]["nodes"])) == ([], 1)


def test_dependencies(hub, ask):
    """What blocks an issue, and how many of those are open."""
    for number in (1, 2, 3):
        hub.open_issue(NAME, f"Issue {number}", by="mona")
    ids = ask.repository(
        "one: issue(number: 1) { id } two: issue(number: 2) { id } three: issue(number: 3) { id }"
    )
    change = """mutation($a: ID!, $b: ID!) {
        addBlockedBy(input: {issueId: $a, blockingIssueId: $b}) { issue { number } } }"""
    for other in ("two", "three"):
        ask(change, a=ids["one"]["id"], b=ids[other]["id"])
    hub.close(NAME, 2, by="mona")
    found = ask.repository(
        """issue(number: 1) { blockedBy(first: 9) { nodes { number state } }
        issueDependenciesSummary { blockedBy totalBlockedBy } }""",
    )["issue"]
    assert [each["state"] for each in found["blockedBy"]["nodes"]] == ["CLOSED", "OPEN"]
    assert found["issueDependenciesSummary"] == {"blockedBy": 1, "totalBlockedBy": 2}


@pytest.mark.usefixtures("pull")
def test_search(hub, ask):
    """By what people search for most; a qualifier that the fake does not know is an error, never ignored."""
    hub.open_issue(NAME, "Paint it", by="mona", labels=("polecat",))
    question = """query($q: String!) { search(type: ISSUE, query: $q, first: 9) {
        issueCount nodes { ... on Issue { number } } } }"""
    assert ask(question, q=f"repo:{NAME} is:issue is:open label:polecat paint")["search"]["nodes"] == [
        {"number": 2}
    ]
    assert ask(question, q="is:pr author:bob head:topic")["search"]["issueCount"] == 1
    assert ask(question, q="is:closed")["search"]["issueCount"] == 0
    assert "milestone:x" in ask.refused(question, q="milestone:x")[1]
