"""One thing goes wrong at each request in turn, API and git alike, while an issue becomes a merged pull."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from math import gcd
from pathlib import Path

import pytest
from support.hub import fake_hub
from support.hub_stage import HubStage

from refinery.errors import RefineryError

_SLOW_DOWN = "You have exceeded a secondary rate limit."
KINDS: dict[str, dict[str, object]] = {
    "drop": {"kind": "drop"},
    "drop-after": {"kind": "drop-after"},
    "truncate": {"kind": "truncate"},
    "500": {"kind": "status", "status": 500},
    "403 at once": {"kind": "status", "status": 403, "headers": {"retry-after": "0"}, "message": _SLOW_DOWN},
    "403 a second": {"kind": "status", "status": 403, "headers": {"retry-after": "1"}, "message": _SLOW_DOWN},
}
SAMPLE = 8  # of all requests and kinds, in a normal run


def through(stage: HubStage) -> Callable[[], None]:
    """Work, CI and merge, each as far as it comes."""

    def act() -> None:
        for verb in (stage.scene.run, stage.scene.pass_checks, stage.scene.merge):
            with suppress(RefineryError):
                verb()

    return act


def requests_of(stage: HubStage) -> int:
    """How many requests the act takes when nothing goes wrong."""
    before = len(stage.hub.requests) + len(stage.hub.transfers)
    stage.act()
    return len(stage.hub.requests) + len(stage.hub.transfers) - before


def strike(stage: HubStage, number: int, kind: str) -> list[str]:
    """What was wrong after the `number`-th request met its fault."""
    stage.restore()
    fault = stage.hub.faults.add(**KINDS[kind], nth=number)
    stage.act()
    stage.hub.faults.clear()
    if not fault.met:
        return []
    branches = stage.scene.refs("refs/heads")
    try:
        stage.recover()
        return [f"{kind} at {number}: {each}" for each in stage.problems(branches)]
    except Exception as error:  # noqa: BLE001  (one fault's failure must not hide the others)
        return [f"{kind} at {number}: {type(error).__name__}: {error}"]


def stage_of(root: Path, hub: object) -> tuple[HubStage, list[tuple[int, str]]]:
    """The stage, and all faults in the order of the requests."""
    stage = HubStage(root, hub, "run")
    stage.act = through(stage)
    return stage, [(number, kind) for number in range(1, requests_of(stage) + 1) for kind in KINDS]


def test_f22_a_fault_at_any_request_loses_nothing_and_lands_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """F4, F9, F22: an evenly spread sample of all faults; every one of them under `make test-long`."""
    with fake_hub(tmp_path) as hub:
        stage, faults = stage_of(tmp_path, hub)
        step = next(each for each in count(len(faults) // SAMPLE) if gcd(each, len(KINDS)) == 1)
        chosen = faults[::step]  # each kind has its turn
        with capsys.disabled():
            print(f"\n{len(chosen)} of {len(faults)} faults")  # noqa: T201  (the survey's size is its worth)
        assert [words for number, kind in chosen for words in strike(stage, number, kind)] == []


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_at_every_request(tmp_path: Path, kind: str) -> None:
    """F4, F9, F22: one kind, at all of them."""
    with fake_hub(tmp_path) as hub:
        stage, faults = stage_of(tmp_path, hub)
        assert [
            words for number, each in faults if each == kind for words in strike(stage, number, kind)
        ] == []
