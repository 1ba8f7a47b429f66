"""Pulls, check results and freezes as commit messages: a subject for `git log`, then JSON.

A pull's commit has the previous record and the head as parents, so a head outlives its branch. Its ref's depth is
one level, `refs/refinery/pulls/<number>`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar

from refinery.core.model import Check, Comment, Conclusion, Freeze, Pull, PullState, Review, ReviewState

T = TypeVar("T")
VERSION = 1


def encode_pull(pull: Pull) -> str:
    """The commit message of a pull's record."""
    body = asdict(pull)
    del body["tip"]
    return _encode(f"pull {pull.number} {pull.state}: {pull.title}", body)


def decode_pull(message: str, tip: str) -> Pull:
    """The pull in a record; ValueError when it is none."""
    body = _decode(message)
    try:
        body["reviews"] = tuple(
            _only(Review, {**review, "state": ReviewState(review["state"])}) for review in body["reviews"]
        )
        body["comments"] = tuple(_only(Comment, comment) for comment in body["comments"])
        body["labels"] = tuple(body["labels"])
        body["state"] = PullState(body["state"])
        return _only(Pull, {**body, "tip": tip})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a pull: {error}") from error


def encode_checks(subject: str, checks: Sequence[Check]) -> str:
    """The commit message of the results on one tree."""
    return _encode(f"checks of {subject}", {"checks": [asdict(check) for check in checks]})


def decode_checks(message: str) -> tuple[Check, ...]:
    """The results in a record; ValueError when it holds none."""
    try:
        return tuple(
            _only(Check, {**check, "conclusion": Conclusion(check["conclusion"])})
            for check in _decode(message)["checks"]
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no check results: {error}") from error


def encode_freeze(freeze: Freeze) -> str:
    """The commit message of a freeze."""
    body = asdict(freeze)
    del body["sha"]
    return _encode(f"freeze {freeze.base}: {freeze.reason}", body)


def decode_freeze(message: str, sha: str) -> Freeze:
    """The freeze in a record; ValueError when it is none."""
    try:
        return _only(Freeze, {**_decode(message), "sha": sha})
    except TypeError as error:
        raise ValueError(f"not a freeze: {error}") from error


def _encode(subject: str, body: Mapping[str, object]) -> str:
    text = json.dumps({"version": VERSION, **body}, indent=1, sort_keys=True, ensure_ascii=False)
    return f"{' '.join(subject.split())[:120]}\n\n{text}\n"


def _decode(message: str) -> dict[str, Any]:
    try:
        body = json.loads(message.partition("\n\n")[2])
    except json.JSONDecodeError as error:
        raise ValueError("its message holds no JSON object") from error
    if not isinstance(body, dict) or body.get("version") != VERSION:
        raise ValueError("of a version that this program does not know")
    return body


def _only(kind: type[T], values: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # always one of our dataclasses
    return kind(**{name: value for name, value in values.items() if name in known})
