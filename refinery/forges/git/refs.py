"""What both transports of a git forge share: compare-and-swap updates, listed rows, and the read-back rule.

Property: `transact` either moved every ref, or raised. After any failure the refs are read back: all at their new
value is success (an answer was lost, not the write), any at a third value is `RefMovedError`, all at their old value
is `ForgeUnavailableError`. A killed process may leave half of a transaction; the reconciler expects every half.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from refinery.errors import ForgeUnavailableError, PushRefusedError, RefMovedError
from refinery.git import Signature


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Move `ref` from `old` to `new`; None stands for absent."""

    ref: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class RefRow:
    """A listed ref: its commit and that commit's message (empty for branches)."""

    ref: str
    sha: str
    message: str


class Refs(Protocol):
    """The refs of one repository, by path or by URL."""

    where: str

    def rows(self) -> Sequence[RefRow]:
        """Every branch and every ref under `refs/refinery/`, in one look; ForgeUnavailableError without an answer."""

    def tip(self, ref: str) -> RefRow | None:
        """One ref now, or None when it does not exist."""

    def header(self, row: RefRow) -> tuple[str, str]:
        """The tree and first parent (or "") of a listed commit, as the repository has it."""

    def commit(self, message: str, parents: Sequence[str], signature: Signature) -> str:
        """Build a commit on the empty tree, durably, where `transact` will find it."""

    def transact(
        self, updates: Sequence[RefUpdate], objects: Iterable[str] = (), have: Iterable[str] = ()
    ) -> None:
        """Move all refs at once, bringing `objects` (mirror commits, with the history beyond `have`) along."""


def parse_header(raw: str) -> tuple[str, str]:
    """Tree and first parent (or "") of a commit object's text."""
    head = raw.partition("\n\n")[0].splitlines()
    tree = next(line.split()[1] for line in head if line.startswith("tree "))
    return tree, next((line.split()[1] for line in head if line.startswith("parent ")), "")


def settle(updates: Sequence[RefUpdate], actual: Mapping[str, str], words: str, where: str) -> None:
    """Judge a failed transaction by what the refs hold now (module property).

    Raises:
        RefMovedError: a ref holds neither its old nor its new value.
        PushRefusedError: the forge's words say that it will never take this.
        ForgeUnavailableError: nothing moved, for a passing reason.
    """
    if all(actual.get(update.ref) == update.new for update in updates):
        return
    for update in updates:
        if actual.get(update.ref) not in (update.old, update.new):
            raise RefMovedError(update.ref, actual.get(update.ref))
    if any(actual.get(update.ref) == update.new != update.old for update in updates):
        raise ForgeUnavailableError(
            f"only a part of a transaction arrived at {where}", remedy="run `refinery reconcile`"
        )
    _refuse(words, where)


def _refuse(words: str, where: str) -> NoReturn:
    final = (
        "hook declined",
        "protected branch",
        "denyDeletes",
        "deny updating",
        "refusing to",
        "unpacker error",
    )
    line = next(
        (text for text in words.splitlines() if "rejected" in text or "rror" in text or "fatal" in text), ""
    )
    said = [text.removeprefix("remote:") for text in words.splitlines() if text.startswith("remote:")]
    line = " ".join(" ".join([line or words[:300], *said]).split())[:500] or "no message"
    if any(word in words for word in final):
        raise PushRefusedError(f"{where} refused the push: {line}", remedy="see the forge's own words above")
    raise ForgeUnavailableError(
        f"{where} did not take the write: {line}", remedy="nothing was changed; try again in a moment"
    )
