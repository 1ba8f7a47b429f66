"""What a webhook delivery says of each kind of event (https://docs.github.com/webhooks/webhook-events-and-payloads)."""

from collections.abc import Callable, Mapping
from typing import Any

from refinery.git import ZERO
from refinery.testing import checking, shapes, shapes_checks, shapes_git
from refinery.testing import repository_git as git
from refinery.testing.state import Issue, Repository

Json = dict[str, Any]
Values = Mapping[str, Any]


def payload_of(event: str, values: Values, url: str) -> Json:
    """The JSON of one delivery; `values` are what `World.notify` was told."""
    said: Json = {"action": values["action"]} if values.get("action") else {}
    repository: Repository | None = values.get("repository")
    if repository is not None:
        said["repository"] = shapes.repository(repository, url)
    if values.get("sender") is not None:
        said["sender"] = shapes.account(values["sender"], url)
    more = _MORE.get(event)
    return said | (more(values, url) if more else {})


def _issue(values: Values, url: str) -> Json:
    found: Issue = values["issue"]
    return {"issue": shapes.issue(found, url), **_latest(values, url)}


def _latest(values: Values, url: str) -> Json:
    """Which label it was, and what an edit replaced: both are in the timeline's last entry."""
    found: Issue = values["issue"]
    last = found.events[-1] if found.events else None
    if values["action"] in ("labeled", "unlabeled") and last is not None:
        label = found.repository.labels[last.label.casefold()]
        return {"label": shapes.label(label, found.repository.full_name, url)}
    if values["action"] == "edited" and last is not None and last.kind == "renamed":
        return {"changes": {"title": {"from": last.before}}}
    return {"changes": {}} if values["action"] == "edited" else {}


def _pull(values: Values, url: str) -> Json:
    found: Issue = values["issue"]
    whole = shapes.pull(found, url, is_whole=True)
    return {"number": found.number, "pull_request": whole, **_latest(values, url)}


def _comment(values: Values, url: str) -> Json:
    return {"issue": shapes.issue(values["issue"], url), "comment": shapes.comment(values["comment"], url)}


def _review(values: Values, url: str) -> Json:
    found: Issue = values["issue"]
    shown = shapes.review(values["review"], found, url)
    return {
        "pull_request": shapes.pull(found, url),
        "review": {**shown, "state": str(shown["state"]).lower()},
    }


def _check_run(values: Values, url: str) -> Json:
    return {"check_run": shapes_checks.check_run(values["check"], values["repository"].full_name, url)}


def _check_suite(values: Values, url: str) -> Json:
    repository, suite = values["repository"], values["suite"]
    runs = checking.latest_checks(repository, suite.head_sha)
    return {"check_suite": shapes_checks.check_suite(suite, repository, runs, url)}


def _status(values: Values, url: str) -> Json:
    shown = shapes_checks.status(values["status"], values["repository"].full_name, url)
    return {**shown, "sha": values["status"].sha, "name": values["repository"].full_name, "branches": []}


def _push(values: Values, url: str) -> Json:
    repository: Repository = values["repository"]
    before, after = values["before"], values["after"]
    made = git.show(repository.path, after) if after else None
    head = shapes_git.commit(made, repository.full_name, url) if made else None
    return {
        "ref": values["ref"],
        "before": before or ZERO,
        "after": after or ZERO,
        "created": before is None,
        "deleted": after is None,
        "forced": bool(before and after and not git.is_ancestor(repository.path, before, after)),
        "base_ref": None,
        "compare": f"{url}/{repository.full_name}/compare",
        "commits": [{**head, "id": head["sha"]}] if head else [],
        "head_commit": {**head, "id": head["sha"]} if head else None,
        "pusher": {"name": values["sender"].login, "email": None},
    }


_MORE: Mapping[str, Callable[[Values, str], Json]] = {
    "issues": _issue,
    "pull_request": _pull,
    "issue_comment": _comment,
    "pull_request_review": _review,
    "check_run": _check_run,
    "check_suite": _check_suite,
    "status": _status,
    "push": _push,
}
