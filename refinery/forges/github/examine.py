"""A look at a repository on GitHub for `doctor` and `setup`: what is there, and what these credentials may do.

Nothing is changed. GitHub has no way to ask what a token may do, so each permission to write is tried with a request
that cannot succeed: one that gets as far as being refused as invalid was permitted.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from refinery.core.repository_facts import Access, BranchFacts, RepositoryFacts
from refinery.core.workflows import Workflow
from refinery.forges.github.client import Client
from refinery.forges.github.errors import (
    AnswerLostError,
    PermissionMissingError,
    RejectedError,
    UnusableRepositoryError,
)
from refinery.forges.github.rules import RuleBook

VIEWER_QUERY: Final = "query Viewer { viewer { login } }"
_METHODS: Final = {
    "squash": "allow_squash_merge",
    "merge": "allow_merge_commit",
    "rebase": "allow_rebase_merge",
}
_ABSENT: Final = "0" * 40
_LATEST: Final = 3  # pulls whose checks are looked at, besides those of the branch


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which repository is looked at (`owner/name`, its page), for whom, and what for."""

    name: str
    page: str
    credentials: str
    has_tasks: bool
    has_code: bool
    purpose: str = "doctor"


def examine_repository(client: Client, asked: Asked) -> RepositoryFacts:
    """The repository's settings and labels, and what may be done there.

    Raises:
        LoginError: GitHub does not accept the credentials.
        UnusableRepositoryError: there is no such repository, or it is not shown to us.
        ForgeUnavailableError: GitHub did not answer.
    """
    path = f"/repos/{asked.name}"
    shown = client.get(path, asked.purpose).body
    is_archived = bool(shown["archived"])
    labels = client.pages(f"{path}/labels", asked.purpose)
    return RepositoryFacts(
        name=asked.name,
        page=asked.page,
        credentials=asked.credentials,
        login=_login(client, asked.purpose),
        access=() if is_archived else tuple(_access(client, asked, str(shown["default_branch"]))),
        skew=time.time() - client.now(),
        is_archived=is_archived,
        has_issues=bool(shown["has_issues"]),
        # GitHub leaves these out for who may not write: then nothing is known against them.
        methods=frozenset(name for name, key in _METHODS.items() if shown.get(key, True)),
        labels={str(each["name"]).casefold(): str(each["name"]) for each in labels},
        default_rights=_default_rights(client, asked),
    )


def examine_branch(client: Client, asked: Asked, branch: str, workflows: Iterable[Workflow]) -> BranchFacts:
    """The rules of a branch, and the checks that were reported lately; errors as above."""
    path = f"/repos/{asked.name}"
    seen, apps = _reported(client, asked, branch)
    rules = RuleBook(client, asked.name).of(branch)
    return BranchFacts(
        name=branch,
        required=rules.named(apps),
        seen=seen,
        has_queue=rules.has_queue,
        approvals=_approvals(client, f"{path}/branches/{branch}", f"{path}/rules/branches/{branch}", asked),
        workflows=tuple(workflows),
    )


def _login(client: Client, purpose: str) -> str:
    try:
        return str(client.graphql(VIEWER_QUERY, {}, purpose)["viewer"]["login"])
    except RejectedError:
        return ""


def _access(client: Client, asked: Asked, branch: str) -> Iterator[Access]:
    path = f"/repos/{asked.name}"
    if asked.has_code:
        ref = {"ref": "refs/refinery/doctor", "sha": _ABSENT}
        yield _tried(client, "contents: write", "POST", f"{path}/git/refs", ref, asked)
        yield _tried(client, "pull requests: write", "POST", f"{path}/pulls", {}, asked)
        yield _tried(client, "checks: read", "GET", f"{path}/commits/{branch}/check-runs", None, asked)
        yield _tried(client, "commit statuses: read", "GET", f"{path}/commits/{branch}/status", None, asked)
    if asked.has_tasks or asked.has_code:
        yield _tried(client, "issues: write", "POST", f"{path}/labels", {}, asked)
    if asked.has_tasks:
        owner = asked.name.partition("/")[0]
        people = f"{path}/collaborators/{owner}/permission"
        yield _tried(client, "metadata: read (who may write)", "GET", people, None, asked)


def _tried(
    client: Client, what: str, verb: str, path: str, body: Mapping[str, Any] | None, asked: Asked
) -> Access:
    """Whether GitHub would permit it: what is refused for another reason was permitted."""
    ask = f"ask for write access to {asked.name}, or give the token or App the permission {what}"
    try:
        if verb == "GET":
            client.get(path, asked.purpose)
        else:
            client.send(verb, path, body, asked.purpose)
    except PermissionMissingError as error:
        return Access(what=what, is_granted=False, remedy=error.remedy or ask)
    except UnusableRepositoryError:
        return Access(what=what, is_granted=None)
    except RejectedError as error:
        if error.status == 404:
            is_about_a_person = "/collaborators/" in path  # an organisation is nobody's collaborator
            return Access(what=what, is_granted=is_about_a_person, remedy=ask)
        return Access(what=what, is_granted=error.status in (400, 409, 422) or None)
    except AnswerLostError:
        return Access(what=what, is_granted=None)
    return Access(what=what, is_granted=True)


def _default_rights(client: Client, asked: Asked) -> str:
    """What workflows may by default; only administrators may look."""
    try:
        found = client.get(f"/repos/{asked.name}/actions/permissions/workflow", asked.purpose).body
    except RejectedError:
        return ""
    return str(found.get("default_workflow_permissions") or "")


def _reported(
    client: Client, asked: Asked, branch: str
) -> tuple[tuple[tuple[str, str], ...], dict[int, str]]:
    """Checks by name and App on the newest commits, and the Apps' slugs by id."""
    path = f"/repos/{asked.name}"
    newest = {"state": "all", "sort": "updated", "direction": "desc", "per_page": str(_LATEST)}
    pulls = client.get(f"{path}/pulls", asked.purpose, params=newest).body
    seen: dict[tuple[str, str], None] = {}
    apps: dict[int, str] = {}
    for commit in (branch, *(str(each["head"]["sha"]) for each in pulls)):
        for run in _runs(client, f"{path}/commits/{commit}/check-runs", asked.purpose):
            app = run.get("app") or {}
            apps |= {int(app["id"]): str(app["slug"])} if app else {}
            seen[str(run["name"]), str(app.get("slug") or "")] = None
        for status in _statuses(client, f"{path}/commits/{commit}/statuses", asked.purpose):
            creator = status.get("creator") or {}
            login = str(creator.get("login") or "")
            app_slug = login.removesuffix("[bot]") if creator.get("type") == "Bot" else f"@{login}"
            seen[str(status["context"]), app_slug] = None
    return tuple(seen), apps


def _runs(client: Client, path: str, purpose: str) -> list[Any]:
    try:
        return list(client.get(path, purpose, params={"per_page": "100"}).body["check_runs"])
    except RejectedError:  # the permission is a finding of its own, and so is that nothing was seen
        return []


def _statuses(client: Client, path: str, purpose: str) -> list[Any]:
    try:
        return list(client.get(path, purpose, params={"per_page": "100"}).body)
    except RejectedError:
        return []


def _approvals(client: Client, branch: str, rules: str, asked: Asked) -> int | None:
    """The approving reviews that a branch asks for, by rulesets and classic protection."""
    asks = [
        each["parameters"] for each in client.pages(rules, asked.purpose) if each["type"] == "pull_request"
    ]
    count = max((int(each.get("required_approving_review_count") or 0) for each in asks), default=0)
    if count or not client.get(branch, asked.purpose).body.get("protected"):
        return count
    try:
        shown = client.get(f"{branch}/protection", asked.purpose).body
    except RejectedError as error:
        return 0 if "not protected" in error.words.lower() else None
    reviews = shown.get("required_pull_request_reviews") or {}
    return int(reviews.get("required_approving_review_count") or 0)
