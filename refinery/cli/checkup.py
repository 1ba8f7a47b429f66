"""What `doctor` looks at, a function for each thing; nothing here writes anything but the home's own try-out file."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from refinery.cli.inspection import Inspection, inspect
from refinery.cli.shared import Connections
from refinery.configured import read_user
from refinery.core.config import BUILT_IN_AGENTS, UserConfig, UserProject
from refinery.core.findings import FAIL, OK, WARN, Finding
from refinery.core.places import ISSUES, PREFIX
from refinery.core.text import approximate_size, did_you_mean, listing, plural
from refinery.errors import RefineryError
from refinery.git import check_version
from refinery.home import Home, default_path

_LITTLE: Final = 2_000_000_000  # bytes free below which worktrees will soon fail
_NONE: Final = 200_000_000  # bytes free below which nothing works
# Where the built-in agents keep a login: variables, then files below the person's home.
_LOGINS: Final = {
    "claude": (("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"), (".claude/.credentials.json",)),
    "gemini": (("GEMINI_API_KEY", "GOOGLE_API_KEY"), (".gemini/oauth_creds.json",)),
}


def check_machine() -> Iterator[Finding]:
    """Python, git, agents and bubblewrap."""
    yield Finding(OK, "python", f"{platform.python_version()} on {platform.system()}")
    try:
        yield Finding(OK, "git", ".".join(map(str, check_version())))
    except RefineryError as error:
        yield _failed("git", error)
    found = [name for name in BUILT_IN_AGENTS if shutil.which(name)]
    if found:
        yield Finding(OK, "agents", f"{listing(found)} on the PATH")
        yield from map(_login, found)
    else:
        remedy = "install claude or gemini, or define another under `agents:` in the configuration"
        yield Finding(WARN, "agents", f"neither {listing(BUILT_IN_AGENTS, 'nor')} is on the PATH", remedy)
    yield _bubblewrap()


def _login(agent: str) -> Finding:
    """Whether an agent's login is where it usually is; nothing is started, since that might cost something."""
    variables, files = _LOGINS[agent]
    found = [name for name in variables if os.environ.get(name)]
    found += [f"~/{name}" for name in files if (Path.home() / name).is_file()]
    if found:
        return Finding(OK, "agent login", f"{agent}: {found[0]}")
    if sys.platform == "darwin":
        return Finding(OK, "agent login", f"{agent}: in the key ring, if anywhere")
    remedy = f"start {agent} once and log in, or set {variables[0]}"
    return Finding(WARN, "agent login", f"{agent}: none was found", remedy)


def _bubblewrap() -> Finding:
    if shutil.which("bwrap") is None:
        words = "not installed: agents run as this user, limited but not boxed in"
        remedy = "" if sys.platform == "darwin" else "install bubblewrap to be able to box agents in"
        return Finding(WARN, "bubblewrap", words, remedy)
    trial = ["bwrap", "--ro-bind", "/", "/", "--unshare-pid", "true"]
    try:
        done = subprocess.run(trial, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(WARN, "bubblewrap", f"does not start: {error}")
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip()
        return Finding(
            WARN, "bubblewrap", f"does not work here: {words}", "allow user namespaces to this user"
        )
    return Finding(OK, "bubblewrap", "works")


def check_home(
    named: Path | None, *, create: bool = False
) -> tuple[Home | None, UserConfig | None, list[Finding]]:
    """The home and its configuration, as far as they can be used; an absent home is no failure, and made on demand."""
    path = (named or default_path()).expanduser()
    if not path.exists() and not create:
        words = f"there is none at {path} yet"
        return None, None, [Finding(WARN, "home", words, "`refinery init` makes it with the first project")]
    try:
        home = Home.open(path, create=create)
    except RefineryError as error:
        return None, None, [_failed("home", error)]
    findings = [Finding(OK, "home", str(home.path)), _disk(home.path)]
    try:
        user = read_user(home)
    except RefineryError as error:
        return home, None, [*findings, _failed("config.yml", error)]
    findings.append(Finding(OK, "config.yml", f"{plural(len(user.projects), 'project')} registered"))
    return home, user, findings


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    level = FAIL if free < _NONE else WARN if free < _LITTLE else OK
    remedy = "" if level == OK else "free some space: `refinery clean` removes what is no longer needed"
    return Finding(level, "disk", f"{approximate_size(free)} free", remedy)


def check_project(
    home: Home, user: UserConfig, slug: str, project: UserProject, connections: Connections
) -> Iterator[Finding]:
    """Tasks, repository, configuration, agent, and what merging lacks; and what GitHub says, for what is there."""
    if project.tasks != ISSUES and not project.tasks.startswith(PREFIX):
        yield _tasks(slug, Path(project.tasks).expanduser())
    problem, found = None, None
    try:
        found = inspect(home, _with(user, slug, project), slug, connections)
    except RefineryError as error:
        problem = _failed("repository", error, slug)
    required: tuple[str, ...] = ()
    if connections.of(slug):
        from refinery.cli.hosted import check_hosted

        hosted = check_hosted(slug, project.tasks, found, connections.of(slug))
        yield from hosted.findings
        required = hosted.required
    if found is None:
        yield problem or Finding(FAIL, "repository", "could not be looked at", project=slug)
        return
    yield Finding(OK, "repository", f"{project.repository}, base {found.base}", project=slug)
    yield _configuration(slug, found)
    yield _agent(slug, found, user)
    yield _checks(slug, found, required)
    if found.config.sandbox == "bubblewrap" and shutil.which("bwrap") is None:
        yield Finding(
            FAIL, "sandbox", "bubblewrap is asked for and not installed", "install bubblewrap", slug
        )


def _with(user: UserConfig, slug: str, project: UserProject) -> UserConfig:
    return replace(user, projects={**user.projects, slug: project})


def _tasks(slug: str, folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding(
            FAIL, "tasks", f"there is no folder {folder}", "make it, or name another by `refinery init`", slug
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(FAIL, "tasks", f"{folder} cannot be read", "check its permissions", slug)
    count = sum(1 for _ in folder.rglob("*.md"))
    remedy = "" if count else f"`refinery -p {slug} task add` writes one"
    return Finding(
        OK if count else WARN, "tasks", f"{plural(count, 'Markdown file')} in {folder}", remedy, slug
    )


def _configuration(slug: str, found: Inspection) -> Finding:
    if found.source:
        return Finding(OK, "configuration", f"{found.source} on {found.base}", project=slug)
    remedy = f"commit a refinery.yml to {found.base}; `refinery config schema` describes it"
    return Finding(WARN, "configuration", "no file, so the defaults hold", remedy, slug)


def _agent(slug: str, found: Inspection, user: UserConfig) -> Finding:
    """The agent that a task without one of its own would get."""
    name, known = found.agent, found.config.agents
    if name not in known and name not in BUILT_IN_AGENTS:
        remedy = did_you_mean(name, [*known, *BUILT_IN_AGENTS])
        remedy = remedy or f"define it: `agents: {{{name}: {{command: […]}}}}`"
        return Finding(FAIL, "agent", f"{name} is not defined", remedy, slug)
    command = known[name].command if name in known else ()
    program = command[0] if command else name
    is_known = "/" not in program and "{" not in program  # paths within a worktree exist only there
    if is_known and shutil.which(program) is None:
        is_chosen = bool(found.config.agent or user.defaults.agent or known)
        words = f"{name} would start {program}, which is not on the PATH"
        remedy = f"install {program}, or set `agent:` in the configuration to another"
        return Finding(FAIL if is_chosen else WARN, "agent", words, remedy, slug)
    return Finding(OK, "agent", name, project=slug)


def _checks(slug: str, found: Inspection, required: tuple[str, ...]) -> Finding:
    """The checks that decide: ours, the policy's, and those that GitHub itself asks for."""
    asked = (*found.config.checks, *(check.name for check in found.config.policy.required), *required)
    names = list(dict.fromkeys(asked))
    if names:
        return Finding(OK, "checks", listing(names), project=slug)
    return Finding(
        WARN,
        "checks",
        "none, so nothing merges by itself",
        f"add a line such as `checks: {{tests: make test}}` to {found.source or 'refinery.yml'} on {found.base}",
        slug,
    )


def _failed(name: str, error: RefineryError, project: str = "") -> Finding:
    return Finding(FAIL, name, error.message, error.remedy, project)
