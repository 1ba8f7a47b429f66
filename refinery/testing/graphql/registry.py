"""Which function answers which field, and which GraphQL type an object is.

A resolver takes the object, the question's `Scope` and the field's arguments, in snake case. A field of the schema that
nobody registered stops the schema from being built.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

Resolver = Callable[..., Any]

RESOLVERS: dict[str, dict[str, Resolver]] = {}
_KINDS: dict[type, str | Callable[[Any], str]] = {}


def resolves(kind: str, field: str) -> Callable[[Resolver], Resolver]:
    """Register the decorated function for one field of a type."""

    def register(function: Resolver) -> Resolver:
        RESOLVERS.setdefault(kind, {})[field] = function
        return function

    return register


def answers(kinds: str, fields: Mapping[str, Resolver]) -> None:
    """Register short functions of the object and the scope, for one type or several (by blanks)."""
    for kind in kinds.split():
        RESOLVERS.setdefault(kind, {}).update(fields)


def reads(kinds: str, **attributes: str) -> None:
    """Register fields that are attributes of the object; a dotted path goes through several."""
    answers(kinds, {field: _reader(attrgetter(attribute)) for field, attribute in attributes.items()})


def is_kind(shape: type, name: str | Callable[[Any], str]) -> None:
    """Objects of a Python class are of this GraphQL type, or of the one that the function names."""
    _KINDS[shape] = name


def kind_of(node: Any) -> str:
    """The GraphQL type of an object, where the schema leaves it open."""
    named = _KINDS[type(node)]
    return named if isinstance(named, str) else named(node)


def _reader(get: Callable[[Any], Any]) -> Resolver:
    return lambda node, _scope: get(node)
