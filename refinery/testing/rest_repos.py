"""REST: repositories, people, permissions, Apps, limits, Actions settings, deliveries."""

from typing import Any

from refinery.testing import shapes, shapes_checks
from refinery.testing.clock import stamp
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.world import ProblemError

_REPO = "/repos/{owner}/{repo}"
_HOUR = 3600.0


@route("GET", _REPO)
def get_repository(ask: Ask) -> Reply:
    """One repository."""
    repository = ask.repository()
    role = ask.world.role(repository, ask.token.account) if ask.token is not None else "read"
    return Reply(200, shapes.repository(repository, ask.url, role))


@route("GET", "/user")
def get_user(ask: Ask) -> Reply:
    """Who asks: a person; an installation is nobody."""
    viewer = ask.viewer
    if viewer.app is not None:
        raise ProblemError(403, "Resource not accessible by integration")
    return Reply(200, shapes.profile(viewer, ask.url), {"x-oauth-scopes": "repo, workflow"})


@route("GET", _REPO + "/collaborators/{login}/permission")
def get_permission(ask: Ask) -> Reply:
    """What somebody may: the coarse word, and the role's own name."""
    repository = ask.repository("read", "metadata:read")
    login = ask.parts["login"]
    found = ask.world.accounts.get(login.casefold())
    if found is None:
        raise ProblemError(404, f"{login} is not a user")
    role = ask.world.role(repository, found)
    coarse = {"maintain": "write", "triage": "read"}.get(role, role)
    user = shapes.account(found, ask.url) | {"role_name": role}
    return Reply(200, {"permission": coarse, "role_name": role, "user": user})


@route("GET", "/rate_limit")
def rate_limit(ask: Ask) -> Reply:
    """What is left; asking is free."""
    now, shown = ask.world.clock.now(), {}
    for resource in ("core", "graphql", "search"):
        window = ask.limits.window(ask.token, resource, now) if ask.limits else None
        if window is not None:
            left = {"limit": window.limit, "used": window.used, "remaining": window.remaining}
            shown[resource] = {**left, "reset": int(window.reset)}
    return Reply(200, {"resources": shown, "rate": shown.get("core")})


@route("GET", "/meta")
def meta(ask: Ask) -> Reply:
    """What the server says of itself."""
    return Reply(
        200, {"verifiable_password_authentication": False, "hooks": ["127.0.0.1/32"], "web": [ask.origin]}
    )


@route("GET", "/app")
def get_app(ask: Ask) -> Reply:
    """The App that signed the request."""
    return Reply(200, shapes_checks.app(_app(ask), ask.url) | {"installations_count": 1})


def _app(ask: Ask) -> Any:
    if ask.app is None:
        raise ProblemError(401, "A JSON web token could not be decoded")
    return ask.app


def _installation(ask: Ask, found: Any) -> dict[str, Any]:
    api = f"{ask.url}/app/installations/{found.id}"
    return {
        "id": found.id,
        "account": shapes.account(found.account, ask.url),
        "repository_selection": "selected",
        "access_tokens_url": f"{api}/access_tokens",
        "repositories_url": f"{ask.url}/installation/repositories",
        "html_url": f"{ask.url}/settings/installations/{found.id}",
        "app_id": found.app.id,
        "target_id": found.account.id,
        "target_type": found.account.kind,
        "permissions": found.app.permissions,
        "events": ["issues", "pull_request"],
        "created_at": found.app.created_at,
        "updated_at": found.app.created_at,
        "single_file_name": None,
        "app_slug": found.app.slug,
        "suspended_at": None,
        "suspended_by": None,
    }


@route("GET", "/app/installations")
def list_installations(ask: Ask) -> Reply:
    """Where the App is installed."""
    app = _app(ask)
    mine = [each for each in ask.world.installations.values() if each.app is app]
    return paged(ask, [_installation(ask, each) for each in mine])


@route("GET", _REPO + "/installation")
def repository_installation(ask: Ask) -> Reply:
    """The App's installation that has this repository."""
    app = _app(ask)
    repository = ask.world.find(f"{ask.parts['owner']}/{ask.parts['repo']}", app.owner)
    for each in ask.world.installations.values():
        if each.app is app and repository in each.repositories:
            return Reply(200, _installation(ask, each))
    raise ProblemError(404, "Not Found")


@route("POST", "/app/installations/{installation}/access_tokens")
def create_access_token(ask: Ask) -> Reply:
    """A token of an hour, for all of the installation's repositories or the named ones."""
    app = _app(ask)
    found = ask.world.installations.get(int(ask.parts["installation"]))
    if found is None or found.app is not app:
        raise ProblemError(404, "Not Found")
    wanted = ask.body.get("repositories")
    repositories = [each for each in found.repositories if wanted is None or each.name in wanted]
    if wanted is not None and len(repositories) != len(wanted):
        raise ProblemError(422, "There is at least one repository that does not exist or is not accessible")
    ends = ask.world.clock.now() + _HOUR
    token = ask.world.make_token(
        ask.world.account(f"{app.slug}[bot]", "Bot"),
        kind="installation",
        permissions=dict(ask.body.get("permissions") or app.permissions),
        repositories=repositories,
        expires_at=ends,
        installation=found,
    )
    return Reply(
        201,
        {
            "token": token.value,
            "expires_at": stamp(ends),
            "permissions": token.permissions,
            "repository_selection": "selected",
        },
    )


@route("GET", "/installation/repositories")
def installation_repositories(ask: Ask) -> Reply:
    """What an installation's token reaches."""
    found = ask.token.repositories if ask.token is not None else None
    if found is None:
        raise ProblemError(403, "You must authenticate with an installation access token.")
    return paged(ask, [shapes.repository(each, ask.url, "write") for each in found], "repositories")


@route("DELETE", "/installation/token")
def revoke_token(ask: Ask) -> Reply:
    """An installation gives its own token back."""
    if ask.token is None or ask.token.kind != "installation":
        raise ProblemError(403, "You must authenticate with an installation access token.")
    ask.token.is_revoked = True
    return Reply(204)
