"""Webhooks: what happened is signed and posted, logged, and posted again on demand.

Deliveries are hints here as on GitHub: they may be held back, come late, twice or out of order, or not at all.
"""

import hashlib
import hmac
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final
from uuid import uuid4

from refinery.testing.payloads import payload_of
from refinery.testing.state import App, Delivery, Repository
from refinery.testing.world import World

_PATIENCE: Final = 10.0  # seconds that GitHub waits for an answer


@dataclass(slots=True, eq=False)
class Hook:
    """Who wants to be told: a repository's own hook, or an App's for wherever it is installed."""

    id: int
    url: str
    secret: str
    events: frozenset[str]
    repository: Repository | None = None
    app: App | None = None
    is_active: bool = True

    def wants(self, event: str) -> bool:
        """Whether it asked for this kind of event."""
        return self.is_active and (event in self.events or "*" in self.events)


@dataclass(slots=True, eq=False)
class Sent:
    """A delivery with the hook it went to and the exact bytes."""

    hook: Hook
    delivery: Delivery
    raw: bytes
    headers: Mapping[str, str]
    answer: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class Webhooks:
    """All hooks of one server. A thread of its own posts, in order; `hold` keeps new deliveries back."""

    def __init__(self, world: World, url: Callable[[], str]) -> None:
        self.world = world
        self.hooks: list[Hook] = []
        self.log: list[Sent] = []
        self.held: list[Sent] = []
        self._url = url
        self._holding = False
        self._queue: SimpleQueue[Sent | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
        world.listeners.append(self.happened)

    def add(
        self,
        url: str,
        secret: str,
        events: tuple[str, ...] = ("*",),
        *,
        repository: Repository | None = None,
        app: App | None = None,
    ) -> Hook:
        """Tell `url` what happens in a repository, or wherever an App is installed."""
        made = Hook(self.world.next_id(), url, secret, frozenset(events), repository, app)
        self.hooks.append(made)
        self._put(made, "ping", {"zen": "Anything added dilutes everything else.", "hook_id": made.id})
        return made

    def happened(self, event: str, values: dict[str, Any]) -> None:
        """Something did, as `World.notify` tells it: queue a delivery for each hook that wants to know."""
        repository: Repository | None = values.get("repository")
        wanting = [hook for hook in self.hooks if hook.wants(event) and self._covers(hook, repository)]
        if not wanting:
            return
        shown = payload_of(event, values, self._url())
        for hook in wanting:
            installation = self._installation(hook, repository)
            self._put(hook, event, shown | ({"installation": {"id": installation}} if installation else {}))

    def hold(self) -> None:
        """Keep what comes from now on back, in `held`."""
        self._holding = True

    def release(self) -> None:
        """Post what was held back, in the order of `held` (which a test may change), and go on."""
        self._holding = False
        waiting, self.held = self.held, []
        for sent in waiting:
            self._queue.put(sent)

    def redeliver(self, number: int) -> Sent | None:
        """Post a delivery again, under its old GUID; None when there is none of that id."""
        old = next((sent for sent in self.log if sent.delivery.id == number), None)
        return self._put(old.hook, old.delivery.event, old.delivery.payload, again=old) if old else None

    def settle(self, timeout: float = 30.0) -> None:
        """Wait, for at most `timeout` seconds, until everything that is not held back was posted."""
        for sent in list(self.log):
            if sent not in self.held:
                sent.done.wait(timeout)

    def start(self) -> None:
        """Begin posting."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what was not posted is not."""
        self._queue.put(None)
        self._thread.join()

    def _covers(self, hook: Hook, repository: Repository | None) -> bool:
        if hook.repository is not None or repository is None:
            return hook.repository is repository
        return self._installation(hook, repository) is not None

    def _installation(self, hook: Hook, repository: Repository | None) -> int | None:
        found = (
            each.id
            for each in self.world.installations.values()
            if each.app is hook.app and repository in each.repositories
        )
        return next(found, None)

    def _put(self, hook: Hook, event: str, payload: dict[str, Any], again: Sent | None = None) -> Sent:
        raw = json.dumps(payload).encode()
        guid = again.delivery.guid if again else str(uuid4())
        delivery = Delivery(
            self.world.next_id(),
            guid,
            event,
            payload.get("action", ""),
            payload,
            self.world.clock.stamp(),
            is_redelivery=again is not None,
        )
        sent = Sent(hook, delivery, raw, _headers(hook, event, guid, raw))
        self.log.append(sent)
        if self._holding:
            self.held.append(sent)
        else:
            self._queue.put(sent)
        return sent

    def _work(self) -> None:
        while (sent := self._queue.get()) is not None:
            sent.delivery.status_code, sent.answer = _post(sent)
            sent.done.set()


def _headers(hook: Hook, event: str, guid: str, raw: bytes) -> dict[str, str]:
    """What GitHub sends along (https://docs.github.com/webhooks/webhook-events-and-payloads#delivery-headers)."""
    target = (
        ("integration", hook.app.id)
        if hook.app
        else ("repository", hook.repository.id if hook.repository else 0)
    )
    signature = hmac.new(hook.secret.encode(), raw, hashlib.sha256).hexdigest()
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/fake",
        "X-GitHub-Delivery": guid,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": str(hook.id),
        "X-GitHub-Hook-Installation-Target-Type": target[0],
        "X-GitHub-Hook-Installation-Target-ID": str(target[1]),
        **({"X-Hub-Signature-256": f"sha256={signature}"} if hook.secret else {}),
    }


def _post(sent: Sent) -> tuple[int, str]:
    """The receiver's status and words; 0 when it could not be reached or did not answer in time."""
    request = urllib.request.Request(  # noqa: S310  (the address is the test's own)
        sent.hook.url, data=sent.raw, headers=dict(sent.headers), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310  (as above)
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")
    except OSError as error:
        return 0, str(error)
