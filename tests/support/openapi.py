"""Holds an HTTP answer to GitHub's OpenAPI description: the path's template, the status, and the body's schema."""

import functools
import re
from dataclasses import dataclass
from typing import Any

from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from support import schemas

ROOT = "urn:github"
SHOWN = 5


@dataclass(frozen=True)
class Route:
    """One operation of the description: a verb and a path template."""

    verb: str
    template: str


@functools.cache
def _registry() -> Registry[Any]:
    resource = DRAFT4.create_resource(schemas.openapi())
    return Registry().with_resource(ROOT, resource)


@functools.cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """Path templates as expressions, those with fewer variables first: `/issues/comments/{id}` before `/issues/{n}`."""
    found = []
    for template in sorted(schemas.openapi()["paths"], key=lambda each: (each.count("{"), -len(each), each)):
        # `{path}` and `{ref}` hold slashes when they end the template: contents, refs and branches are named by paths.
        open_ended = re.sub(r"\\\{(path|ref|branch)\\\}$", r"(?P<rest>.+)", re.escape(template))
        found.append((re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", open_ended) + "$"), template))
    return found


def route_of(verb: str, path: str) -> Route | None:
    """The described operation that a request asked for; None for what GitHub does not describe."""
    for pattern, template in _templates():
        if pattern.match(path) and verb.lower() in schemas.openapi()["paths"][template]:
            return Route(verb.upper(), template)
    return None


def has_body(route: Route, status: int) -> bool:
    """Whether the description says what the body of this answer is."""
    return bool((_response(route, status)[0] or {}).get("content"))


def objections(route: Route, status: int, body: Any, kind: str = "application/json") -> list[str]:
    """What the description has against an answer; empty when it agrees."""
    described, where = _response(route, status)
    if described is None:
        return [f"{route.verb} {route.template} is not described to answer {status}"]
    content = described.get("content", {})
    if not content:
        return (
            []
            if body is None
            else [f"{route.verb} {route.template} {status} has a body, and should have none"]
        )
    if kind not in content:
        return [f"{route.verb} {route.template} {status} is {kind}, not one of {sorted(content)}"]
    validator = _validator(f"{where}/content/{_escaped(kind)}/schema")
    errors = sorted(validator.iter_errors(body), key=lambda error: list(map(str, error.absolute_path)))
    return [_said(error) for error in errors[:SHOWN]]


def _response(route: Route, status: int) -> tuple[dict[str, Any] | None, str]:
    """The description of an answer and its JSON pointer, a reference to a shared one followed."""
    responses = schemas.openapi()["paths"][route.template][route.verb.lower()]["responses"]
    found = responses.get(str(status))
    where = f"/paths/{_escaped(route.template)}/{route.verb.lower()}/responses/{status}"
    if found and "$ref" in found:
        where = found["$ref"].removeprefix("#")
        found = schemas.openapi()["components"]["responses"][where.rsplit("/", 1)[1]]
    return found, where


@functools.cache
def _validator(pointer: str) -> OAS30Validator:
    return OAS30Validator({"$ref": f"{ROOT}#{pointer}"}, registry=_registry())


def _escaped(part: str) -> str:
    """As a JSON pointer inside of a URI fragment."""
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _said(error: Any) -> str:
    """An error with its place; of alternatives, what the closest one lacks."""
    while error.context:
        error = min(error.context, key=lambda each: (-len(each.absolute_path), str(each.message)))
    place = "/".join(map(str, error.absolute_path)) or "(the whole)"
    return f"{place}: {error.message[:200]}"
