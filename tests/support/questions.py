"""GraphQL questions to the fake, by real HTTP."""

from dataclasses import dataclass
from typing import Any

import requests

from refinery.testing import FakeGitHub

WHERE = 'repository(owner: "acme", name: "widgets")'


def about(fields: str, variables: str = "") -> str:
    """A question about the repository of these tests."""
    return f"query {variables} {{ {WHERE} {{ {fields} }} }}"


@dataclass(frozen=True)
class Asker:
    """Asks as the holder of a token."""

    hub: FakeGitHub
    token: str

    def body(self, document: str, **variables: Any) -> dict[str, Any]:
        """The whole answer: `data`, `errors`, or both; always with status 200."""
        answer = requests.post(
            self.hub.graphql,
            json={"query": document, "variables": variables},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def __call__(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of a question that nothing was wrong with."""
        body = self.body(document, **variables)
        assert "errors" not in body, body["errors"]
        return body["data"]

    def repository(self, fields: str) -> dict[str, Any]:
        """What there is to say about the repository of these tests."""
        return self(about(fields))["repository"]

    def refused(self, document: str, **variables: Any) -> tuple[str, str]:
        """Type and message of the one error of a question."""
        (error,) = self.body(document, **variables)["errors"]
        return error.get("type", ""), error["message"]
