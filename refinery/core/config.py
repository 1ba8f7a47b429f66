"""What is configured: a project's file, read from its base branch, and a person's, in the home folder.

Plain frozen values, so that using a configuration costs no more than holding it; `core.config_model` makes models of
these classes to read YAML into them. Durations are seconds, sizes bytes, commands argv tuples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from refinery.core.agent import AgentSettings
from refinery.core.model import LABEL

PROJECT_FILES: Final = (".github/refinery.yml", "refinery.yml")  # the first that exists on the base branch
BUILT_IN_AGENTS: Final = ("claude", "gemini")
Argv = tuple[str, ...]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Key:
    """What a key means, how its value is written (a name in `config_types.KINDS`), and its bounds."""

    words: str
    kind: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """A coding program. A text or list in its place is its command."""

    command: Annotated[Argv, Key("What to start; may be left out for claude and gemini", "command")] = ()
    arguments: Annotated[tuple[str, ...], Key("Further words for the command line")] = ()
    env: Annotated[tuple[str, ...], Key("Names of variables that are passed through", "variables")] = ()
    read_only: Annotated[tuple[str, ...], Key("Further paths that its sandbox shows, read-only")] = ()
    model: Annotated[str, Key("Which model the program should use")] = ""
    max_turns: Annotated[int | None, Key("The most turns of one attempt", ge=1)] = None
    max_budget_usd: Annotated[float | None, Key("The most dollars of one attempt", gt=0)] = None
    timeout: Annotated[float | None, Key("Instead of limits.timeout", "duration?", gt=0)] = None

    def settings(self, budget: float | None = None) -> AgentSettings:
        """What the agent's adapter is given; `budget` (dollars) bounds an attempt from outside."""
        budgets = [each for each in (self.max_budget_usd, budget) if each is not None]
        return AgentSettings(
            command=self.command,
            arguments=self.arguments,
            environment=self.env,
            read_only=self.read_only,
            model=self.model,
            max_turns=self.max_turns,
            max_budget_usd=min(budgets, default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """A command whose success a landing needs. A text or list in its place is its command."""

    command: Annotated[Argv, Key("Passes if it exits with 0", "command")]
    timeout: Annotated[float | None, Key("Instead of limits.check_timeout", "duration?", gt=0)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredCheck:
    """A check that must have succeeded on the head. A text in its place is its name."""

    name: Annotated[str, Key("The check's name", "title")]
    app: Annotated[str, Key("The App that must have reported it; none: any")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """What may merge without a person."""

    tier: Annotated[
        Literal["new-files", "additions", "any"],
        Key("new-files: what the base has stays as it is; additions: its files may also grow"),
    ] = "additions"
    max_lines: Annotated[int, Key("The most lines that a merge may add", ge=0)] = 500
    max_files: Annotated[int, Key("The most files that a merge may touch", ge=0)] = 50
    bases: Annotated[
        tuple[str, ...], Key("Branches to land on, or patterns; none: the base", "branches")
    ] = ()
    protected: Annotated[tuple[str, ...], Key("Further paths that wait for a person", "globs")] = ()
    unprotected: Annotated[tuple[str, ...], Key("Paths taken off the built-in list", "globs")] = ()
    any: Annotated[tuple[str, ...], Key("Paths where every change counts as additive", "globs")] = ()
    required: Annotated[
        tuple[RequiredCheck, ...], Key("Further checks that must have succeeded", "required")
    ] = ()
    hold_label: Annotated[str, Key("A pull with this label is never merged", "title")] = "hold"
    squash: Annotated[bool, Key("Land each pull as one commit")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustConfig:
    """Who may hand over an issue besides those with write, maintain or admin permission."""

    allow: Annotated[
        tuple[str, ...], Key("Exact logins; Apps with their ending, as dependabot[bot]", "logins")
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """How long, how often, how much."""

    lease: Annotated[float, Key("A claim's time limit", "lease", gt=0)] = 900.0
    timeout: Annotated[float, Key("One run of the agent", "duration", gt=0)] = 1800.0
    setup_timeout: Annotated[float, Key("One run of setup", "duration", gt=0)] = 600.0
    check_timeout: Annotated[float, Key("One run of verify, or of one check", "duration", gt=0)] = 900.0
    attempts: Annotated[int, Key("Failures until a task counts as failed", ge=1, le=100)] = 3
    backoff: Annotated[float, Key("Pause after a failure; doubles with each", "duration", ge=0)] = 60.0
    workers: Annotated[int, Key("Workers of a swarm", ge=1, le=256)] = 4
    parallel_checks: Annotated[int, Key("Checks that run side by side", ge=1, le=64)] = 2
    memory: Annotated[int | None, Key("The most memory of an agent, setup or check", "size?", gt=0)] = None
    processes: Annotated[int | None, Key("The most processes of an agent, setup or check", ge=1)] = None
    max_file: Annotated[int, Key("The largest file that may be published", "size", gt=0)] = 100_000_000
    repairs: Annotated[int, Key("Attempts to repair an open pull", ge=0, le=100)] = 2
    pool: Annotated[
        int, Key("Worktrees that a swarm keeps prepared, setup included; 0: none", ge=0, le=64)
    ] = 2
    pool_bytes: Annotated[int, Key("The most that they may take on disk", "size", ge=0)] = 10_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetsConfig:
    """The most that agents may cost, in dollars, for programs that can be told (claude)."""

    per_attempt_usd: Annotated[float | None, Key("One attempt", gt=0)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectConfig:
    """`.github/refinery.yml` or `refinery.yml`, read from the base branch."""

    label: Annotated[str, Key("The label that hands a task over", "title")] = LABEL
    base: Annotated[str, Key("The branch to land on; none: the repository's HEAD branch", "branch")] = ""
    agents: Annotated[Mapping[str, AgentConfig], Key("Coding programs, by name", "agents")] = field(
        default_factory=dict
    )
    agent: Annotated[str, Key("The agent for tasks that name none")] = ""
    prompt: Annotated[str, Key("Text that is added to every prompt")] = ""
    setup: Annotated[tuple[Argv, ...], Key("Prepares a fresh worktree", "commands")] = ()
    setup_inputs: Annotated[
        tuple[str, ...],
        Key(
            "What setup reads: a worktree prepared before other files changed still serves; none: all",
            "globs",
        ),
    ] = ()
    verify: Annotated[tuple[Argv, ...], Key("Early advice that can only worsen an outcome", "commands")] = ()
    checks: Annotated[Mapping[str, CheckConfig], Key("Commands that decide a landing", "checks")] = field(
        default_factory=dict
    )
    policy: Annotated[PolicyConfig, Key("What may merge without a person")] = PolicyConfig()
    trust: Annotated[TrustConfig, Key("Whose issues are taken")] = TrustConfig()
    limits: Annotated[LimitsConfig, Key("How long, how often, how much")] = LimitsConfig()
    budgets: Annotated[BudgetsConfig, Key("The most that agents may cost")] = BudgetsConfig()
    sandbox: Annotated[
        Literal["none", "bubblewrap", "auto"],
        Key(
            "none: processes run as this user, limited but not boxed in; bubblewrap: boxed in, an error where it is "
            "missing; auto: boxed in where bubblewrap is installed"
        ),
    ] = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserProject:
    """A registered project."""

    repository: Annotated[str, Key("A path or URL, or github:OWNER/NAME", "text")]
    tasks: Annotated[str, Key("The folder of task files; github: the repository's issues", "text")]
    base: Annotated[str, Key("Instead of the project's own base", "branch")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubConfig:
    """Which GitHub, and how to log in there. The environment's credentials win; see docs/github.md."""

    api: Annotated[str, Key("An Enterprise server, as https://HOST; none: github.com", "text")] = ""
    token_file: Annotated[str, Key("A file with nothing but a token in it", "text")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultsConfig:
    """What to assume where a flag is left out."""

    caller: Annotated[str, Key("The name that claims are made under", "name")] = "bot"
    agent: Annotated[str, Key("The agent where neither task nor project names one")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig:
    """How long `clean` keeps what is no longer needed."""

    transcripts: Annotated[float, Key("What agents printed", "duration", ge=0)] = 30 * 86400.0
    logs: Annotated[float, Key("What workers noted", "duration", ge=0)] = 14 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """`config.yml` in the home folder."""

    projects: Annotated[Mapping[str, UserProject], Key("Registered projects, by slug", "projects")] = field(
        default_factory=dict
    )
    agents: Annotated[Mapping[str, AgentConfig], Key("These win over a project's", "agents")] = field(
        default_factory=dict
    )
    defaults: Annotated[DefaultsConfig, Key("What to assume without a flag")] = DefaultsConfig()
    github: Annotated[GitHubConfig, Key("GitHub, where projects are there")] = GitHubConfig()
    retention: Annotated[RetentionConfig, Key("How long `clean` keeps things")] = RetentionConfig()


def merge_agents(project: ProjectConfig, user: UserConfig) -> dict[str, AgentConfig]:
    """The agents by name; the person's own win over the project's."""
    return {**project.agents, **user.agents}


def from_plain(kind: type[_T], value: Mapping[str, Any]) -> _T:
    """The inverse of `dataclasses.asdict`, also after a way through JSON.

    Raises:
        KeyError, TypeError, ValueError: `value` was not made from a `kind` of this version.
    """
    hints = get_type_hints(kind)
    if set(value) != {each.name for each in fields(kind)}:  # type: ignore[arg-type]  # every kind is a dataclass
        raise ValueError(f"not the fields of {kind.__name__}")
    return kind(**{name: _from_plain(hints[name], item) for name, item in value.items()})


def _from_plain(kind: Any, value: Any) -> Any:
    if get_origin(kind) is UnionType:
        if value is None:
            return None
        kind = next(each for each in get_args(kind) if each is not NoneType)
    if is_dataclass(kind) and isinstance(kind, type):
        return from_plain(kind, value)
    if get_origin(kind) is tuple:
        return tuple(_from_plain(get_args(kind)[0], item) for item in value)
    if get_origin(kind) is Mapping:
        return {name: _from_plain(get_args(kind)[1], item) for name, item in value.items()}
    return value
