"""`refinery run`: one task from claim to pull, or one after the other."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from refinery.cli.common import Settings, common_options, json_option
from refinery.cli.supervised import admission_options, drain_option, events_option

if TYPE_CHECKING:
    from refinery.process import StopFlag
    from refinery.report import RunResult
    from refinery.worker import Worker

_SHOWN = 10


@click.command("run")
@click.option(
    "-t", "--task", "task_id", default="", metavar="TASK", help="Work on this task, if it is ready."
)
@click.option("--agent", default="", metavar="NAME", help="The agent: claude, gemini, or one of `agents:`.")
@click.option("-c", "--claude", is_flag=True, help="The same as --agent claude.")
@click.option("-g", "--gemini", is_flag=True, help="The same as --agent gemini.")
@click.option("--caller", default="", metavar="NAME", help="Claim under this name (default: bot).")
@click.option("--loop", is_flag=True, help="Go on with the next task until none is ready.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the agent's output.")
@drain_option
@events_option
@admission_options(hidden=True)
@json_option
@common_options
def command(settings: Settings, /, **options: Any) -> int:
    """Claim a ready task, run an agent on it in a worktree of its own, and open a pull.

    Ctrl+C lets the agent finish and claims nothing new; a second one stops at once and keeps the work. The exit code
    says how it ended: 0 published, 3 nothing ready, 4 claimed by somebody else, 10 agent failed, 11 timed out,
    12 verify failed, 13 no changes, 14 conflict, 18 blocked, 20 forge unavailable.
    """
    from refinery.cli.output import print_json
    from refinery.core.outcomes import exit_code
    from refinery.looping import run_once
    from refinery.stop import StopFlag

    stop = StopFlag()
    try:
        with stop.on_signals():
            if options["events"]:
                from refinery.cli.supervised import work

                return work(settings, stop, options, partial(_workers, settings, stop, options))
            workers = _workers(settings, stop, options)
            if options["loop"]:
                return _loop(settings, workers, stop)
            result = run_once(workers, options["task_id"])
    finally:
        stop.close()
    if settings.json:
        print_json(result)
    else:
        _tell(settings, result)
    return exit_code(result.outcome)


def _loop(settings: Settings, workers: "list[Worker]", stop: "StopFlag") -> int:
    """Run tasks until none is ready; people are told also when there was none."""
    from refinery.looping import loop_exit_code, run_loop

    told = []

    def tell(result: "RunResult") -> None:
        told.append(result)
        _tell(settings, result)

    results = run_loop(workers, stop, tell)
    if not told and not settings.json:
        _tell(settings, results[-1])
    return loop_exit_code(results)


def _workers(settings: Settings, stop: "StopFlag", options: dict[str, Any], **reports: Any) -> "list[Worker]":
    """A worker for each project. `reports`: where to report to, if not to the terminal."""
    from refinery.cli.shared import caller_of, echo_for, holder, projects
    from refinery.worker import Worker, WorkOptions

    caller = caller_of(settings, options["caller"])
    work = WorkOptions(
        caller=caller,
        holder=holder(caller),
        agent=_agent(options),
        stop=stop,
        drain_seconds=options["drain_timeout"],
        **{
            "echo": echo_for(settings),
            "stream": None if options["quiet"] or settings.json else click.echo,
            **reports,
        },
    )
    return [Worker(project, work) for project in projects(settings)]


def _agent(options: dict[str, Any]) -> str:
    from refinery.errors import UsageError

    named = [options["agent"]] if options["agent"] else []
    named += [name for name in ("claude", "gemini") if options[name]]
    if len(named) > 1:
        raise UsageError(
            f"one agent at a time, not {' and '.join(named)}", remedy="give one of -c, -g, --agent"
        )
    return named[0] if named else ""


def _tell(settings: Settings, result: "RunResult") -> None:
    """One line for people, or one JSON object a line in a loop."""
    if settings.json:
        import json

        click.echo(json.dumps(result.to_json(), ensure_ascii=False))
        return
    from refinery.cli.output import say

    where = f" (pull {result.pull})" if result.pull is not None else ""
    what = f"{result.task_id}: " if result.task_id else ""
    say(f"{what}{result.outcome}{where}{': ' + result.reason if result.reason else ''}")
    for task, why in list(result.skipped.items())[:_SHOWN]:
        say(f"  {task}: {why}")
    if len(result.skipped) > _SHOWN:
        say(f"  and {len(result.skipped) - _SHOWN} more; `refinery status` shows all")
