"""Mutations' common part: one registered function per mutation, whose result is the payload."""

from collections.abc import Callable
from typing import Any

from refinery.testing.graphql.registry import RESOLVERS
from refinery.testing.graphql.scope import Scope

Change = Callable[..., dict[str, Any]]


def mutates(name: str) -> Callable[[Change], Change]:
    """Register a mutation: it takes the scope and its input's fields, and returns the payload's fields.

    Every payload repeats `clientMutationId`; the other fields are what the function returned under their names.
    """

    def register(change: Change) -> Change:
        def resolve(_root: object, scope: Scope, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002  (GitHub's name)
            given = dict(input)
            said = given.pop("client_mutation_id", None)
            return {**change(scope, **given), "clientMutationId": said}

        RESOLVERS.setdefault("Mutation", {})[name] = resolve
        return change

    return register
