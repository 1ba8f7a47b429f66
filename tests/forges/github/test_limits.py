"""Rate limits as arithmetic, and the waiting that follows from them (F37)."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import Reply, wire

from refinery.errors import RateLimitedError
from refinery.forges.github.client import Client
from refinery.forges.github.clock import ServerClock
from refinery.forges.github.credentials import FixedToken
from refinery.forges.github.gate import Gate
from refinery.forges.github.ledger import Ledger
from refinery.forges.github.limits import Limited, Pace, limited
from refinery.stop import Stop, StopFlag

TOKEN = FixedToken("test-token-of-nobody", "the test")
NOW = 1_000_000.0
EMPTY = {
    "x-ratelimit-remaining": "0",
    "x-ratelimit-limit": "5000",
    "x-ratelimit-reset": str(int(NOW + 1800)),
    "x-ratelimit-resource": "core",
}
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


@pytest.mark.parametrize(
    ("status", "headers", "words", "expected"),
    [
        (403, EMPTY, "API rate limit exceeded for user ID 1.", ("core", 1801)),
        (429, EMPTY, "", ("core", 1801)),
        (200, {**EMPTY, "x-ratelimit-resource": "graphql"}, "API rate limit exceeded", ("graphql", 1801)),
        (403, {**EMPTY, "retry-after": "7"}, SECONDARY, ("", 7)),
        (429, {"retry-after": "3"}, "", ("", 3)),
        (403, {"retry-after": "3"}, "", ("", 3)),
        (403, {"retry-after": "tomorrow"}, SECONDARY, ("", 60)),
        (403, {}, SECONDARY, ("", 60)),
        (429, {}, "", ("", 60)),
        (403, {}, "You have triggered an abuse detection mechanism.", ("", 60)),
        (403, {}, "Resource not accessible by integration", None),
        (403, {**EMPTY, "x-ratelimit-remaining": "9"}, "Resource not accessible", None),
        (404, EMPTY, "Not Found", None),
        (200, EMPTY, "", None),
        (502, {}, "rate limit", None),
    ],
)
def test_f37_a_refusal_because_of_a_limit_is_told_from_others(status, headers, words, expected):
    """Status, headers and words decide; `retry-after` first, then the reset, else a minute."""
    found = limited(status, headers, words, NOW)
    assert (found and (found.resource, found.until - NOW)) == expected


def test_f37_without_a_time_the_pause_doubles_up_to_a_bound():
    """From a minute on, and never for hours."""
    pauses = [limited(429, {}, "", NOW, strikes).until - NOW for strikes in (0, 1, 2, 3, 4, 9)]
    assert pauses == [60, 120, 240, 480, 900, 900]


requests = st.lists(
    st.tuples(st.floats(0, 30), st.sampled_from(["read", "ref", "content"])), min_size=1, max_size=900
)


def play(steps):
    """When each of the steps (seconds after the one before, kind) was let through."""
    pace, now, sent = Pace(), 5000.0, []
    for rest, kind in steps:
        now += rest
        pace, wait = pace.step(now, is_write=kind != "read", is_content=kind == "content")
        assert wait >= 0
        now += wait
        sent.append((now, kind))
    return sent


def most(instants, seconds):
    """The most that fall into any window."""
    worst, start = 0, 0
    for index, each in enumerate(instants):
        while instants[start] <= each - seconds:
            start += 1
        worst = max(worst, index - start + 1)
    return worst


def bounds(sent):
    """The most writes a minute, points a minute and contents an hour."""
    points = [at for at, kind in sent for _ in range(1 if kind == "read" else 5)]
    writes = [at for at, kind in sent if kind != "read"]
    return most(writes, 60), most(points, 60), most([at for at, kind in sent if kind == "content"], 3600)


@given(requests)
def test_f37_no_sequence_of_requests_breaks_a_published_limit(steps):
    """Whatever comes when: 80 writes and 900 points a minute, 500 content creations an hour."""
    writes, points, contents = bounds(play(steps))
    assert (writes <= 80, points <= 900, contents <= 500) == (True, True, True)


@pytest.mark.parametrize(
    ("kind", "count", "rest"), [("read", 2000, 0.0), ("ref", 300, 0.0), ("content", 900, 1.0)]
)
def test_f37_a_flood_is_spread_out_and_no_more_than_needed(kind, count, rest):
    """Each limit is nearly used, and kept."""
    writes, points, contents = bounds(play([(rest, kind)] * count))
    assert {"read": 850 < points <= 900, "ref": 70 < writes <= 80, "content": contents == 500}[kind]


def test_twenty_writes_after_a_rest_wait_for_nothing():
    """A single task is not slowed down by what protects from floods."""
    assert play([(0, "content")] * 20)[-1][0] == 5000.0
    assert play([(0, "content")] * 21)[-1][0] > 5000.0


@given(
    st.floats(-1e6, 1e6), st.lists(st.tuples(st.floats(0, 9), st.floats(0, 2), st.floats(0, 2)), min_size=1)
)
def test_the_clock_of_the_other_side_is_known_within_a_second(ahead, steps):
    """Whatever the delays, what the dates say together holds the truth."""
    clock, local = ServerClock(), 2e6
    for rest, there, back in steps:
        sent = local + rest
        told = int(sent + there + ahead)
        local = sent + there + back
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(told))
        clock = clock.seen(date, sent, local)
        assert clock.least - 1e-6 <= ahead <= clock.most + 1e-6
    assert (
        abs(clock.at(local) - (local + ahead))
        <= 0.5 + min(there + back for _, there, back in steps) / 2 + 1e-6
    )


def test_a_clock_that_is_set_is_believed_again():
    """An answer that contradicts the others starts over; one without a date says nothing."""
    clock = ServerClock().seen("Thu, 01 Jan 1970 00:10:00 GMT", 0, 0)
    assert clock.at(0) == 600.5
    assert clock.seen("nonsense", 0, 0) == clock
    assert clock.seen("Thu, 01 Jan 1970 01:00:00 GMT", 1, 1).at(1) == 3600.5


def limits(**headers):
    return {f"x-ratelimit-{name}": str(value) for name, value in headers.items()}


def test_f37_a_limited_request_pauses_and_succeeds():
    """A 429 with a time is waited for, told once where it is worth it, and the same request is sent again."""
    told = []
    with wire(Reply(429, {"message": SECONDARY}, {"retry-after": "1"}), Reply(201, {"id": 1})) as hub:
        started = time.monotonic()
        with Client(hub.url, TOKEN, on_pause=lambda until, why: told.append((until, why))) as client:
            assert client.send("POST", "/x", {"a": 1}, "label").body == {"id": 1}
        assert 0.9 <= time.monotonic() - started < 5
        assert [each.body for each in hub.seen] == [{"a": 1}] * 2
        assert (client.usage.count("label").sent, client.usage.count("label").retried) == (2, 1)
    assert told == []


def test_f37_a_pause_longer_than_the_patience_is_an_error_with_its_end():
    """It is not begun, and until its end nothing at all is sent."""
    with (
        wire(Reply(403, {"message": SECONDARY}, {"retry-after": "300"})) as hub,
        Client(hub.url, TOKEN) as client,
    ):
        with client.patience(30), pytest.raises(RateLimitedError) as raised:
            client.get("/x", "issues")
        assert 295 < raised.value.until - client.now() <= 301
        assert "no request until" in raised.value.message
        with client.patience(5), pytest.raises(RateLimitedError):
            client.send("POST", "/y", {}, "label")
        with client.patience(5), pytest.raises(RateLimitedError):
            client.graphql("query { viewer { login } }", {}, "pulls")
        assert len(hub.seen) == 1


def test_f37_an_empty_quota_stops_its_own_resource_before_the_next_request():
    """What the last answer said is enough: no request is wasted on a refusal."""
    last = limits(remaining=0, limit=5000, reset=int(time.time()) + 900, resource="core")
    with wire(Reply(200, [], last), Reply(200, {"data": {"a": 1}})) as hub, Client(hub.url, TOKEN) as client:
        client.get("/x", "issues")
        with client.patience(5), pytest.raises(RateLimitedError, match="core quota of 5000"):
            client.get("/x", "issues")
        assert client.graphql("query { a }", {}, "pulls") == {"a": 1}
        assert client.usage.quotas["core"].remaining == 0
        assert len(hub.seen) == 2


def test_f37_graphql_says_it_with_status_200():
    """`RATE_LIMITED` among the errors is a pause too, for a mutation as well: it was not carried out."""
    refused = Reply(200, {"errors": [{"type": "RATE_LIMITED", "message": "wait"}]}, {"retry-after": "1"})
    with wire(refused, Reply(200, {"data": {"a": 1}})) as hub, Client(hub.url, TOKEN) as client:
        assert client.graphql("mutation { a }", {}, "delete") == {"a": 1}
        assert len(hub.seen) == 2


def test_f37_a_stop_ends_a_pause_at_once():
    """Nobody who interrupts a paused run waits until the limit is over."""
    stop = StopFlag()
    try:
        with wire(Reply(429, {}, {"retry-after": "60"})) as hub, Client(hub.url, TOKEN, stop=stop) as client:
            threading.Timer(0.2, stop.request, (Stop.DRAIN,)).start()
            started = time.monotonic()
            with pytest.raises(RateLimitedError):
                client.get("/x", "issues")
            assert time.monotonic() - started < 5
    finally:
        stop.close()


def test_f37_a_pause_is_told_once():
    """However many requests wait for the same end."""
    told, now = [], [NOW]
    ledger = Ledger()
    gate = Gate(lambda: now[0], on_pause=lambda until, why: told.append((until, why)), ledger=ledger)
    with ledger.opened(0, NOW) as page:
        page.limits[""] = Limited(NOW + 6, "a pause")
    gate._rest = lambda *_: now.__setitem__(0, NOW + 7)
    for _ in range(3):
        gate.enter("core", gate.deadline(), is_write=False, is_content=False)
        now[0] = NOW
    assert told == [(NOW + 6, "a pause")]
