"""Who gets a claim on GitHub when many want it at once, by its API and by git; and who keeps it."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from support.forge_hub import HubPlace, opened_hub
from support.forges import NOW, TASK, claim
from support.hub import NAME
from support.repos import git

from refinery.core.claims import encode
from refinery.errors import ForgeUnavailableError, RefMovedError
from refinery.forges.git.by_url import UrlRefs
from refinery.forges.git.refs import RefUpdate
from refinery.forges.github.client import Client
from refinery.forges.github.credentials import FixedToken
from refinery.forges.github.refs import GitHubRefs
from refinery.git import Signature

Write = Callable[[str, str | None], str]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[HubPlace]:
    """The repository, without a limit on how many ask."""
    with opened_hub(tmp_path) as made:
        made.hub.limits.most = {"core": 10**9, "graphql": 10**9}
        yield made


def by_api(place: HubPlace, token: str) -> Write:
    """A contender of its own, who writes by the API."""
    place.clients.append(Client(place.hub.api, FixedToken(token, "the test")))
    refs = GitHubRefs(place.hub.git(NAME), place.mirror, place.clients[-1], NAME)

    def write(message: str, parent: str | None) -> str:
        who = Signature("Refinery", "refinery@localhost", NOW)
        return refs.create(TASK, message, who) if parent is None else refs.renew(TASK, message, parent, who)

    return write


def by_push(place: HubPlace) -> Write:
    """A contender who writes by git."""
    refs = UrlRefs(place.hub.git(NAME), place.mirror)

    def write(message: str, parent: str | None) -> str:
        sha = refs.commit(message, [parent] if parent else [], Signature("Refinery", "r@localhost", NOW))
        refs.transact([RefUpdate(TASK, parent, sha)])
        return sha

    return write


def race(writers: list[Write], parent: str | None) -> tuple[list[str], list[str | None]]:
    """All write at once, each a claim of its own: what the winners wrote, and what the losers found."""
    start = Barrier(len(writers))

    def contend(write: Write) -> tuple[str, str | None]:
        message = encode(claim(holder=os.urandom(4).hex()))
        start.wait()
        try:
            return write(message, parent), None
        except RefMovedError as lost:
            return "", lost.actual
        except ForgeUnavailableError:
            return "", "unknown"

    with ThreadPoolExecutor(len(writers)) as pool:
        ends = list(pool.map(contend, writers))
    return [won for won, _ in ends if won], [found for won, found in ends if not won]


def tip(place: HubPlace) -> str:
    """What the ref holds, by plain git."""
    return git(place.git_dir, "rev-parse", TASK)


def run_rounds(place: HubPlace, rounds: int, api: int, push: int) -> None:
    """Rounds of one race; in every third the answer to the first creation is lost after it was carried out."""
    token = place.hub.token("robot")
    for number in range(rounds):
        if number % 3 == 0:
            place.hub.faults.add("drop-after", method="POST", path=r"/git/refs$")
        writers = [by_api(place, token) for _ in range(api)] + [by_push(place) for _ in range(push)]
        won, found = race(writers, None)
        assert won == [tip(place)], f"round {number}"
        assert set(found) <= {won[0]}, f"round {number}"
        git(place.git_dir, "update-ref", "-d", TASK)
        for client in place.clients[2:]:
            client.close()
        del place.clients[2:]


def test_f01_one_winner_of_many_by_api_and_push(place: HubPlace) -> None:
    """F1: one winner each round, and every loser read who it was; a lost answer makes no second one."""
    run_rounds(place, rounds=2, api=9, push=3)


@pytest.mark.races
def test_f01_one_winner_of_64_by_api_and_push(place: HubPlace) -> None:
    """F1: 64 clients, 20 rounds, one in three with a drop after the ref was created."""
    run_rounds(place, rounds=20, api=48, push=16)


def renew_at_once(place: HubPlace, count: int) -> None:
    """One claim, renewed by so many holders of its tip, each in their own words."""
    token = place.hub.token("robot")
    first = by_api(place, token)(encode(claim()), None)
    won, found = race([by_api(place, token) for _ in range(count)], first)
    assert won == [tip(place)]
    assert set(found) == {won[0]}
    assert git(place.git_dir, "rev-parse", f"{TASK}^") == first


def test_one_of_many_renewals_wins_and_the_others_know(place: HubPlace) -> None:
    """Of renewals from one tip a single one stands; the others read whose."""
    renew_at_once(place, 8)


@pytest.mark.races
def test_one_of_50_renewals_wins_and_the_others_know(place: HubPlace) -> None:
    """50 at once."""
    renew_at_once(place, 50)


def test_the_same_renewal_from_two_hands_is_one(place: HubPlace) -> None:
    """An answer that was lost is asked for again with the same commit: both are told that it stands."""
    token = place.hub.token("robot")
    made = claim()
    first = by_api(place, token)(encode(made), None)
    words = encode(replace(made, expires_at=NOW + 1800))
    one, two = (by_api(place, token)(words, first) for _ in range(2))
    assert one == two == tip(place)
