"""Pulls by REST on real git: opened, checked, merged each way, and everything that GitHub refuses."""

import pytest
from support.repos import git

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"


@pytest.fixture
def pull(hub, api):
    """A clean pull of one added file, from `polecat/1`."""
    hub.push(NAME, {"src/b.py": "b = 2\n"}, branch="polecat/1", by="bob")
    return opened(api)


def opened(api, head="polecat/1", **more):
    body = {"title": "Add b", "head": head, "base": "main", "body": "More.", **more}
    return api("POST", f"{REPO}/pulls", status=201, json=body)


def known(api, number=1):
    """The pull once GitHub knows whether it is mergeable."""
    api("GET", f"{REPO}/pulls/{number}", status=200)
    return api("GET", f"{REPO}/pulls/{number}", status=200)


def show(hub, what="main"):
    return git(hub.folder(NAME), "log", "-1", "--format=%H|%T|%P|%an|%cn|%s", what).split("|")


def test_mergeability_is_found_out_on_demand(hub, api, pull):
    """Null first; asking starts the job; a moved base or head makes it unknown again."""
    assert (pull["mergeable"], pull["mergeable_state"]) == (None, "unknown")
    assert (known(api)["mergeable"], known(api)["mergeable_state"]) == (True, "clean")
    hub.push(NAME, {"src/b.py": "b = 3\n"}, by="mona")
    assert api("GET", f"{REPO}/pulls/1", status=200)["mergeable"] is None
    assert (known(api)["mergeable"], known(api)["mergeable_state"]) == (False, "dirty")


@pytest.mark.usefixtures("pull")
def test_the_state_says_what_stands_in_the_way(hub, api):
    """Without a reason, as GitHub does: a check that failed, one that is required, a base that moved, a draft."""
    head = hub.issue(NAME, 1).pull.head_sha
    seen = [known(api)["mergeable_state"]]
    hub.report_check(NAME, head, "lint", "failure")
    seen.append(known(api)["mergeable_state"])
    hub.protect(NAME, checks=[("ci", "ci-app")])
    seen.append(known(api)["mergeable_state"])
    hub.protect(NAME, strict=True)
    hub.push(NAME, {"x": "x"}, by="mona")
    seen.append(known(api)["mergeable_state"])
    hub.draft(NAME, 1)
    seen.append(known(api)["mergeable_state"])
    assert seen == ["clean", "unstable", "blocked", "behind", "draft"]


@pytest.mark.usefixtures("pull")
def test_github_may_take_its_time_to_find_out(hub, api):
    """As many answers say nothing as the test wants."""
    hub.repository(NAME).unknown_answers = 3
    hub.push(NAME, {"x": "x"}, by="mona")
    found = [api("GET", f"{REPO}/pulls/1", status=200)["mergeable"] for _ in range(4)]
    assert found == [None, None, None, True]


def test_what_a_pull_shows(hub, api, pull):
    """Head, base, files, commits, and itself among the issues."""
    assert pull["head"]["sha"] == show(hub, "polecat/1")[0]
    assert (pull["head"]["ref"], pull["head"]["label"], pull["base"]["ref"]) == (
        "polecat/1",
        "acme:polecat/1",
        "main",
    )
    files = api("GET", f"{REPO}/pulls/1/files", status=200)
    assert [(row["filename"], row["status"], row["additions"]) for row in files] == [("src/b.py", "added", 1)]
    assert len(api("GET", f"{REPO}/pulls/1/commits", status=200)) == pull["commits"] == 1
    assert "pull_request" in api("GET", f"{REPO}/issues/1", status=200)
    assert git(hub.folder(NAME), "rev-parse", "refs/pull/1/head") == pull["head"]["sha"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "A pull request already exists for acme:polecat/1."),
        ({"head": "main"}, "No commits between main and main"),
    ],
)
@pytest.mark.usefixtures("pull")
def test_a_pull_that_cannot_be(api, change, words):
    """One open pull for a head and base; something to merge."""
    body = {"title": "x", "head": "polecat/1", "base": "main", **change}
    assert api("POST", f"{REPO}/pulls", status=422, json=body)["errors"][0]["message"] == words


@pytest.mark.parametrize("side", ["head", "base"])
@pytest.mark.usefixtures("pull")
def test_a_pull_needs_both_branches(api, side):
    """The field that is wrong is named."""
    body = {"title": "x", "head": "polecat/1", "base": "main", side: "none"}
    assert api("POST", f"{REPO}/pulls", status=422, json=body)["errors"][0]["field"] == side


@pytest.mark.parametrize(
    ("method", "parents", "people", "subject"),
    [
        ("squash", 1, ["mona", "GitHub"], "Add b (#1)"),
        ("merge", 2, ["mona", "GitHub"], "Merge pull request #1 from acme/polecat/1"),
        ("rebase", 1, ["GitHub", "mona"], "bob changes it"),
    ],
)
@pytest.mark.usefixtures("pull")
def test_each_way_to_merge(hub, api, method, parents, people, subject):
    """The commit has the tree, the parents and the words that GitHub would give it."""
    hub.push(NAME, {"other.md": "x\n"}, by="mona")
    base = show(hub)[0]
    done = api("PUT", f"{REPO}/pulls/1/merge", status=200, json={"merge_method": method})
    sha, _, parent, author, committer, words = show(hub)
    assert (done["sha"], done["merged"], words, [author, committer]) == (sha, True, subject, people)
    assert parent.split()[0] == base
    assert len(parent.split()) == parents
    assert git(hub.folder(NAME), "ls-tree", "-r", "--name-only", "main").split() == [
        *("README.md", "other.md", "src/a.py", "src/b.py"),
    ]
    after = api("GET", f"{REPO}/pulls/1", status=200)
    assert (after["state"], after["merged"], after["merge_commit_sha"]) == ("closed", True, sha)
    assert after["merged_by"]["login"] == "mona"
    api("GET", f"{REPO}/pulls/1/merge", status=204)


def test_a_merge_names_the_head_that_it_means(hub, api, pull):
    """409 once it moved, even when the push was a moment ago; the words of the commit are the caller's."""
    head = pull["head"]["sha"]
    hub.push(NAME, {"src/c.py": "c = 3\n"}, branch="polecat/1", by="bob")
    body = {"sha": head, "merge_method": "squash", "commit_title": "Title", "commit_message": "Body"}
    answer = api("PUT", f"{REPO}/pulls/1/merge", status=409, json=body)
    assert answer["message"] == "Head branch was modified. Review and try the merge again."
    moved = api("GET", f"{REPO}/pulls/1", status=200)["head"]["sha"]
    api("PUT", f"{REPO}/pulls/1/merge", status=200, json={**body, "sha": moved})
    assert git(hub.folder(NAME), "log", "-1", "--format=%B", "main") == "Title\n\nBody"


def prepare_conflict(hub):
    hub.push(NAME, {"src/b.py": "b = 3\n"}, by="mona")


def prepare_draft(hub):
    hub.draft(NAME, 1)


def prepare_check(hub):
    hub.protect(NAME, checks=[("ci", "ci-app")])


def prepare_other_app(hub):
    hub.ruleset(NAME, checks=[("ci", "ci-app")])
    hub.report_check(NAME, hub.issue(NAME, 1).pull.head_sha, "ci", app="another-app")


def prepare_queue(hub):
    hub.ruleset(NAME, merge_queue=True)


def prepare_closed(hub):
    hub.close(NAME, 1, by="mona")


def prepare_strict(hub):
    hub.protect(NAME, strict=True)
    hub.push(NAME, {"x": "x"}, by="mona")


def prepare_reviews(hub):
    hub.protect(NAME, reviews=1)


def prepare_method(hub):
    hub.repository(NAME).allow_squash_merge = False


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (prepare_conflict, "Pull Request is not mergeable"),
        (prepare_draft, "Pull Request is still a draft"),
        (prepare_check, 'Required status check "ci" is expected.'),
        (prepare_other_app, 'Required status check "ci" is expected.'),
        (prepare_queue, "Changes must be made through the merge queue"),
        (prepare_closed, "Pull Request is not mergeable"),
        (prepare_strict, "Head branch is out of date"),
        (prepare_reviews, "At least 1 approving review is required by reviewers with write access."),
        (prepare_method, "Squash merges are not allowed on this repository."),
    ],
)
@pytest.mark.usefixtures("pull")
def test_405_says_what_the_rules_are_against(hub, api, prepare, words):
    """And the base does not move."""
    prepare(hub)
    before = show(hub)
    answer = api("PUT", f"{REPO}/pulls/1/merge", status=405, json={"merge_method": "squash"})
    assert answer["message"] == words
    assert show(hub) == before


def test_required_checks_and_reviews_that_are_there(hub, api, pull):
    """The right App's success, an approval, and no change requested since."""
    head = pull["head"]["sha"]
    hub.protect(NAME, checks=[("ci", "ci-app"), ("lint", "")], reviews=1)
    hub.report_check(NAME, head, "ci")
    hub.report_status(NAME, head, "lint", by="bob")
    hub.review(NAME, 1, "CHANGES_REQUESTED", by="bob")
    asked = api("PUT", f"{REPO}/pulls/1/merge", status=405, json={})
    assert asked["message"].startswith("Changes requested")
    hub.review(NAME, 1, "APPROVED", by="bob")
    api("PUT", f"{REPO}/pulls/1/merge", status=200, json={})


def test_reviews_by_rest(hub, api, pull):
    """Not of one's own pull; each event in GitHub's words; dismissed ones stay."""
    bob = api.as_token(hub.token("bob"))
    page = f"{REPO}/pulls/1/reviews"
    assert api("POST", page, json={"event": "APPROVE"}).status_code == 422
    assert bob("POST", page, json={"event": "MAYBE"}).status_code == 422
    made = bob("POST", page, status=200, json={"event": "REQUEST_CHANGES", "body": "Why?"})
    assert (made["state"], made["commit_id"]) == ("CHANGES_REQUESTED", pull["head"]["sha"])
    api("PUT", f"{page}/{made['id']}/dismissals", status=200, json={"message": "Because."})
    assert [row["state"] for row in api("GET", page, status=200)] == ["DISMISSED"]
    api("POST", f"{REPO}/pulls/1/requested_reviewers", status=201, json={"reviewers": ["bob"]})
    assert [
        row["login"] for row in api("GET", f"{REPO}/pulls/1/requested_reviewers", status=200)["users"]
    ] == ["bob"]


def test_closes_what_it_names(hub, api):
    """By its body or the commit's words, on the default branch alone, and never a pull."""
    for title in ("one", "two", "three"):
        hub.open_issue(NAME, title, by="mona")
    hub.push(NAME, {"b": "b"}, branch="side", by="bob")
    hub.push(NAME, {"c": "c"}, branch="other", by="bob")
    opened(api, "side", body="Closes #1. See #3.")
    api("PUT", f"{REPO}/pulls/4/merge", status=200, json={"commit_message": "fixes: #2"})
    assert [hub.issue(NAME, number).state for number in (1, 2, 3)] == ["closed", "closed", "open"]
    assert hub.issue(NAME, 1).state_reason == "completed"
    git(hub.folder(NAME), "update-ref", "refs/heads/release", "main")
    hub.push(NAME, {"d": "d"}, branch="other", by="bob")
    opened(api, "other", base="release", body="Closes #3")
    api("PUT", f"{REPO}/pulls/5/merge", status=200, json={})
    assert hub.issue(NAME, 3).state == "open"


def test_branches_take_their_pulls_along(hub, api, pull):
    """Deleted: closed. Force-pushed: a new head, and an event. In the base by a push: merged."""
    hub.push(NAME, {"src/b.py": "b = 9\n"}, branch="polecat/1", by="bob", force=True)
    events = [event.kind for event in hub.issue(NAME, 1).events]
    assert events == ["head_ref_force_pushed"]
    head = api("GET", f"{REPO}/pulls/1", status=200)["head"]["sha"]
    assert head == show(hub, "polecat/1")[0] != pull["head"]["sha"]
    hub.push(NAME, {"x": "x"}, branch="gone", by="bob")
    opened(api, "gone")
    hub.delete_branch(NAME, "gone", by="bob")
    assert (hub.issue(NAME, 2).state, hub.issue(NAME, 2).pull.merged) == ("closed", False)
    api("PATCH", f"{REPO}/git/refs/heads/main", status=200, json={"sha": head})
    after = api("GET", f"{REPO}/pulls/1", status=200)
    assert (after["state"], after["merged"]) == ("closed", True)


def test_a_branch_is_brought_up_to_date(hub, api, pull):
    """`update-branch` merges the base in, if the head is the expected one."""
    hub.push(NAME, {"x": "x"}, by="mona")
    page = f"{REPO}/pulls/1/update-branch"
    assert api("PUT", page, json={"expected_head_sha": "1" * 40}).status_code == 422
    api("PUT", page, status=202, json={"expected_head_sha": pull["head"]["sha"]})
    assert len(show(hub, "polecat/1")[2].split()) == 2
    files = api("GET", f"{REPO}/pulls/1/files", status=200)
    assert [row["filename"] for row in files] == ["src/b.py"]
    assert api("PUT", page, json={}).status_code == 422


def test_a_fork_has_its_own_branches(hub, api):
    """A pull from a fork with our branch's name is the fork's, and is told apart."""
    fork = hub.fork(NAME, "eve")
    hub.push(fork, {"evil": "x"}, branch="polecat/1", by="eve")
    eve = api.as_token(hub.token("eve"))
    made = opened(eve, "eve:polecat/1")
    assert (made["head"]["repo"]["full_name"], made["head"]["label"]) == ("eve/widgets", "eve:polecat/1")
    assert git(hub.folder(NAME), "rev-parse", "refs/pull/1/head") == made["head"]["sha"]
    moved = hub.push(fork, {"evil": "y"}, branch="polecat/1", by="eve")
    assert api("GET", f"{REPO}/pulls/1", status=200)["head"]["sha"] == moved
    assert eve("PUT", f"{REPO}/pulls/1/merge", json={}).status_code == 403
    api("PUT", f"{REPO}/pulls/1/merge", status=200, json={})


def test_three_thousand_files_and_no_more(hub, api):
    """The listing stops there; the pull says how many there are."""
    hub.push(NAME, {f"many/{number}": "x" for number in range(3005)}, branch="big", by="bob")
    assert opened(api, "big")["changed_files"] == 3005
    found = [
        len(api("GET", f"{REPO}/pulls/1/files", status=200, params={"per_page": "100", "page": str(page)}))
        for page in (1, 30, 31)
    ]
    assert found == [100, 100, 0]
