"""What `setup` finds out before it says anything: findings, steps, and the means to do them."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from refinery.cli.hosted import asked_of, needs_of
from refinery.cli.inspection import Inspection, inspect
from refinery.cli.shared import Connections
from refinery.configured import read_user
from refinery.connect import Connection
from refinery.core.config import PROJECT_FILES
from refinery.core.findings import FAIL, Finding
from refinery.core.repository_facts import BranchFacts, Needs
from refinery.core.repository_findings import about_branch, about_repository
from refinery.core.setup_plan import Step, Wanted, plan
from refinery.core.starter import starter_files
from refinery.core.workflows import read_workflow
from refinery.errors import RefineryError, UsageError
from refinery.forges.github.app_auth import AppInstallation
from refinery.forges.github.client import Client
from refinery.forges.github.examine import examine_branch, examine_repository
from refinery.forges.github.prepare import Preparer, Target, look

if TYPE_CHECKING:
    from refinery.cli.common import Settings

_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*", re.IGNORECASE)
_MADE_HERE: Final = frozenset({"labels"})  # what setup itself mends is no finding


@dataclass(frozen=True, slots=True)
class Preparation:
    """All that is known before the first change: `steps` are what is left to do."""

    name: str
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]
    preparer: Preparer


def prepare(
    settings: "Settings", name: str, given: tuple[Mapping[str, str], Mapping[str, str]], *, has_tasks: bool
) -> Preparation:
    """Look at a repository. `given` are secrets and variables, by name.

    Raises:
        UsageError: `name` is no repository on GitHub.
        LoginError, UnusableRepositoryError, ForgeUnavailableError: it cannot be looked at.
    """
    connection, found = _inspected(settings, name)
    needs = needs_of(found.config, has_tasks=has_tasks, has_code=True)
    asked = asked_of(connection, needs, "setup")
    facts = examine_repository(connection.client, asked)
    workflows = [read_workflow(path, text) for path, text in found.workflows.items()]
    branch = examine_branch(connection.client, asked, found.base, workflows)
    findings = [*about_repository(facts, needs), *about_branch(facts, branch, needs)]
    secrets, variables = given
    if "REFINERY_APP_KEY" in secrets and "REFINERY_APP_ID" in variables:
        findings += _app(connection, variables["REFINERY_APP_ID"], secrets["REFINERY_APP_KEY"], needs)
    wanted = Wanted(needs=needs, files=_files(branch), secrets=tuple(secrets), variables=variables)
    target = Target(name=connection.repository, base=found.base)
    present = look(connection.client, target, facts, _there(found), wanted)
    preparer = Preparer(connection.client, target, wanted, present, secrets)
    shown = tuple(each for each in findings if each.name not in _MADE_HERE)
    return Preparation(connection.repository, shown, plan(wanted, present), preparer)


def _inspected(settings: "Settings", name: str) -> tuple[Connection, Inspection]:
    """The connection to the repository, and its base; it need not be registered."""
    from dataclasses import replace

    from refinery.core.config import UserProject
    from refinery.core.places import ISSUES, PREFIX, is_github_slug

    if not is_github_slug(name):
        raise UsageError(f"{name} is not the name of a repository on GitHub", remedy="write OWNER/NAME")
    home, connections = settings.open_home(), Connections(settings)
    user = read_user(home)
    project = UserProject(repository=PREFIX + name, tasks=ISSUES)
    known = user if name in user.projects else replace(user, projects={**user.projects, name: project})
    with connections.explained():
        found = inspect(home, known, name, connections)
    return connections.of(name)[0], found


def _files(branch: BranchFacts) -> Mapping[str, str]:
    return starter_files(branch.required, branch.seen)


def _there(found: Inspection) -> tuple[str, ...]:
    """The files that the base has, one for another: any configuration will do."""
    return (*found.workflows, *(PROJECT_FILES if found.source else ()))


def _app(connection: Connection, app_id: str, key: str, needs: Needs) -> Iterator[Finding]:
    """What workflows may do as the App."""
    try:
        credentials = AppInstallation(connection.api, app_id, key, connection.repository)
        with Client(connection.api, credentials) as client:
            facts = examine_repository(client, asked_of(connection, needs, "setup"))
        found = next(each for each in about_repository(facts, needs) if each.name == "permissions")
        yield Finding(found.level, "app permissions", found.message, found.remedy)
    except RefineryError as error:
        yield Finding(FAIL, "app permissions", error.message, error.remedy)


def read_text(path: Path) -> str:
    """A file's text, or standard input's for `-`.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return sys.stdin.read() if str(path) == "-" else path.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"{path} cannot be read: {why}", remedy="check its path and permissions") from error


def read_pairs(path: Path) -> dict[str, str]:
    """`NAME=VALUE` lines by name; empty lines and comments are left out. Messages never quote a value.

    Raises:
        UsageError: a line is none of these; or as `read_text`.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        name, separator, value = line.partition("=")
        name = name.strip().removeprefix("export ").strip()
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not separator or not _NAME.fullmatch(name) or name.upper().startswith("GITHUB_"):
            raise UsageError(
                f"line {number} of {path} is not NAME=VALUE",
                remedy="names have letters, digits and underscores, and do not begin with GITHUB_",
            )
        pairs[name.upper()] = value.strip().strip("\"'")
    return pairs
