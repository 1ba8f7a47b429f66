"""Landing on GitHub: one pull at a time, with the expected head, read back afterwards.

`PUT merge` names the head but no base, so the base may have moved on in between; what landed is therefore compared
with what was predicted, by trees. The claims move after the merge: a crash in between leaves the landing claim's
intent, which `unfinished` finds.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from refinery.core.model import BRANCHES, Claim
from refinery.errors import ForgeUnavailableError, LandingRefusedError, RefMovedError
from refinery.forges.github.client import Client
from refinery.forges.github.documents import ENQUEUE_MUTATION
from refinery.forges.github.errors import AnswerLostError, RejectedError
from refinery.mirror import Mirror
from refinery.ports import LandingItem

_WAITS: Final = (
    0.5,
    1.0,
    2.0,
    4.0,
    8.0,
)  # seconds that GitHub is given to find out whether a pull is mergeable


@dataclass(frozen=True, slots=True)
class Merging:
    """One pull to be merged through the API."""

    client: Client
    repository: str
    item: LandingItem

    def put(self, message: str, *, is_squash: bool) -> str:
        """Merge it; returns the commit that GitHub made.

        Raises:
            RefMovedError: the head is another one now.
            LandingRefusedError: GitHub's rules are against it.
            ForgeUnavailableError: nobody knows, even after reading back.
        """
        title, _, rest = message.partition("\n\n")
        body = {
            "sha": self.item.pull.head,
            "merge_method": "squash" if is_squash else "merge",
            "commit_title": title,
            "commit_message": rest,
        }
        problem: RejectedError | AnswerLostError | None = None
        for wait in (0.0, *_WAITS):
            time.sleep(wait)
            try:
                answer = self.client.send("PUT", self._path("/merge"), body, "merge")
                return str(answer.body["sha"])
            except (RejectedError, AnswerLostError) as error:
                problem = error
            found = self._read()
            if found["merged"]:
                return str(found["merge_commit_sha"])
            self._judge(problem, found)
        if isinstance(problem, RejectedError):
            raise LandingRefusedError(self.item.pull.number, problem.words or problem.message)
        raise ForgeUnavailableError(f"GitHub does not say whether pull {self.item.pull.number} merged")

    def _judge(self, problem: RejectedError | AnswerLostError, found: Mapping[str, Any]) -> None:
        """Raise unless trying again makes sense: no answer, or GitHub is still finding out whether it is mergeable."""
        pull = self.item.pull
        if found["head"]["sha"] != pull.head:
            raise RefMovedError(BRANCHES + pull.branch, str(found["head"]["sha"])) from problem
        if isinstance(problem, AnswerLostError):
            return
        if found["state"] != "open" or found["mergeable"] is not None:
            is_behind = found["mergeable_state"] == "behind"
            words = problem.words or problem.message
            raise LandingRefusedError(pull.number, words, is_behind=is_behind) from problem

    def enqueue(self) -> None:
        """Hand it to the merge queue, with the expected head.

        Raises:
            LandingRefusedError: always: queued, or why not.
        """
        pull = self.item.pull
        try:
            self.client.graphql(ENQUEUE_MUTATION, {"pull": pull.tip, "head": pull.head}, "merge")
        except RejectedError as error:
            raise LandingRefusedError(pull.number, error.words or error.message) from error
        raise LandingRefusedError(pull.number, "it is in the merge queue", is_queued=True)

    def _read(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.client.get(self._path(""), "merge").body
        return found

    def _path(self, rest: str) -> str:
        return f"/repos/{self.repository}/pulls/{self.item.pull.number}{rest}"


def message_of(mirror: Mirror, commit: str) -> str:
    """The message that a landed commit is to have."""
    return mirror.git().run("log", "-1", "--format=%B", commit, "--").decode("utf-8", "replace").strip()


def unfinished(landing: Claim | None) -> tuple[int, str, str] | None:
    """Pull, head and predicted tree of a landing that was begun and perhaps not finished."""
    if landing is None or not landing.intent or landing.outcome is not None:
        return None
    pulls, heads = landing.intent.get("pulls"), landing.intent.get("heads")
    if not isinstance(pulls, list) or not isinstance(heads, list) or len(pulls) != 1 or len(heads) != 1:
        return None
    return int(pulls[0]), str(heads[0]), str(landing.intent.get("tree", ""))
