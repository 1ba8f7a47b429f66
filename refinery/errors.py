"""Every exception, each with its outcome (hence exit code) and a remedy.

Messages say what happened and what it means; `remedy` says what to do next.
"""

from refinery.core.outcomes import Outcome, exit_code


class RefineryError(Exception):
    """Something went wrong that a person can be told about in one message."""

    outcome = Outcome.INTERNAL_ERROR

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    @property
    def exit_code(self) -> int:
        """The process exit code of this error's outcome."""
        return exit_code(self.outcome)


class UsageError(RefineryError):
    """A command line, path, name or configuration is wrong; nothing was changed."""

    outcome = Outcome.USAGE


class ConfigError(UsageError):
    """One or more configuration mistakes, all listed, each with file and line."""


class TaskFileError(UsageError):
    """A task cannot be read or written; it was left as it is."""


class BusyError(RefineryError):
    """Another process holds a lock of the home folder; nothing was changed."""


class GitError(RefineryError):
    """A git command failed in a way that no caller expected."""

    def __init__(self, message: str, *, code: int = 1, stderr: str = "", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code
        self.stderr = stderr


class ForgeUnavailableError(RefineryError):
    """The forge did not answer, or not in a way that can be trusted. Neither "lost" nor "won" nor "no work" (F6)."""

    outcome = Outcome.FORGE_UNAVAILABLE


class RateLimitedError(ForgeUnavailableError):
    """The forge asks for a pause until `until` (seconds since the epoch, its clock): nobody's failure (F37)."""

    def __init__(self, message: str, *, until: float, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.until = until


class RefMovedError(RefineryError):
    """A compare-and-swap lost: `ref` holds `actual` (None: it does not exist), read back after the attempt."""

    outcome = Outcome.CLAIM_LOST

    def __init__(self, ref: str, actual: str | None) -> None:
        super().__init__(f"{ref} was moved by somebody else (now {actual or 'absent'})")
        self.ref = ref
        self.actual = actual


class ClaimLostError(RefineryError):
    """Somebody else was first, or the task is no longer what it was."""

    outcome = Outcome.CLAIM_LOST


class LeaseLostError(RefineryError):
    """The lease went to somebody else mid-way; nothing more may be written for the task."""

    outcome = Outcome.LEASE_LOST


class InTheWayError(RefineryError):
    """Local changes in a checkout of the base would be overwritten; the landing waits for their owner."""

    outcome = Outcome.WAITING


class LandingRefusedError(RefineryError):
    """The forge does not merge pull `number`, in its own words `why`; nothing landed of it, or of what follows it.

    `is_behind`: its rules want the base's present commit in the branch first.
    """

    outcome = Outcome.WAITING

    def __init__(self, number: int, why: str, *, is_queued: bool = False, is_behind: bool = False) -> None:
        super().__init__(f"the forge did not merge pull {number}: {why}")
        self.number = number
        self.why = why
        self.is_queued = is_queued
        self.is_behind = is_behind


class FrozenError(RefineryError):
    """What landed is not what was predicted; the base is frozen until a person lifts it."""

    @property
    def exit_code(self) -> int:
        """That of `merge` on a frozen base."""
        return 8


class PushRefusedError(RefineryError):
    """The forge refuses this push for good: its words are in the message."""

    outcome = Outcome.PUSH_REFUSED


class TamperedError(RefineryError):
    """A boundary that only Refinery writes has changed under it."""

    outcome = Outcome.TAMPERED


class StoppedError(RefineryError):
    """The run was told to stop at once; work was preserved."""

    outcome = Outcome.FORCE_STOPPED
