"""One GraphQL question from its text to GitHub's answer: parse, validate, count, execute."""

from collections.abc import Mapping
from typing import Any

import graphql

from refinery.testing.graphql.cost import NODE_LIMIT, Cost, cost_of
from refinery.testing.graphql.problems import shown
from refinery.testing.graphql.schema import executable
from refinery.testing.graphql.scope import Scope


def answer(
    scope: Scope, document: str, variables: Mapping[str, Any], operation: str | None = None
) -> dict[str, Any]:
    """The body that GitHub answers a question with, status 200 whatever went wrong.

    A question that cannot be read or is not valid has `errors` alone; one that was executed has `data`, in which what
    failed is null and named in `errors`.
    """
    schema = executable()
    try:
        parsed = graphql.parse(document)
    except graphql.GraphQLError as error:
        return {"errors": [shown(error)]}
    wrong = graphql.validate(schema, parsed)
    if wrong:
        return {"errors": [shown(error) for error in wrong]}
    scope.cost = cost_of(parsed, variables, operation)
    if scope.cost.nodes > NODE_LIMIT:
        return {"errors": [_too_large(scope.cost)]}
    result = graphql.execute_sync(
        schema,
        parsed,
        context_value=scope,
        variable_values=dict(variables),
        operation_name=operation,
    )
    body: dict[str, Any] = {} if result.data is None and not _started(result) else {"data": result.data}
    if result.errors:
        body["errors"] = [shown(error) for error in result.errors]
    return body


def _too_large(cost: Cost) -> dict[str, Any]:
    message = f"This query requests up to {cost.nodes:,} possible nodes which exceeds the maximum limit of"
    return {"type": "MAX_NODE_LIMIT_EXCEEDED", "message": f"{message} {NODE_LIMIT:,}."}


def _started(result: graphql.ExecutionResult) -> bool:
    """Whether a field was asked at all: bad variables and an unknown operation name come before."""
    return any(error.path for error in result.errors or ())
