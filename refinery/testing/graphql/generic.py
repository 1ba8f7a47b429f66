"""What every connection, edge and payload answers, whatever it holds."""

from refinery.testing.graphql.paging import Edge, Window
from refinery.testing.graphql.registry import RESOLVERS, Resolver, answers, reads

_CONNECTION: dict[str, Resolver] = {
    "edges": lambda window, _: window.edges,
    "nodes": lambda window, _: window.nodes,
    "pageInfo": lambda window, _: window,
    "totalCount": lambda window, _: len(window.everything),
}
_EDGE: dict[str, Resolver] = {"cursor": lambda edge, _: edge.cursor, "node": lambda edge, _: edge.node}


def resolver_of(kind: str, field: str) -> Resolver:
    """The function for a field: its own, or that of all connections, edges or payloads.

    Raises:
        KeyError: nobody registered one; the schema promises more than the fake can answer.
    """
    own = RESOLVERS.get(kind, {}).get(field)
    if own is not None:
        return own
    if kind.endswith("Payload"):
        return lambda payload, _scope: payload[field]
    if kind.endswith("Connection"):
        return _CONNECTION[field]
    return _EDGE[field] if kind.endswith("Edge") else RESOLVERS[kind][field]


def _cursor(window: Window, place: int) -> str | None:
    edges: tuple[Edge, ...] = window.edges
    return edges[place].cursor if edges else None


reads("PageInfo", hasNextPage="has_next", hasPreviousPage="has_previous")
answers(
    "PageInfo",
    {
        "startCursor": lambda window, _: _cursor(window, 0),
        "endCursor": lambda window, _: _cursor(window, -1),
    },
)
