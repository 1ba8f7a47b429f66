"""Check runs, commit statuses, and the roll-up of both on a commit."""

from dataclasses import dataclass
from typing import Any

from refinery.testing.graphql.ids import named_id
from refinery.testing.graphql.objects import Commit, Ref
from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.problems import unresolved
from refinery.testing.graphql.registry import Resolver, answers, is_kind, reads, resolves
from refinery.testing.graphql.rules import is_required
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import CheckRun, CheckSuite, Issue, Repository, Status

_GOOD = {"SUCCESS", "NEUTRAL", "SKIPPED"}
_WORST_FIRST = ("ERROR", "FAILURE", "PENDING", "EXPECTED")

is_kind(CheckRun, "CheckRun")
is_kind(CheckSuite, "CheckSuite")
is_kind(Status, "StatusContext")


@dataclass(frozen=True)
class Report:
    """What was reported on a commit: of a check run again in its suite the newest, of a status context the newest."""

    commit: Commit
    runs: tuple[CheckRun, ...]
    statuses: tuple[Status, ...]

    @property
    def contexts(self) -> tuple[CheckRun | Status, ...]:
        """Runs and statuses together."""
        return (*self.runs, *self.statuses)

    @property
    def state(self) -> str:
        """The worst of them all."""
        return worst({_run_state(run) for run in self.runs} | {each.state.upper() for each in self.statuses})


is_kind(Report, "StatusCheckRollup")


def reported(commit: Commit, scope: Scope) -> Report | None:
    """The report on a commit, of which there is none before the first result.

    Raises:
        Problem: FORBIDDEN: the viewer's token may see neither checks nor statuses.
    """
    scope.reads("checks", "statuses")
    report = report_on(commit)
    return report if report.contexts else None


def report_on(commit: Commit) -> Report:
    """The newest results of every check and status of a commit."""
    runs = {(run.suite.id, run.name): run for run in commit.repository.checks if run.head_sha == commit.oid}
    statuses = {each.context: each for each in commit.repository.statuses if each.sha == commit.oid}
    return Report(commit, tuple(runs.values()), tuple(statuses.values()))


def worst(states: set[str]) -> str:
    """One state for several."""
    return next((state for state in _WORST_FIRST if state in states), "SUCCESS")


def _run_state(run: CheckRun) -> str:
    if run.status != "completed":
        return "PENDING"
    return "SUCCESS" if (run.conclusion or "").upper() in _GOOD else "FAILURE"


def repository_of(subject: CheckRun | CheckSuite | Status, scope: Scope) -> Repository:
    """The repository that holds a result."""
    suite = subject.suite if isinstance(subject, CheckRun) else subject
    return next(
        repository
        for repository in scope.repositories
        if suite in repository.suites or subject in repository.statuses
    )


def _commit(suite: CheckSuite, scope: Scope) -> Commit:
    return Commit(repository_of(suite, scope), suite.head_sha)


def _page(subject: CheckRun | CheckSuite, scope: Scope) -> str:
    repository = repository_of(subject, scope)
    return f"{repository.full_name}/runs/{subject.id}"


def _naming(kind: str) -> Resolver:
    return lambda report, _scope: named_id(kind, report.commit.repository.id, report.commit.oid)


answers(
    "Commit",
    {
        "statusCheckRollup": reported,
        "status": lambda commit, _: report if (report := report_on(commit)).statuses else None,
    },
)
reads("StatusCheckRollup Status", commit="commit")
for _kind in ("StatusCheckRollup", "Status"):
    answers(_kind, {"id": _naming(_kind)})
reads("StatusCheckRollup", state="state")
answers(
    "StatusCheckRollupContextConnection",
    {
        "checkRunCount": lambda found, _: sum(isinstance(each, CheckRun) for each in found.everything),
        "statusContextCount": lambda found, _: sum(isinstance(each, Status) for each in found.everything),
    },
)
reads("Status", contexts="statuses")
answers("Status", {"state": lambda report, _: worst({each.state.upper() for each in report.statuses})})
reads("CheckSuite", app="app", createdAt="created_at", updatedAt="created_at", databaseId="id")
answers(
    "CheckSuite",
    {
        "commit": _commit,
        "repository": repository_of,
        "id": lambda suite, scope: scope.node_id(suite),
        "url": lambda suite, scope: scope.url(_page(suite, scope)),
        "resourcePath": lambda suite, scope: "/" + _page(suite, scope),
    },
)
reads(
    "CheckRun",
    checkSuite="suite",
    databaseId="id",
    name="name",
    startedAt="started_at",
    completedAt="completed_at",
    externalId="external_id",
)
answers(
    "CheckRun",
    {
        "id": lambda run, scope: scope.node_id(run),
        "status": lambda run, _: run.status.upper(),
        "conclusion": lambda run, _: run.conclusion.upper() if run.conclusion else None,
        "title": lambda run, _: run.title or None,
        "summary": lambda run, _: run.summary or None,
        "text": lambda run, _: run.text or None,
        "repository": repository_of,
        "detailsUrl": lambda run, scope: scope.url(_page(run, scope)),
        "permalink": lambda run, scope: scope.url(_page(run, scope)),
        "url": lambda run, scope: scope.url(_page(run, scope)),
        "resourcePath": lambda run, scope: "/" + _page(run, scope),
    },
)
reads("StatusContext", context="context", createdAt="created_at", creator="creator")
answers(
    "StatusContext",
    {
        "id": lambda status, scope: scope.node_id(status),
        "state": lambda status, _: status.state.upper(),
        "description": lambda status, _: status.description or None,
        "targetUrl": lambda status, _: status.target_url or None,
        "commit": lambda status, scope: Commit(repository_of(status, scope), status.sha),
    },
)


@resolves("StatusCheckRollup", "contexts")
def _contexts(report: Report, _scope: Scope, **bounds: Any) -> Window:
    return window(report.contexts, bounds, "contexts")


@resolves("Status", "context")
def _context(report: Report, _scope: Scope, name: str) -> Status | None:
    return next((each for each in report.statuses if each.context == name), None)


@resolves("Commit", "checkSuites")
def _suites(commit: Commit, _scope: Scope, **bounds: Any) -> Window:
    found = [suite for suite in commit.repository.suites if suite.head_sha == commit.oid]
    return window(found, bounds, "checkSuites", key=lambda suite: (suite.id,))


@resolves("CheckSuite", "checkRuns")
def _runs(suite: CheckSuite, scope: Scope, **bounds: Any) -> Window:
    found = [run for run in repository_of(suite, scope).checks if run.suite is suite]
    return window(found, bounds, "checkRuns", key=lambda run: (run.id,))


@resolves("CheckSuite", "branch")
def _branch(suite: CheckSuite, scope: Scope) -> Ref | None:
    heads = scope.refs(repository_of(suite, scope), "refs/heads/")
    return next((ref for ref in heads if ref.oid == suite.head_sha), None)


def _suite_runs(suite: CheckSuite, scope: Scope) -> list[CheckRun]:
    return [run for run in report_on(_commit(suite, scope)).runs if run.suite is suite]


@resolves("CheckSuite", "status")
def _suite_status(suite: CheckSuite, scope: Scope) -> str:
    states = {run.status for run in _suite_runs(suite, scope)}
    return "QUEUED" if not states else "COMPLETED" if states == {"completed"} else "IN_PROGRESS"


@resolves("CheckSuite", "conclusion")
def _suite_conclusion(suite: CheckSuite, scope: Scope) -> str | None:
    runs = _suite_runs(suite, scope)
    if not runs or any(run.status != "completed" for run in runs):
        return None
    bad = [run.conclusion for run in runs if (run.conclusion or "").upper() not in _GOOD]
    return (bad[0] or "failure").upper() if bad else "SUCCESS"


@resolves("CheckRun", "isRequired")
@resolves("StatusContext", "isRequired")
def _is_required(
    subject: CheckRun | Status,
    scope: Scope,
    pull_request_id: str | None = None,
    pull_request_number: int | None = None,
) -> bool:
    repository = repository_of(subject, scope)
    if pull_request_number is not None:
        issue = repository.issues.get(pull_request_number)
    else:
        node = scope.node(pull_request_id or "")
        issue = node if isinstance(node, Issue) else None
    if issue is None or issue.pull is None:
        raise unresolved("a PullRequest", "with the given id or number")
    return is_required(subject, repository, issue.pull.base_ref)
