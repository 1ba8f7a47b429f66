"""What `doctor` and `setup` look at where a project is on GitHub: each connection, and the branch to land on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from refinery.cli.inspection import Inspection
from refinery.connect import Connection
from refinery.core.config import ProjectConfig
from refinery.core.findings import FAIL, Finding
from refinery.core.places import ISSUES, PREFIX
from refinery.core.repository_facts import Needs
from refinery.core.repository_findings import about_branch, about_repository
from refinery.core.workflows import read_workflow
from refinery.errors import RefineryError
from refinery.forges.github.errors import LoginError
from refinery.forges.github.examine import Asked, examine_branch, examine_repository


@dataclass(frozen=True, slots=True)
class Hosted:
    """The findings, and the names of the checks that GitHub itself requires."""

    findings: tuple[Finding, ...]
    required: tuple[str, ...] = ()


def needs_of(config: ProjectConfig, *, has_tasks: bool, has_code: bool) -> Needs:
    """What a configuration wants of a repository."""
    return Needs(
        label=config.label,
        hold_label=config.policy.hold_label,
        is_squash=config.policy.squash,
        required=tuple((each.name, each.app) for each in config.policy.required),
        has_tasks=has_tasks,
        has_code=has_code,
    )


def asked_of(connection: Connection, needs: Needs, purpose: str) -> Asked:
    """Which questions to ask through a connection."""
    return Asked(
        name=connection.repository,
        page=connection.url.removesuffix(".git"),
        credentials=connection.credentials.describe(),
        has_tasks=needs.has_tasks,
        has_code=needs.has_code,
        purpose=purpose,
    )


def check_hosted(
    slug: str, tasks: str, found: Inspection | None, connections: Sequence[Connection]
) -> Hosted:
    """Everything about a project's repositories on GitHub; `found` is None where its base could not be read.

    `tasks` is where its tasks are registered to be; the connection to its code comes first, if it is on GitHub.
    """
    findings: list[Finding] = []
    required: list[str] = []
    for connection, needs in _roles(tasks, found, connections):
        try:
            findings += _examined(connection, needs, found, required)
        except LoginError as error:
            findings.append(Finding(FAIL, "credentials", error.message, error.remedy))
        except RefineryError as error:
            findings.append(Finding(FAIL, "on github", error.message, error.remedy))
    return Hosted(tuple(_of(slug, each) for each in findings), tuple(required))


def _examined(
    connection: Connection, needs: Needs, found: Inspection | None, required: list[str]
) -> Iterator[Finding]:
    asked = asked_of(connection, needs, "doctor")
    facts = examine_repository(connection.client, asked)
    yield from about_repository(facts, needs)
    if found is not None and needs.has_code:
        workflows = [read_workflow(path, text) for path, text in found.workflows.items()]
        branch = examine_branch(connection.client, asked, found.base, workflows)
        required += [name for name, _ in branch.required]
        yield from about_branch(facts, branch, needs)


def _roles(
    tasks: str, found: Inspection | None, connections: Sequence[Connection]
) -> Iterator[tuple[Connection, Needs]]:
    """Each connection with what is wanted of it."""
    config = found.config if found is not None else ProjectConfig()
    elsewhere = tasks.startswith(PREFIX)
    for connection in connections:
        is_issues_alone = elsewhere and connection is connections[-1]
        has_tasks = tasks == ISSUES or is_issues_alone
        yield connection, needs_of(config, has_tasks=has_tasks, has_code=not is_issues_alone)


def _of(slug: str, finding: Finding) -> Finding:
    return replace(finding, project=slug)
