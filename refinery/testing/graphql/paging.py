"""Connections: a window of a list by cursor, with GitHub's rule that every list is asked for by a bounded number."""

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refinery.testing.graphql.problems import Problem

Key = tuple[float, ...]

LIMIT = 100  # https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api


@dataclass(frozen=True)
class Edge:
    """One entry of a window of something that `of` has."""

    cursor: str
    node: Any
    of: Any = None


@dataclass(frozen=True)
class Window:
    """What a connection of `of` answers with; `everything` is the whole list, for counts."""

    edges: tuple[Edge, ...]
    everything: tuple[Any, ...]
    has_previous: bool
    has_next: bool
    of: Any = None

    @property
    def nodes(self) -> list[Any]:
        """The window's objects without their cursors."""
        return [edge.node for edge in self.edges]


def window(
    items: Sequence[Any],
    bounds: Mapping[str, Any],
    field: str,
    key: Callable[[Any], Key] | None = None,
    of: Any = None,
) -> Window:
    """The part of `items` that `first`/`after` or `last`/`before` ask for.

    `items` ascend by `key`, which the cursors carry: what is added or taken away between two pages neither hides nor
    repeats another entry. Without a key the place in the list serves.

    Raises:
        Problem: no bound, a bound beyond GitHub's limit, or a cursor that is not one of ours.
    """
    check(bounds, field)
    keys: list[Key] = [key(item) for item in items] if key else [(place,) for place in range(len(items))]
    start, end = 0, len(items)
    if after := bounds.get("after"):
        start = bisect_right(keys, _key(after))
    if before := bounds.get("before"):
        end = max(bisect_left(keys, _key(before)), start)
    if (first := bounds.get("first")) is not None:
        end = min(end, start + first)
    if (last := bounds.get("last")) is not None:
        start = max(start, end - last)
    edges = tuple(Edge(_cursor(keys[place]), items[place], of) for place in range(start, end))
    return Window(edges, tuple(items), has_previous=start > 0, has_next=end < len(items), of=of)


def check(bounds: Mapping[str, Any], field: str) -> None:
    """Refuse what GitHub refuses: an unbounded list, or one of more than a hundred entries."""
    given = {name: bounds[name] for name in ("first", "last") if bounds.get(name) is not None}
    if not given:
        raise Problem(
            "MISSING_PAGINATION_BOUNDARIES",
            f"You must provide a `first` or `last` value to properly paginate the `{field}` connection.",
        )
    for name, value in given.items():
        if value > LIMIT:
            raise Problem(
                "EXCESSIVE_PAGINATION",
                f"Requesting {value} records on the `{field}` connection exceeds the `{name}` limit of {LIMIT}"
                " records.",
            )
        if value < 0:
            raise Problem("INVALID_CURSOR_ARGUMENTS", f"`{name}` on the `{field}` connection is below zero.")


def _cursor(key: Key) -> str:
    return base64.b64encode(f"cursor:{json.dumps(key)}".encode()).decode()


def _key(cursor: str) -> Key:
    try:
        name, _, key = base64.b64decode(cursor, validate=True).decode().partition(":")
        if name == "cursor":
            return tuple(json.loads(key))
    except ValueError:
        pass
    raise Problem("INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor.")
