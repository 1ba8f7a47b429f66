"""What must hold before a merge: check runs, statuses, and what rulesets and classic protection ask of a branch."""

from typing import Any

from refinery.testing import repository_git as git
from refinery.testing.state import Account, App, CheckRun, CheckSuite, Issue, Repository, Status
from refinery.testing.world import ProblemError, World

_STATUS = ("queued", "in_progress", "completed", "waiting", "requested", "pending")
_CONCLUSIONS = (
    "action_required",
    "cancelled",
    "failure",
    "neutral",
    "success",
    "skipped",
    "stale",
    "timed_out",
)
_STATES = ("error", "failure", "pending", "success")


def suite(world: World, repository: Repository, sha: str, app: App) -> CheckSuite:
    """The suite of an App on a commit, made when it is not there."""
    for each in repository.suites:
        if each.app is app and each.head_sha == sha:
            return each
    made = CheckSuite(world.next_id(), app, sha, world.clock.stamp())
    repository.suites.append(made)
    return made


def report_check(  # noqa: PLR0913  (what a check run says)
    world: World,
    repository: Repository,
    app: App,
    *,
    name: str,
    sha: str,
    status: str = "completed",
    conclusion: str | None = "success",
    title: str = "",
    summary: str = "",
    external_id: str = "",
) -> CheckRun:
    """A check run of an App on a commit.

    Raises:
        ProblemError: there is no such commit, status or conclusion.
    """
    if not git.has(repository.path, sha):
        raise ProblemError(422, f"No commit found for SHA: {sha}")
    _refuse_unknown(status, conclusion)
    now = world.clock.stamp()
    done = status == "completed"
    made = CheckRun(
        world.next_id(),
        name,
        sha,
        suite(world, repository, sha, app),
        status,
        conclusion if done else None,
        now,
        now if done else None,
        title,
        summary,
        external_id=external_id,
    )
    repository.checks.append(made)
    _told(world, repository, made)
    return made


def _refuse_unknown(status: str, conclusion: str | None) -> None:
    if status not in _STATUS or conclusion not in (None, *_CONCLUSIONS):
        raise ProblemError(422, "Invalid request.\n\nThis is not a member of the known values.")
    if status == "completed" and conclusion is None:
        raise ProblemError(422, "A completed check run needs a conclusion.")


def _told(world: World, repository: Repository, run: CheckRun) -> None:
    action = "completed" if run.status == "completed" else "created"
    world.notify("check_run", action=action, repository=repository, check=run, sender=None)
    mine = [each for each in latest_checks(repository, run.head_sha) if each.suite is run.suite]
    if all(each.status == "completed" for each in mine):
        world.notify("check_suite", action="completed", repository=repository, suite=run.suite, sender=None)


def update_check(
    world: World, repository: Repository, run: CheckRun, *, status: str, conclusion: str | None
) -> None:
    """Go on with a check run.

    Raises:
        ProblemError: there is no such status or conclusion.
    """
    _refuse_unknown(status, conclusion)
    run.status, run.conclusion = status, conclusion if status == "completed" else None
    run.completed_at = world.clock.stamp() if status == "completed" else None
    _told(world, repository, run)


def latest_checks(repository: Repository, sha: str) -> list[CheckRun]:
    """The newest run of each name in each suite on a commit."""
    newest = {(run.suite.id, run.name): run for run in repository.checks if run.head_sha == sha}
    return list(newest.values())


def report_status(
    world: World,
    repository: Repository,
    by: Account,
    *,
    context: str,
    sha: str,
    state: str,
    description: str = "",
) -> Status:
    """A commit status.

    Raises:
        ProblemError: there is no such commit or state.
    """
    if state not in _STATES:
        raise ProblemError(
            422, "Validation Failed", [{"resource": "Status", "code": "custom", "field": "state"}]
        )
    if not git.has(repository.path, sha):
        raise ProblemError(422, f"No commit found for SHA: {sha}")
    made = Status(world.next_id(), context, state, sha, description, by, world.clock.stamp())
    repository.statuses.append(made)
    world.notify("status", repository=repository, status=made)
    return made


def latest_statuses(repository: Repository, sha: str) -> list[Status]:
    """The newest status of each context on a commit."""
    return list({each.context: each for each in repository.statuses if each.sha == sha}.values())


def rules_of(repository: Repository, branch: str) -> list[dict[str, Any]]:
    """What rulesets ask for on a branch: `{type, parameters}` each."""
    return [
        {
            **rule,
            "ruleset_id": ruleset["id"],
            "ruleset_source": repository.full_name,
            "ruleset_source_type": "Repository",
        }
        for ruleset in repository.rulesets
        if branch in ruleset["branches"]
        for rule in ruleset["rules"]
    ]


def required_checks(repository: Repository, branch: str) -> set[tuple[str, int]]:
    """Names and App ids (0: any) of the checks that must have succeeded before a merge."""
    classic = repository.protection.get(branch, {}).get("checks", [])
    found = {(each["context"], each.get("app_id") or 0) for each in classic}
    for rule in rules_of(repository, branch):
        if rule["type"] == "required_status_checks":
            asked = rule["parameters"]["required_status_checks"]
            found |= {(each["context"], each.get("integration_id") or 0) for each in asked}
    return found


def has_queue(repository: Repository, branch: str) -> bool:
    """Whether a branch is merged into by a queue alone."""
    return any(rule["type"] == "merge_queue" for rule in rules_of(repository, branch))


def unmet(issue: Issue) -> str:
    """What the base's rules still want, in GitHub's words; empty when nothing."""
    row, repository = issue.pull, issue.repository
    if row is None:
        return "Not a pull"
    fine = {("success", "completed"), ("skipped", "completed"), ("neutral", "completed")}
    passed = {
        (run.name, app)
        for run in latest_checks(repository, row.head_sha)
        if (run.conclusion, run.status) in fine
        for app in (0, run.app.id)
    }
    passed |= {
        (each.context, 0) for each in latest_statuses(repository, row.head_sha) if each.state == "success"
    }
    for name, app in sorted(required_checks(repository, row.base_ref)):
        if (name, app) not in passed:
            return f'Required status check "{name}" is expected.'
    if repository.protection.get(row.base_ref, {}).get("strict"):
        base = git.ref(repository.path, "refs/heads/" + row.base_ref) or ""
        if not git.is_ancestor(repository.path, base, row.head_sha):
            return "Head branch is out of date"
    needed = repository.protection.get(row.base_ref, {}).get("reviews", 0)
    latest = {each.author.login: each.state for each in row.reviews if each.state != "COMMENTED"}
    if needed and "CHANGES_REQUESTED" in latest.values():
        return "Changes requested by reviewers with write access."
    if list(latest.values()).count("APPROVED") < needed:
        return f"At least {needed} approving review is required by reviewers with write access."
    return ""
