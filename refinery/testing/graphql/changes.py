"""Mutations' common part: one registered function per mutation, whose result is the payload."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from refinery.testing.graphql.problems import forbidden, unprocessable, unresolved
from refinery.testing.graphql.registry import RESOLVERS
from refinery.testing.graphql.scope import Scope
from refinery.testing.repository_git import RefProblemError
from refinery.testing.world import ProblemError

Change = Callable[..., dict[str, Any]]
Kind = TypeVar("Kind")


def mutates(name: str) -> Callable[[Change], Change]:
    """Register a mutation: it takes the scope and its input's fields, and returns the payload's fields.

    Every payload repeats `clientMutationId`; the other fields are what the function returned under their names. What
    the world refuses is GitHub's error: FORBIDDEN for who may not, else UNPROCESSABLE.
    """

    def register(change: Change) -> Change:
        def resolve(_root: object, scope: Scope, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002  (GitHub's name)
            given = {field: value for field, value in input.items() if value is not None}
            said = given.pop("client_mutation_id", None)
            try:
                return {**change(scope, **given), "clientMutationId": said}
            except RefProblemError as error:
                raise unprocessable(str(error)) from error
            except ProblemError as error:
                words = ", ".join([error.message, *(_words(each) for each in error.errors)])
                raise (forbidden(words) if error.status == 403 else unprocessable(words)) from error

        RESOLVERS.setdefault("Mutation", {})[name] = resolve
        return change

    return register


def _words(detail: object) -> str:
    """One of REST's details in a sentence, as GraphQL says it."""
    if not isinstance(detail, dict):
        return str(detail)
    return str(detail.get("message") or f"{detail.get('field')} is {detail.get('code')}")


def named(scope: Scope, name: str, kind: type[Kind]) -> Kind:
    """The object of that opaque name, which must be of a kind.

    Raises:
        Problem: NOT_FOUND.
    """
    found = scope.node(name)
    if not isinstance(found, kind):
        raise unresolved("a node with the global id of", f"'{name}' as {kind.__name__}")
    return found


def all_named(scope: Scope, names: Sequence[str], kind: type[Kind]) -> list[Kind]:
    """As `named`, of several."""
    return [named(scope, name, kind) for name in names]
