"""Markdown tasks: what a file's front matter says, as a frozen `Task`, and a file's bytes with some values changed.

A file is a task when its front matter has an `id` or a `status`. Keys that are not ours are kept and ignored: people
keep their own there. A value that we do not understand is a `Problem`, so that such a task is never claimed (F7).
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime
from typing import Final

from refinery.core import text
from refinery.core.frontmatter import Fields, FrontMatterError, Shape, Value, load, split
from refinery.core.model import ALIASES, Problem, Status, Task
from refinery.core.reasons import printable
from refinery.errors import TaskFileError

LISTS: Final = frozenset({"depends_on", "labels"})
_STATUSES: Final[dict[str, Status]] = {**{status.value: status for status in Status}, **ALIASES}
_PRIORITIES: Final = {f"{prefix}{number}": number for prefix in ("", "p", "P") for number in range(5)}
_HEADING: Final = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t#]*\r?$", re.MULTILINE)
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_LINKS: Final = re.compile(r"\s*(\[\[.*?\]\]|[^,]+)")
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MEND: Final = "mend the file; until then it is left out, and it is never rewritten"


class _FieldError(ValueError):
    """A field's value is not understood."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def parse(raw: bytes, path: str, stem: str, *, is_task: bool = False) -> Task | Problem | None:
    """The task in a file's bytes; None if it is none. `path` is for messages, `stem` the spare id.

    `is_task`: it is one anyway (an issue), so its front matter needs neither `id` nor `status`.
    """
    try:
        document = split(raw)
        if document is None:
            return None
        fields = load(document.header)
    except FrontMatterError as error:
        return Problem(path=printable(path), message=error.message, line=error.line, task=stem, remedy=_MEND)
    if not is_task and "id" not in fields and "status" not in fields:
        return None
    try:
        return _task(fields, document.text[document.body :], path, stem)
    except _FieldError as error:
        line = _line_of(document.header, error.key)
        name = fields.get("id")
        task = name.strip() if isinstance(name, str) else stem
        return Problem(path=printable(path), message=str(error), line=line, task=task or stem, remedy=_MEND)


def edit(raw: bytes, changes: Mapping[str, str], path: str = "the task file") -> bytes:
    """The file with the values in `changes` set and every other byte kept; lists are given comma-separated.

    Raises:
        TaskFileError: the file does not parse, a value cannot be replaced safely, or the result is no valid task.
    """
    from refinery.core import frontmatter_edit  # noqa: PLC0415 - PyYAML is imported by those who edit

    before = parse(raw, path, "task")
    if not isinstance(before, Task):
        raise TaskFileError(
            f"{before or path + ' is not a task'}; it was not changed", remedy="mend the front matter first"
        )
    wanted: dict[str, str | tuple[str, ...]] = {}
    present = {field: getattr(before, field) for field in LISTS}
    for key, value in changes.items():
        names = _names(key, value) if key in LISTS else None
        if names is None:
            wanted[key] = str(value)
        elif names != present[key]:
            wanted[key] = names
    try:
        result = frontmatter_edit.edit(raw, wanted)
    except FrontMatterError as error:
        raise TaskFileError(
            f"{path}: {error.message}; it was not changed", remedy="edit the file by hand"
        ) from None
    after = parse(result, path, "task")
    if not isinstance(after, Task):
        raise TaskFileError(f"{after}; it was not changed", remedy="give another value")
    return result


def stamped(raw: bytes, now: float) -> bytes:
    """The file with its `modified` set to `now`, a date where it was a date; without that key, the file as it is."""
    document = split(raw)
    present = load(document.header) if document is not None else {}
    if "modified" not in present:
        return raw
    was = present["modified"]
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return edit(raw, {"modified": at[:10] if isinstance(was, str) and len(was.strip()) == 10 else at})


def new_task_file(task: Task) -> bytes:
    """The bytes of a new file for `task`; fields at their defaults are left out, but id, title and status never.

    Raises:
        TaskFileError: the task's text is not Unicode.
    """
    from refinery.core import frontmatter_edit  # noqa: PLC0415 - as in edit

    changes: dict[str, str | tuple[str, ...]] = {}
    for field in dataclass_fields(Task):
        value = getattr(task, field.name)
        if field.name not in ("body", "source") and (value != field.default or field.name == "status"):
            changes[field.name] = value if isinstance(value, tuple) else _written(value)
    body = task.body.strip("\n")
    try:
        return frontmatter_edit.edit(b"---\n---\n", changes) + (f"\n{body}\n".encode() if body else b"")
    except (FrontMatterError, UnicodeEncodeError) as error:
        raise TaskFileError(f"the task cannot be written: {error}", remedy="use Unicode text") from None


def slug(words: str) -> str:
    """`words` as a file name or id: lower-case ASCII letters, digits and `-`, at most 60; empty when none are left."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].rstrip("-")


def _written(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _task(fields: Fields, body: str, path: str, stem: str) -> Task:
    name = _single(fields, "id") or stem
    if _UNFIT.search(name):
        raise _FieldError("id", f"the id {printable(name)!r} holds a control character or is not Unicode")
    return Task(
        id=name,
        title=_one_line(_single(fields, "title")) or _heading(body) or stem,
        body=body,
        status=_status(_single(fields, "status")),
        type=_single(fields, "type").lower() or "task",
        priority=_priority(_single(fields, "priority")),
        order=_order(_single(fields, "order")),
        project=_link(_single(fields, "project")),
        assignee=_link(_single(fields, "assignee")),
        depends_on=_names("depends_on", fields.get("depends_on")),
        labels=_names("labels", fields.get("labels")),
        agent=_single(fields, "agent"),
        parent=_link(_single(fields, "parent")),
        complexity=_single(fields, "complexity"),
        created=_single(fields, "created"),
        modified=_single(fields, "modified"),
        source=path,
    )


def _single(fields: Fields, key: str) -> str:
    value = fields.get(key)
    if not value:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, tuple) and len(value) == 1:
        return value[0].strip()
    raise _FieldError(
        key, f"`{key}` must be one value, not {'a list' if isinstance(value, tuple) else 'nested'}"
    )


def _one_line(words: str) -> str:
    return words if words.isprintable() else " ".join(words.split())


def _names(key: str, value: Value) -> tuple[str, ...]:
    """The names in a list, a comma-separated text or wikilinks, each once."""
    if isinstance(value, Shape):
        raise _FieldError(key, f"`{key}` must be a list of names, not nested")
    if not value:
        return ()
    if isinstance(value, str):
        value = tuple(found[1] for found in _LINKS.finditer(value))
    return tuple(dict.fromkeys(name for name in (_link(item.strip()) for item in value) if name))


def _link(name: str) -> str:
    """The target of `[[target]]` or `[[target|words]]`; any other name as it is."""
    if name.startswith("[[") and name.endswith("]]"):
        return name[2:-2].partition("|")[0].strip()
    return name


def _status(word: str) -> Status:
    if not word:
        return Status.INBOX
    status = _STATUSES.get(word) or _STATUSES.get(word.lower())
    if status is None:
        hint = text.did_you_mean(word, _STATUSES)
        known = ", ".join(Status)
        raise _FieldError("status", f"unknown status {word!r}, {hint or 'known are ' + known}")
    return status


def _priority(word: str) -> int:
    if not word:
        return 2
    if word not in _PRIORITIES:
        raise _FieldError("priority", f"the priority must be 0 (first) to 4, not {word!r}")
    return _PRIORITIES[word]


def _order(word: str) -> float:
    try:
        order = float(word or 0)
    except ValueError:
        order = math.nan
    if not math.isfinite(order):
        raise _FieldError("order", f"the order must be a number, not {word!r}")
    return order


def _heading(body: str) -> str:
    """The first heading outside fenced code."""
    at = 0
    while True:
        heading = _HEADING.search(body, at)
        fence = _FENCE.search(body, at, heading.start() if heading else len(body))
        if fence is None:
            return heading[1].strip() if heading else ""
        closing = re.compile(rf"^ {{0,3}}{re.escape(fence[1])}", re.MULTILINE).search(body, fence.end())
        if closing is None:
            return ""
        at = closing.end()


def _line_of(header: str, key: str) -> int | None:
    from refinery.core.yaml_entries import entries  # noqa: PLC0415 - only a problem needs a line

    return next((entry.line for entry in entries(header) if entry.key == key), None)
