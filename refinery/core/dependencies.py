"""Circles among tasks that wait for each other. Linear in tasks and dependencies, without recursion."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Graph = Mapping[str, Sequence[str]]
_SHOWN: Final = 8


def circles(graph: Graph) -> dict[str, str]:
    """For each node on a circle, one circle of its component in words: `a → b → a`. Unknown targets are ignored."""
    found: dict[str, str] = {}
    for members in _components(graph):
        if len(members) > 1 or members[0] in graph[members[0]]:
            words = _words(_shortest(graph, set(members)))
            found.update(dict.fromkeys(members, words))
    return found


@dataclass(slots=True)
class _Search:
    """Tarjan's algorithm, its call stack kept by hand: 10,000 tasks may form one chain."""

    graph: Graph
    number: dict[str, int] = field(default_factory=dict)
    lowest: dict[str, int] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    on_path: set[str] = field(default_factory=set)
    calls: list[tuple[str, Iterator[str]]] = field(default_factory=list)

    def enter(self, node: str) -> None:
        """Meet a node for the first time."""
        self.number[node] = self.lowest[node] = len(self.number)
        self.path.append(node)
        self.on_path.add(node)
        self.calls.append((node, iter(self.graph[node])))

    def leave(self, node: str) -> list[str] | None:
        """Return from a node; gives its component if it is the component's first member."""
        self.calls.pop()
        if self.calls:
            caller = self.calls[-1][0]
            self.lowest[caller] = min(self.lowest[caller], self.lowest[node])
        if self.lowest[node] != self.number[node]:
            return None
        members = [self.path.pop()]
        while members[-1] != node:
            members.append(self.path.pop())
        self.on_path.difference_update(members)
        return members


def _components(graph: Graph) -> Iterator[list[str]]:
    search = _Search(graph)
    for root in graph:
        if root not in search.number:
            search.enter(root)
        while search.calls:
            node, targets = search.calls[-1]
            for target in targets:
                if target in graph and target not in search.number:
                    search.enter(target)
                    break
                if target in search.on_path:
                    search.lowest[node] = min(search.lowest[node], search.number[target])
            else:
                members = search.leave(node)
                if members is not None:
                    yield members


def _shortest(graph: Graph, members: set[str]) -> list[str]:
    """A shortest circle through the first member by name."""
    start = min(members)
    came: dict[str, str] = {}
    queue = deque([start])
    while start not in came:
        node = queue.popleft()
        for target in graph[node]:
            if target in members and target not in came:
                came[target] = node
                queue.append(target)
    circle = [start]
    while len(circle) == 1 or circle[-1] != start:
        circle.append(came[circle[-1]])
    return circle[::-1]


def _words(circle: list[str]) -> str:
    if len(circle) > _SHOWN:
        circle = [*circle[: _SHOWN - 1], "…", circle[-1]]
    return " → ".join(circle)
