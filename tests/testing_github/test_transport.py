"""Git over HTTP on the same repositories as the API: who may fetch and push, and what a push sets off."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from support.repos import ENV, checkout, git

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"


def url(hub, token, name=NAME):
    return hub.git(name).replace("://", f"://x-access-token:{token}@")


@pytest.fixture
def clone(hub, api, tmp_path):
    """Mona's clone, which may push."""
    git(tmp_path, "clone", "-q", url(hub, api.token), "clone")
    return tmp_path / "clone"


def change(clone, name, text="x\n", branch="main"):
    git(clone, "checkout", "-q", "-B", branch)
    (clone / name).parent.mkdir(parents=True, exist_ok=True)
    (clone / name).write_text(text)
    git(clone, "add", "--all")
    git(clone, "commit", "-q", "-m", f"add {name}")
    return git(clone, "rev-parse", "HEAD")


def push(clone, *args):
    """Whether a push was taken, and what git said of it."""
    done = subprocess.run(
        ["git", "push", "--porcelain", *args], cwd=clone, capture_output=True, check=False, env=ENV, text=True
    )
    return done.returncode == 0, done.stdout + done.stderr


def test_a_push_is_seen_by_the_api_and_the_other_way_round(api, clone):
    """One repository: commits and refs of both."""
    sha = change(clone, "new.py", branch="polecat/1")
    assert push(clone, "origin", "polecat/1")[0]
    assert api("GET", f"{REPO}/git/ref/heads/polecat/1", status=200)["object"]["sha"] == sha
    body = {"tree": git(clone, "rev-parse", "HEAD^{tree}"), "parents": [sha], "message": "by REST"}
    made = api("POST", f"{REPO}/git/commits", status=201, json=body)["sha"]
    api("PATCH", f"{REPO}/git/refs/heads/polecat/1", status=200, json={"sha": made})
    git(clone, "fetch", "-q", "origin")
    assert git(clone, "rev-parse", "origin/polecat/1") == made


def test_a_push_moves_pulls_and_closes_issues(hub, api, clone):
    """The pull's head, and what a commit on the default branch names; the pusher is the actor."""
    hub.open_issue(NAME, "a task", by="mona")
    change(clone, "new.py", branch="side")
    push(clone, "origin", "side")
    hub.open_pull(NAME, by="mona", head="side")
    sha = change(clone, "newer.py", branch="side")
    push(clone, "origin", "side")
    assert api("GET", f"{REPO}/pulls/2", status=200)["head"]["sha"] == sha
    git(clone, "commit", "-q", "--allow-empty", "-m", "Resolves #1")
    push(clone, "origin", "side:main")
    assert (hub.issue(NAME, 1).state, hub.issue(NAME, 1).closed_by.login) == ("closed", "mona")
    assert hub.issue(NAME, 2).pull.merged


@pytest.mark.parametrize(
    ("login", "permissions", "status"),
    [("mona", None, 200), ("eve", None, 403), ("mona", {"contents": "read"}, 403), ("", None, 401)],
)
def test_who_may_push(hub, login, permissions, status):
    """By the token, which must be able to write."""
    auth = ("anybody", hub.token(login, permissions)) if login else None
    answer = requests.get(f"{hub.git(NAME)}/info/refs?service=git-receive-pack", auth=auth, timeout=30)
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize(("login", "status"), [("mona", 200), ("eve", 404), ("", 401)])
def test_who_may_fetch_what_is_private(hub, login, status):
    """Strangers are not even told that it is there."""
    hub.create_repository("acme/secret", files={"a": "b"}, private=True)
    hub.grant("acme/secret", "mona", "read")
    auth = ("x", hub.token(login)) if login else None
    answer = requests.get(
        f"{hub.git('acme/secret')}/info/refs?service=git-upload-pack", auth=auth, timeout=30
    )
    assert answer.status_code == status


def test_pushes_and_posts_race_for_one_ref(hub, api, clone):
    """Half by git, half by REST: one creates it, in each of five rounds."""
    tree = git(clone, "rev-parse", "HEAD^{tree}")

    def commit(number):
        body = {"tree": tree, "parents": [], "message": f"claim {number}"}
        return api("POST", f"{REPO}/git/commits", status=201, json=body)["sha"]

    shas = [commit(number) for number in range(12)]
    git(clone, "fetch", "-q", "origin", *shas)
    for round_ in range(5):
        ref = f"refs/refinery/claims/{round_}"

        def create(sha, ref=ref):
            if shas.index(sha) % 2:
                return api("POST", f"{REPO}/git/refs", json={"ref": ref, "sha": sha}).status_code == 201
            return push(clone, f"--force-with-lease={ref}:", "origin", f"{sha}:{ref}")[0]

        with ThreadPoolExecutor(12) as pool:
            won = list(pool.map(create, shas))
        assert won.count(True) == 1
        assert git(hub.folder(NAME), "rev-parse", ref) == shas[won.index(True)]


def test_an_atomic_push_is_all_or_nothing(hub, clone):
    """With a lease on each ref."""
    sha = change(clone, "new.py")
    leases = [f"--force-with-lease=refs/heads/{name}:" for name in ("one", "two")]
    assert push(clone, "--atomic", *leases, "origin", f"{sha}:refs/heads/one", f"{sha}:refs/heads/two")[0]
    sha = change(clone, "newer.py")
    leases = ["--force-with-lease=refs/heads/two:", "--force-with-lease=refs/heads/three:"]
    taken, _ = push(clone, "--atomic", *leases, "origin", f"{sha}:refs/heads/three", f"{sha}:refs/heads/two")
    assert not taken
    assert "refs/heads/three" not in git(hub.folder(NAME), "for-each-ref")


def test_a_push_of_several_branches_moves_the_pull_of_each(hub, clone):
    """None is overlooked, and the deletion of one closes its pull."""
    change(clone, "new.py", branch="one")
    change(clone, "newer.py", branch="two")
    assert push(clone, "--atomic", "origin", "one", "two")[0]
    for name in ("one", "two"):
        hub.open_pull(NAME, by="mona", head=name)
    sha = change(clone, "newest.py", branch="two")
    assert push(clone, "--atomic", "-f", "origin", f"{sha}:one", f"{sha}:two", f"{sha}:refs/other/x")[0]
    assert [issue.pull.head_sha for issue in hub.pulls(NAME)] == [sha, sha]
    assert push(clone, "origin", ":one", ":two")[0]
    assert [issue.state for issue in hub.pulls(NAME)] == ["closed", "closed"]


def test_protected_branches_refuse_pushes(hub, clone):
    """By classic protection and by rulesets, in GitHub's words; other branches go on."""
    hub.protect(NAME, checks=[("ci", "")])
    hub.ruleset(NAME, "release", checks=[("ci", "")])
    change(clone, "new.py")
    taken, words = push(clone, "origin", "main")
    assert (taken, "GH006: Protected branch update failed" in words) == (False, True)
    assert "GH013" in push(clone, "origin", "main:release")[1]
    assert push(clone, "origin", "main:side")[0]


def test_a_workflow_needs_a_permission_of_its_own(hub, tmp_path):
    """An App without `workflows` may push anything else; a workflow that is there already is no matter."""
    hub.push(NAME, {".github/workflows/ci.yml": "on: push\n"}, by="mona")
    hub.app("bot-app", permissions={"contents": "write"})
    hub.install("bot-app", NAME)
    account = hub.world.account("bot-app[bot]", "Bot")
    token = hub.world.make_token(account, kind="installation", permissions={"contents": "write"})
    git(tmp_path, "clone", "-q", url(hub, token.value), "clone")
    clone = tmp_path / "clone"
    change(clone, "new.py", branch="fine")
    assert push(clone, "origin", "fine")[0]
    change(clone, ".github/workflows/more.yml", branch="bad")
    taken, words = push(clone, "origin", "bad")
    assert not taken
    assert "refusing to allow a GitHub App to create or update workflow `.github/workflows/more.yml`" in words


def test_pushes_can_be_refused_at_will(hub, clone):
    """As push protection or an organisation's rule would."""
    hub.refuse_pushes(NAME, "refs/heads/polecat/*", "GH009: Secrets detected")
    change(clone, "new.py", branch="polecat/1")
    taken, words = push(clone, "origin", "polecat/1")
    assert (taken, "GH009: Secrets detected" in words) == (False, True)
    assert push(clone, "origin", "polecat/1:other")[0]


def test_pulls_refs_are_not_for_pushing(clone):
    """`refs/pull/` is GitHub's alone."""
    change(clone, "new.py")
    assert not push(clone, "origin", "main:refs/pull/9/head")[0]


def test_large_requests_are_understood(hub, api, clone):
    """Git compresses what it asks for when it names many commits, and sends large packs in pieces."""
    tip = change(clone, "base.py")
    lines = [
        f"commit refs/heads/c{n}\ncommitter P <p@e> {n} +0000\ndata 1\nx\nfrom {tip}\n" for n in range(400)
    ]
    git(clone, "fast-import", "--quiet", stdin="\n".join(lines).encode())
    (clone / "big").write_bytes(bytes(range(256)) * 20_000)
    change(clone, "more.py")
    assert push(clone, "-q", "origin", "--all")[0]
    checkout(clone.parent / "other")
    other = clone.parent / "other"
    git(other, "fetch", "-q", url(hub, api.token), "+refs/heads/*:refs/remotes/x/*")
    assert len(git(other, "for-each-ref", "refs/remotes/x").splitlines()) == 401
    assert [each.login for each in hub.transfers if each.service == "git-receive-pack"] == ["mona"]
