"""GraphQL on the fake: GitHub's own schema, sliced, over the same world that REST shows."""

from collections.abc import Mapping
from typing import Any

from refinery.testing.graphql.run import answer
from refinery.testing.graphql.scope import Scope
from refinery.testing.limits import Window
from refinery.testing.state import Token
from refinery.testing.world import ProblemError, World


def execute(
    world: World, token: Token, window: Window, asked: Mapping[str, Any], url: str
) -> tuple[dict[str, Any], int]:
    """GitHub's answer to the body of a GraphQL request, and its price in points; `window` is the viewer's hour.

    Raises:
        ProblemError: what was sent is no question.
    """
    query, variables = asked.get("query"), asked.get("variables") or {}
    if not isinstance(query, str) or not query.strip():
        raise ProblemError(400, "A query attribute must be specified and must be a string.")
    if not isinstance(variables, Mapping):
        raise ProblemError(400, "Variables must be an object.")
    if window.remaining == 0:
        words = f"API rate limit already exceeded for user ID {token.account.id}."
        return {"errors": [{"type": "RATE_LIMITED", "message": words}]}, 0
    scope = Scope(world, token, url, window)
    body = answer(scope, query, variables, asked.get("operationName"))
    return body, scope.cost.points
