"""A rate limit met by what runs for long: the loop of a worker and the child of a swarm wait, and do not fail (F37)."""

import threading
import time

import pytest
from support.scene import Scene

from refinery.core.outcomes import Outcome
from refinery.errors import ForgeUnavailableError, RateLimitedError
from refinery.looping import run_loop
from refinery.stop import Stop, StopFlag
from refinery.supervised import _Silence


@pytest.fixture
def stop():
    flag = StopFlag()
    yield flag
    flag.close()


def limited_worker(scene, seconds, told):
    """A worker whose forge asks for a pause at the first look."""
    worker = scene.worker(echo=told.append)
    observe, until = worker.forge.observe, time.time() + seconds

    def paused():
        if time.time() < until:
            raise RateLimitedError("a pause; no request until later", until=until)
        return observe()

    worker.forge.observe = paused  # the forge itself stays the real one
    return worker


def test_f37_a_loop_waits_for_the_end_of_a_limit(tmp_path, stop):
    """It says so once, goes on by itself, and every task is done; nothing counts as a failure."""
    scene, told = Scene(tmp_path), []
    scene.task("one")
    started = time.time()
    results = run_loop([limited_worker(scene, 0.5, told)], stop, lambda _: None)
    assert time.time() - started >= 0.5
    assert [(each.task_id, each.outcome) for each in results] == [("one", Outcome.PUBLISHED)]
    assert told.count("a pause; no request until later") == 1
    assert scene.claim("one").failures == 0


def test_f37_a_loop_that_waits_can_be_stopped(tmp_path, stop):
    """At once, however long the pause."""
    scene = Scene(tmp_path)
    threading.Timer(0.3, stop.request, (Stop.DRAIN,)).start()
    started = time.monotonic()
    results = run_loop([limited_worker(scene, 3000, [])], stop, lambda _: None)
    assert time.monotonic() - started < 10
    assert [each.outcome for each in results] == [Outcome.DRAINED]


def test_f37_a_limit_is_not_silence(monkeypatch):
    """A swarm's child gives up when a forge is silent for long; one that asks for a pause has answered."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    silent = _Silence()
    for _ in range(10):
        silent.goes_on(RateLimitedError("a pause", until=now[0] + 3600))
        now[0] += 600
    silent.goes_on(ForgeUnavailableError("silence"))
    now[0] += 901
    with pytest.raises(ForgeUnavailableError, match="silence"):
        silent.goes_on(ForgeUnavailableError("silence"))
