"""JSON bodies of checks: Apps, check suites and runs, commit statuses."""

from typing import Any

from refinery.testing import repository_git as git
from refinery.testing import shapes_git as history
from refinery.testing.shapes import account, minimal_repository, node_id, web
from refinery.testing.state import App, CheckRun, CheckSuite, Repository, Status

Json = dict[str, Any]


def app(found: App, url: str) -> Json:
    """An App."""
    return {
        "id": found.id,
        "slug": found.slug,
        "node_id": node_id("App", found.id),
        "client_id": f"Iv1.{found.id:016x}",
        "owner": account(found.owner, url),
        "name": found.name,
        "description": None,
        "external_url": f"{web(url)}/apps/{found.slug}",
        "html_url": f"{web(url)}/apps/{found.slug}",
        "created_at": found.created_at,
        "updated_at": found.created_at,
        "permissions": found.permissions,
        "events": ["issues", "pull_request"],
    }


def check_run(found: CheckRun, name: str, url: str) -> Json:
    """A check run."""
    api = f"{url}/repos/{name}/check-runs/{found.id}"
    return {
        "id": found.id,
        "head_sha": found.head_sha,
        "node_id": node_id("CheckRun", found.id),
        "external_id": found.external_id,
        "url": api,
        "html_url": f"{web(url)}/{name}/runs/{found.id}",
        "details_url": f"{web(url)}/{name}/runs/{found.id}",
        "status": found.status,
        "conclusion": found.conclusion,
        "started_at": found.started_at,
        "completed_at": found.completed_at,
        "output": {
            "title": found.title or None,
            "summary": found.summary or None,
            "text": found.text or None,
            "annotations_count": 0,
            "annotations_url": f"{api}/annotations",
        },
        "name": found.name,
        "check_suite": {"id": found.suite.id},
        "app": app(found.app, url),
        "pull_requests": [],
    }


def status(found: Status, name: str, url: str) -> Json:
    """A commit status."""
    return {
        "url": f"{url}/repos/{name}/statuses/{found.sha}",
        "avatar_url": f"{url}/avatars/{found.creator.id}",
        "id": found.id,
        "node_id": node_id("StatusContext", found.id),
        "state": found.state,
        "description": found.description or None,
        "target_url": found.target_url or None,
        "context": found.context,
        "created_at": found.created_at,
        "updated_at": found.created_at,
        "creator": account(found.creator, url),
    }


def check_suite(found: CheckSuite, repository: Repository, runs: list[CheckRun], url: str) -> Json:
    """The runs of one App on a commit, and what they come to."""
    mine = [run for run in runs if run.suite is found]
    conclusions = [run.conclusion for run in mine]
    bad = next((each for each in conclusions if each not in ("success", "neutral", "skipped")), "success")
    is_done = all(run.status == "completed" for run in mine)
    api = f"{url}/repos/{repository.full_name}/check-suites/{found.id}"
    made = git.show(repository.path, found.head_sha)
    head = history.commit(made, repository.full_name, url) if made else {}
    return {
        "id": found.id,
        "node_id": node_id("CheckSuite", found.id),
        "head_branch": None,
        "head_sha": found.head_sha,
        "status": "completed" if is_done else "in_progress",
        "conclusion": bad if is_done else None,
        "url": api,
        "before": None,
        "after": found.head_sha,
        "pull_requests": [],
        "app": app(found.app, url),
        "repository": minimal_repository(repository, url),
        "created_at": found.created_at,
        "updated_at": found.created_at,
        "head_commit": {
            "id": found.head_sha,
            "tree_id": made.tree if made else "",
            "message": made.message if made else "",
            "timestamp": found.created_at,
            "author": {key: head["author"][key] for key in ("name", "email")} if head else None,
            "committer": {key: head["committer"][key] for key in ("name", "email")} if head else None,
        },
        "latest_check_runs_count": len(mine),
        "check_runs_url": f"{api}/check-runs",
    }
