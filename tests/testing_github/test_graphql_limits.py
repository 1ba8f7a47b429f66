"""What bounds a GraphQL question: pages, cursors, points and nodes. Pure rules of the fake."""

import graphql
import pytest

from refinery.testing.graphql.cost import cost_of
from refinery.testing.graphql.paging import window
from refinery.testing.graphql.problems import Problem


def page(items, **bounds):
    return window(items, bounds, "issues", key=lambda item: (item,))


def test_pages_follow_each_other_without_a_gap():
    """`first` and `after` go through everything once, and say when it is the end."""
    seen, after = [], None
    for _ in range(4):
        part = page(range(10), first=3, after=after)
        seen += part.nodes
        after = part.edges[-1].cursor
    assert seen == list(range(10))
    assert (part.has_next, part.has_previous, len(part.everything)) == (False, True, 10)


def test_the_last_page_is_taken_from_the_end():
    """`last` and `before` go backwards."""
    part = page(range(10), last=3)
    assert (part.nodes, part.has_next, part.has_previous) == ([7, 8, 9], False, True)
    assert page(range(10), last=3, before=part.edges[0].cursor).nodes == [4, 5, 6]


def test_a_page_ends_where_both_bounds_say():
    """`first` counts before `last` does."""
    assert page(range(10), first=5, last=2).nodes == [3, 4]


@pytest.mark.parametrize("now", [[1, 2, 4, 5, 6], [2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6]])
def test_what_changes_between_pages_hides_nothing(now):
    """An entry that left or came before the cursor does not shift the next page: the cursor holds a key, no place."""
    cursor = page([1, 2, 3, 4, 5, 6], first=3).edges[-1].cursor
    assert page(now, first=10, after=cursor).nodes == [4, 5, 6]


@pytest.mark.parametrize(
    ("bounds", "kind"),
    [
        ({}, "MISSING_PAGINATION_BOUNDARIES"),
        ({"after": "Y3Vyc29yOlswXQ=="}, "MISSING_PAGINATION_BOUNDARIES"),
        ({"first": 101}, "EXCESSIVE_PAGINATION"),
        ({"last": 101}, "EXCESSIVE_PAGINATION"),
        ({"first": -1}, "INVALID_CURSOR_ARGUMENTS"),
        ({"first": 1, "after": "?"}, "INVALID_CURSOR_ARGUMENTS"),
        ({"first": 1, "after": "Y3Vyc29y"}, "INVALID_CURSOR_ARGUMENTS"),
    ],
)
def test_a_page_that_github_refuses(bounds, kind):
    """Each with the type of error that a client can tell it by."""
    with pytest.raises(Problem) as caught:
        page(range(3), **bounds)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("text", "points", "nodes"),
    [
        ("{ viewer { login } }", 1, 0),
        ('{ repository(owner: "a", name: "b") { issues(first: 50) { nodes { number } } } }', 1, 50),
        (
            """{ repository(owner: "a", name: "b") { pullRequests(first: 100) { nodes {
            comments(first: 50) { nodes { author { login } reactions(last: 10) { totalCount } } }
            labels(first: 60) { nodes { name } } } } } }""",
            52,
            100 + 100 * 50 + 100 * 50 * 10 + 100 * 60,
        ),
        (
            """query($n: Int!) { viewer { ...All } }
            fragment All on User {
              issues(first: $n) { nodes { ... on Issue { labels(first: 2) { totalCount } } } } }""",
            1,
            7 + 7 * 2,
        ),
        ("query A { viewer { issues(first: 9) { totalCount } } } query B { viewer { login } }", 1, 9),
    ],
)
def test_what_a_question_costs(text, points, nodes):
    """A connection counts once for each object it is asked of; fragments, variables and the named operation count."""
    cost = cost_of(graphql.parse(text), {"n": 7}, "A" if "query A" in text else None)
    assert (cost.points, cost.nodes) == (points, nodes)
