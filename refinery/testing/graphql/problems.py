"""GitHub's GraphQL errors: a `type` beside the message, HTTP status 200, and whatever data could still be given."""

from typing import Any

import graphql


class Problem(graphql.GraphQLError):
    """An error that GitHub would answer with; `kind` is its `type`, such as NOT_FOUND or FORBIDDEN."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def unresolved(what: str, named: str) -> Problem:
    """Nothing there, or nothing that this viewer may see: GitHub does not say which."""
    return Problem("NOT_FOUND", f"Could not resolve to {what} {named}.")


def forbidden(message: str) -> Problem:
    """The viewer sees the object, and may not do this with it."""
    return Problem("FORBIDDEN", message)


def unprocessable(message: str) -> Problem:
    """The mutation makes no sense in the present state."""
    return Problem("UNPROCESSABLE", message)


def shown(error: graphql.GraphQLError) -> dict[str, Any]:
    """An error as it stands in the answer's `errors`."""
    body: dict[str, Any] = {"message": error.message}
    kind = getattr(error.original_error or error, "kind", "")
    if kind:
        body["type"] = kind
    if error.path is not None:
        body["path"] = list(error.path)
    if error.locations:
        body["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    return body
