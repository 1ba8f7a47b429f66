"""What is asked of everything at once: search, and what is left of the hour."""

from collections.abc import Callable
from typing import Any

from refinery.testing.clock import stamp
from refinery.testing.graphql.lists import state_of
from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.problems import unprocessable
from refinery.testing.graphql.registry import answers, reads, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Issue

_IS: dict[str, Callable[[Issue], bool]] = {
    "issue": lambda issue: not issue.is_pull,
    "pr": lambda issue: issue.is_pull,
    "open": lambda issue: issue.state == "open",
    "closed": lambda issue: issue.state == "closed",
    "merged": lambda issue: state_of(issue) == "MERGED",
}
Test = Callable[[Issue], bool]

reads("RateLimit", cost="cost.points", nodeCount="cost.nodes", limit="window.limit")
answers(
    "RateLimit",
    {
        # The question itself is paid for when it has been answered.
        "used": lambda scope, _: min(scope.window.limit, scope.window.used + scope.cost.points),
        "remaining": lambda scope, _: max(0, scope.window.remaining - scope.cost.points),
        "resetAt": lambda scope, _: stamp(scope.window.reset),
    },
)
answers(
    "SearchResultItemConnection",
    {
        "issueCount": lambda found, _: len(found.everything),
        "repositoryCount": lambda _found, _scope: 0,
    },
)


@resolves("Query", "search")
def _search(_root: object, scope: Scope, query: str, type: str, **bounds: Any) -> Window:  # noqa: A002  (GitHub's name)
    """Issues and pulls by `repo:`, `is:`, `state:`, `label:`, `author:`, `head:` and words of the title."""
    if type != "ISSUE":
        raise unprocessable("The fake searches issues and pull requests alone.")
    tests = [_test(scope, word) for word in query.split()]
    scope.reads("issues", "pull_requests")
    everything = (each for repository in scope.repositories for each in repository.issues.values())
    found = [issue for issue in everything if all(test(issue) for test in tests)]
    return window(sorted(found, key=_key), bounds, "search", key=_key)


def _key(issue: Issue) -> tuple[float, ...]:
    """The newest first, as GitHub lists what fits equally well."""
    return (-issue.id,)


def _test(scope: Scope, word: str) -> Test:
    name, colon, value = word.partition(":")
    value = value.strip('"').casefold()
    if not colon:
        return lambda issue: word.casefold() in issue.title.casefold()
    if name in ("is", "state", "type") and value in _IS:
        return _IS[value]
    known: dict[str, Test] = {
        "repo": lambda issue: issue.repository.full_name.casefold() == value,
        "label": lambda issue: value in {label.name.casefold() for label in issue.labels},
        "author": lambda issue: value in (issue.author.login.casefold(), f"app/{scope.login(issue.author)}"),
        "head": lambda issue: issue.pull is not None and issue.pull.head_ref.casefold() == value,
    }
    if name not in known:
        raise unprocessable(f"The fake does not search by `{word}`.")
    return known[name]
