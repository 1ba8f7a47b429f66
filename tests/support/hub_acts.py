"""What happens to a scene on the fake GitHub while something else is under way, and what came of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

from refinery.core.outcomes import Outcome
from refinery.core.reasons import Code
from refinery.merger import MergeReport
from support.hub import NAME, HubScene


def published(scene: HubScene, title: str = "A task") -> tuple[str, int]:
    """An issue, worked on: its task's id, and its pull's number."""
    task = str(scene.issue(title))
    ran = scene.run(task)
    assert ran.outcome is Outcome.PUBLISHED, ran
    assert ran.pull is not None
    return task, ran.pull


def ready(scene: HubScene) -> tuple[str, int]:
    """A published pull whose checks passed."""
    found = published(scene)
    scene.pass_checks()
    return found


def codes(report: MergeReport) -> dict[int, list[Code]]:
    """The reasons against each pull that is left."""
    return {
        row.pull: [each.code for each in row.verdict.reasons] for row in (*report.waiting, *report.refused)
    }


def head(scene: HubScene, pull: int) -> str:
    """The head of a pull, as GitHub has it."""
    found = scene.hub.issue(NAME, pull).pull
    assert found is not None
    return found.head_sha


@contextmanager
def meanwhile(scene: HubScene, method: str, path: str, act: Callable[[], object]) -> Iterator[None]:
    """`act` happens while the first such request is on its way: it has been sent, and nothing has come of it yet."""
    fault = scene.hub.faults.add("slow", method=method, path=path)
    failed: list[BaseException] = []

    def watch() -> None:
        try:
            if fault.entered.wait(60):
                act()
        except BaseException as error:  # noqa: BLE001  (told by the test, which waits for the request)
            failed.append(error)
        finally:
            fault.released.set()

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        fault.entered.set()
        watcher.join()
    assert not failed, failed
    assert fault.met == 1, f"there was no {method} {path}"
