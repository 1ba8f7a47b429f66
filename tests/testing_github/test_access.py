"""Who may do what: tokens, permissions, Apps and their installations, private and renamed repositories."""

import time

import jwt
import pytest
from github import Auth, Github, GithubIntegration
from support.repos import git

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"


def signed(key, app, now=None, **claims):
    now = int(now or time.time())
    return jwt.encode(
        {"iat": now - 60, "exp": now + 540, "iss": str(app.id), **claims}, key, algorithm="RS256"
    )


@pytest.fixture
def app(hub):
    """An App on the repository, and its key."""
    key = hub.app_key("refinery-app")
    return hub.app("refinery-app", permissions={"contents": "write", "issues": "read"}), key


def test_a_wrong_a_missing_and_a_revoked_token(hub, api):
    """401, in words; the public may read; a revoked one is wrong from then on."""
    assert api.as_token("ghp_wrong")("GET", REPO, status=401)["message"] == "Bad credentials"
    assert api.as_token("ghp_wrong")("GET", REPO).headers["x-github-request-id"]
    nobody = api.as_token("")
    nobody.headers["Authorization"] = ""
    assert nobody("GET", REPO, status=200)["full_name"] == NAME
    assert (
        nobody("POST", f"{REPO}/issues", status=401, json={"title": "x"})["message"]
        == "Requires authentication"
    )
    assert api("GET", "/user", status=200)["login"] == "mona"
    hub.revoke(api.token)
    api("GET", "/user", status=401)


def test_a_token_without_a_permission(hub, api):
    """403; the header says which one would do."""
    some = api.as_token(hub.token("mona", {"contents": "read", "issues": "write"}))
    answer = some("POST", f"{REPO}/git/refs", json={"ref": "refs/heads/x", "sha": "1" * 40})
    assert answer.status_code == 403
    assert answer.json()["message"] == "Resource not accessible by personal access token"
    assert answer.headers["x-accepted-github-permissions"] == "contents=write"
    some("POST", f"{REPO}/issues", status=201, json={"title": "x"})


@pytest.mark.parametrize(
    ("login", "permission", "role"),
    [
        ("mona", "admin", "admin"),
        ("mai", "write", "maintain"),
        ("bob", "write", "write"),
        ("tri", "read", "triage"),
        ("eve", "read", "read"),
    ],
)
def test_what_somebody_may(hub, api, login, permission, role):
    """The coarse word and the role's own; on a public repository everybody reads."""
    hub.user("mai")
    hub.grant(NAME, "mai", "maintain")
    found = api("GET", f"{REPO}/collaborators/{login}/permission", status=200)
    assert (found["permission"], found["role_name"]) == (permission, role)


def test_private_repositories_are_not_there_for_strangers(hub, api):
    """404 by REST, and by git."""
    hub.create_repository("acme/secret", files={"a": "b"}, private=True)
    hub.grant("acme/secret", "mona", "read")
    eve = api.as_token(hub.token("eve"))
    api("GET", "/repos/acme/secret", status=200)
    eve("GET", "/repos/acme/secret", status=404)
    found = api("GET", "/repos/acme/secret/collaborators/eve/permission", status=200)
    assert found["permission"] == "none"
    eve("GET", "/repos/acme/none", status=404)
    assert api("GET", "/repos/acme/secret/collaborators/ghost/permission").status_code == 404


def test_a_renamed_repository_leads_on(hub, api, tmp_path):
    """301 to its number for reads, 307 for writes; git finds it too."""
    hub.open_issue(NAME, "x", by="mona")
    hub.rename(NAME, "gadgets")
    moved = api("GET", f"{REPO}/issues", params={"state": "all"})
    assert moved.status_code == 301
    where = moved.headers["location"].removeprefix(hub.api)
    assert where.startswith("/repositories/")
    assert [row["number"] for row in api("GET", where, status=200)] == [1]
    assert api("POST", f"{REPO}/issues", json={"title": "y"}).status_code == 307
    assert api("GET", "/repos/acme/gadgets", status=200)["full_name"] == "acme/gadgets"
    assert git(tmp_path, "ls-remote", hub.git(NAME), "main")


def test_an_app_from_its_statement_to_its_token(hub, api, app):
    """The statement finds the installation, which gives an hour's token for its repositories and permissions."""
    made, key = app
    installation = hub.install("refinery-app", NAME)
    as_app = api.as_token(signed(key, made))
    assert as_app("GET", "/app", status=200)["slug"] == "refinery-app"
    assert [row["id"] for row in as_app("GET", "/app/installations", status=200)] == [installation.id]
    assert as_app("GET", f"{REPO}/installation", status=200)["id"] == installation.id
    given = as_app("POST", f"/app/installations/{installation.id}/access_tokens", status=201, json={})
    bot = api.as_token(given["token"])
    assert [
        row["full_name"] for row in bot("GET", "/installation/repositories", status=200)["repositories"]
    ] == [NAME]
    refused = bot("POST", f"{REPO}/issues", json={"title": "x"})
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
    bot("GET", f"{REPO}/issues", status=200)
    bot("GET", f"{REPO}/rules/branches/main", status=200)
    hub.clock.advance(3601)
    bot("GET", f"{REPO}/issues", status=401)


def test_a_token_is_given_back(hub, api, app):
    """By the installation that has it; it holds no longer."""
    installation = hub.install("refinery-app", NAME)
    as_app = api.as_token(signed(app[1], app[0]))
    given = as_app("POST", f"/app/installations/{installation.id}/access_tokens", status=201, json={})
    bot = api.as_token(given["token"])
    bot("DELETE", "/installation/token", status=204)
    bot("GET", REPO, status=401)
    api("DELETE", "/installation/token", status=403)


def test_an_app_that_is_not_installed(hub, api, app):
    """404 for its installation; another repository's is no help."""
    made, key = app
    hub.create_repository("acme/other", files={"a": "b"})
    hub.install("refinery-app", "acme/other")
    api.as_token(signed(key, made))("GET", f"{REPO}/installation", status=404)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "12"}, "could not be decoded"),
        ({"exp": 2_000_000_000_0}, "too far in the future"),
        ({"exp": 1}, "must be a numeric value"),
        ({"iat": 2_000_000_000_0}, "'Issued at' claim"),
    ],
)
def test_a_statement_that_does_not_hold(api, app, claims, words):
    """By the fake's clock; ten minutes at the most."""
    made, key = app
    assert words in api.as_token(signed(key, made, **claims))("GET", "/app", status=401)["message"]


def test_a_statement_by_another_key(hub, api, app):
    """It was signed by somebody, not by this App."""
    made, old = app
    hub.app_key("refinery-app")
    api.as_token(signed(old, made))("GET", "/app", status=401)


def test_pygithub_finds_its_way(hub, app):
    """As a person, and as an App: the library that the forge is built on understands the answers."""
    made, key = app
    installation = hub.install("refinery-app", NAME)
    integration = GithubIntegration(auth=Auth.AppAuth(made.id, key), base_url=hub.api)
    assert integration.get_repo_installation("acme", "widgets").id == installation.id
    bot = integration.get_github_for_installation(installation.id)
    assert bot.get_repo(NAME).get_branch("main").commit.sha == hub.repository(NAME).known["refs/heads/main"]
    with Github(auth=Auth.Token(hub.token("mona")), base_url=hub.api, seconds_between_writes=None) as person:
        repository = person.get_repo(NAME)
        issue = repository.create_issue("Hello", "there", labels=["polecat"])
        issue.create_comment("hi")
        assert [found.number for found in repository.get_issues(labels=["polecat"])] == [1]
        assert [event.event for event in issue.get_timeline()] == ["labeled", "commented"]
        assert repository.get_collaborator_permission("bob") == "write"
        assert person.get_rate_limit().rate.limit == 5000
    integration.close()
    bot.close()


def test_a_jobs_own_token_starts_no_ci(hub, api):
    """What `github-actions[bot]` pushes and opens is noted as starting nothing; an App's is not."""
    hub.push(NAME, {"b": "b"}, branch="side", by="mona")
    job = api.as_token(hub.actions_token(NAME))
    assert job("POST", f"{REPO}/pulls", status=201, json={"title": "x", "head": "side", "base": "main"})
    assert [(start.event, start.starts_ci) for start in hub.starts] == [
        ("push", True),
        ("pull_request", False),
    ]
    assert hub.issue(NAME, 1).author.login == "github-actions[bot]"
    assert job("GET", "/user").status_code == 403


def test_an_archived_repository_is_read_only(hub, api, tmp_path):
    """Every write, by REST and by git."""
    hub.repository(NAME).archived = True
    assert (
        api("POST", f"{REPO}/git/refs", json={}, status=403)["message"]
        == "Repository was archived so is read-only."
    )
    assert api("GET", REPO, status=200)["archived"] is True
    assert git(tmp_path, "ls-remote", hub.git(NAME), "main")


def test_the_enterprise_path_and_the_plain_one(hub, api):
    """Both bases answer, each with addresses of its own."""
    plain = api.as_token(api.token)
    plain.base = hub.url
    assert plain("GET", REPO, status=200)["url"] == hub.url + REPO
    assert api("GET", REPO, status=200)["url"] == hub.api + REPO
    api("GET", "/nothing/here", status=404)
    api("GET", f"{REPO}/issues/none", status=404)
    bad = api("POST", f"{REPO}/issues", data=b"{", status=400)
    assert bad["message"] == "Problems parsing JSON"
