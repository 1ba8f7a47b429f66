"""`refinery demo`: a swarm on a temporary project, offline."""

import re
import time
from typing import TYPE_CHECKING, Final

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from refinery.demo.ends import Ended
    from refinery.demo.play import Played
    from refinery.demo.stage import Stage

_GOOD: Final = ("published", "merged")
_CARE: Final = ("refused", "waits", "no-changes", "blocked")
_BAD: Final = ("agent-failed", "timed-out", "failed")
_COLOURS: Final = {
    "claimed": "blue",
    **dict.fromkeys(_GOOD, "green"),
    **dict.fromkeys(_CARE, "yellow"),
    **dict.fromkeys(_BAD, "red"),
}
_WORD: Final = re.compile(rf"(?<![\w-])({'|'.join(_COLOURS)})(?![\w-])")
_NEWS: Final = ("claimed ", "waiting: ", "ended: ")  # what a worker says itself begins so, or with its task
_NAMES: Final = ("cyan", "bright_blue", "bright_cyan", "blue")
_WIDEST: Final = 120


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep the demo's folder, to look around in it.")
@click.option(
    "--workers", type=click.IntRange(1, 16), default=2, show_default=True, help="Workers side by side."
)
@click.option(
    "--github", "is_github", is_flag=True, help="The same story over a made-up GitHub on this machine."
)
@json_option
@common_options
def command(settings: Settings, /, keep: bool, workers: int, is_github: bool) -> int:
    """Let a swarm with a scripted agent work on a small package, offline, and merge what may be merged.

    Thirteen tasks with a story each: some land, some wait for a person, some fail. The exit code is 0 only if every
    task ended as its story says.
    """
    from refinery.cli.output import print_json
    from refinery.demo.play import demo_folder, play
    from refinery.process import StopFlag

    stop = StopFlag()
    teller = _Teller(settings)
    try:
        with stop.on_signals(), demo_folder(keep=keep, is_github=is_github) as stage:
            teller.begin(stage, workers, keep=keep)
            played = play(stage, workers, stop, teller.line)
    finally:
        stop.close()
    if settings.json:
        print_json(_as_json(played, stage, keep=keep))
    else:
        teller.end(played, stage, keep=keep)
    return 1 if played.wrong else 0


class _Teller:
    """What people see; nothing with `--json`."""

    def __init__(self, settings: Settings) -> None:
        from refinery.cli.output import shown
        from refinery.demo.story import SCENES

        self.settings = settings
        self.shown = shown
        starts = [*_NEWS, *(re.escape(scene.id) + ":" for scene in SCENES), r"\d+:"]
        self._news = re.compile("|".join(starts))
        self.started = time.monotonic()

    def say(self, text: str = "") -> None:
        """One line."""
        if not self.settings.json:
            click.echo(text)

    def begin(self, stage: "Stage", workers: int, *, keep: bool) -> None:
        """What is about to happen."""
        from refinery.core.text import plural
        from refinery.demo.story import SCENES

        kept = "kept" if keep else "removed at the end; --keep keeps it"
        self.say(click.style("Refinery demo", bold=True))
        self.say(
            f"  {len(SCENES)} tasks, {plural(workers, 'worker')} and a merger on a small package; "
            "no network, no key, no model"
        )
        self.say(f"  in {stage.folder} ({kept})")

    def line(self, name: str, text: str) -> None:
        """One line of the swarm, with the time since the start; or what starts it."""
        if name == "$":
            self.say()
            self.say(click.style(f"$ {text}", bold=True))
            return
        at = click.style(f"{time.monotonic() - self.started:5.1f}s", dim=True)
        is_worker = name.startswith("worker")
        colour = "magenta" if name == "merger" else _NAMES[int(name[-1]) % 4] if is_worker else None
        who = click.style(f"{name:10}", fg=colour)
        clean = self.shown(text)
        if not is_worker or self._news.match(clean):
            words = _WORD.sub(lambda found: click.style(found[0], fg=_COLOURS[found[0]]), clean, count=1)
        elif clean.startswith("--- "):  # where the transcript notes a command line or an exit code
            return
        else:
            words = click.style(f"  agent: {clean}", dim=True)
        self.say(f"{at}  {who} {words}".rstrip())

    def end(self, played: "Played", stage: "Stage", *, keep: bool) -> None:
        """The table of ends, what landed, and where to look next."""
        self.say()
        self._table(played)
        self.say()
        self.say(click.style("on main now", bold=True))
        for subject in played.outlook.landed:
            self.say(f"  {self.shown(subject)}")
        self.say()
        for each in played.outlook.tasks:
            for difference in each.differences:
                self.say(click.style(f"{each.scene.id}: {difference}", fg="red"))
        total, wrong = len(played.outlook.tasks), len(played.wrong)
        self.say(
            click.style(
                f"{total - wrong} of {total} tasks ended as their stories say",
                fg="red" if wrong else "green",
                bold=True,
            )
            + f" ({played.seconds:.1f} s)"
        )
        self.say()
        for what, how in next_steps(stage, keep=keep):
            self.say(f"  {what:28}{how}")

    def _table(self, played: "Played") -> None:
        from rich.table import Table
        from rich.text import Text

        from refinery.cli.output import console

        grid = Table(box=None, pad_edge=False, header_style="bold")
        for header in ("", "task", "what it shows", "ended", "tries", "pull", "status", "why"):
            grid.add_column(header, overflow="fold", no_wrap=header in ("", "task", "ended", "status"))
        for each in played.outlook.tasks:
            grid.add_row(*(Text(self.shown(cell), style=style) for cell, style in _row(each)))
        page = console(self.settings)
        page.width = min(page.width, _WIDEST)
        page.print(grid)


def _row(each: "Ended") -> list[tuple[str, str]]:
    end = "merged" if each.state == "merged" else "refused" if each.verdict == "refuse" else each.outcome
    end = end or "not started"
    return [
        ("✗" if each.differences else "✓", "red" if each.differences else "green"),
        (each.scene.id, "bold"),
        (each.scene.shows, ""),
        (end, _COLOURS.get(end, "")),
        (str(each.attempt or "-"), ""),
        (str(each.pull or "-"), ""),
        (each.status, ""),
        (each.why, "dim"),
    ]


def next_steps(stage: "Stage", *, keep: bool) -> list[tuple[str, str]]:
    """Where to look now: the kept folder, or how to keep one and how to begin for real."""
    if not keep:
        return [
            ("look around in it:", "refinery demo --keep"),
            ("your own repository:", "refinery init SLUG --repo PATH_OR_URL --tasks FOLDER"),
            ("what is missing for it:", "refinery doctor"),
        ]
    verb = f"refinery --home {stage.home}"
    return [
        ("everything at a glance:", f"{verb} status"),
        ("answer the question:", f"{verb} task edit currency status=ready"),
        ("what agents printed:", f"{stage.home}/transcripts"),
        ("what landed:", f"git -C {stage.repository} log --stat main"),
        ("the tasks as files:", str(stage.tasks)),
        ("remove it all:", f"rm -r {stage.folder}"),
    ]


def _as_json(played: "Played", stage: "Stage", *, keep: bool) -> dict[str, object]:
    return {
        "ok": not played.wrong,
        "seconds": round(played.seconds, 3),
        "folder": stage.folder if keep else None,
        "tasks": list(played.outlook.tasks),
        "wrong": list(played.wrong),
        "landed": list(played.outlook.landed),
        "next": {what.rstrip(":"): how for what, how in next_steps(stage, keep=keep)},
    }
