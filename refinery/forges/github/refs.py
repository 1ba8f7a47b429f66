"""Claims as refs on GitHub: created and renewed through the API, everything else by leased pushes.

Refs are read by git, which costs no quota. Every ambiguity is read back: a claim commit is the same bytes each time it
is made, so "is the tip my SHA?" decides who won, and an unanswered write can be repeated.
"""

from datetime import UTC, datetime
from typing import Any, Final

from refinery.errors import ForgeUnavailableError, RateLimitedError, RefMovedError, UsageError
from refinery.forges.git.by_url import UrlRefs
from refinery.forges.git.refs import RefUpdate
from refinery.forges.github.client import Client
from refinery.forges.github.documents import REFS_MUTATION
from refinery.forges.github.errors import AnswerLostError, RejectedError
from refinery.git import EMPTY_TREE, Signature
from refinery.mirror import Mirror

_ABSENT: Final = "0" * 40
_TRIES: Final = 3
_AT_ONCE: Final = 100


class GitHubRefs(UrlRefs):
    """The refs of `repository` (`owner/name`), whose git URL is `url`."""

    def __init__(self, url: str, mirror: Mirror, client: Client, repository: str) -> None:
        super().__init__(url, mirror)
        self._client = client
        self._repository = repository

    def message(self, sha: str) -> str:
        """The message of a commit that was listed or made here; empty for others."""
        return self._messages.get(sha, "")

    def create(self, ref: str, message: str, signature: Signature) -> str:
        """Create `ref` at a fresh orphan commit; returns its SHA.

        Raises:
            RefMovedError: read back, somebody else's commit is there.
            ForgeUnavailableError: nobody knows.
        """
        mine = self.commit(message, [], signature)
        try:
            sha = self._upload(message, [], signature, "claim")
        except RejectedError:  # REST does not take it: a create-only push does
            self.transact([RefUpdate(ref, None, mine)])
            return mine
        self._offer("POST", "git/refs", {"ref": ref, "sha": sha}, ref, None, sha)
        if sha != mine:
            self._fetch(ref)
        return sha

    def renew(self, ref: str, message: str, parent: str, signature: Signature) -> str:
        """Fast-forward `ref` from `parent` to a child of it; returns its SHA. Errors as `create`.

        While the API's limit is reached, git does it: a lease must not end for want of quota.
        """
        mine = self.commit(message, [parent], signature)
        try:
            sha = self._upload(message, [parent], signature, "renew")
        except (RejectedError, RateLimitedError):
            self.transact([RefUpdate(ref, parent, mine)])
            return mine
        path = f"git/{ref}"
        self._offer("PATCH", path, {"sha": sha, "force": False}, ref, parent, sha)
        if sha != mine:
            self._fetch(ref)
        return sha

    def delete(self, refs: dict[str, str], repository_id: str) -> None:
        """Delete refs, each pinned to the SHA seen; all of a request, or none.

        Raises:
            RefMovedError: one of them is no longer there.
        """
        rows = sorted(refs.items())
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            updates = [{"name": ref, "beforeOid": sha, "afterOid": _ABSENT} for ref, sha in part]
            variables = {"repository": repository_id, "updates": updates}
            try:
                self._client.graphql(REFS_MUTATION, variables, "delete")
            except (RejectedError, AnswerLostError):
                self._delete_by_push(part)

    def _delete_by_push(self, rows: list[tuple[str, str]]) -> None:
        """What the API did not do, or did not say that it did."""
        there = self._listed(*(ref for ref, _ in rows))
        self.transact([RefUpdate(ref, sha, None) for ref, sha in rows if ref in there])

    def _upload(self, message: str, parents: list[str], signature: Signature, purpose: str) -> str:
        """Make the claim's commit on GitHub; repeating it makes the same one, so a lost answer is asked for again."""
        at = datetime.fromtimestamp(int(signature.at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        who = {"name": signature.name, "email": signature.email, "date": at}
        body = {"message": message, "tree": EMPTY_TREE, "parents": parents, "author": who, "committer": who}
        for attempt in range(_TRIES):
            try:
                answer = self._client.send("POST", f"/repos/{self._repository}/git/commits", body, purpose)
                return str(answer.body["sha"])
            except AnswerLostError:
                if attempt == _TRIES - 1:
                    raise
        raise ForgeUnavailableError(f"{self._repository} gave no answer")

    def _offer(self, verb: str, path: str, body: dict[str, Any], ref: str, old: str | None, new: str) -> None:
        """Move `ref`; whatever GitHub answers, or does not, what the ref holds afterwards decides."""
        problem = ForgeUnavailableError(f"{ref} could not be moved at {self._repository}")
        for _ in range(_TRIES):
            try:
                self._client.send(verb, f"/repos/{self._repository}/{path}", body, _purpose(old))
            except (AnswerLostError, RejectedError) as error:
                actual = self._read_back(ref)
                if actual == new:
                    return
                if actual != old:
                    raise RefMovedError(ref, actual) from error
                if isinstance(error, UsageError):
                    raise
                problem = ForgeUnavailableError(error.message, remedy=error.remedy or "try again in a moment")
            else:
                return
        raise problem

    def _read_back(self, ref: str) -> str | None:
        """What the ref holds now, by the API that was just written to."""
        return read_ref(self._client, self._repository, ref)

    def _fetch(self, ref: str) -> None:
        """Bring a commit that GitHub wrote otherwise than we did: what is built on it must find it here."""
        row = self.tip(ref)
        if row is None:
            raise RefMovedError(ref, None)
        self.header(row)


def read_ref(client: Client, repository: str, ref: str) -> str | None:
    """What a ref holds, by REST; None when there is none.

    Raises:
        ForgeUnavailableError: no answer, or none that can be trusted.
    """
    try:
        answer = client.get(f"/repos/{repository}/git/{ref.replace('refs/', 'ref/', 1)}", "claim")
    except RejectedError as error:
        if error.status == 404:
            return None
        raise ForgeUnavailableError(f"{ref} cannot be read back: {error.message}") from error
    return str(answer.body["object"]["sha"])


def _purpose(old: str | None) -> str:
    return "claim" if old is None else "renew"
