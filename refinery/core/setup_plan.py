"""What `setup` has to do in a repository on GitHub: what is wanted less what is there.

Property: planned again after it was done, nothing is left.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from refinery.core.issue_mirror import LOOKS
from refinery.core.repository_facts import Needs
from refinery.core.repository_findings import wanted_labels
from refinery.core.text import listing

BRANCH: Final = "refinery/setup"


class Kind(StrEnum):
    """What a step makes."""

    LABEL = "label"
    SECRET = "secret"  # noqa: S105  (a word)
    VARIABLE = "variable"
    PULL = "pull"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do; `words` say it to people."""

    kind: Kind
    name: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What there should be: labels as `needs` says, files with their texts, secrets by name, variables with values."""

    needs: Needs
    files: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What there is: labels in small letters, files on the base or in the open pull `pull`, secrets, variables."""

    labels: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    pull: int | None = None
    secrets: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)


def plan(wanted: Wanted, present: Present) -> tuple[Step, ...]:
    """The steps, in order. A secret that exists is left alone: its value cannot be compared."""
    return (*_labels(wanted, present), *_values(wanted, present), *_files(wanted, present))


def missing_files(wanted: Wanted, present: Present) -> dict[str, str]:
    """The files that the pull has to bring."""
    return {path: text for path, text in wanted.files.items() if path not in present.files}


def look_of(name: str, needs: Needs) -> tuple[str, str]:
    """Colour and description of a label."""
    if name == needs.label:
        return "6f42c1", "Hands this over to Refinery"
    if name == needs.hold_label:
        return "cfd3d7", "Refinery does not merge this"
    return LOOKS[name.removeprefix(f"{needs.label}:")]


def _labels(wanted: Wanted, present: Present) -> Iterator[Step]:
    for name in wanted_labels(wanted.needs):
        if name.casefold() not in present.labels:
            yield Step(Kind.LABEL, name, f"create the label {name}: {look_of(name, wanted.needs)[1]}")


def _values(wanted: Wanted, present: Present) -> Iterator[Step]:
    for name in wanted.secrets:
        if name not in present.secrets:
            yield Step(Kind.SECRET, name, f"add the secret {name}, for workflows")
    for name, value in wanted.variables.items():
        if name not in present.variables:
            yield Step(Kind.VARIABLE, name, f"add the variable {name}, for workflows")
        elif present.variables[name] != value:
            yield Step(Kind.VARIABLE, name, f"change the variable {name}, for workflows")


def _files(wanted: Wanted, present: Present) -> Iterator[Step]:
    missing = missing_files(wanted, present)
    if missing:
        what = listing(missing)
        words = f"add {what} to pull {present.pull}" if present.pull else f"open a pull that adds {what}"
        yield Step(Kind.PULL, BRANCH, words)
