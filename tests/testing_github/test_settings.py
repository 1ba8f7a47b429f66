"""Branch rules, Actions settings, secrets, variables, environments, dispatches, collaborators."""

import pytest
from support.repos import git

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"


def test_classic_protection(hub, api):
    """Absent, put, read, taken away; administrators alone."""
    page = f"{REPO}/branches/main/protection"
    assert api("GET", page, status=404)["message"] == "Branch not protected"
    body = {
        "required_status_checks": {
            "strict": True,
            "checks": [{"context": "ci", "app_id": 7}],
            "contexts": ["lint"],
        },
        "enforce_admins": True,
        "required_pull_request_reviews": {"required_approving_review_count": 2},
        "restrictions": None,
    }
    assert "restrictions" in api("PUT", page, status=422, json={"required_status_checks": None})["message"]
    found = api("PUT", page, status=200, json=body)
    assert found["required_status_checks"]["checks"] == [
        {"context": "ci", "app_id": 7},
        {"context": "lint", "app_id": None},
    ]
    assert found["required_pull_request_reviews"]["required_approving_review_count"] == 2
    assert api("GET", f"{page}/required_status_checks", status=200)["strict"] is True
    assert api("GET", f"{REPO}/branches/main", status=200)["protected"] is True
    assert api.as_token(hub.token("bob"))("GET", page).status_code == 403
    api("DELETE", page, status=204)
    api("DELETE", page, status=404)


def test_rulesets(hub, api):
    """Made by REST or by hand, shown on the branch; without them the branch has no rules."""
    assert api("GET", f"{REPO}/rules/branches/main", status=200) == []
    body = {
        "name": "checks",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [
            {
                "type": "required_status_checks",
                "parameters": {
                    "strict_required_status_checks_policy": False,
                    "required_status_checks": [{"context": "ci"}],
                },
            }
        ],
    }
    made = api("POST", f"{REPO}/rulesets", status=201, json=body)
    hub.ruleset(NAME, "release", merge_queue=True)
    assert [row["name"] for row in api("GET", f"{REPO}/rulesets", status=200)][:1] == ["checks"]
    assert api("GET", f"{REPO}/rulesets/{made['id']}", status=200)["rules"] == body["rules"]
    rules = api("GET", f"{REPO}/rules/branches/main", status=200)
    assert [(rule["type"], rule["ruleset_id"]) for rule in rules] == [("required_status_checks", made["id"])]
    assert [rule["type"] for rule in api("GET", f"{REPO}/rules/branches/release", status=200)] == [
        "merge_queue"
    ]
    api("GET", f"{REPO}/rulesets/1", status=404)


def test_a_ruleset_that_is_off_asks_for_nothing(api):
    """Only active ones do."""
    body = {
        "name": "later",
        "enforcement": "disabled",
        "conditions": {"ref_name": {"include": ["refs/heads/main"], "exclude": []}},
        "rules": [{"type": "deletion"}],
    }
    api("POST", f"{REPO}/rulesets", status=201, json=body)
    assert api("GET", f"{REPO}/rules/branches/main", status=200) == []


def test_checks_and_statuses_by_rest(hub, api, main):
    """Only an App reports check runs; the newest of each counts; unknown words are refused."""
    hub.app("ci-app", permissions={"checks": "write"})
    hub.install("ci-app", NAME)
    bot = hub.world.account("ci-app[bot]", "Bot")
    ci = api.as_token(hub.world.make_token(bot, kind="installation", permissions={"checks": "write"}).value)
    body = {"name": "ci", "head_sha": main, "status": "in_progress"}
    assert api("POST", f"{REPO}/check-runs", json=body).status_code == 403
    run = ci("POST", f"{REPO}/check-runs", status=201, json=body)
    suites = api("GET", f"{REPO}/commits/main/check-suites", status=200)["check_suites"]
    assert [(suite["status"], suite["app"]["slug"]) for suite in suites] == [("in_progress", "ci-app")]
    page = f"{REPO}/check-runs/{run['id']}"
    assert ci("PATCH", page, json={"conclusion": "splendid"}).status_code == 422
    ci("PATCH", page, status=200, json={"conclusion": "failure", "output": {"title": "t", "summary": "s"}})
    ci(
        "POST",
        f"{REPO}/check-runs",
        status=201,
        json={**body, "status": "completed", "conclusion": "success"},
    )
    found = api("GET", f"{REPO}/commits/{main}/check-runs", status=200)
    assert [(row["name"], row["conclusion"]) for row in found["check_runs"]] == [("ci", "success")]
    everything = api("GET", f"{REPO}/commits/{main}/check-runs", status=200, params={"filter": "all"})
    assert everything["total_count"] == 2
    assert api("GET", page, status=200)["output"]["title"] == "t"
    for state in ("pending", "success"):
        api("POST", f"{REPO}/statuses/{main}", status=201, json={"state": state, "context": "lint"})
    assert api("POST", f"{REPO}/statuses/{main}", json={"state": "fine"}).status_code == 422
    combined = api("GET", f"{REPO}/commits/{main}/status", status=200)
    assert (combined["state"], combined["total_count"]) == ("success", 1)
    assert len(api("GET", f"{REPO}/commits/{main}/statuses", status=200)) == 2
    assert api("GET", f"{REPO}/commits/{'1' * 40}/status").status_code == 422


@pytest.mark.parametrize(
    ("kind", "word"), [("read", "read"), ("write", "write")], ids=["read-only", "read and write"]
)
def test_what_a_jobs_token_may_by_default(api, kind, word):
    """Read, and changed."""
    page = f"{REPO}/actions/permissions/workflow"
    api("PUT", page, status=204, json={"default_workflow_permissions": kind})
    assert api("GET", page, status=200)["default_workflow_permissions"] == word
    assert api("PUT", page, json={"default_workflow_permissions": "all"}).status_code == 422
    assert api("GET", f"{REPO}/actions/permissions", status=200)["enabled"] is True


def test_secrets_variables_and_environments(hub, api):
    """Secrets are kept sealed and never shown."""
    assert api("GET", f"{REPO}/actions/secrets/public-key", status=200)["key_id"]
    body = {"encrypted_value": "c2VhbGVk", "key_id": "1"}
    api("PUT", f"{REPO}/actions/secrets/KEY", status=201, json=body)
    api("PUT", f"{REPO}/actions/secrets/KEY", status=204, json=body)
    assert "encrypted_value" not in api("GET", f"{REPO}/actions/secrets/KEY", status=200)
    assert api("GET", f"{REPO}/actions/secrets", status=200)["total_count"] == 1
    api("DELETE", f"{REPO}/actions/secrets/KEY", status=204)
    api("GET", f"{REPO}/actions/secrets/KEY", status=404)
    api("POST", f"{REPO}/actions/variables", status=201, json={"name": "A", "value": "1"})
    assert api("POST", f"{REPO}/actions/variables", json={"name": "A", "value": "1"}).status_code == 409
    api("PATCH", f"{REPO}/actions/variables/A", status=204, json={"value": "2"})
    assert api("GET", f"{REPO}/actions/variables/A", status=200)["value"] == "2"
    assert api("GET", f"{REPO}/actions/variables", status=200)["total_count"] == 1
    api("PUT", f"{REPO}/environments/production", status=200, json={})
    assert api("GET", f"{REPO}/environments", status=200)["total_count"] == 1
    hub.push(NAME, {".github/workflows/ci.yml": "on: push\n"}, by="mona")
    found = api("GET", f"{REPO}/actions/workflows", status=200)["workflows"]
    assert [row["path"] for row in found] == [".github/workflows/ci.yml"]


def test_starting_workflows(hub, api):
    """Noted, for whoever plays CI."""
    page = f"{REPO}/actions/workflows/refinery.yml/dispatches"
    api("POST", page, status=204, json={"ref": "main", "inputs": {"task": "12"}})
    assert api("POST", page, json={"ref": "none"}).status_code == 422
    api("POST", f"{REPO}/dispatches", status=204, json={"event_type": "go"})
    assert [each.get("event_type") or each["inputs"]["task"] for each in hub.repository(NAME).dispatches] == [
        "12",
        "go",
    ]


def test_collaborators(hub, api):
    """Added with GitHub's words for the roles."""
    hub.user("new")
    page = f"{REPO}/collaborators/new"
    api("GET", page, status=404)
    api("PUT", page, status=204, json={"permission": "push"})
    api("GET", page, status=204)
    assert {row["login"]: row["role_name"] for row in api("GET", f"{REPO}/collaborators", status=200)}[
        "new"
    ] == "write"
    assert api("PUT", page, json={"permission": "king"}).status_code == 422
    assert "new" in [row["login"] for row in api("GET", f"{REPO}/assignees", status=200)]
    api("GET", "/users/new", status=200)
    api("GET", "/users/ghost", status=404)
    api("GET", "/apps/github-actions", status=200)
    api("GET", "/meta", status=200)


def test_an_empty_repository(hub, api, tmp_path):
    """No branch yet: nothing is found, and a first push makes it one."""
    hub.create_repository("acme/empty")
    hub.grant("acme/empty", "mona", "admin")
    assert api("GET", "/repos/acme/empty/branches", status=200) == []
    assert api("GET", "/repos/acme/empty/branches/main").status_code == 404
    hub.push("acme/empty", {"a": "b"}, by="mona")
    assert git(hub.folder("acme/empty"), "show", "main:a") == "b"
    assert git(tmp_path, "ls-remote", hub.git("acme/empty"), "main")
