"""REST: branches, their classic protection, and rulesets."""

from typing import Any

from refinery.testing import checking, shapes, shapes_git
from refinery.testing import repository_git as git
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.state import Repository
from refinery.testing.world import ProblemError

_HEADS = "refs/heads/"
_REPO = "/repos/{owner}/{repo}"


@route("GET", _REPO + "/branches")
def list_branches(ask: Ask) -> Reply:
    """All branches."""
    repository = ask.repository(permission="contents:read")
    found = git.refs(repository.path, _HEADS)
    api = f"{ask.url}/repos/{repository.full_name}/commits"
    rows = [
        {
            "name": name.removeprefix(_HEADS),
            "commit": {"sha": sha, "url": f"{api}/{sha}"},
            "protected": name.removeprefix(_HEADS) in repository.protection,
        }
        for name, sha in found.items()
    ]
    return paged(ask, rows)


def _protection(ask: Ask, repository: Repository, branch: str) -> dict[str, Any]:
    rules = repository.protection.get(branch)
    if rules is None:
        raise ProblemError(404, "Branch not protected")
    api = f"{ask.url}/repos/{repository.full_name}/branches/{branch}/protection"
    checks = [{"context": each["context"], "app_id": each.get("app_id")} for each in rules.get("checks", [])]
    body: dict[str, Any] = {
        "url": api,
        "enforce_admins": {"url": f"{api}/enforce_admins", "enabled": True},
        "required_linear_history": {"enabled": False},
        "allow_force_pushes": {"enabled": False},
        "allow_deletions": {"enabled": False},
    }
    if checks:
        body["required_status_checks"] = {
            "url": f"{api}/required_status_checks",
            "strict": bool(rules.get("strict")),
            "contexts": [each["context"] for each in checks],
            "contexts_url": f"{api}/required_status_checks/contexts",
            "checks": checks,
        }
    if rules.get("reviews"):
        body["required_pull_request_reviews"] = {
            "url": f"{api}/required_pull_request_reviews",
            "dismiss_stale_reviews": False,
            "require_code_owner_reviews": False,
            "required_approving_review_count": rules["reviews"],
        }
    return body


@route("GET", _REPO + "/branches/{branch+}/protection")
def get_protection(ask: Ask) -> Reply:
    """Classic protection, for administrators; 404 says nothing of rulesets."""
    repository = ask.repository("admin", "administration:read")
    return Reply(200, _protection(ask, repository, ask.parts["branch"]))


@route("GET", _REPO + "/branches/{branch+}/protection/required_status_checks")
def get_required_checks(ask: Ask) -> Reply:
    """The checks alone."""
    repository = ask.repository("admin", "administration:read")
    found = _protection(ask, repository, ask.parts["branch"]).get("required_status_checks")
    if found is None:
        raise ProblemError(404, "Required status checks not enabled")
    return Reply(200, found)


@route("PUT", _REPO + "/branches/{branch+}/protection")
def put_protection(ask: Ask) -> Reply:
    """Protect a branch, in place of what protected it."""
    repository, body = ask.repository("admin", "administration:write"), ask.body
    missing = [
        name
        for name in (
            "required_status_checks",
            "enforce_admins",
            "required_pull_request_reviews",
            "restrictions",
        )
        if name not in body
    ]
    if missing:
        raise ProblemError(422, f"Invalid request. {', '.join(missing)} wasn't supplied.")
    asked = body["required_status_checks"] or {}
    named = [each["context"] for each in asked.get("checks", [])]
    checks = [{"context": each["context"], "app_id": each.get("app_id")} for each in asked.get("checks", [])]
    checks += [{"context": each, "app_id": None} for each in asked.get("contexts", []) if each not in named]
    reviews = (body["required_pull_request_reviews"] or {}).get("required_approving_review_count", 0)
    rules = {"checks": checks, "strict": bool(asked.get("strict")), "reviews": reviews}
    repository.protection[ask.parts["branch"]] = rules
    return Reply(200, _protection(ask, repository, ask.parts["branch"]))


@route("DELETE", _REPO + "/branches/{branch+}/protection")
def delete_protection(ask: Ask) -> Reply:
    """Take classic protection away."""
    repository = ask.repository("admin", "administration:write")
    if repository.protection.pop(ask.parts["branch"], None) is None:
        raise ProblemError(404, "Branch not protected")
    return Reply(204)


@route("GET", _REPO + "/branches/{branch+}")
def get_branch(ask: Ask) -> Reply:
    """One branch."""
    repository = ask.repository(permission="contents:read")
    sha = git.ref(repository.path, _HEADS + ask.parts["branch"])
    if sha is None:
        raise ProblemError(404, "Branch not found")
    return Reply(200, shapes_git.branch(repository, ask.parts["branch"], sha, ask.url))


@route("GET", _REPO + "/rules/branches/{branch+}")
def branch_rules(ask: Ask) -> Reply:
    """What the rulesets ask for on a branch."""
    repository = ask.repository(permission="metadata:read")
    return paged(ask, checking.rules_of(repository, ask.parts["branch"]))


def _ruleset(ask: Ask, repository: Repository, found: dict[str, Any], *, is_whole: bool) -> dict[str, Any]:
    api = f"{ask.url}/repos/{repository.full_name}/rulesets/{found['id']}"
    shown = {
        "id": found["id"],
        "name": found.get("name", f"ruleset {found['id']}"),
        "target": "branch",
        "source_type": "Repository",
        "source": repository.full_name,
        "enforcement": found.get("enforcement", "active"),
        "node_id": shapes.node_id("RepositoryRuleset", found["id"]),
        "_links": {
            "self": {"href": api},
            "html": {"href": f"{ask.origin}/{repository.full_name}/rules/{found['id']}"},
        },
    }
    if not is_whole:
        return shown
    names = [_HEADS + branch for branch in found["branches"]]
    conditions = {"ref_name": {"include": names, "exclude": []}}
    return shown | {"conditions": conditions, "rules": found["rules"], "bypass_actors": []}


@route("GET", _REPO + "/rulesets")
def list_rulesets(ask: Ask) -> Reply:
    """All rulesets, without their rules."""
    repository = ask.repository(permission="metadata:read")
    return paged(ask, [_ruleset(ask, repository, each, is_whole=False) for each in repository.rulesets])


@route("GET", _REPO + "/rulesets/{ruleset}")
def get_ruleset(ask: Ask) -> Reply:
    """One ruleset."""
    repository = ask.repository(permission="metadata:read")
    for each in repository.rulesets:
        if str(each["id"]) == ask.parts["ruleset"]:
            return Reply(200, _ruleset(ask, repository, each, is_whole=True))
    raise ProblemError(404, "Not Found")


@route("POST", _REPO + "/rulesets")
def create_ruleset(ask: Ask) -> Reply:
    """A new ruleset for branches that are named in full, or the default branch."""
    repository, body = ask.repository("admin", "administration:write"), ask.body
    if not body.get("name") or not body.get("enforcement"):
        raise ProblemError(422, "Validation Failed")
    named = (body.get("conditions") or {}).get("ref_name", {}).get("include", [])
    branches = [
        repository.default_branch if name == "~DEFAULT_BRANCH" else name.removeprefix(_HEADS)
        for name in named
    ]
    made = {
        "id": ask.world.next_id(),
        "name": body["name"],
        "enforcement": body["enforcement"],
        "branches": branches if body["enforcement"] == "active" else [],
        "rules": body.get("rules", []),
    }
    repository.rulesets.append(made)
    return Reply(201, _ruleset(ask, repository, made, is_whole=True))
