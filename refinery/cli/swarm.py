"""`refinery swarm`: a supervisor, its workers, and a merger beside them."""

import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from refinery.cli.common import Settings, common_options, json_option
from refinery.cli.supervised import admission_options, drain_option

if TYPE_CHECKING:
    from refinery.core.model import Task
    from refinery.project import Project, View
    from refinery.queue import Queue
    from refinery.supervisor import Supervisor, SwarmOptions

_SHOWN: Final = 10
_FINISHED: Final = frozenset({"finished", "landed", "pull-merged"})
_MANY: Final = click.IntRange(min=0, max=256)


@click.command("swarm")
@click.option("-c", "--claude", default=0, type=_MANY, metavar="N", help="So many workers with claude.")
@click.option("-g", "--gemini", default=0, type=_MANY, metavar="N", help="So many workers with gemini.")
@click.option(
    "--agent", "agents", multiple=True, metavar="NAME=N", help="So many workers with that agent; repeatable."
)
@click.option("--caller", default="", metavar="NAME", help="Claim under this name (default: bot).")
@click.option("--merge", is_flag=True, help="Land what may land, beside the workers; else pulls wait.")
@click.option("--forever", is_flag=True, help="Wait for new tasks instead of ending.")
@click.option(
    "--dry-run", is_flag=True, help="Say what would be started and what not; claim and write nothing."
)
@click.option(
    "--max-failures",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop a worker that failed on so many different tasks in a row.",
)
@drain_option
@admission_options()
@json_option
@common_options
def command(settings: Settings, /, **options: Any) -> int:
    """Run workers side by side until nothing is ready, backing off or being merged.

    Without -c, -g or --agent: `limits.workers` workers, each with the agent of the task or the default one.

    The first Ctrl+C (or SIGTERM) finishes current tasks and claims nothing new; the second stops at once. Work is
    kept either way. The exit code is 0 when all that could be done was done and no task ended failed, else 10;
    17 drained, 130 stopped at once, 20 forge unavailable.
    """
    from refinery.cli.output import print_json
    from refinery.cli.shared import projects

    found = projects(settings)
    flight = _preflight(settings, found, options)
    if options["dry_run"]:
        if settings.json:
            print_json(flight.to_json())
        else:
            flight.show(is_rehearsal=True)
        return 0
    if not settings.json:
        flight.show(is_rehearsal=False)
    return _fly(settings, found, flight, options)


def _fly(
    settings: Settings, found: "Sequence[Project]", flight: "_Preflight", options: dict[str, Any]
) -> int:
    from refinery.cli.output import print_json
    from refinery.cli.swarm_view import show_for, summary
    from refinery.process import StopFlag
    from refinery.supervisor import Supervisor

    stop = StopFlag()
    try:
        with stop.on_signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with show_for(settings) as show:
                swarm = Supervisor(_options(settings, flight, options), stop, show)
                swarm.run()
            if settings.json:
                print_json(_report(swarm, found, flight.caller))
            else:
                summary(settings, swarm.board)
    finally:
        stop.close()
    return swarm.exit_code


@dataclass(frozen=True, slots=True)
class _Preflight:
    """What would be done: each worker's agent ("" lets the task choose), the ready tasks in order, the others."""

    caller: str
    agents: tuple[str, ...]
    ready: "tuple[tuple[Task, str], ...]"
    skipped: dict[str, str]
    labels: tuple[str, ...]
    is_pooled: bool

    def to_json(self) -> dict[str, object]:
        """The object that `--dry-run --json` prints."""
        return {
            "dry_run": True,
            "agents": dict(Counter(self.labels)),
            "ready": [
                {"task_id": task.id, "title": task.title, "priority": task.priority, "agent": agent}
                for task, agent in self.ready
            ],
            "skipped": self.skipped,
        }

    def show(self, *, is_rehearsal: bool) -> None:
        """For people: who works, on what, and what is left out."""
        from refinery.cli.output import say
        from refinery.core.text import listing, plural

        crew = listing(f"{count} {name}" for name, count in Counter(self.labels).items())
        would = "would start" if is_rehearsal else "starting"
        say(f"{would} {plural(len(self.agents), 'worker')} ({crew}); {plural(len(self.ready), 'task')} ready")
        for number, (task, agent) in enumerate(self.ready if is_rehearsal else (), 1):
            say(f"  {number}. {task.id} ({agent}, priority {task.priority}): {task.title}")
        if self.skipped:
            say(f"{plural(len(self.skipped), 'task')} skipped")
        shown = self.skipped.items() if is_rehearsal else list(self.skipped.items())[:_SHOWN]
        for name, why in shown:
            say(f"  {name}: {why}")
        if len(shown) < len(self.skipped):
            say(f"  and {len(self.skipped) - len(shown)} more; `refinery status` shows all")


def _preflight(settings: Settings, found: "Sequence[Project]", options: dict[str, Any]) -> _Preflight:
    """One look at every project; whatever makes a start senseless is an error now."""
    from refinery.cli.shared import caller_of
    from refinery.refill import is_wanted
    from refinery.worker import startable

    caller = caller_of(settings, options["caller"])
    looks = [_look(project, caller) for project in found]
    crew = _crew(options) or ("",) * max(seen.config.limits.workers for _, seen, _ in looks)
    for project, seen, _ in looks:
        for name in sorted(set(crew)):
            startable(name or project.default_agent(seen.config), project, seen.config)
    fixed = "/".join(sorted(set(crew)))
    ready = [
        (task, fixed or task.agent or project.default_agent(seen.config))
        for project, seen, queue in looks
        for task in queue.ready
    ]
    skipped = {name: why for _, seen, queue in looks for name, why in _skipped(queue, seen).items()}
    first, view, _ = looks[0]
    labels = tuple(name or first.default_agent(view.config) for name in crew)
    is_pooled = any(
        is_wanted(project, seen.config, project.base_tip(seen.state)) for project, seen, _ in looks
    )
    return _Preflight(caller, crew, tuple(ready), skipped, labels, is_pooled)


def _look(project: "Project", caller: str) -> "tuple[Project, View, Queue]":
    from refinery.project import view
    from refinery.queue import queue

    seen = view(project)
    return project, seen, queue(project, seen, caller)


def _skipped(queue: "Queue", seen: "View") -> dict[str, str]:
    """The tasks that are not ready, and files that are none; what is finished is not left out."""
    reasons = queue.plan.skipped
    found = {
        name: why
        for name, why in queue.skipped.items()
        if not _FINISHED & {str(each.code) for each in reasons[name]}
    }
    return {**found, **{each.task or each.path: str(each) for each in seen.tasks.problems}}


def _crew(options: dict[str, Any]) -> tuple[str, ...]:
    """Each worker's agent, in the order of the flags."""
    from refinery.errors import UsageError

    wanted = [("claude", options["claude"]), ("gemini", options["gemini"])]
    for text in options["agents"]:
        name, is_given, count = text.partition("=")
        if not name or (is_given and not count.isdecimal()):
            raise UsageError(f"--agent {text} is not NAME=N", remedy="write --agent claude=2, say")
        wanted.append((name, int(count) if is_given else 1))
    crew = tuple(name for name, count in wanted for _ in range(count))
    if len(crew) > 256:
        raise UsageError(f"{len(crew)} workers are too many", remedy="start at most 256")
    return crew


def _options(settings: Settings, flight: _Preflight, options: dict[str, Any]) -> "SwarmOptions":
    from refinery.core.text import format_duration, format_size
    from refinery.supervisor import SwarmOptions

    home = settings.open_home(create=False).path
    common = ["--home", str(home), *(word for slug in settings.projects for word in ("-p", slug))]
    common += ["--trace-api"] if settings.trace_api else []
    work = [
        *common,
        "run",
        "--loop",
        "--events",
        "--drain-timeout",
        format_duration(options["drain_timeout"]),
    ]
    room = [
        "--min-memory",
        format_size(options["min_memory"]),
        "--min-disk",
        format_size(options["min_disk"]),
        "--max-load",
        str(options["max_load"]),
    ]
    work += [*room, *(["--quiet"] if settings.json else [])]
    work += ["--caller", options["caller"]] if options["caller"] else []
    return SwarmOptions(
        workers=[
            (label, [*work, *(["--agent", name] if name else [])])
            for name, label in zip(flight.agents, flight.labels, strict=True)
        ],
        mender=[*common, "reconcile", "--json"],
        merger=[*common, "merge", "--watch", "--events"] if options["merge"] else [],
        filler=[*common, "sync", "--pool", "--events", *room] if flight.is_pooled else [],
        is_forever=options["forever"],
        drain_seconds=options["drain_timeout"],
        most_failures=options["max_failures"],
    )


def _report(swarm: "Supervisor", found: "Sequence[Project]", caller: str) -> dict[str, object]:
    """The one object that `--json` prints; sums count what agents reported."""
    import time

    from refinery.errors import ForgeUnavailableError

    board = swarm.board
    try:
        skipped = {
            name: why
            for _, seen, queue in (_look(each, caller) for each in found)
            for name, why in _skipped(queue, seen).items()
        }
    except ForgeUnavailableError as error:
        skipped = {"": error.message}
    ran = {result.task_id for result in board.results}
    runs = [result.to_json() for result in board.results]
    return {
        "workers": [{name: run[name] for name in run if name != "skipped"} for run in runs],
        "skipped": {name: why for name, why in skipped.items() if name not in ran},
        "merged": board.merged,
        "runtime_seconds": round(time.monotonic() - board.started, 3),
        "total_tokens": board.total_tokens,
        "cost_usd": round(board.cost_usd, 6),
        "ended": str(swarm.ended),
        "alerts": board.alerts,
    }
