"""Many workers on one queue: every task is done exactly once, by path, over `file://` and over HTTP."""

import time
from collections import Counter
from contextlib import contextmanager
from functools import partial

import pytest
from support.scene import ADD, Scene, ended, forked
from support.server import allow_push, serve

from refinery.looping import run_loop
from refinery.process import StopFlag

COUNTED = 'printf "%s\\n" "$REFINERY_TASK $REFINERY_ATTEMPT" >> "{root}/agent.log"\n'


def many(scene, count):
    names = [f"t-{number:03}" for number in range(count)]
    for name in names:
        scene.task(name)
    scene.agent(COUNTED + ADD, logs=False)
    return names


def loop(scene, home):
    """What `run --loop` does, in a process of its own."""
    run_loop([scene.worker(scene.project(home))], StopFlag(), lambda _: None)


def swarm(scene, count, homes=None):
    """That many processes at once, to their end."""
    homes = homes or [scene.home]
    started = time.monotonic()
    pids = [forked(partial(loop, scene, homes[number % len(homes)])) for number in range(count)]
    assert [ended(pid) for pid in pids] == [0] * count
    return time.monotonic() - started


def exactly_once(scene, names):
    """By the agent's own log, by the claims, by the pulls and by the branches."""
    again = [line.partition(" ")[0] for line in scene.log() if not line.endswith(" 1")]
    assert again == [], [scene.history(name) for name in again]
    assert Counter(scene.log()) == Counter(f"{name} 1" for name in names)
    state = scene.state()
    assert Counter(pull.task for pull in state.pulls.values()) == Counter(names)
    assert sorted(state.pulls) == list(range(1, len(names) + 1))
    assert {tip.claim.state for tip in state.claims.values()} == {"released"}
    assert {tip.claim.outcome for tip in state.claims.values()} == {"published"}
    assert {tip.claim.attempt for tip in state.claims.values()} == {1}
    assert set(state.preserved) == set()
    assert {scene.status(name) for name in names} == {"review"}
    assert all(scene.show(f"polecat/{name}:{name}.txt") == name for name in names[::7])
    assert scene.locks() == scene.worktrees() == []


def everything_lands(scene, names):
    report = scene.merge()
    assert (len(report.merged), report.exit_code) == (len(names), 0)
    assert {scene.status(name) for name in names} == {"done"}
    assert all(scene.has(f"main:{name}.txt") for name in names)


@pytest.mark.slow
def test_f01_sixteen_workers_and_a_hundred_tasks(scene, capsys):
    """F1, F2: every task is claimed, worked on and published exactly once."""
    names = many(scene, 100)
    seconds = swarm(scene, 16)
    with capsys.disabled():
        print(f"\n100 tasks, 16 processes: {seconds:.1f} s")  # noqa: T201  (worth seeing in every run)
    exactly_once(scene, names)
    holders = Counter(tip.claim.holder for tip in scene.state().claims.values())
    assert len(holders) > 1


@contextmanager
def over(transport, root):
    """A scene whose repository is reached by URL."""
    if transport == "file":
        yield Scene(root / "scene", kind="file")
        return
    folder = root / "scene" / "srv"
    with serve(folder) as url:
        scene = Scene(root / "scene", kind="http", url=f"{url}/code.git")
        allow_push(scene.repo)
        yield scene


@pytest.mark.parametrize("transport", ["file", "http"])
def test_f01_over_a_url(tmp_path, transport):
    """F1, F17: the same by lease-pinned pushes, with two hosts' homes."""
    with over(transport, tmp_path) as scene:
        names = many(scene, 24)
        swarm(scene, 6, [scene.home, scene.new_home("other")])
        exactly_once(scene, names)


@pytest.mark.races
@pytest.mark.parametrize("transport", ["file", "http"])
def test_f01_sixteen_workers_and_a_hundred_tasks_over_a_url(tmp_path, transport):
    """F1, F17: the whole number, by lease-pinned pushes, with two hosts' homes."""
    with over(transport, tmp_path) as scene:
        names = many(scene, 100)
        swarm(scene, 16, [scene.home, scene.new_home("other")])
        exactly_once(scene, names)


def test_two_homes_on_one_repository(scene):
    """Two users of one path repository: neither sees the other's home, and each task is done once."""
    other = scene.new_home("other")
    names = many(scene, 20)
    swarm(scene, 4, [scene.home, other])
    exactly_once(scene, names)
    assert list(other.worktrees.iterdir()) == []
    everything_lands(scene, names)


def test_workers_and_mergers_together(scene):
    """Workers publish while several mergers land: everything ends on the base, once."""
    names = many(scene, 16)

    def land():
        deadline = time.monotonic() + 100
        while {scene.status(name) for name in names} != {"done"} and time.monotonic() < deadline:
            scene.merge()

    pids = [forked(lambda: loop(scene, scene.home)) for _ in range(3)] + [forked(land) for _ in range(2)]
    assert [ended(pid) for pid in pids] == [0] * len(pids)
    assert Counter(scene.log()) == Counter(f"{name} 1" for name in names)
    assert {scene.status(name) for name in names} == {"done"}
    assert {pull.state for pull in scene.state().pulls.values()} == {"merged"}
    assert scene.locks() == []
