"""Our slice of GitHub's schema, made executable: resolvers, and which type an object is."""

import functools
from collections.abc import Callable
from importlib import import_module, resources
from typing import Any

import graphql

from refinery.testing.graphql.generic import resolver_of
from refinery.testing.graphql.registry import kind_of

PARTS = (
    "accounts",
    "repositories",
    "rules",
    "commits",
    "checks",
    "issues",
    "timeline",
    "pulls",
    "reviews",
    "asking",
)
CHANGES = ("change_refs", "change_issues", "change_pulls")


@functools.cache
def executable() -> graphql.GraphQLSchema:
    """The slice with its resolvers; built once in a process."""
    for part in (*PARTS, *CHANGES):
        import_module(f"refinery.testing.graphql.{part}")
    schema = graphql.extend_schema(
        graphql.build_schema(_text("schema.graphql"), no_location=True),
        graphql.parse(_text("schema_newer.graphql")),
    )
    for kind in schema.type_map.values():
        if not kind.name.startswith("__"):
            _attach(kind)
    return schema


def snake(name: str) -> str:
    """`headRefName` as `head_ref_name`; a leading capital or a run of them (`commitOID`) counts as one word."""
    parts: list[str] = []
    for letter in name:
        starts = letter.isupper() and (not parts or not parts[-1][-1].isupper())
        if starts or not parts:
            parts.append(letter)
        else:
            parts[-1] += letter
    return "_".join(parts).lower()


def _attach(kind: graphql.GraphQLNamedType) -> None:
    """Give a type what SDL cannot say: functions for its fields, and snake case for what goes in."""
    if isinstance(kind, graphql.GraphQLObjectType):
        for name, field in kind.fields.items():
            field.resolve = _adapted(kind.name, name)
            for argument, definition in field.args.items():
                definition.out_name = snake(argument)
    elif isinstance(kind, graphql.GraphQLInputObjectType):
        for name, entry in kind.fields.items():
            entry.out_name = snake(name)
    elif isinstance(kind, graphql.GraphQLInterfaceType | graphql.GraphQLUnionType):
        kind.resolve_type = lambda node, _info, _kind: kind_of(node)


def _adapted(kind: str, field: str) -> Callable[..., Any]:
    resolver = resolver_of(kind, field)

    def resolve(node: Any, info: Any, **arguments: Any) -> Any:
        return resolver(node, info.context, **arguments)

    return resolve


def _text(name: str) -> str:
    return resources.files("refinery.testing").joinpath(name).read_text(encoding="utf-8")
