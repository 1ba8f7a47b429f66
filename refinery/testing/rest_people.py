"""REST: people, collaborators, assignees, reviewers, and what blocks what."""

from typing import Any

from refinery.testing import shapes
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.state import Account, Issue
from refinery.testing.world import ROLES, ProblemError

_REPO = "/repos/{owner}/{repo}"
_ISSUE = _REPO + "/issues/{number}"
_PULL = _REPO + "/pulls/{number}"


def _known(ask: Ask, login: str) -> Account:
    found = ask.world.accounts.get(login.casefold())
    if found is None:
        raise ProblemError(404, "Not Found")
    return found


def _issue(ask: Ask, role: str, permission: str, *, pull: bool | None = None) -> Issue:
    repository = ask.repository(role, permission)
    if not ask.parts["number"].isdecimal():
        raise ProblemError(404, "Not Found")
    return ask.world.find_issue(repository, int(ask.parts["number"]), pull=pull)


@route("GET", "/users/{login}")
def get_account(ask: Ask) -> Reply:
    """Anybody's public profile."""
    return Reply(200, shapes.profile(_known(ask, ask.parts["login"]), ask.url))


@route("GET", _REPO + "/collaborators")
def list_collaborators(ask: Ask) -> Reply:
    """Who has a role."""
    repository = ask.repository("write", "metadata:read")
    rows = []
    for login, role in sorted(repository.permissions.items()):
        if role != "none":
            rows.append({**shapes.account(_known(ask, login), ask.url), "role_name": role})
    return paged(ask, rows)


@route("GET", _REPO + "/collaborators/{login}")
def is_collaborator(ask: Ask) -> Reply:
    """204 for those who have a role."""
    repository = ask.repository("write", "metadata:read")
    account = ask.world.accounts.get(ask.parts["login"].casefold())
    if account is None or repository.permissions.get(account.login.casefold(), "none") == "none":
        raise ProblemError(404, "Not Found")
    return Reply(204)


@route("PUT", _REPO + "/collaborators/{login}")
def add_collaborator(ask: Ask) -> Reply:
    """Give somebody a role; it holds at once here."""
    repository = ask.repository("admin", "administration:write")
    word = str(ask.body.get("permission", "push"))
    role = {"pull": "read", "push": "write"}.get(word, word)
    if role not in ROLES:
        raise ProblemError(422, "Validation Failed")
    ask.world.grant(repository, _known(ask, ask.parts["login"]).login, role)
    return Reply(204)


@route("GET", _REPO + "/assignees")
def list_assignees(ask: Ask) -> Reply:
    """Who may be assigned."""
    repository = ask.repository(permission="issues:read")
    return paged(
        ask, [shapes.account(_known(ask, login), ask.url) for login in sorted(repository.permissions)]
    )


def _assign(ask: Ask, *, is_added: bool) -> Issue:
    issue = _issue(ask, "triage", "issues:write")
    for login in ask.body.get("assignees", []):
        ask.world.assign(issue, _known(ask, str(login)), ask.viewer, is_on=is_added)
    return issue


@route("POST", _ISSUE + "/assignees")
def assign(ask: Ask) -> Reply:
    """Assign people."""
    return Reply(201, shapes.issue(_assign(ask, is_added=True), ask.url))


@route("DELETE", _ISSUE + "/assignees")
def unassign(ask: Ask) -> Reply:
    """Take people off."""
    return Reply(200, shapes.issue(_assign(ask, is_added=False), ask.url))


@route("GET", _ISSUE + "/dependencies/blocked_by")
def blocked_by(ask: Ask) -> Reply:
    """The issues that must be closed first."""
    issue = _issue(ask, "read", "issues:read")
    return paged(ask, [shapes.issue(each, ask.url) for each in issue.blocked_by])


@route("POST", _ISSUE + "/dependencies/blocked_by")
def block(ask: Ask) -> Reply:
    """One more; by the issue's id, which is not its number."""
    issue = _issue(ask, "triage", "issues:write")
    wanted = ask.body.get("issue_id")
    found = next(
        (
            each
            for where in ask.world.repositories.values()
            for each in where.issues.values()
            if each.id == wanted
        ),
        None,
    )
    if found is None:
        raise ProblemError(404, "Not Found")
    if found not in issue.blocked_by:
        issue.blocked_by.append(found)
        ask.world.event(issue, "blocked_by_added", ask.viewer)
    return Reply(201, shapes.issue(issue, ask.url))


@route("GET", _PULL + "/requested_reviewers")
def requested_reviewers(ask: Ask) -> Reply:
    """Who was asked to review."""
    return Reply(200, _asked(ask, _issue(ask, "read", "pull_requests:read", pull=True)))


def _asked(ask: Ask, issue: Issue) -> dict[str, Any]:
    people = issue.pull.reviewers if issue.pull else []
    return {"users": [shapes.account(each, ask.url) for each in people], "teams": []}


@route("POST", _PULL + "/requested_reviewers")
def request_reviewers(ask: Ask) -> Reply:
    """Ask people to review."""
    issue = _issue(ask, "write", "pull_requests:write", pull=True)
    for login in ask.body.get("reviewers", []):
        who = ask.world.accounts.get(str(login).casefold())
        if who is None or not ask.world.may(issue.repository, who, "read"):
            words = "Reviews may only be requested from collaborators."
            raise ProblemError(422, words)
        if issue.pull is not None and who not in issue.pull.reviewers:
            issue.pull.reviewers.append(who)
            ask.world.event(issue, "review_requested", ask.viewer, after=who.login)
    return Reply(201, shapes.pull(issue, ask.url))
