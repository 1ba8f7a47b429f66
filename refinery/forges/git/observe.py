"""From listed refs to one frozen state. Refs that cannot be read are named, and claims among them count as held."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from refinery.core.claims import tip_of
from refinery.core.model import (
    BRANCHES,
    CHECKS,
    CLAIMS,
    FREEZE,
    LANDING,
    PRESERVED,
    PULLS,
    ForgeState,
    Pull,
    PullState,
)
from refinery.forges.git.records import decode_checks, decode_freeze, decode_pull
from refinery.forges.git.refs import RefRow

T = TypeVar("T")


def state_of(rows: Iterable[RefRow]) -> ForgeState:
    """The state that `rows` describe. An open pull's head is its branch's tip; without a branch it is closed."""
    problems: list[str] = []
    below: dict[str, dict[str, RefRow]] = {
        prefix: {} for prefix in (BRANCHES, CLAIMS, PULLS, CHECKS, LANDING, FREEZE, PRESERVED)
    }
    for row in rows:
        for prefix, found in below.items():
            if row.ref.startswith(prefix):
                found[row.ref.removeprefix(prefix)] = row
    heads = {name: row.sha for name, row in below[BRANCHES].items()}
    pulls = _read(below[PULLS], decode_pull, problems)
    return ForgeState(
        claims={key: tip_of(row.sha, row.message) for key, row in below[CLAIMS].items()},
        pulls={pull.number: _seen(pull, heads) for pull in pulls.values()},
        heads=heads,
        landing={key: tip_of(row.sha, row.message) for key, row in below[LANDING].items()},
        freezes=_read(below[FREEZE], decode_freeze, problems),
        preserved={name: row.sha for name, row in below[PRESERVED].items()},
        checks=_read(below[CHECKS], lambda message, _: decode_checks(message), problems),
        problems=tuple(problems),
    )


def _seen(pull: Pull, heads: dict[str, str]) -> Pull:
    if pull.state is not PullState.OPEN:
        return pull
    if pull.branch not in heads:
        return replace(pull, state=PullState.CLOSED)
    return replace(pull, head=heads[pull.branch])


def _read(rows: dict[str, RefRow], decode: Callable[[str, str], T], problems: list[str]) -> dict[str, T]:
    found: dict[str, T] = {}
    for name, row in rows.items():
        try:
            found[name] = decode(row.message, row.sha)
        except ValueError as error:
            problems.append(f"{row.ref} cannot be read: {error}")
    return found
