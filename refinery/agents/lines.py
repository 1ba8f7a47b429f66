"""Reading the JSON lines of agents that report in them: tolerant of everything else on the stream."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")

Event = Mapping[str, Any]


def events(lines: Iterable[str]) -> Iterator[Event]:
    """The JSON objects among `lines`, in order; terminal sequences are dropped, other lines skipped."""
    for line in lines:
        text = _ANSI.sub("", line).strip()
        if text.startswith("{"):
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                yield found


def text_of(event: Event, *names: str) -> str:
    """The first of the named members that is a text that is not empty."""
    return next((event[name] for name in names if isinstance(event.get(name), str) and event[name]), "")


def object_of(event: Event, name: str) -> Event:
    """The named member if it is an object, else an empty one."""
    found = event.get(name)
    return found if isinstance(found, dict) else {}


def count_of(event: Event, name: str) -> int | None:
    """The named member if it is a number that counts something."""
    found = event.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        return None
    return found


def amount_of(event: Event, name: str) -> float | None:
    """The named member if it is a sum of money."""
    found = event.get(name)
    is_sum = isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < float("inf")
    return float(found) if is_sum and found is not None else None


def counts(event: Event, names: Mapping[str, str]) -> dict[str, int]:
    """The counts that `event` has, under our own names: `names` maps theirs to ours."""
    found = {ours: count_of(event, theirs) for theirs, ours in names.items()}
    return {ours: count for ours, count in found.items() if count is not None}


def last(found: Iterable[Event], kind: str) -> Event | None:
    """The last event of a `type`."""
    return next((event for event in reversed(list(found)) if event.get("type") == kind), None)
