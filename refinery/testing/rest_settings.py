"""REST: what Actions may do in a repository, its secrets, variables and environments, and starting workflows."""

from typing import Any

from refinery.git import Git
from refinery.testing import repository_git as git
from refinery.testing import shapes
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.world import ProblemError

_REPO = "/repos/{owner}/{repo}"


@route("GET", _REPO + "/actions/permissions/workflow")
def workflow_permissions(ask: Ask) -> Reply:
    """What a workflow's own token may by default."""
    repository = ask.repository("admin", "administration:read")
    return Reply(
        200,
        {
            "default_workflow_permissions": repository.default_workflow_permissions,
            "can_approve_pull_request_reviews": False,
        },
    )


@route("GET", _REPO + "/actions/secrets/public-key")
def public_key(ask: Ask) -> Reply:
    """The key that secrets are sealed with."""
    ask.repository("write", "secrets:read")
    return Reply(200, {"key_id": "1", "key": "hBT5WZEj8ZoOv6TYJsfWq7MxTEQopZO5/IT3ZCVQPzs="})


@route("GET", _REPO + "/actions/secrets")
def list_secrets(ask: Ask) -> Reply:
    """Names alone."""
    repository = ask.repository("write", "secrets:read")
    now = ask.world.clock.stamp()
    rows = [{"name": name, "created_at": now, "updated_at": now} for name in sorted(repository.secrets)]
    return paged(ask, rows, "secrets")


@route("PUT", _REPO + "/actions/secrets/{name}")
def put_secret(ask: Ask) -> Reply:
    """Keep a sealed secret."""
    repository, name = ask.repository("write", "secrets:write"), ask.parts["name"]
    is_new = name not in repository.secrets
    repository.secrets[name] = ask.body
    return Reply(201, {}) if is_new else Reply(204)


@route("GET", _REPO + "/actions/variables")
def list_variables(ask: Ask) -> Reply:
    """Names and values."""
    repository, now = ask.repository("write", "variables:read"), ask.world.clock.stamp()
    rows = [
        {"name": name, "value": value, "created_at": now, "updated_at": now}
        for name, value in sorted(repository.variables.items())
    ]
    return paged(ask, rows, "variables")


@route("POST", _REPO + "/actions/variables")
def create_variable(ask: Ask) -> Reply:
    """A new variable."""
    repository, name = ask.repository("write", "variables:write"), str(ask.body.get("name", ""))
    if name in repository.variables:
        raise ProblemError(409, "Variable already exists")
    repository.variables[name] = str(ask.body.get("value", ""))
    return Reply(201, {})


@route("PATCH", _REPO + "/actions/variables/{name}")
def update_variable(ask: Ask) -> Reply:
    """Another value."""
    repository, name = ask.repository("write", "variables:write"), ask.parts["name"]
    if name not in repository.variables:
        raise ProblemError(404, "Not Found")
    repository.variables[name] = str(ask.body.get("value", ""))
    return Reply(204)


@route("POST", _REPO + "/actions/workflows/{workflow}/dispatches")
def dispatch_workflow(ask: Ask) -> Reply:
    """Note that a workflow was to be started."""
    repository, body = ask.repository("write", "actions:write"), ask.body
    if git.ref(repository.path, f"refs/heads/{body.get('ref', '')}") is None:
        raise ProblemError(422, f"No ref found for: {body.get('ref')}")
    repository.dispatches.append({"workflow": ask.parts["workflow"], **body})
    return Reply(204)


@route("POST", _REPO + "/dispatches")
def dispatch_repository(ask: Ask) -> Reply:
    """Note a repository dispatch."""
    repository = ask.repository("write", "contents:write")
    repository.dispatches.append(dict(ask.body))
    return Reply(204)


@route("PUT", _REPO + "/actions/permissions/workflow")
def set_workflow_permissions(ask: Ask) -> Reply:
    """What a workflow's own token may by default, from now on."""
    repository = ask.repository("admin", "administration:write")
    word = str(ask.body.get("default_workflow_permissions", repository.default_workflow_permissions))
    if word not in ("read", "write"):
        raise ProblemError(422, "Validation Failed")
    repository.default_workflow_permissions = word
    return Reply(204)


@route("GET", _REPO + "/actions/permissions")
def actions_permissions(ask: Ask) -> Reply:
    """Whether workflows run at all."""
    ask.repository("admin", "administration:read")
    return Reply(200, {"enabled": True, "allowed_actions": "all"})


@route("GET", _REPO + "/actions/secrets/{name}")
def get_secret(ask: Ask) -> Reply:
    """That it is there; never what it is."""
    repository, name = ask.repository("write", "secrets:read"), ask.parts["name"]
    if name not in repository.secrets:
        raise ProblemError(404, "Not Found")
    now = ask.world.clock.stamp()
    return Reply(200, {"name": name, "created_at": now, "updated_at": now})


@route("DELETE", _REPO + "/actions/secrets/{name}")
def delete_secret(ask: Ask) -> Reply:
    """Forget it."""
    repository = ask.repository("write", "secrets:write")
    if repository.secrets.pop(ask.parts["name"], None) is None:
        raise ProblemError(404, "Not Found")
    return Reply(204)


@route("GET", _REPO + "/actions/variables/{name}")
def get_variable(ask: Ask) -> Reply:
    """One variable."""
    repository, name = ask.repository("write", "variables:read"), ask.parts["name"]
    if name not in repository.variables:
        raise ProblemError(404, "Not Found")
    now = ask.world.clock.stamp()
    return Reply(
        200, {"name": name, "value": repository.variables[name], "created_at": now, "updated_at": now}
    )


@route("GET", _REPO + "/actions/workflows")
def list_workflows(ask: Ask) -> Reply:
    """The workflow files of the default branch."""
    repository = ask.repository(permission="actions:read")
    listed = Git(repository.path).attempt(
        "ls-tree", "--name-only", f"{repository.default_branch}:.github/workflows"
    )
    now, rows = repository.created_at, []
    for number, name in enumerate(listed.out.decode().split() if listed.code == 0 else [], start=1):
        api = f"{ask.url}/repos/{repository.full_name}/actions/workflows/{number}"
        row: dict[str, Any] = {
            "id": number,
            "node_id": shapes.node_id("Workflow", number),
            "name": name,
            "state": "active",
        }
        page = f"{ask.origin}/{repository.full_name}/actions/workflows/{name}"
        where = {
            "path": f".github/workflows/{name}",
            "url": api,
            "html_url": page,
            "badge_url": f"{page}/badge.svg",
        }
        rows.append({**row, **where, "created_at": now, "updated_at": now})
    return paged(ask, rows, "workflows")


def _environment(ask: Ask, name: str, full_name: str, at: str) -> dict[str, Any]:
    number = sum(name.encode()) + 1
    return {
        "id": number,
        "node_id": shapes.node_id("Environment", number),
        "name": name,
        "url": f"{ask.url}/repos/{full_name}/environments/{name}",
        "html_url": f"{ask.origin}/{full_name}/deployments/activity_log?environments_filter={name}",
        "created_at": at,
        "updated_at": at,
        "protection_rules": [],
        "deployment_branch_policy": None,
    }


@route("GET", _REPO + "/environments")
def list_environments(ask: Ask) -> Reply:
    """All environments."""
    repository = ask.repository(permission="actions:read")
    rows = [_environment(ask, name, repository.full_name, at) for name, at in repository.environments.items()]
    return paged(ask, rows, "environments")


@route("PUT", _REPO + "/environments/{name}")
def put_environment(ask: Ask) -> Reply:
    """Make an environment, or change one."""
    repository, name = ask.repository("admin", "administration:write"), ask.parts["name"]
    at = repository.environments.setdefault(name, ask.world.clock.stamp())
    return Reply(200, _environment(ask, name, repository.full_name, at))
