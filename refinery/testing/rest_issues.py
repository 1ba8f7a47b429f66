"""REST: issues, labels, comments, timelines."""

from typing import Any

from refinery.testing import shapes
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.state import Issue
from refinery.testing.world import ProblemError

_REPO = "/repos/{owner}/{repo}"
_ISSUE = _REPO + "/issues/{number}"


def _issue(ask: Ask, role: str = "read") -> Issue:
    repository = ask.repository(role, "issues:write" if role != "read" else "issues:read")
    try:
        number = int(ask.parts["number"])
    except ValueError as error:
        raise ProblemError(404, "Not Found") from error
    return ask.world.find_issue(repository, number)


@route("GET", _REPO + "/issues")
def list_issues(ask: Ask) -> Reply:
    """Issues and pulls, filtered and sorted."""
    repository = ask.repository(permission="issues:read")
    if not repository.has_issues:
        raise ProblemError(410, "Issues are disabled for this repo")
    found = [issue for issue in repository.issues.values() if _is_asked_for(ask, issue)]
    key = {"updated": "updated_at", "comments": "number"}.get(ask.query.get("sort", ""), "created_at")
    found.sort(
        key=lambda issue: (getattr(issue, key), issue.number),
        reverse=ask.query.get("direction", "desc") != "asc",
    )
    return paged(ask, [shapes.issue(issue, ask.url) for issue in found])


def _is_asked_for(ask: Ask, issue: Issue) -> bool:
    state = ask.query.get("state", "open")
    if state not in ("all", issue.state):
        return False
    names = {label.name.casefold() for label in issue.labels}
    wanted = [name.casefold() for name in ask.query.get("labels", "").split(",") if name]
    since = ask.query.get("since", "")
    return set(wanted) <= names and issue.updated_at >= since


@route("POST", _REPO + "/issues")
def create_issue(ask: Ask) -> Reply:
    """Open an issue; labels only by those who may triage."""
    repository, body = ask.repository("read", "issues:write"), ask.body
    labels = _names(body.get("labels", [])) if ask.world.may(repository, ask.viewer, "triage") else []
    issue = ask.world.open_issue(
        repository, str(body.get("title", "")), str(body.get("body") or ""), ask.viewer, labels
    )
    return Reply(201, shapes.issue(issue, ask.url))


def _names(labels: list[Any]) -> list[str]:
    return [str(label["name"] if isinstance(label, dict) else label) for label in labels]


@route("GET", _ISSUE)
def get_issue(ask: Ask) -> Reply:
    """One issue or pull."""
    return Reply(200, shapes.issue(_issue(ask), ask.url))


@route("PATCH", _ISSUE)
def patch_issue(ask: Ask) -> Reply:
    """Change title, body, state, labels, assignees."""
    issue, body = _issue(ask), ask.body
    if issue.author is not ask.viewer:
        issue = _issue(ask, "triage")
    ask.world.edit_issue(issue, ask.viewer, title=body.get("title"), body=body.get("body"))
    if "labels" in body:
        ask.world.set_labels(issue, _names(body["labels"]), ask.viewer)
    if "assignees" in body:
        people = [ask.world.account(login) for login in body["assignees"]]
        ask.world.set_assignees(issue, people, ask.viewer)
    if body.get("state") in ("open", "closed"):
        ask.world.set_state(issue, ask.viewer, body["state"], body.get("state_reason"))
    return Reply(200, shapes.issue(issue, ask.url))


@route("GET", _ISSUE + "/labels")
def issue_labels(ask: Ask) -> Reply:
    """What is on it."""
    return paged(ask, _labels(ask, _issue(ask)))


def _labels(ask: Ask, issue: Issue) -> list[dict[str, Any]]:
    return [shapes.label(label, issue.repository.full_name, ask.url) for label in issue.labels]


@route("POST", _ISSUE + "/labels")
def add_labels(ask: Ask) -> Reply:
    """Put labels on."""
    issue = _issue(ask, "triage")
    ask.world.add_labels(issue, _names(ask.body.get("labels", [])), ask.viewer)
    return Reply(200, _labels(ask, issue))


@route("PUT", _ISSUE + "/labels")
def set_labels(ask: Ask) -> Reply:
    """Exactly these."""
    issue = _issue(ask, "triage")
    ask.world.set_labels(issue, _names(ask.body.get("labels", [])), ask.viewer)
    return Reply(200, _labels(ask, issue))


@route("DELETE", _ISSUE + "/labels/{name}")
def remove_label(ask: Ask) -> Reply:
    """Take one off."""
    issue = _issue(ask, "triage")
    ask.world.remove_label(issue, ask.parts["name"], ask.viewer)
    return Reply(200, _labels(ask, issue))


@route("GET", _ISSUE + "/comments")
def list_comments(ask: Ask) -> Reply:
    """What was said."""
    return paged(ask, [shapes.comment(comment, ask.url) for comment in _issue(ask).comments])


@route("POST", _ISSUE + "/comments")
def create_comment(ask: Ask) -> Reply:
    """Say something."""
    made = ask.world.comment(_issue(ask), str(ask.body.get("body", "")), ask.viewer)
    return Reply(201, shapes.comment(made, ask.url))


@route("GET", _REPO + "/issues/comments/{comment}")
def get_comment(ask: Ask) -> Reply:
    """One comment."""
    found = ask.world.find_comment(ask.repository(permission="issues:read"), int(ask.parts["comment"]))
    return Reply(200, shapes.comment(found, ask.url))


@route("PATCH", _REPO + "/issues/comments/{comment}")
def edit_comment(ask: Ask) -> Reply:
    """Change what was said: one's own, or with write permission."""
    repository = ask.repository(permission="issues:write")
    found = ask.world.find_comment(repository, int(ask.parts["comment"]))
    if found.author is not ask.viewer:
        ask.repository("write", "issues:write")
    ask.world.edit_comment(found, str(ask.body.get("body", "")), ask.viewer)
    return Reply(200, shapes.comment(found, ask.url))


@route("DELETE", _REPO + "/issues/comments/{comment}")
def delete_comment(ask: Ask) -> Reply:
    """Take it back."""
    repository = ask.repository(permission="issues:write")
    found = ask.world.find_comment(repository, int(ask.parts["comment"]))
    if found.author is not ask.viewer:
        ask.repository("write", "issues:write")
    ask.world.delete_comment(found, ask.viewer)
    return Reply(204)


@route("POST", _REPO + "/issues/comments/{comment}/reactions")
def react_to_comment(ask: Ask) -> Reply:
    """React; the same reaction again is the same one."""
    repository = ask.repository(permission="issues:write")
    found = ask.world.find_comment(repository, int(ask.parts["comment"]))
    reaction = (ask.viewer, str(ask.body.get("content", "")))
    is_new = reaction not in found.reactions
    if is_new:
        found.reactions.append(reaction)
    body = {
        "id": found.id + found.reactions.index(reaction) + 1_000_000,
        "node_id": shapes.node_id("Reaction", found.id),
        "user": shapes.account(ask.viewer, ask.url),
        "content": reaction[1],
        "created_at": ask.world.clock.stamp(),
    }
    return Reply(201 if is_new else 200, body)


@route("GET", _ISSUE + "/timeline")
def timeline(ask: Ask) -> Reply:
    """What happened to it."""
    issue = _issue(ask)
    said = [
        (each.created_at, each.id, {**shapes.comment(each, ask.url), "event": "commented"})
        for each in issue.comments
    ]
    done = [(each.at, each.id, shapes.event(each, issue, ask.url)) for each in issue.events]
    return paged(ask, [shown for _, _, shown in sorted(said + done, key=lambda row: row[:2])])


@route("GET", _REPO + "/labels")
def list_labels(ask: Ask) -> Reply:
    """The repository's labels."""
    repository = ask.repository(permission="issues:read")
    found = [shapes.label(label, repository.full_name, ask.url) for label in repository.labels.values()]
    return paged(ask, found)


@route("GET", _REPO + "/labels/{name}")
def get_label(ask: Ask) -> Reply:
    """One label, whatever its case."""
    repository = ask.repository(permission="issues:read")
    found = repository.labels.get(ask.parts["name"].casefold())
    if found is None:
        raise ProblemError(404, "Not Found")
    return Reply(200, shapes.label(found, repository.full_name, ask.url))


@route("POST", _REPO + "/labels")
def create_label(ask: Ask) -> Reply:
    """A new label."""
    repository, body = ask.repository("triage", "issues:write"), ask.body
    name = str(body.get("name", ""))
    code = "missing_field" if not name else "already_exists" if name.casefold() in repository.labels else ""
    if code:
        raise ProblemError(422, "Validation Failed", [{"resource": "Label", "code": code, "field": "name"}])
    made = ask.world.label(repository, name)
    made.color = str(body.get("color", made.color))
    made.description = str(body.get("description") or "")
    return Reply(201, shapes.label(made, repository.full_name, ask.url))


@route("PATCH", _REPO + "/labels/{name}")
def edit_label(ask: Ask) -> Reply:
    """Another name, colour or description; it stays on what it is on."""
    repository, body = ask.repository("triage", "issues:write"), ask.body
    found = repository.labels.get(ask.parts["name"].casefold())
    if found is None:
        raise ProblemError(404, "Not Found")
    name = str(body.get("new_name") or found.name)
    if name.casefold() != found.name.casefold() and name.casefold() in repository.labels:
        raise ProblemError(
            422, "Validation Failed", [{"resource": "Label", "code": "already_exists", "field": "name"}]
        )
    del repository.labels[found.name.casefold()]
    found.name = name
    found.color = str(body.get("color", found.color))
    found.description = str(body.get("description", found.description) or "")
    repository.labels[name.casefold()] = found
    return Reply(200, shapes.label(found, repository.full_name, ask.url))


@route("DELETE", _REPO + "/labels/{name}")
def delete_label(ask: Ask) -> Reply:
    """Take a label away, from everything that it is on."""
    repository = ask.repository("triage", "issues:write")
    found = repository.labels.pop(ask.parts["name"].casefold(), None)
    if found is None:
        raise ProblemError(404, "Not Found")
    for issue in repository.issues.values():
        if found in issue.labels:
            issue.labels.remove(found)
    return Reply(204)


@route("GET", _ISSUE + "/events")
def list_events(ask: Ask) -> Reply:
    """The timeline without what was said."""
    issue = _issue(ask)
    return paged(ask, [shapes.event(event, issue, ask.url) for event in issue.events])
