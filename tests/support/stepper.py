"""Interleavings, replayed exactly: one actor moves at a time, and a seeded scheduler picks who goes on at a forge call.

Every actor is a thread that only moves while it has the turn; it gives the turn back before each call to its forge.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import replace

from refinery.project import Project

_FREE = frozenset({"now", "kind"})  # the clock is asked in the middle of things


class Stepper:
    """Runs actors to their ends, in an order that `seed` decides; `trace` lists who did what."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.trace: list[str] = []
        self.errors: list[tuple[str, BaseException]] = []
        self._turns: dict[str, threading.Semaphore] = {}
        self._back = threading.Semaphore(0)
        self._alive: set[str] = set()
        self._names = threading.local()

    def pause(self, what: str) -> None:
        """Give the turn back until the scheduler returns it."""
        name = getattr(self._names, "name", "")
        if name:
            self._back.release()
            self._turns[name].acquire()
            self.trace.append(f"{name}: {what}")

    def run(self, actors: dict[str, Callable[[], object]]) -> None:
        """All actors from start to end."""
        threads = [threading.Thread(target=self._act, args=item, daemon=True) for item in actors.items()]
        self._turns = {name: threading.Semaphore(0) for name in actors}
        self._alive = set(actors)
        for thread in threads:
            thread.start()
        while self._alive:
            name = self.chance.choice(sorted(self._alive))
            self._turns[name].release()
            assert self._back.acquire(timeout=60), f"{name} hangs: {self.trace[-5:]}"
        for thread in threads:
            thread.join(60)

    def _act(self, name: str, act: Callable[[], object]) -> None:
        self._names.name = name
        self._turns[name].acquire()
        try:
            act()
        except BaseException as error:  # noqa: BLE001  (the test judges it)
            self.errors.append((name, error))
        finally:
            self._alive.discard(name)
            self._back.release()

    def gated(self, project: Project) -> Project:
        """The project, whose forge gives the turn back before each call."""
        return replace(project, forge=_Gated(project.forge, self))


class _Gated:
    """A forge behind a gate."""

    def __init__(self, forge: object, stepper: Stepper) -> None:
        self._forge = forge
        self._stepper = stepper

    def __getattr__(self, name: str) -> object:
        plain = getattr(self._forge, name)
        if name in _FREE or not callable(plain):
            return plain

        def call(*args: object, **options: object) -> object:
            self._stepper.pause(name)
            return plain(*args, **options)

        return call
