"""REST: pulls, reviews, merging."""

from typing import Any

from refinery.testing import pulls, shapes, shapes_git
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.state import Issue
from refinery.testing.world import ProblemError

_REPO = "/repos/{owner}/{repo}"
_PULL = _REPO + "/pulls/{number}"
_MOST_FILES = 3000


def _pull(ask: Ask, role: str = "read") -> Issue:
    repository = ask.repository(role, "pull_requests:write" if role != "read" else "pull_requests:read")
    number = ask.parts["number"]
    if not number.isdecimal():
        raise ProblemError(404, "Not Found")
    return ask.world.find_issue(repository, int(number), pull=True)


def _whole(ask: Ask, issue: Issue) -> dict[str, Any]:
    is_open = issue.state == "open"
    found = pulls.mergeable(issue) if is_open else None
    return shapes.pull(issue, ask.url, is_whole=True, mergeable=found)


@route("GET", _REPO + "/pulls")
def list_pulls(ask: Ask) -> Reply:
    """Pulls by state, head and base."""
    repository = ask.repository(permission="pull_requests:read")
    state, head, base = (ask.query.get(name, "") for name in ("state", "head", "base"))
    found = []
    for issue in reversed(pulls.pulls(repository)):
        shown = shapes.pull(issue, ask.url)
        if (state or "open") not in ("all", issue.state) or base not in ("", shown["base"]["ref"]):
            continue
        if not head or head.casefold() == shown["head"]["label"].casefold():
            found.append(shown)
    if ask.query.get("sort") == "updated":
        found.sort(key=lambda row: row["updated_at"], reverse=ask.query.get("direction", "desc") == "desc")
    return paged(ask, found)


@route("POST", _REPO + "/pulls")
def create_pull(ask: Ask) -> Reply:
    """Open a pull."""
    repository, body = ask.repository("read", "pull_requests:write"), ask.body
    owner, _, branch = str(body.get("head", "")).rpartition(":")
    source = repository
    if owner and owner.casefold() != repository.owner.login.casefold():
        forks = [each for each in ask.world.repositories.values() if each.fork_of is repository]
        source = next((each for each in forks if each.owner.login.casefold() == owner.casefold()), repository)
    elif not ask.world.may(repository, ask.viewer, "write"):
        raise ProblemError(403, "Resource not accessible by integration")
    issue = pulls.open_pull(
        ask.world,
        repository,
        ask.viewer,
        title=str(body.get("title", "")),
        head=branch,
        base=str(body.get("base", "")),
        body=str(body.get("body") or ""),
        draft=bool(body.get("draft", False)),
        head_repository=source,
    )
    if issue.pull is not None:
        issue.pull.can_maintainer_modify = bool(body.get("maintainer_can_modify", True))
    return Reply(201, _whole(ask, issue))


@route("GET", _PULL)
def get_pull(ask: Ask) -> Reply:
    """One pull; asking makes GitHub find out whether it is mergeable."""
    return Reply(200, _whole(ask, _pull(ask)))


@route("PATCH", _PULL)
def patch_pull(ask: Ask) -> Reply:
    """Change title, body or state."""
    issue, body = _pull(ask, "write"), ask.body
    ask.world.edit_issue(issue, ask.viewer, title=body.get("title"), body=body.get("body"))
    if body.get("state") in ("open", "closed") and issue.pull is not None and not issue.pull.merged:
        ask.world.set_state(issue, ask.viewer, body["state"])
    return Reply(200, _whole(ask, issue))


@route("GET", _PULL + "/files")
def pull_files(ask: Ask) -> Reply:
    """What it changes, 3,000 files at the most."""
    issue = _pull(ask)
    sha = issue.pull.head_sha if issue.pull else ""
    found = pulls.changed_files(issue)[:_MOST_FILES]
    return paged(ask, shapes_git.files(issue.repository, found, sha, ask.url))


@route("GET", _PULL + "/reviews")
def list_reviews(ask: Ask) -> Reply:
    """All reviews, the oldest first."""
    issue = _pull(ask)
    reviews = issue.pull.reviews if issue.pull else []
    return paged(ask, [shapes.review(each, issue, ask.url) for each in reviews])


@route("POST", _PULL + "/reviews")
def create_review(ask: Ask) -> Reply:
    """Approve, ask for changes, or comment."""
    issue, body = _pull(ask), ask.body
    states = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
    state = states.get(str(body.get("event", "")))
    if state is None:
        raise ProblemError(422, "Unprocessable Entity", ["event is not included in the list"])
    made = pulls.review(
        ask.world, issue, ask.viewer, state, str(body.get("body") or ""), str(body.get("commit_id") or "")
    )
    return Reply(200, shapes.review(made, issue, ask.url))


@route("PUT", _PULL + "/merge")
def merge_pull(ask: Ask) -> Reply:
    """Merge it, if its head is still the one that was named."""
    issue, body = _pull(ask), ask.body
    ask.repository("write", "contents:write")
    sha = pulls.merge(
        ask.world,
        issue,
        ask.viewer,
        sha=str(body.get("sha") or ""),
        method=str(body.get("merge_method") or "merge"),
        title=str(body.get("commit_title") or ""),
        message=str(body.get("commit_message") or ""),
    )
    return Reply(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@route("GET", _PULL + "/merge")
def is_merged(ask: Ask) -> Reply:
    """204 when it is merged."""
    issue = _pull(ask)
    if issue.pull is None or not issue.pull.merged:
        raise ProblemError(404, "Not Found")
    return Reply(204)


@route("PUT", _PULL + "/reviews/{review}/dismissals")
def dismiss_review(ask: Ask) -> Reply:
    """Take the weight off a review."""
    issue = _pull(ask, "write")
    for review in issue.pull.reviews if issue.pull else []:
        if str(review.id) == ask.parts["review"]:
            review.state = "DISMISSED"
            ask.world.event(issue, "review_dismissed", ask.viewer)
            return Reply(200, shapes.review(review, issue, ask.url))
    raise ProblemError(404, "Not Found")


@route("GET", _PULL + "/comments")
def review_comments(ask: Ask) -> Reply:
    """Remarks on lines, of which the fake has none."""
    _pull(ask)
    return paged(ask, [])
