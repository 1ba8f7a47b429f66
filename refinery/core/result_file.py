"""The result file: the one way in which an agent may say "done", "blocked" or "no changes" (F11).

It is data of an untrusted program: a strict schema, a size limit, and no say in what happens beyond its outcome. The
texts are shown to people only through `sanitise`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from refinery.core.outcomes import Outcome
from refinery.errors import RefineryError

LARGEST: Final = 64 * 1024
_TEXTS: Final = ("reason", "question", "summary", "title")


class ResultStatus(StrEnum):
    """What an agent says of its attempt."""

    DONE = "done"
    BLOCKED = "blocked"
    NO_CHANGES = "no-changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """What a result file says. `reason` is the question of a blocked agent; `title` and `summary` are for the pull."""

    status: ResultStatus
    reason: str = ""
    summary: str = ""
    title: str = ""


class ResultFileError(RefineryError):
    """An agent left a result file that says nothing we may rely on."""

    outcome = Outcome.AGENT_FAILED

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"the agent's result file {problem}",
            remedy='it holds one JSON object such as {"status": "blocked", "question": "Which one?"}',
        )


SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Refinery result file",
    "type": "object",
    "required": ["status"],
    "additionalProperties": False,
    "properties": {
        "status": {"enum": [str(status) for status in ResultStatus]},
        **{name: {"type": "string"} for name in _TEXTS},
    },
    "if": {"properties": {"status": {"const": "blocked"}}},
    "then": {"anyOf": [{"required": ["question"]}, {"required": ["reason"]}]},
}


def parse_result(raw: bytes) -> ResultFile:
    """The result that `raw` says, by SCHEMA.

    Raises:
        ResultFileError: it is too large, not JSON, or not of the schema.
    """
    if len(raw) > LARGEST:
        raise ResultFileError(f"is larger than {LARGEST // 1024} KiB")
    try:
        data = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ResultFileError(f"is not JSON: {str(error)[:200]}") from error
    if not isinstance(data, dict):
        raise ResultFileError("does not hold a JSON object")
    unknown = [name for name in data if name not in {"status", *_TEXTS}]
    if unknown:
        raise ResultFileError(f"has the unknown key {unknown[0][:50]!r}")
    wrong = [name for name in _TEXTS if not isinstance(data.get(name, ""), str)]
    if wrong:
        raise ResultFileError(f"has a {wrong[0]!r} that is not a text")
    return _result(_status(data.get("status")), data)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _status(said: object) -> ResultStatus:
    try:
        return ResultStatus(said)  # type: ignore[arg-type]  # anything else is refused below
    except ValueError as error:
        known = ", ".join(f"`{status}`" for status in ResultStatus)
        raise ResultFileError(f"has the status {str(said)[:50]!r}, which is none of {known}") from error


def _result(status: ResultStatus, data: Mapping[str, str]) -> ResultFile:
    reason = data.get("question", "").strip() or data.get("reason", "").strip()
    if status is ResultStatus.BLOCKED and not reason:
        raise ResultFileError("says `blocked` without a question or a reason")
    return ResultFile(
        status=status,
        reason=reason,
        summary=data.get("summary", "").strip(),
        title=" ".join(data.get("title", "").split()),
    )
