"""Preparing a repository on GitHub for `setup`: one step at a time, each of which may be done again.

Property: what somebody else made in the meantime is left as it is, and no branch but `setup`'s own is written to.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from github.PublicKey import encrypt

from refinery.core.repository_facts import Needs, RepositoryFacts
from refinery.core.setup_plan import BRANCH, Kind, Present, Step, Wanted, look_of, missing_files
from refinery.forges.github.client import Client
from refinery.forges.github.errors import RejectedError

_PURPOSE: Final = "setup"
_TITLE: Final = "Set up Refinery"
_BODY: Final = (
    "Proposed by `refinery setup`. The configuration says what may merge without a person; it counts once it is on "
    "the base branch. Edit it here as you like."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to: `owner/name`, and the branch that the proposed files are meant for."""

    name: str
    base: str

    @property
    def path(self) -> str:
        """The repository's path in the API."""
        return f"/repos/{self.name}"


def look(
    client: Client, target: Target, facts: RepositoryFacts, files: Iterable[str], wanted: Wanted
) -> Present:
    """What there is; `files` are those on the base. Secrets and variables are asked for only where some are wanted.

    Raises:
        PermissionMissingError: these credentials may not look at secrets or variables.
    """
    pull = _open_pull(client, target)
    proposed = [path for path in wanted.files if pull is not None and _has(client, target, path)]
    secrets = client.pages(f"{target.path}/actions/secrets", _PURPOSE) if wanted.secrets else []
    variables = client.pages(f"{target.path}/actions/variables", _PURPOSE) if wanted.variables else []
    return Present(
        labels=frozenset(facts.labels),
        files=frozenset((*files, *proposed)),
        pull=pull,
        secrets=frozenset(str(each["name"]) for each in secrets),
        variables={str(each["name"]): str(each["value"]) for each in variables},
    )


class Preparer:
    """Does steps. `values` are those of secrets, by name."""

    def __init__(
        self, client: Client, target: Target, wanted: Wanted, present: Present, values: Mapping[str, str]
    ) -> None:
        self._client, self._target, self._wanted, self._present = client, target, wanted, present
        self._values = values

    def do(self, step: Step) -> str:
        """Do it; what came of it, in words.

        Raises:
            RejectedError: GitHub refuses.
            AnswerLostError: nobody knows; run `setup` again, and it goes on from there.
        """
        if step.kind is Kind.LABEL:
            return self._label(step.name, self._wanted.needs)
        if step.kind is Kind.SECRET:
            return self._secret(step.name)
        if step.kind is Kind.VARIABLE:
            return self._variable(step.name)
        return self._pull()

    def _label(self, name: str, needs: Needs) -> str:
        colour, words = look_of(name, needs)
        body = {"name": name, "color": colour, "description": words}
        return self._made("/labels", body, f"created the label {name}", f"the label {name} is there")

    def _secret(self, name: str) -> str:
        """Sealed for GitHub's key: nothing on the way can read it."""
        path = f"{self._target.path}/actions/secrets"
        key = self._client.get(f"{path}/public-key", _PURPOSE).body
        body = {"encrypted_value": encrypt(str(key["key"]), self._values[name]), "key_id": str(key["key_id"])}
        self._client.send("PUT", f"{path}/{name}", body, _PURPOSE)
        return f"added the secret {name}"

    def _variable(self, name: str) -> str:
        body = {"name": name, "value": self._wanted.variables[name]}
        if name in self._present.variables:
            self._client.send("PATCH", f"{self._target.path}/actions/variables/{name}", body, _PURPOSE)
            return f"changed the variable {name}"
        return self._made("/actions/variables", body, f"added the variable {name}", f"{name} is there")

    def _pull(self) -> str:
        """The missing files, each a commit on a branch of our own, and the pull of that branch."""
        self._branch()
        for path, text in missing_files(self._wanted, self._present).items():
            content = base64.b64encode(text.encode()).decode()
            body = {"message": f"Add {path}", "content": content, "branch": BRANCH}
            if not _has(self._client, self._target, path):
                self._client.send("PUT", f"{self._target.path}/contents/{quote(path)}", body, _PURPOSE)
        if self._present.pull:
            return f"added to pull {self._present.pull}"
        draft = {"title": _TITLE, "head": BRANCH, "base": self._target.base, "body": _BODY}
        made = self._client.send("POST", f"{self._target.path}/pulls", draft, _PURPOSE).body
        return f"opened pull {made['number']}: {made['html_url']}"

    def _branch(self) -> None:
        """The branch, at the base; one that is there already is gone on with."""
        tip = self._client.get(f"{self._target.path}/git/ref/heads/{self._target.base}", _PURPOSE).body
        body = {"ref": f"refs/heads/{BRANCH}", "sha": tip["object"]["sha"]}
        self._made("/git/refs", body, "", "")

    def _made(self, path: str, body: Mapping[str, Any], done: str, there: str) -> str:
        """Create something that somebody else may have created by now."""
        try:
            self._client.send("POST", self._target.path + path, body, _PURPOSE)
        except RejectedError as error:
            if error.status not in (409, 422) or "already" not in f"{error.words} {error.errors}".lower():
                raise
            return there
        return done


def _open_pull(client: Client, target: Target) -> int | None:
    owner = target.name.partition("/")[0]
    asked = {"state": "open", "head": f"{owner}:{BRANCH}", "base": target.base}
    found = client.get(f"{target.path}/pulls", _PURPOSE, params=asked).body
    return int(found[0]["number"]) if found else None


def _has(client: Client, target: Target, path: str) -> bool:
    """Whether the branch has the file."""
    try:
        client.get(f"{target.path}/contents/{quote(path)}", _PURPOSE, params={"ref": BRANCH})
    except RejectedError as error:
        if error.status != 404:
            raise
        return False
    return True
