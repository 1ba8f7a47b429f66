"""What was observed of a repository on GitHub, for `doctor` and `setup`: frozen, and free of how it was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from refinery.core.workflows import Workflow

ACTIONS: Final = "github-actions"  # who a workflow's own token is; GitHub says it with and without [bot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Whether GitHub grants a permission, `contents: write` say; None where its answer does not tell."""

    what: str
    is_granted: bool | None
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """A repository, and who asks. `login` is empty where nobody knows; `skew` is our clock's lead, in seconds.

    `methods` are the ways to merge that are allowed: squash, merge, rebase. `labels` map names in small letters to
    what they are called. `default_rights` is what workflows may by default: read, write, or "" where we may not look.
    """

    name: str
    page: str
    credentials: str
    login: str = ""
    access: tuple[Access, ...] = ()
    skew: float = 0.0
    is_archived: bool = False
    has_issues: bool = True
    methods: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    default_rights: str = ""

    @property
    def may_all(self) -> bool:
        """Whether nothing is known to be refused."""
        return all(each.is_granted is not False for each in self.access)


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchFacts:
    """The branch to land on. Checks are pairs of name and App, whose slug is empty for any.

    `required` is what GitHub itself asks for; `seen` what was reported lately. `approvals` is None where only an
    administrator may look.
    """

    name: str
    required: tuple[tuple[str, str], ...] = ()
    seen: tuple[tuple[str, str], ...] = ()
    has_queue: bool = False
    approvals: int | None = 0
    workflows: tuple[Workflow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the configuration wants of the repository. `required` are the policy's checks by name and App.

    `has_tasks`, `has_code`: whether tasks are its issues, and whether pulls land there.
    """

    label: str = "polecat"
    hold_label: str = "hold"
    is_squash: bool = True
    required: tuple[tuple[str, str], ...] = ()
    has_tasks: bool = True
    has_code: bool = True
