"""What is said in public of an attempt: commit message, pull title and body, reasons.

An agent's words are untrusted and may hold what it has seen: all of them are cleaned, redacted and neutralised here,
once, before they reach a claim, a commit or a pull (F30, F35).
"""

from collections.abc import Sequence
from typing import Final

from refinery.core.agent import Finished
from refinery.core.model import Task
from refinery.core.result_file import ResultFile
from refinery.core.sanitise import Redactor, clean, neutralise, one_line, public_line
from refinery.process import Ended
from refinery.scan import LeftOut

_SUBJECT: Final = 72
_LONGEST_REASON: Final = 500
_NAMED: Final = 20  # left-out files that are named in a pull


class Wording:
    """The words of one attempt: `said` is the agent's own account, None where it left none."""

    def __init__(self, task: Task, said: ResultFile | None, redactor: Redactor) -> None:
        self._task, self._said, self._redactor = task, said, redactor

    def public(self, text: str) -> str:
        """An agent's or a program's text, fit to be shown anywhere."""
        return neutralise(self._redactor.text(clean(text))).strip()

    def reason(self, text: str) -> str:
        """Why an attempt ended as it did, in one line."""
        return one_line(self._redactor.text(clean(text)), _LONGEST_REASON)

    @property
    def title(self) -> str:
        """One line that says what was done."""
        own = self.public(self._said.title) if self._said is not None else ""
        return public_line(own or self.public(self._task.title), _SUBJECT)

    @property
    def summary(self) -> str:
        """The agent's account, or nothing."""
        return self.public(self._said.summary) if self._said is not None else ""

    @property
    def message(self) -> str:
        """The commit's message, without its trailers."""
        return "\n\n".join(part for part in (self.title, self.summary) if part)

    def body(self, attempt: int, agent: str, left_out: Sequence[LeftOut]) -> str:
        """The pull's description: what the agent says of it, and what the snapshot does not hold."""
        parts = [self.summary, f"Task {self._task.id}, attempt {attempt}, agent {agent}."]
        if left_out:
            named = "\n".join(f"- {public_line(each.path, 200)}: {each.reason}" for each in left_out[:_NAMED])
            parts.append(f"Left out of the snapshot:\n{named}")
        return "\n\n".join(part for part in parts if part)


def how(ended: Ended) -> str:
    """How a process ended, in words."""
    if ended.start_error:
        return f"did not run ({ended.start_error})"
    if ended.timed_out:
        return "ran into its time limit"
    if ended.stopped:
        return "was stopped"
    if ended.lost:
        return "ended in an unknown way"
    if ended.signal is not None:
        return f"was ended by signal {ended.signal}"
    return f"exited with {ended.exit_code}"


def finished(ended: Ended, tail: tuple[str, ...]) -> Finished:
    """An ending as an agent's adapter takes it, with the last lines of its output."""
    return Finished(
        exit_code=ended.exit_code,
        signal=ended.signal,
        timed_out=ended.timed_out,
        stopped=bool(ended.stopped),
        start_error=ended.start_error or ("its guard was killed" if ended.lost else ""),
        tail=tail,
    )
