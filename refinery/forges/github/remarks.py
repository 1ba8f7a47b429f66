"""What is said on GitHub: pulls and comments, each once, however often an answer is lost.

What cannot be fenced carries the claim's SHA in a hidden mark, and is looked for before it is said a second time (F4).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from refinery.core.lease import Lease
from refinery.errors import ForgeUnavailableError
from refinery.forges.github.client import Client
from refinery.forges.github.documents import DRAFT_MUTATION, READY_MUTATION
from refinery.forges.github.errors import AnswerLostError, RejectedError
from refinery.ports import PullDraft

_MARK: Final = re.compile(r"\n*<!-- refinery:claim [0-9a-f]{40} -->")
_LONGEST: Final = 60_000  # characters; GitHub takes 65,536
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Remarks:
    """Pulls and comments of one repository (`owner/name`)."""

    client: Client
    repository: str

    def signed(self, body: str, lease: Lease) -> str:
        """`body` with the mark of the claim that it is written under."""
        plain = _MARK.sub("", body)[:_LONGEST].rstrip()
        return f"{plain}\n\n<!-- refinery:claim {lease.tip} -->".lstrip()

    def open_pull(self, draft: PullDraft, body: str) -> Mapping[str, Any]:
        """The pull, opened or brought up to date, with its labels: GitHub's own row.

        Raises:
            RejectedError: GitHub does not take it, for another reason than that it is there.
            ForgeUnavailableError: nobody knows.
        """
        row = self._opened(draft, body) or self._updated(draft, body)
        missing = set(draft.labels) - {str(label["name"]) for label in row["labels"]}
        if missing:
            path = f"/repos/{self.repository}/issues/{row['number']}/labels"
            self.client.send("POST", path, {"labels": sorted(missing)}, "label")
        return row

    def _opened(self, draft: PullDraft, body: str) -> Mapping[str, Any] | None:
        """A new pull; None where there is one already, perhaps by this very request."""
        asked = {
            "title": draft.title,
            "head": draft.branch,
            "base": draft.base,
            "body": body,
            "draft": draft.draft,
            "maintainer_can_modify": False,
        }
        for _ in range(_TRIES):
            try:
                row: Mapping[str, Any] = self.client.send(
                    "POST", f"/repos/{self.repository}/pulls", asked, "open-pull"
                ).body
            except AnswerLostError:
                continue
            except RejectedError as error:
                if error.status == 422 and "already exists" in _all_words(error):
                    return None
                if error.status == 422 and "raft" in _all_words(error) and asked["draft"]:
                    asked["draft"] = (
                        False  # a plan without drafts: unfinished work stays unmerged by its claim
                    )
                    continue
                raise
            else:
                return row
        return None

    def _updated(self, draft: PullDraft, body: str) -> Mapping[str, Any]:
        """The open pull of the same branch and base, with new words."""
        owner = self.repository.partition("/")[0]
        found = self.client.pages(
            f"/repos/{self.repository}/pulls",
            "open-pull",
            params={"head": f"{owner}:{draft.branch}", "base": draft.base, "state": "open"},
        )
        mine = [
            row for row in found if row["head"]["ref"] == draft.branch and row["base"]["ref"] == draft.base
        ]
        if not mine:
            raise ForgeUnavailableError(
                f"GitHub neither opened a pull for {draft.branch} nor shows one",
                remedy="try again in a moment",
            )
        row: Mapping[str, Any] = mine[0]
        if (row["title"], row["body"]) != (draft.title, body):
            path = f"/repos/{self.repository}/pulls/{row['number']}"
            row = self.client.send("PATCH", path, {"title": draft.title, "body": body}, "open-pull").body
        if bool(row["draft"]) != draft.draft:
            document = DRAFT_MUTATION if draft.draft else READY_MUTATION
            self.client.graphql(document, {"pull": row["node_id"]}, "open-pull")
        return row

    def comment(self, lease: Lease, number: int, body: str) -> None:
        """Say something on a pull or issue, unless the same words of ours stand there."""
        mark = f"<!-- refinery:said {hashlib.sha256(body.encode()).hexdigest()[:16]} -->"
        path = f"/repos/{self.repository}/issues/{number}/comments"
        said = {"body": f"{self.signed(body, lease)}\n{mark}"}
        for _ in range(_TRIES):
            if any(mark in str(row["body"]) for row in self.client.pages(path, "comment")):
                return
            try:
                self.client.send("POST", path, said, "comment")
            except AnswerLostError:
                continue
            return
        raise ForgeUnavailableError(f"GitHub does not say whether a comment on {number} was made")


def _all_words(error: RejectedError) -> str:
    return " ".join([error.words, *(str(each) for each in error.errors)])
