"""Opaque names of objects, the same that REST gives as `node_id`."""

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from refinery.testing.graphql.objects import GitObject, Ref, find
from refinery.testing.repository_git import ref as read_ref
from refinery.testing.shapes import node_id as number_id
from refinery.testing.state import Account, App, Comment, Event, Issue, Repository, Review, Status
from refinery.testing.world import World

Node = Any


@dataclass(frozen=True)
class Happened:
    """An event together with the issue or pull that it happened to."""

    issue: Issue
    event: Event


@dataclass(frozen=True)
class Given:
    """A review together with its pull."""

    issue: Issue
    review: Review


_KINDS: dict[type, Callable[[Any], tuple[str, int]]] = {
    Happened: lambda node: ("Event", node.event.id),
    Given: lambda node: ("PullRequestReview", node.review.id),
    Account: lambda node: (node.kind, node.id),
    Issue: lambda node: ("PullRequest" if node.is_pull else "Issue", node.id),
    Comment: lambda node: ("IssueComment", node.id),
    Status: lambda node: ("StatusContext", node.id),
}


def node_id(node: Node) -> str:
    """The name of an object of the world, or of git."""
    if isinstance(node, GitObject):
        return _text_id(type(node).__name__, f"{node.repository.id}:{node.oid}")
    if isinstance(node, Ref):
        return _text_id("Ref", f"{node.repository.id}:{node.full_name}")
    own = _KINDS.get(type(node))
    return number_id(*(own(node) if own else (type(node).__name__, node.id)))


def named_id(kind: str, *parts: object) -> str:
    """The name of what has no number of its own, such as a pull's merge queue entry."""
    return _text_id(kind, ":".join(map(str, parts)))


def find_node(world: World, repositories: Iterable[Repository], name: str) -> Node | None:
    """The object of that name among what may be seen; None for none."""
    kind, _, rest = _decoded(name).partition(":")
    seen = list(repositories)
    if kind in ("Commit", "Tree", "Blob", "Ref"):
        number, _, what = rest.partition(":")
        where = next((each for each in seen if str(each.id) == number), None)
        return _git_node(where, kind, what) if where else None
    return next((node for node in _numbered(world, seen) if node_id(node) == name), None)


def _git_node(repository: Repository, kind: str, what: str) -> GitObject | Ref | None:
    if kind == "Ref":
        oid = read_ref(repository.path, what)
        return Ref(repository, what, oid) if oid else None
    found = find(repository, what)
    return found if type(found).__name__ == kind else None


def _numbered(world: World, repositories: Iterable[Repository]) -> Iterator[Node]:
    yield from world.accounts.values()
    apps: Iterable[App] = world.apps.values()
    yield from apps
    for repository in repositories:
        yield repository
        yield from (*repository.labels.values(), *repository.suites, *repository.checks, *repository.statuses)
        for issue in repository.issues.values():
            yield issue
            yield from issue.comments
            yield from (Happened(issue, event) for event in issue.events)
            yield from (Given(issue, review) for review in (issue.pull.reviews if issue.pull else ()))


def _text_id(kind: str, rest: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{rest}".encode()).decode().rstrip("=")


def _decoded(name: str) -> str:
    try:
        return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except ValueError:
        return ""
