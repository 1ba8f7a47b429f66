"""Why a pull does not merge: every reason a verdict can give, in words, with what would cure it.

A closed list. Codes are stable: scripts, comments and pages key on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

Fact = str | int | float
CHECKS_APP: Final = "checks"  # results of the project's own `checks:` commands


class Code(StrEnum):
    """One cause why a change is not merged (or not yet)."""

    # What the change does to the tree of its base.
    REMOVED = "removed"
    LINES_REMOVED = "lines-removed"
    LINE_ENDINGS = "line-endings"
    BINARY_CHANGED = "binary-changed"
    FILE_CHANGED = "file-changed"
    TYPE_CHANGED = "type-changed"
    MODE_CHANGED = "mode-changed"
    EXECUTABLE = "executable"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    UNUSUAL_MODE = "unusual-mode"
    COLLISION = "collision"
    ODD_PATH = "odd-path"
    UNREADABLE = "unreadable"
    PROTECTED = "protected-path"
    TOO_MANY_LINES = "too-many-lines"
    TOO_MANY_FILES = "too-many-files"
    # Where the pull stands.
    NOT_OPEN = "not-open"
    NO_LABEL = "no-label"
    FORK = "fork"
    NO_CLAIM = "no-claim"
    MOVED = "moved"
    NOT_PUBLISHED = "not-published"
    BASE_NOT_ALLOWED = "base-not-allowed"
    FROZEN = "frozen"
    DRAFT = "draft"
    HOLD = "hold"
    CHANGES_REQUESTED = "changes-requested"
    NO_MERGE_BASE = "no-merge-base"
    SEVERAL_MERGE_BASES = "several-merge-bases"
    CONFLICT = "conflict"
    NO_CHECKS = "no-checks"
    CHECK_FAILED = "check-failed"
    CHECK_NOT_RUN = "check-did-not-run"
    DEPENDENCY_DEAD = "dependency-dead"
    TASK_ENDED = "task-ended"
    FORGE_REFUSES = "forge-refuses"
    # What may still come by itself.
    CLAIM_UNREADABLE = "claim-unreadable"
    CLAIMED = "claimed"
    WORK_UNFINISHED = "work-unfinished"
    CHECK_PENDING = "check-pending"
    CHECK_MISSING = "check-missing"
    DEPENDENCY_WAITING = "dependency-waiting"
    IN_THE_WAY = "in-the-way"
    QUEUED = "queued"
    UNKNOWN = "unknown"


WAITS: Final = frozenset(
    {
        Code.CLAIM_UNREADABLE,
        Code.CLAIMED,
        Code.WORK_UNFINISHED,
        Code.CHECK_PENDING,
        Code.CHECK_MISSING,
        Code.DEPENDENCY_WAITING,
        Code.IN_THE_WAY,
        Code.QUEUED,
        Code.UNKNOWN,
    }
)

# Against the additive tier alone: `any` globs of the policy lift these for a path, and nothing else.
NOT_ADDITIVE: Final = frozenset(
    {Code.REMOVED, Code.LINES_REMOVED, Code.LINE_ENDINGS, Code.BINARY_CHANGED, Code.FILE_CHANGED}
)

_BY_HAND = "merge it by hand after a review"
_TEXT: Final[dict[Code, tuple[str, str]]] = {
    Code.REMOVED: (
        "{path} of the base is gone",
        "put {path} back, or list it under `any:` of the policy, or " + _BY_HAND,
    ),
    Code.LINES_REMOVED: (
        "line {line} of {path} was removed, changed or moved",
        "keep every line of {path}, or list it under `any:` of the policy, or " + _BY_HAND,
    ),
    Code.LINE_ENDINGS: (
        "line {line} of {path} ends otherwise than before",
        "keep the line endings of {path}, its final newline or the lack of it included, or " + _BY_HAND,
    ),
    Code.BINARY_CHANGED: (
        "{path} is binary and changed",
        "add a new file instead, or list {path} under `any:` of the policy, or " + _BY_HAND,
    ),
    Code.FILE_CHANGED: (
        "{path} grew, and the policy admits new files only",
        "set `tier: additions` in the policy, or " + _BY_HAND,
    ),
    Code.TYPE_CHANGED: ("{path} changed from mode {old} to {new}", "restore {path}, or " + _BY_HAND),
    Code.MODE_CHANGED: (
        "the mode of {path} changed from {old} to {new}",
        "restore mode {old} of {path}, or " + _BY_HAND,
    ),
    Code.EXECUTABLE: ("{path} is new and executable", "drop the executable bit of {path}, or " + _BY_HAND),
    Code.SYMLINK: ("{path} is a symbolic link", "make {path} a regular file, or " + _BY_HAND),
    Code.SUBMODULE: ("{path} is a submodule", "leave {path} out, or " + _BY_HAND),
    Code.UNUSUAL_MODE: (
        "{path} has mode {mode}",
        "make {path} a regular file of mode 100644, or " + _BY_HAND,
    ),
    Code.COLLISION: (
        "{path} and {other} are one name on systems that fold case or Unicode form",
        "rename {path}",
    ),
    Code.ODD_PATH: ("the name {path} {why}", "rename {path}"),
    Code.UNREADABLE: ("{path} could not be read whole", "make {path} smaller, or " + _BY_HAND),
    Code.PROTECTED: (
        "{path} is protected by {pattern}",
        "leave {path} out, or list it under `unprotected:` of the policy, or " + _BY_HAND,
    ),
    Code.TOO_MANY_LINES: (
        "{lines} lines were added, and the policy admits {limit}",
        "split the task, or raise `max_lines` in the policy",
    ),
    Code.TOO_MANY_FILES: (
        "{files} files changed, and the policy admits {limit}",
        "split the task, or raise `max_files` in the policy",
    ),
    Code.NOT_OPEN: ("the pull is {state}", "open a new pull"),
    Code.NO_LABEL: ("the label {label} is missing", "put the label {label} on the pull"),
    Code.FORK: ("the head is in a fork", "push the branch to this repository, or " + _BY_HAND),
    Code.NO_CLAIM: (
        "no claim records this pull, so nobody knows whose commits these are",
        "run the task again, or " + _BY_HAND,
    ),
    Code.MOVED: (
        "the branch holds {actual}, and {recorded} was released for review",
        "review the newer commits, then " + _BY_HAND,
    ),
    Code.NOT_PUBLISHED: (
        "the last attempt ended with {outcome}, so its work is not finished",
        "let the task be tried again (`refinery run -t {task}`), or " + _BY_HAND,
    ),
    Code.BASE_NOT_ALLOWED: (
        "{base} is not a base that the policy lands on",
        "add {base} to `bases:` of the policy, or open the pull against another base",
    ),
    Code.FROZEN: ("{base} is frozen: {why}", "find out why, then `refinery unfreeze {base}`"),
    Code.DRAFT: ("the pull is a draft", "mark the pull as ready"),
    Code.HOLD: ("the label {label} is on the pull", "take the label {label} off"),
    Code.CHANGES_REQUESTED: (
        "{author} requested changes",
        "ask {author} to approve the present head, or to dismiss the review",
    ),
    Code.NO_MERGE_BASE: (
        "head and base share no history",
        "start the branch from the base",
    ),
    Code.SEVERAL_MERGE_BASES: (
        "head and base have {count} merge bases, so there is no one base to prove additions against",
        "rebase the branch, or " + _BY_HAND,
    ),
    Code.CONFLICT: ("merging conflicts in {path}", "merge the base into the branch and resolve the conflict"),
    Code.NO_CHECKS: (
        "no check is required, so nothing shows that the result works",
        'add `checks: {{tests: "<your test command>"}}` to refinery.yml on {base}',
    ),
    Code.CHECK_FAILED: ("the check {check} ended with {conclusion}", "make {check} pass"),
    Code.CHECK_NOT_RUN: (
        "the check {check} did not run ({conclusion}), which is not the same as passing",
        "make {check} run on this change",
    ),
    Code.DEPENDENCY_DEAD: (
        "the task it depends on, {task}, is {status}",
        "do {task} after all, or remove the dependency",
    ),
    Code.TASK_ENDED: (
        "somebody ended the task: it is {status}",
        "open the task again, or close the pull, or " + _BY_HAND,
    ),
    Code.FORGE_REFUSES: (
        "the forge does not merge it: {why}",
        "give the branch what its rules ask for, or " + _BY_HAND,
    ),
    Code.CLAIM_UNREADABLE: (
        "the task's claim cannot be read ({why}), which counts as held",
        "upgrade refinery, or let `refinery doctor` explain the claim",
    ),
    Code.CLAIMED: ("{holder} holds the task for {role}", "wait until the lease ends"),
    Code.WORK_UNFINISHED: (
        "the lease of {holder} ended without a release, so the branch may hold partial work",
        "wait until the task is taken over, or run `refinery reconcile`",
    ),
    Code.CHECK_PENDING: ("the check {check} is still running", "wait for it"),
    Code.CHECK_MISSING: (
        "the check {check} of App {app} has no result for this head yet",
        "wait for it; if it never comes, see that {app} reports {check} on this branch",
    ),
    Code.DEPENDENCY_WAITING: ("the task it depends on, {task}, is {status}", "merge {task} first"),
    Code.IN_THE_WAY: (
        "{path} has local changes in a checkout of {base}, which landing would overwrite",
        "commit, stash or remove {path} there",
    ),
    Code.QUEUED: ("it is in the forge's own merge queue", "wait for the queue"),
    Code.UNKNOWN: ("{what} is not known yet", "wait; if it stays so, run `refinery doctor`"),
}


_OURS_TO_RUN: Final = (
    "the check {check} has not run on the predicted result yet",
    "`refinery merge` runs it as soon as nothing else is in the way",
)
_MERGED: Final = ("the pull is merged already", "nothing is left to do for it")


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause with its facts. `path` facts hold undecodable bytes as surrogates; `to_json` makes them printable."""

    code: Code
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether time alone may cure it."""
        return self.code in WAITS

    @property
    def cure(self) -> str:
        """What a person can do about it."""
        return self._words()[1].format_map(self._printable())

    @property
    def text(self) -> str:
        """What is the matter, in one clause."""
        return self._words()[0].format_map(self._printable())

    def _words(self) -> tuple[str, str]:
        if self.code is Code.CHECK_MISSING and self.facts.get("app") == CHECKS_APP:
            return _OURS_TO_RUN
        if self.code is Code.NOT_OPEN and self.facts.get("state") == "merged":
            return _MERGED
        return _TEXT[self.code]

    def to_json(self) -> dict[str, object]:
        """`{code, facts, cure}`, all printable UTF-8."""
        return {"code": str(self.code), "facts": self._printable(), "cure": self.cure}

    def _printable(self) -> dict[str, Fact]:
        return {name: printable(fact) if isinstance(fact, str) else fact for name, fact in self.facts.items()}


def reason(code: Code, **facts: Fact) -> Reason:
    """A `Reason`, with its facts as keywords."""
    return Reason(code, facts)


def printable(text: str) -> str:
    r"""`text` without surrogates and control characters: a byte that is not UTF-8 shows as `\xff`."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in shown)
