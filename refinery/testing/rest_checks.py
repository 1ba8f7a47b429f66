"""REST: check runs and suites, commit statuses."""

from refinery.testing import checking, shapes, shapes_checks
from refinery.testing import repository_git as git
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.state import CheckRun, Repository
from refinery.testing.world import ProblemError

_REPO = "/repos/{owner}/{repo}"


def _sha(repository: Repository, name: str) -> str:
    found = git.ref(repository.path, name) or git.ref(repository.path, f"refs/heads/{name}")
    if found is None or git.show(repository.path, found) is None:
        raise ProblemError(422, f"No commit found for SHA: {name}")
    return found


@route("POST", _REPO + "/check-runs")
def create_check(ask: Ask) -> Reply:
    """A check run, which only an App may make."""
    repository, body = ask.repository("write", "checks:write"), ask.body
    app = ask.viewer.app
    if app is None:
        raise ProblemError(403, "You must authenticate via a GitHub App.")
    output = body.get("output") or {}
    made = checking.report_check(
        ask.world,
        repository,
        app,
        name=str(body["name"]),
        sha=str(body["head_sha"]),
        status="completed" if body.get("conclusion") else str(body.get("status") or "queued"),
        conclusion=body.get("conclusion"),
        title=str(output.get("title") or ""),
        summary=str(output.get("summary") or ""),
        external_id=str(body.get("external_id") or ""),
    )
    return Reply(201, shapes_checks.check_run(made, repository.full_name, ask.url))


@route("PATCH", _REPO + "/check-runs/{check}")
def update_check(ask: Ask) -> Reply:
    """Go on with one's own check run."""
    repository, body = ask.repository("write", "checks:write"), ask.body
    found = next((run for run in repository.checks if str(run.id) == ask.parts["check"]), None)
    if found is None or ask.viewer.app is not found.app:
        raise ProblemError(404, "Not Found")
    output = body.get("output") or {}
    found.name = str(body.get("name") or found.name)
    found.title = str(output.get("title") or found.title)
    found.summary = str(output.get("summary") or found.summary)
    status = "completed" if body.get("conclusion") else str(body.get("status") or found.status)
    conclusion = body.get("conclusion") or found.conclusion
    checking.update_check(ask.world, repository, found, status=status, conclusion=conclusion)
    return Reply(200, shapes_checks.check_run(found, repository.full_name, ask.url))


@route("GET", _REPO + "/commits/{sha}/check-runs")
def list_checks(ask: Ask) -> Reply:
    """The newest runs on a commit."""
    repository = ask.repository(permission="checks:read")
    sha = _sha(repository, ask.parts["sha"])
    found = checking.latest_checks(repository, sha)
    if ask.query.get("filter") == "all":
        found = [run for run in repository.checks if run.head_sha == sha]
    rows = [
        shapes_checks.check_run(run, repository.full_name, ask.url)
        for run in reversed(found)
        if _is_asked_for(ask, run)
    ]
    return paged(ask, rows, "check_runs")


def _is_asked_for(ask: Ask, run: CheckRun) -> bool:
    asked = {"check_name": run.name, "status": run.status, "app_id": str(run.app.id)}
    return all(ask.query.get(key, value) == value for key, value in asked.items())


@route("GET", _REPO + "/check-runs/{check}")
def get_check(ask: Ask) -> Reply:
    """One check run."""
    repository = ask.repository(permission="checks:read")
    for run in repository.checks:
        if str(run.id) == ask.parts["check"]:
            return Reply(200, shapes_checks.check_run(run, repository.full_name, ask.url))
    raise ProblemError(404, "Not Found")


@route("GET", _REPO + "/commits/{sha}/check-suites")
def list_suites(ask: Ask) -> Reply:
    """Each App's suite on a commit."""
    repository = ask.repository(permission="checks:read")
    sha = _sha(repository, ask.parts["sha"])
    rows = [
        shapes_checks.check_suite(suite, repository, checking.latest_checks(repository, sha), ask.url)
        for suite in repository.suites
        if suite.head_sha == sha
    ]
    return paged(ask, rows, "check_suites")


@route("GET", _REPO + "/commits/{sha}/statuses")
def list_statuses(ask: Ask) -> Reply:
    """Every status of a commit, the newest first."""
    repository = ask.repository(permission="statuses:read")
    sha = _sha(repository, ask.parts["sha"])
    found = [each for each in reversed(repository.statuses) if each.sha == sha]
    return paged(ask, [shapes_checks.status(each, repository.full_name, ask.url) for each in found])


@route("POST", _REPO + "/statuses/{sha}")
def create_status(ask: Ask) -> Reply:
    """A commit status."""
    repository, body = ask.repository("write", "statuses:write"), ask.body
    made = checking.report_status(
        ask.world,
        repository,
        ask.viewer,
        context=str(body.get("context") or "default"),
        sha=ask.parts["sha"],
        state=str(body.get("state", "")),
        description=str(body.get("description") or ""),
    )
    return Reply(201, shapes_checks.status(made, repository.full_name, ask.url))


@route("GET", _REPO + "/commits/{sha}/status")
def combined_status(ask: Ask) -> Reply:
    """The newest status of each context, and what they come to."""
    repository = ask.repository(permission="statuses:read")
    sha = _sha(repository, ask.parts["sha"])
    found = checking.latest_statuses(repository, sha)
    states = {each.state for each in found}
    whole = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    name = repository.full_name
    return Reply(
        200,
        {
            "state": whole,
            "statuses": [shapes_checks.status(each, name, ask.url) for each in found],
            "sha": sha,
            "total_count": len(found),
            "repository": shapes.minimal_repository(repository, ask.url),
            "commit_url": f"{ask.url}/repos/{name}/commits/{sha}",
            "url": f"{ask.url}/repos/{name}/commits/{sha}/status",
        },
    )
