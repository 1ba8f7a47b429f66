"""What GitHub Actions does with a branch of an agent's: from the workflow files of the base, as text.

A workflow that starts for a pushed branch, or for a pull of the same repository, executes what the agent wrote, with
the secrets that it names and with its token's permissions. Property: a file that cannot be read counts as the worst.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from refinery.core.config_yaml import load

FOLDER: Final = ".github/workflows"
_SECRET: Final = re.compile(r"\bsecrets\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*'([^']+)'\s*\])")
_ALL_SECRETS: Final = re.compile(
    r"toJSON\(\s*secrets\s*\)|^\s*secrets:\s*inherit\s*$", re.MULTILINE | re.IGNORECASE
)
_HEAD: Final = re.compile(r"github\.event\.pull_request\.head|github\.head_ref|refs/pull/")
_BRANCH: Final = "polecat/12"  # stands for all of them
EVERY: Final = "every secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One file. `starts`: the events by which it runs what an agent wrote.

    `secrets` are names that it uses, GITHUB_TOKEN left out; `rights` says what its token may: "read", "write", or ""
    where the repository's default holds.
    """

    path: str
    starts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    rights: str = ""
    problem: str = ""


def read_workflow(path: str, text: bytes) -> Workflow:
    """What a workflow file means for the branches of agents."""
    document = load(text)
    if document.mistakes:
        return Workflow(path=path, starts=("push",), problem=document.mistakes[0].what)
    value, words = document.value, text.decode("utf-8", "replace")
    events = _events(value.get("on"))
    starts: list[str] = [
        name for name in ("push", "pull_request") if name in events and _is_ours(name, events[name])
    ]
    if "pull_request_target" in events and _HEAD.search(words):
        starts.append("pull_request_target")
    return Workflow(
        path=path,
        starts=tuple(starts),
        secrets=_secrets(words),
        rights=_rights(value),
    )


def _events(value: Any) -> dict[str, Any]:
    """The events of `on:`, which may be a word, a list, or a mapping with filters."""
    if isinstance(value, str):
        return {value: None}
    if isinstance(value, Mapping):
        return dict(value)
    return {str(each): None for each in value} if isinstance(value, list) else {}


def _is_ours(event: str, filters: Any) -> bool:
    """Whether a push of our branch, or a pull of it, passes the filters; those of a pull are about its base."""
    if event != "push" or not isinstance(filters, Mapping):
        return True
    if "branches" in filters:
        return _matches(_patterns(filters["branches"]), _BRANCH)
    if "branches-ignore" in filters:
        return not _matches(_patterns(filters["branches-ignore"]), _BRANCH)
    return not ({"tags", "tags-ignore"} & set(filters))


def _patterns(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _matches(patterns: Sequence[str], branch: str) -> bool:
    """GitHub's filter patterns, in order: a later `!pattern` takes back what an earlier one admitted."""
    is_in = False
    for pattern in patterns:
        if re.fullmatch(_regex(pattern.removeprefix("!")), branch):
            is_in = not pattern.startswith("!")
    return is_in


def _regex(pattern: str) -> str:
    """`**` is anything, `*` anything but a slash; `?` and `+` are about the character before them."""
    parts = re.split(r"(\*\*|\*|\?|\+|\[[^\]]*\])", pattern)
    meant = {"**": ".*", "*": "[^/]*", "?": "?", "+": "+"}
    made = "".join(
        meant.get(part) or (part if part.startswith("[") and part != "[" else re.escape(part))
        for part in parts
    )
    try:
        re.compile(made)
    except re.error:  # GitHub would not take it either; what it matches nobody knows
        return ".*"
    return made


def _secrets(words: str) -> tuple[str, ...]:
    if _ALL_SECRETS.search(words):
        return (EVERY,)
    names = {first or second for first, second in _SECRET.findall(words)}
    return tuple(sorted(name for name in names if name.upper() != "GITHUB_TOKEN"))


def _rights(value: Mapping[str, Any]) -> str:
    """The most that any job's token may; "" where a job leaves it to the repository's default."""
    whole = value.get("permissions", "")
    jobs = value.get("jobs")
    each = jobs.values() if isinstance(jobs, Mapping) else ()
    found = [job.get("permissions", whole) if isinstance(job, Mapping) else whole for job in each] or [whole]
    kinds = {_kind(one) for one in found}
    return next((kind for kind in ("write", "", "read") if kind in kinds), "")


def _kind(permissions: Any) -> str:
    if permissions == "":
        return ""
    if isinstance(permissions, str):
        return "write" if permissions == "write-all" else "read"
    if isinstance(permissions, Mapping):
        return "write" if any(value == "write" for value in permissions.values()) else "read"
    return "read" if permissions is None else ""
