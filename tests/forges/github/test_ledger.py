"""What the processes of one identity know together about limits (F37)."""

import json
import multiprocessing
import os
import time

import pytest
from support.wire import Reply, wire

from refinery.errors import RateLimitedError
from refinery.forges.github.client import Client
from refinery.forges.github.credentials import FixedToken
from refinery.forges.github.ledger import Ledger
from refinery.forges.github.limits import Limited

NOW = 1_000_000.0
ENDLESS = {"until": 9e9, "why": "x", "resource": ""}
EMPTY = {"full_at": 0}


def client_of(hub, folder, token="test-token-of-nobody"):  # noqa: S107  (opens nothing)
    return Client(hub.url, FixedToken(token, "x"), ledger=Ledger.shared(folder, hub.url, token), patience=5)


def test_f37_a_pause_of_one_process_holds_for_all_of_its_identity(tmp_path):
    """The second sends nothing at all; another identity is not concerned, and no file's name tells a token."""
    with wire(Reply(429, {}, {"retry-after": "300"})) as hub:
        for _ in range(2):
            with client_of(hub, tmp_path) as client, pytest.raises(RateLimitedError):
                client.get("/x", "issues")
        assert len(hub.seen) == 1
        with client_of(hub, tmp_path, "another-token") as client, pytest.raises(RateLimitedError):
            client.get("/x", "issues")
        assert len(hub.seen) == 2
    assert len(list(tmp_path.iterdir())) == 2
    assert all("token" not in path.name + path.read_text() for path in tmp_path.iterdir())


def take(path, count, queue, start):
    ledger, waits = Ledger(path), []
    start.wait(60)
    for _ in range(count):
        with ledger.opened(5000.0, NOW) as page:
            page.pace, wait = page.pace.step(5000.0, is_write=True)
            waits.append(wait)
    queue.put(waits)


def test_f37_all_processes_together_keep_the_pace(tmp_path):
    """Four at once take a hundred turns each: every turn is given once, a second apart after the first twenty."""
    context = multiprocessing.get_context("spawn")
    queue, start = context.Queue(), context.Barrier(4)
    children = [context.Process(target=take, args=(tmp_path / "ledger", 100, queue, start)) for _ in range(4)]
    for child in children:
        child.start()
    waits = sorted(wait for _ in children for wait in queue.get(timeout=60))
    for child in children:
        child.join()
    assert waits == pytest.approx([0.0] * 20 + [float(second) for second in range(1, 381)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '{"pace": 1, "limits": {}}',
        '{"limits": {}, "pace": {"created": [], "points": {"full_at": 1e9}, "writes": {"full_at": 0}}}',
        json.dumps({"limits": {"": ENDLESS}, "pace": {"created": [], "points": EMPTY, "writes": EMPTY}}),
    ],
)
def test_what_cannot_be_is_begun_anew(tmp_path, text):
    """A damaged file, the clock of a machine that was restarted, a pause for ever: none of them stops anybody."""
    path = tmp_path / "ledger"
    path.write_text(text)
    with Ledger(path).opened(5000.0, NOW) as page:
        assert page.limits == {}
        assert page.pace.step(5000.0, is_write=True)[1] == 0
        page.limits[""] = Limited(NOW + 60, "a pause")
    with Ledger(path).opened(5000.0, NOW) as page:
        assert page.limits == {"": Limited(NOW + 60, "a pause")}
    with Ledger(path).opened(5000.0, NOW + 61) as page:
        assert page.limits == {}


def test_without_a_file_everybody_goes_alone(tmp_path):
    """A folder that is not there, or is full, stops nobody."""
    ledger = Ledger(tmp_path / "nowhere" / "ledger")
    for number in range(21):
        with ledger.opened(5000.0, NOW) as page:
            page.pace, wait = page.pace.step(5000.0, is_write=True)
        assert wait == max(0, number - 19)


def test_a_look_at_the_ledger_is_quick(tmp_path):
    """It is taken before every request: it must not show beside one."""
    ledger = Ledger(tmp_path / "ledger")
    started = time.process_time()
    for _ in range(100):
        with ledger.opened(5000.0, NOW) as page:
            page.pace, _ = page.pace.step(5000.0, is_write=True, is_content=True)
    assert time.process_time() - started < 1.0, os.getloadavg()
