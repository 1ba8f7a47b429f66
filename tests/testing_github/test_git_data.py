"""The git database by REST: refs, commits, trees, blobs, contents, branches, merges; the objects are git's own."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.repos import git

from refinery.git import EMPTY_TREE

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"

WHO = {"name": "A Person", "email": "a@example.org", "date": "2026-01-01T10:00:00Z"}


def commit(api, parents=(), message="claim", tree=EMPTY_TREE, **more):
    body = {"tree": tree, "parents": list(parents), "message": message, "author": WHO, **more}
    return api("POST", f"{REPO}/git/commits", status=201, json=body)


def test_a_commit_is_the_one_that_git_makes(hub, api, main):
    """Byte for byte: the same SHA as `git commit-tree` for the same people, instants (in UTC) and message."""
    other = {"name": "Bot", "email": "bot@example.org", "date": "2026-01-02T10:00:00+02:00"}
    tree = git(hub.folder(NAME), "rev-parse", f"{main}^{{tree}}")
    made = commit(api, [main], "Title\n\nBody, ünïcode\n", tree, committer=other)
    env = {
        "GIT_AUTHOR_NAME": "A Person",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_AUTHOR_DATE": "1767261600 +0000",
        "GIT_COMMITTER_NAME": "Bot",
        "GIT_COMMITTER_EMAIL": "bot@example.org",
        "GIT_COMMITTER_DATE": "1767340800 +0000",
    }
    sha = git(hub.folder(NAME), "commit-tree", tree, "-p", main, "-m", "Title\n\nBody, ünïcode", env=env)
    assert made["sha"] == sha
    assert made["committer"]["date"] == "2026-01-02T08:00:00Z"
    assert api("GET", f"{REPO}/git/commits/{sha}", status=200)["tree"]["sha"] == tree


def test_a_commit_may_be_refused_or_come_out_otherwise(hub, api):
    """What nobody knows of the real one can be switched: a client has to stand both."""
    plain = commit(api)["sha"]
    hub.quirks.rewrites_commits = True
    assert commit(api)["sha"] != plain
    hub.quirks.refuses_empty_tree = True
    body = {"tree": EMPTY_TREE, "parents": [], "message": "x"}
    assert api("POST", f"{REPO}/git/commits", status=422, json=body)["message"] == "Tree SHA does not exist"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tree": "1" * 40}, "Tree SHA does not exist"),
        ({"parents": ["2" * 40]}, "Parent SHA does not exist or is not a commit object"),
    ],
)
def test_a_commit_needs_its_objects(api, change, words):
    """Nothing dangles."""
    body = {"tree": EMPTY_TREE, "parents": [], "message": "x", **change}
    assert api("POST", f"{REPO}/git/commits", status=422, json=body)["message"] == words


def test_a_ref_from_its_creation_to_its_end(hub, api):
    """Create, read, move forwards, refuse another way, force, delete; and git sees each."""
    one = commit(api)["sha"]
    two, other = commit(api, [one])["sha"], commit(api, message="other")["sha"]
    ref = "refs/refinery/claims/12"
    made = api("POST", f"{REPO}/git/refs", status=201, json={"ref": ref, "sha": one})
    assert (made["ref"], made["object"]["sha"]) == (ref, one)
    page = f"{REPO}/git/{ref}"
    again = api("POST", f"{REPO}/git/refs", status=422, json={"ref": ref, "sha": two})
    assert again["message"] == "Reference already exists"
    api("PATCH", page, status=200, json={"sha": two})
    assert git(hub.folder(NAME), "rev-parse", ref) == two
    back = api("PATCH", page, status=422, json={"sha": other, "force": False})
    assert back["message"] == "Update is not a fast forward"
    api("PATCH", page, status=200, json={"sha": other, "force": True})
    assert api("GET", f"{REPO}/git/ref/{ref.removeprefix('refs/')}", status=200)["object"]["sha"] == other
    api("DELETE", page, status=204)
    assert api("GET", f"{REPO}/git/ref/{ref.removeprefix('refs/')}").status_code == 404
    assert api("DELETE", page, status=422)["message"] == "Reference does not exist"
    assert api("PATCH", page, status=422, json={"sha": one})["message"] == "Reference does not exist"


@pytest.mark.parametrize(
    ("ref", "sha", "words"),
    [
        ("refs/heads/x", "3" * 40, "Object does not exist"),
        ("heads/x", None, "Reference name must start with 'refs/' and contain at least two slashes."),
        ("refs/heads/a..b", None, "Reference update failed"),
        ("refs/heads/main/x", None, "Reference update failed"),
    ],
)
def test_a_ref_that_cannot_be(api, main, ref, sha, words):
    """Each in its own words."""
    answer = api("POST", f"{REPO}/git/refs", status=422, json={"ref": ref, "sha": sha or main})
    assert answer["message"] == words


def test_matching_refs_come_at_once(hub, api, main):
    """All that begin so, without pages; none is an empty list."""
    for number in range(120):
        git(hub.folder(NAME), "update-ref", f"refs/refinery/claims/{number}", main)
    answer = api("GET", f"{REPO}/git/matching-refs/refinery/claims/")
    assert len(answer.json()) == 120
    assert "Link" not in answer.headers
    assert [row["ref"] for row in api("GET", f"{REPO}/git/matching-refs/refinery/claims/7", status=200)][
        :2
    ] == [
        "refs/refinery/claims/7",
        "refs/refinery/claims/70",
    ]
    assert api("GET", f"{REPO}/git/matching-refs/nothing", status=200) == []


def test_sixty_four_at_once_and_one_creates_the_ref(hub, api):
    """Create-only holds under a rush: one 201, all others 422."""
    shas = [commit(api, message=f"claim {number}")["sha"] for number in range(64)]

    def create(sha):
        body = {"ref": "refs/refinery/claims/1", "sha": sha}
        return api("POST", f"{REPO}/git/refs", json=body).status_code

    with ThreadPoolExecutor(64) as pool:
        codes = list(pool.map(create, shas))
    assert sorted(codes) == [201] + [422] * 63
    assert git(hub.folder(NAME), "rev-parse", "refs/refinery/claims/1") == shas[codes.index(201)]


def test_blobs_and_trees(hub, api, main):
    """Bytes in, a tree upon another, one entry taken away, and all of it read back."""
    raw = bytes(range(256))
    body = {"content": base64.b64encode(raw).decode(), "encoding": "base64"}
    blob = api("POST", f"{REPO}/git/blobs", status=201, json=body)["sha"]
    assert base64.b64decode(api("GET", f"{REPO}/git/blobs/{blob}", status=200)["content"]) == raw
    entries = [
        {"path": "bin/all", "mode": "100755", "type": "blob", "sha": blob},
        {"path": "note", "mode": "100644", "type": "blob", "content": "hi"},
        {"path": "src/a.py", "mode": "100644", "type": "blob", "sha": None},
    ]
    base = api("GET", f"{REPO}/git/commits/{main}", status=200)["tree"]["sha"]
    tree = api("POST", f"{REPO}/git/trees", status=201, json={"base_tree": base, "tree": entries})["sha"]
    found = api("GET", f"{REPO}/git/trees/{tree}", status=200, params={"recursive": "1"})
    rows = {row["path"]: (row["mode"], row.get("size")) for row in found["tree"]}
    assert rows == {
        "README.md": ("100644", 6),
        "bin": ("040000", None),
        "bin/all": ("100755", 256),
        "note": ("100644", 2),
    }
    assert found["truncated"] is False
    hub.quirks.tree_limit = 2
    found = api("GET", f"{REPO}/git/trees/{tree}", status=200, params={"recursive": "1"})
    assert (found["truncated"], len(found["tree"])) == (True, 2)
    missing = {"tree": [{"path": "x", "mode": "100644", "type": "blob", "sha": "4" * 40}]}
    assert api("POST", f"{REPO}/git/trees", json=missing).status_code == 422


def test_contents_are_written_by_commits(hub, api):
    """A new file, a change that names the old content, and one that does not."""
    page = f"{REPO}/contents/docs/new.md"
    body = {"message": "add it", "content": base64.b64encode(b"one").decode(), "branch": "main"}
    made = api("PUT", page, status=201, json=body)
    assert git(hub.folder(NAME), "show", "main:docs/new.md") == "one"
    assert git(hub.folder(NAME), "log", "-1", "--format=%s", "main") == "add it"
    assert api("PUT", page, json=body).status_code == 422
    changed = {**body, "content": base64.b64encode(b"two").decode(), "sha": made["content"]["sha"]}
    api("PUT", page, status=200, json=changed)
    assert api("PUT", page, json=changed).status_code == 409
    assert base64.b64decode(api("GET", page, status=200)["content"]) == b"two"
    assert api("GET", f"{REPO}/contents/none.md").status_code == 404
    assert [row["path"] for row in api("GET", f"{REPO}/contents/src", status=200)] == ["src/a.py"]


def test_history_and_comparison(hub, api, main):
    """Commits of a branch, one commit with its files, and what a branch has over another."""
    hub.push(NAME, {"src/b.py": "b = 2\n"}, branch="side", by="mona")
    hub.push(NAME, {"README.md": "hello there\n"}, by="mona")
    assert len(api("GET", f"{REPO}/commits", status=200, params={"sha": "side"})) == 2
    assert len(api("GET", f"{REPO}/commits", status=200, params={"path": "src/a.py"})) == 1
    one = api("GET", f"{REPO}/commits/side", status=200)
    assert [(row["filename"], row["status"], row["additions"]) for row in one["files"]] == [
        ("src/b.py", "added", 1)
    ]
    found = api("GET", f"{REPO}/compare/main...side", status=200)
    assert (found["status"], found["ahead_by"], found["behind_by"]) == ("diverged", 1, 1)
    assert found["merge_base_commit"]["sha"] == main
    assert api("GET", f"{REPO}/compare/main...main", status=200)["status"] == "identical"


def test_branches_merge(hub, api):
    """`POST merges`: a merge commit, nothing to do, a conflict."""
    hub.push(NAME, {"src/b.py": "b = 2\n"}, branch="side", by="mona")
    body = {"base": "main", "head": "side"}
    made = api("POST", f"{REPO}/merges", status=201, json=body)
    assert len(made["parents"]) == 2
    assert git(hub.folder(NAME), "show", "main:src/b.py") == "b = 2"
    api("POST", f"{REPO}/merges", status=204, json=body)
    hub.push(NAME, {"README.md": "mine\n"}, branch="side", by="mona")
    hub.push(NAME, {"README.md": "yours\n"}, by="mona")
    assert api("POST", f"{REPO}/merges", status=409, json=body)["message"] == "Merge conflict"


def test_branches_are_listed_with_their_protection(hub, api):
    """A branch may have slashes in its name."""
    hub.push(NAME, {"x": "x"}, branch="polecat/12", by="mona")
    hub.protect(NAME, checks=[("ci", "ci-app")])
    rows = api("GET", f"{REPO}/branches", status=200)
    assert {row["name"]: row["protected"] for row in rows} == {"main": True, "polecat/12": False}
    assert api("GET", f"{REPO}/branches/polecat/12", status=200)["name"] == "polecat/12"
    assert api("GET", f"{REPO}/branches/polecat%2F12", status=200)["name"] == "polecat/12"
    assert api("GET", f"{REPO}/branches/none").status_code == 404
