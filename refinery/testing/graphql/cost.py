"""What a question costs in points, and how many objects it may touch at most.

https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import graphql

from refinery.testing.graphql.paging import LIMIT

NODE_LIMIT = 500_000


@dataclass(frozen=True)
class Cost:
    """`points` come off the hourly limit; `nodes` is the most objects that the connections can hold."""

    points: int
    nodes: int


NOTHING = Cost(points=1, nodes=0)


def cost_of(document: graphql.DocumentNode, variables: Mapping[str, Any], operation: str | None) -> Cost:
    """Count a connection once for every object that it is asked of; a hundred such requests are a point."""
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, graphql.FragmentDefinitionNode)
    }
    requests = nodes = 0
    for node in document.definitions:
        if isinstance(node, graphql.OperationDefinitionNode) and _is_asked(node, operation):
            for times, asked in _connections(node.selection_set, 1, fragments, variables):
                requests += times
                nodes += times * asked
    return Cost(points=max(1, round(requests / 100)), nodes=nodes)


def _is_asked(node: graphql.OperationDefinitionNode, operation: str | None) -> bool:
    return operation is None or (node.name is not None and node.name.value == operation)


def _connections(
    selections: graphql.SelectionSetNode | None,
    times: int,
    fragments: Mapping[str, graphql.FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> Iterator[tuple[int, int]]:
    """Of each connection: of how many objects it is asked, and for how many entries."""
    for node in selections.selections if selections else ():
        inner = times
        if isinstance(node, graphql.FragmentSpreadNode):
            named = fragments.get(node.name.value)
            yield from _connections(named.selection_set if named else None, times, fragments, variables)
            continue
        if isinstance(node, graphql.FieldNode) and (asked := _bound(node, variables)) is not None:
            yield times, asked
            inner = times * asked
        child = (
            node.selection_set if isinstance(node, graphql.FieldNode | graphql.InlineFragmentNode) else None
        )
        yield from _connections(child, inner, fragments, variables)


def _bound(node: graphql.FieldNode, variables: Mapping[str, Any]) -> int | None:
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last"):
            value = graphql.value_from_ast_untyped(argument.value, dict(variables))
            if isinstance(value, int):
                return min(value, LIMIT)
    return None
