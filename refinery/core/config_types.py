"""The types that configuration values are written in: durations, sizes, commands, names and paths.

Each takes the text of the file, gives the value that the program uses, and can write it back.
"""

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

from refinery.core import text
from refinery.core.claims import LONGEST
from refinery.core.config import Argv
from refinery.core.model import Role
from refinery.core.paths import branch_glob, glob
from refinery.core.places import is_github_slug

# An agent gets no forge token and no say over git (docs/security.md), whatever a configuration asks for.
_KEPT_BACK: Final = ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GH_ENTERPRISE_TOKEN", "GIT_DIR")
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}(?:\[bot\])?")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _duration(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return text.parse_duration(_text(value, "a duration"))


def _size(value: Any) -> int:
    return value if isinstance(value, int) else text.parse_size(_text(value, "a size"))


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be {what}, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    if value is None or (isinstance(value, str | list | tuple) and not value):
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else repr(value)


def _argv(value: Any) -> Argv:
    """A text runs by the shell; several lines stop at the first that fails, so that none is skipped silently (F19)."""
    if isinstance(value, str) and value.strip():
        script = value.strip("\n")
        return ("sh", "-e", "-c", script) if "\n" in script else ("sh", "-c", script)
    if (
        isinstance(value, list | tuple)
        and value
        and all(isinstance(word, str) for word in value)
        and value[0]
    ):
        return tuple(value)
    raise ValueError(f"must be a command: a text, or a list of words, not {_kind(value)}")


def _argvs(value: Any) -> tuple[Argv, ...]:
    if value is None or isinstance(value, str):
        return (_argv(value),) if value and value.strip() else ()
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a command or a list of commands, not {_kind(value)}")  # noqa: TRY004  (pydantic collects ValueErrors)
    return tuple(_argv(command) for command in value)


def written(argv: Argv) -> str | list[str]:
    """`argv` as it is written in a configuration file."""
    if len(argv) > 2 and argv[:-1] == _argv(argv[-1])[:-1] and argv == _argv(argv[-1]):
        return argv[-1]
    return list(argv)


def _written_all(argvs: tuple[Argv, ...]) -> list[str | list[str]]:
    return [written(argv) for argv in argvs]


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\*?", value):
        raise ValueError(f"{value!r} is not the name of a variable (a final * stands for any ending)")
    for name in _KEPT_BACK:
        if fnmatchcase(name, value) or value.startswith("GIT_"):
            raise ValueError(
                f"{value} would hand {name} to an agent, which never gets a forge token or git's own"
            )
    return value


def _glob(value: str) -> str:
    if not value.strip() or "\0" in value or ".." in value.split("/"):
        raise ValueError(f"{value!r} is not a pattern for paths below the repository's root")
    glob(value)
    return value


def _branch_glob(value: str) -> str:
    if not value.strip() or value.startswith("refs/"):
        raise ValueError(f"{value!r} is not a pattern for branch names")
    branch_glob(value)
    return value


def _branch(value: str) -> str:
    odd = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(?:/|$)|^[-/.]|[/.]$|/\.", value)
    if odd or value.startswith("refs/"):
        raise ValueError(f"{value!r} is not a branch name")
    return value


def _within_a_lease(seconds: float) -> float:
    if seconds > LONGEST[Role.WORK]:
        longest = text.format_duration(LONGEST[Role.WORK])
        raise ValueError(f"must be {longest} or less: the longest lease there is")
    return seconds


def slug(value: str) -> str:
    """`value`, if it can name a project: in paths on every system, or as OWNER/NAME on GitHub.

    Raises:
        ValueError: it cannot; the message says what may stand there.
    """
    if not _SLUG.fullmatch(value) and not is_github_slug(value):
        raise ValueError(
            f"{value!r} cannot name a project: use up to 64 of a-z, 0-9, dot, dash and underscore, "
            "with a letter or digit first; or OWNER/NAME, as on GitHub"
        )
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a name: use letters, digits, dot, dash and underscore")
    return value


def _login(value: str) -> str:
    if not _LOGIN.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a login: write it exactly, without @ or *; an App's ends in [bot]"
        )
    return value


def _title(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > 100:
        raise ValueError(f"{value!r} is not a name: use one line of up to 100 printable characters")
    return value


_COMMAND_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string", "minLength": 1, "description": "run by `sh -c`"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "started as it is"},
    ]
}
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(text.format_duration, return_type=str, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "pattern": text.DURATION_PATTERN, "examples": ["90s", "15m", "4h"]}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(text.format_size, return_type=str, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "pattern": text.SIZE_PATTERN, "examples": ["100MB", "4GB"]}),
]
Title = Annotated[str, AfterValidator(_title)]
Name = Annotated[str, AfterValidator(_name)]
# How the values of keys are written, by the name that `config.Key` uses; a final ? allows leaving the key empty.
KINDS: Final[dict[str, Any]] = {
    "duration": Duration,
    "duration?": Duration | None,
    "lease": Annotated[Duration, AfterValidator(_within_a_lease)],
    "size": Size,
    "size?": Size | None,
    "command": Annotated[
        Argv,
        BeforeValidator(_argv),
        PlainSerializer(written, when_used="json"),
        WithJsonSchema(_COMMAND_SCHEMA),
    ],
    "commands": Annotated[
        tuple[Argv, ...],
        BeforeValidator(_argvs),
        PlainSerializer(_written_all, when_used="json"),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": _COMMAND_SCHEMA}]}),
    ],
    "variables": tuple[Annotated[str, AfterValidator(_variable)], ...],
    "globs": tuple[Annotated[str, AfterValidator(_glob)], ...],
    "branches": tuple[Annotated[str, AfterValidator(_branch_glob)], ...],
    "branch": Annotated[str, AfterValidator(_branch)],
    "logins": tuple[Annotated[str, AfterValidator(_login)], ...],
    "text": Annotated[str, StringConstraints(min_length=1)],
    "title": Title,
    "name": Name,
}
