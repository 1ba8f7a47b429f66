"""What GitHub refuses, and what that means: each refusal over real HTTP, with its remedy."""

import pytest
from support.wire import Reply, wire

from refinery.core.outcomes import Outcome
from refinery.errors import ForgeUnavailableError, UsageError
from refinery.forges.github.client import Client
from refinery.forges.github.credentials import FixedToken
from refinery.forges.github.errors import (
    AnswerLostError,
    LoginError,
    PermissionMissingError,
    QueryError,
    RejectedError,
    UnusableRepositoryError,
)

TOKEN = FixedToken("test-token-of-nobody", "the test")
SLUG = "/repos/acme/widgets"


def client_of(hub):
    return Client(hub.url, TOKEN)


MISSING = {"x-accepted-github-permissions": "issues=write; pull_requests=write,contents=read"}
REFUSALS = [
    (401, {"message": "Bad credentials"}, {}, LoginError, "Bad credentials", "expired or was revoked"),
    (
        403,
        {"message": "Resource not accessible by integration"},
        MISSING,
        PermissionMissingError,
        "needs issues: write or pull_requests: write and contents: read",
        "permissions:",
    ),
    (
        403,
        {"message": "Forbidden"},
        {"x-accepted-oauth-scopes": "repo"},
        PermissionMissingError,
        "needs repo",
        "-s repo",
    ),
    (
        403,
        {"message": "Resource protected by organization SAML enforcement."},
        {"x-github-sso": "required; url=https://github.com/orgs/acme/sso?x=1"},
        PermissionMissingError,
        "single sign-on",
        "https://github.com/orgs/acme/sso",
    ),
    (
        403,
        {"message": "Repository was archived so is read-only."},
        {},
        UnusableRepositoryError,
        "acme/widgets is archived",
        "unarchive",
    ),
    (
        410,
        {"message": "Issues are disabled for this repo"},
        {},
        UnusableRepositoryError,
        "switched",
        "switch issues on",
    ),
    (404, {"message": "Not Found"}, {}, UnusableRepositoryError, "no repository acme/widgets", "spelling"),
    (451, {"message": "Repository access blocked"}, {}, UnusableRepositoryError, "blocked", "owner"),
]


@pytest.mark.parametrize(("status", "body", "headers", "kind", "words", "remedy"), REFUSALS)
def test_a_refusal_says_what_it_means_and_what_to_do(status, body, headers, kind, words, remedy):
    """Each is a matter of usage, and the write was sent once."""
    with wire(Reply(status, body, headers)) as hub, client_of(hub) as client:
        with pytest.raises(kind) as raised:
            client.send("PATCH", SLUG, {}, "label")
        assert words in raised.value.message
        assert remedy in raised.value.remedy
        assert raised.value.outcome is Outcome.USAGE
        assert len(hub.seen) == 1


def test_a_refused_value_keeps_githubs_words_and_details():
    """Status, words and details are there for the caller, and in the message for people."""
    details = [
        {"resource": "Label", "field": "name", "code": "already_exists"},
        {"message": "too long"},
        "odd",
    ]
    with (
        wire(Reply(422, {"message": "Validation Failed", "errors": details})) as hub,
        client_of(hub) as client,
    ):
        with pytest.raises(RejectedError) as raised:
            client.send("POST", SLUG + "/labels", {}, "label")
        error = raised.value
        assert (error.status, error.words, list(error.errors)) == (422, "Validation Failed", details)
        assert "Validation Failed: Label name already_exists; too long; odd" in error.message
        assert not isinstance(error, UsageError)


def test_a_page_in_place_of_json_is_a_line_of_the_message():
    """A proxy's refusal does not fill the screen."""
    with wire(Reply(407, "<html>\n" + "proxy " * 500)) as hub, client_of(hub) as client:
        with pytest.raises(RejectedError) as raised:
            client.get("/x", "issues")
        assert len(raised.value.message) < 300


def test_graphql_errors_are_typed_and_partial_data_is_none():
    """Half an answer is an error, unless the caller knows what to do with it."""
    body = {"data": {"a": 1, "b": None}, "errors": [{"type": "NOT_FOUND", "message": "no b"}]}
    with wire(Reply(200, body)) as hub, client_of(hub) as client:
        with pytest.raises(QueryError, match="no b") as raised:
            client.graphql("query { a b }", {}, "pulls")
        assert raised.value.types == {"NOT_FOUND"}
        assert client.graphql("query { a b }", {}, "pulls", partial=True) == {"a": 1, "b": None}
    with wire(Reply(200, {**body, "data": None})) as hub, client_of(hub) as client, pytest.raises(QueryError):
        client.graphql("query { a b }", {}, "pulls", partial=True)


def test_a_mutation_that_failed_without_a_type_is_ambiguous():
    """An error without a type says nothing about what was done; a typed refusal does."""
    wrong = {"data": None, "errors": [{"message": "Something went wrong while executing your query."}]}
    with wire(Reply(200, wrong)) as hub, client_of(hub) as client, pytest.raises(AnswerLostError):
        client.graphql("mutation { a }", {}, "delete")
    with (
        wire(Reply(200, wrong)) as hub,
        client_of(hub) as client,
        pytest.raises(ForgeUnavailableError) as raised,
    ):
        client.graphql("query { a }", {}, "pulls")
    assert not isinstance(raised.value, AnswerLostError)
    stale = {"data": None, "errors": [{"type": "STALE_DATA", "message": "moved"}]}
    with wire(Reply(200, stale)) as hub, client_of(hub) as client, pytest.raises(QueryError):
        client.graphql("mutation { a }", {}, "delete")
