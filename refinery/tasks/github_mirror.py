"""Writing to an issue where its task stands: labels, one comment, and closing it, in one request.

Property: after an answer that was lost, the issue is read back before anything is written again, and a comment that is
there twice all the same is taken away by the next write. What is so already is not written.
"""

from typing import Final

from refinery.core.issue_mirror import LOOKS, Change, changed, planned
from refinery.core.issues import Actor, Issue
from refinery.core.model import Status
from refinery.errors import TaskFileError
from refinery.forges.github.client import Client
from refinery.forges.github.errors import AnswerLostError, RejectedError
from refinery.tasks.github_documents import MIRROR_MUTATION
from refinery.tasks.github_issues import IssueBook

_TRIES: Final = 3


class IssueMirror:
    """Shows statuses on the issues of one book."""

    def __init__(self, client: Client, book: IssueBook) -> None:
        self._client = client
        self._book = book

    def show(self, number: int, label: str, status: Status, body: str) -> None:
        """Make the issue show `status` and, unless it is empty, the comment `body`.

        Raises:
            TaskFileError: the issue is gone, or GitHub refuses.
            AnswerLostError: nobody knows, after several times.
        """
        issue = self._book.known(number) or self._book.one(number, label)
        for left in reversed(range(_TRIES)):
            try:
                self._write(issue, label, status, body)
            except AnswerLostError:
                if not left:
                    raise
            except RejectedError as error:
                if not left:
                    raise TaskFileError(
                        f"{self._book.repository}#{number} does not show {status}: {error.message}",
                        remedy=error.remedy or "see what the token may do: issues: write is needed",
                    ) from error
            else:
                return
            issue = self._book.one(number, label)

    def _write(self, issue: Issue, label: str, status: Status, body: str) -> None:
        change = planned(issue, label, status, body)
        if change.body and not change.comment and issue.unread:
            issue = self._book.with_all_remarks(issue)
            change = planned(issue, label, status, body)
        if change.is_nothing:
            return
        ids = {name: self._label_id(label, name) for name in change.add}
        ids |= {name: self._book.label_ids.get(name.casefold(), "") for name in change.remove}
        comment = self._send(issue, change, ids)
        own = Actor(self._book.own, is_bot=self._book.own.endswith("[bot]"))
        self._book.put(changed(issue, change, own, self._client.now(), comment), label)

    def _send(self, issue: Issue, change: Change, ids: dict[str, str]) -> str:
        """One mutation; the id of a new comment."""
        add = [ids[name] for name in change.add]
        remove = [ids[name] for name in change.remove if ids[name]]
        data = self._client.graphql(
            MIRROR_MUTATION,
            {
                "issue": issue.node,
                "body": change.body,
                "comment": change.comment,
                "extra": change.extra,
                "add": add,
                "remove": remove,
                "says": bool(change.body and not change.comment),
                "edits": bool(change.body and change.comment),
                "tidies": bool(change.extra),
                "adds": bool(add),
                "removes": bool(remove),
                "closes": change.closes,
            },
            "mirror",
        )
        edge = (data.get("say") or {}).get("commentEdge") or {}
        return str((edge.get("node") or {}).get("id") or "")

    def _label_id(self, label: str, name: str) -> str:
        """The label's id; it is created where nobody has yet."""
        known = self._book.label_ids.get(name.casefold())
        if known is not None:
            return known
        path = f"/repos/{self._book.repository}/labels"
        colour, words = LOOKS[name.removeprefix(f"{label}:")]
        try:
            made = self._client.send(
                "POST", path, {"name": name, "color": colour, "description": words}, "label"
            ).body
        except RejectedError as error:
            if error.status != 422:
                raise
            made = self._client.get(f"{path}/{name}", "label").body  # somebody was faster
        self._book.label_ids[name.casefold()] = str(made["node_id"])
        return str(made["node_id"])
