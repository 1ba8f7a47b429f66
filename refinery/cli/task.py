"""`refinery task`: add, list, show and edit tasks: Markdown files that a person may edit just as well, or issues."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from refinery.cli.common import Settings, common_options, group_options, json_option
from refinery.core.model import Status

if TYPE_CHECKING:
    from refinery.core.config import UserProject
    from refinery.core.model import Task
    from refinery.tasks.files import FileTasks

_EDITABLE: Final = (
    *("title", "status", "type", "priority", "order", "project", "assignee", "depends_on"),
    *("labels", "agent", "parent", "complexity", "created"),
)
_LONGEST: Final = 40  # characters of an id that is made from a title
_TRIES: Final = 20  # ids that are tried until one is free


@click.group()
@group_options
def command() -> None:
    """Add, list, show and edit tasks."""


@command.command()
@click.argument("title")
@click.option("--id", "task_id", default="", metavar="ID", help="Its id (default: made from the title).")
@click.option("-b", "--body", default="", metavar="TEXT", help="What is to be done; - reads standard input.")
@click.option(
    "--status",
    type=click.Choice(["ready", "inbox", "blocked", "dormant"]),
    default="ready",
    show_default=True,
    help="ready hands it over at once; inbox keeps it back.",
)
@click.option(
    "--priority", type=click.IntRange(0, 4), default=2, show_default=True, help="0 is first, 4 last."
)
@click.option("--order", type=float, default=0.0, help="Sorts within a priority.")
@click.option("--type", "kind", default="task", show_default=True, help="task, action, bug or feature.")
@click.option("--depends-on", multiple=True, metavar="ID", help="What must be done first; may be repeated.")
@click.option("--assignee", default="", help="polecat, bot, or nobody, to have it run.")
@click.option("--agent", default="", metavar="NAME", help="The agent to run it with.")
@click.option("--label", multiple=True, help="May be repeated.")
@click.option("--parent", default="", metavar="ID", help="The task that it is a part of.")
@click.option("--complexity", default="", help="Free text, for people.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where below the task folder (default: its top)."
)
@json_option
@common_options(git=False)
def add(settings: Settings, /, **options: Any) -> int:
    """Write a new task file with TITLE, and print its id and path; where tasks are issues, open one.

    With several projects, -p says whose task it is; where projects share a folder, the file names the project.
    """
    from refinery.cli.task_issues import are_issues

    slug, registered = _one_project(settings)
    if str(options["body"]) == "-":
        options["body"] = sys.stdin.read()
    if are_issues(registered):
        return _add_issue(settings, slug, options)
    return _add_file(settings, slug, options)


def _add_issue(settings: Settings, slug: str, options: dict[str, Any]) -> int:
    from refinery.cli.output import print_json, say, shown
    from refinery.cli.task_issues import open_issue

    made = open_issue(settings, slug, options, str(options["body"]))
    for note in made.notes:
        say(f"note: {note}")
    if settings.json:
        print_json({"id": str(made.number), "path": made.url, "project": slug})
    else:
        click.echo(f"{made.number}  {shown(made.url)}")
    return 0


def _add_file(settings: Settings, slug: str, options: dict[str, Any]) -> int:
    from refinery.cli.output import print_json, say, shown

    source, is_shared = _folder(settings, slug)
    known = source.all()
    task = _new_task(options, source, project=slug if is_shared else "")
    path = source.add(task, options["folder"])
    for name in task.depends_on:
        if name not in known.tasks:
            say(f"note: there is no task {name} yet; {task.id} waits until there is, and it is done")
    if settings.json:
        print_json({"id": task.id, "path": path, "project": slug})
    else:
        click.echo(f"{shown(task.id)}  {shown(path)}")
    return 0


def _new_task(options: dict[str, Any], source: "FileTasks", project: str) -> "Task":
    from datetime import UTC, datetime

    from refinery.core.model import Task

    return Task(
        id=options["task_id"] or _free_id(options["title"], source),
        title=options["title"],
        body=str(options["body"]),
        status=Status(options["status"]),
        type=options["kind"],
        priority=options["priority"],
        order=options["order"],
        project=project,
        assignee=options["assignee"],
        depends_on=options["depends_on"],
        labels=options["label"],
        agent=options["agent"],
        parent=options["parent"],
        complexity=options["complexity"],
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


def _free_id(title: str, source: "FileTasks") -> str:
    """The title as an id; with a few random letters where that is taken, or nothing of the title is left."""
    import secrets

    from refinery.core.tasks import slug
    from refinery.errors import UsageError

    look = source.all()
    taken = {*look.tasks, *(problem.task for problem in look.problems)}
    whole = slug(title)
    stem = whole if len(whole) <= _LONGEST else whole[: _LONGEST + 1].rpartition("-")[0] or whole[:_LONGEST]
    names = (f"{stem or 'task'}-{secrets.token_hex(2)}" for _ in range(_TRIES))
    if stem and stem not in taken:
        return stem
    found = next((name for name in names if name not in taken), None)
    if found is None:
        raise UsageError(f"no id made from {title!r} is free", remedy="give one with --id")
    return found


@command.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([str(each) for each in Status]),
    help="Only these; may be repeated.",
)
@click.option("--ready", "only_ready", is_flag=True, help="Only what a worker would take now.")
@click.option("--caller", default="", metavar="NAME", help="Judge readiness for this caller (default: bot).")
@json_option
@common_options
def list_(settings: Settings, /, statuses: tuple[str, ...], only_ready: bool, caller: str) -> int:
    """List tasks, ready ones first in the order of their start, with the reasons why the others are not."""
    from refinery.cli.output import print_json, say, table
    from refinery.cli.shared import caller_of, projects
    from refinery.cli.tasks_shown import rows

    found = [rows(project, caller_of(settings, caller)) for project in projects(settings)]
    listed = [
        row
        for each in found
        for row in each.rows
        if (not statuses or row.task.status in statuses) and (row.is_ready or not only_ready)
    ]
    problems = [problem for each in found for problem in each.problems]
    if settings.json:
        print_json({"tasks": listed, "problems": problems})
        return 0
    cells = [
        (
            row.task.id,
            row.task.status,
            row.task.priority,
            "yes" if row.is_ready else "no",
            row.task.title,
            row.why,
        )
        for row in listed
    ]
    if cells:
        table(settings, ("task", "status", "priority", "ready", "title", "why not"), cells)
    else:
        say("no tasks" if not (statuses or only_ready) else "no such tasks")
    for problem in problems:
        say(f"problem: {problem}")
    return 0


@command.command()
@click.argument("task_id", metavar="ID")
@click.option("--caller", default="", metavar="NAME", help="Judge readiness for this caller (default: bot).")
@json_option
@common_options
def show(settings: Settings, /, task_id: str, caller: str) -> int:
    """Show a task: its front matter and text, its claim, its pull, and what keeps it from being started."""
    from refinery.cli.output import print_json, shown
    from refinery.cli.shared import caller_of, projects
    from refinery.cli.tasks_shown import find, told

    row = find(projects(settings), task_id, caller_of(settings, caller))
    if settings.json:
        print_json(row)
        return 0
    for name, value in told(row):
        click.echo(click.style(f"{name:12}", bold=True) + shown(value))
    if row.task.body.strip():
        click.echo("\n" + "\n".join(shown(line) for line in row.task.body.strip().splitlines()))
    return 0


@command.command()
@click.argument("task_id", metavar="ID")
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--editor", is_flag=True, help="Open the file in $VISUAL or $EDITOR, and check it afterwards.")
@json_option
@common_options(git=False)
def edit(settings: Settings, /, task_id: str, changes: tuple[str, ...], editor: bool) -> int:
    """Set front matter values of a task, and keep every other byte of its file. An issue is edited on GitHub.

    Lists (depends_on, labels) are given comma-separated; `key=` empties a value. status=ready has a blocked, failed
    or reviewed task done again.
    """
    from refinery.cli.output import print_json, shown
    from refinery.errors import UsageError

    wanted = _changes(changes)
    if bool(wanted) is editor:
        raise (
            UsageError("nothing to change", remedy="give KEY=VALUE, or --editor alone")
            if not editor
            else (UsageError("either KEY=VALUE or --editor", remedy="do one after the other"))
        )
    source = _source_of(settings, task_id)
    if editor:
        _in_editor(source, task_id)
    else:
        source.update(task_id, wanted)
    task = source.get(task_id)
    if settings.json:
        print_json({"id": task.id, "path": task.source, "changed": wanted, "task": task})
    else:
        what = ", ".join(f"{key} {value or 'emptied'}" for key, value in wanted.items()) or "edited"
        click.echo(f"{shown(task.id)}  {shown(what)}  {shown(task.source)}")
    return 0


def _changes(given: tuple[str, ...]) -> dict[str, str]:
    """The changes by key.

    Raises:
        UsageError: no `=`, or a key that no task has.
    """
    from refinery.core.text import did_you_mean
    from refinery.errors import UsageError

    changes = {}
    for each in given:
        key, separator, value = each.partition("=")
        if not separator:
            raise UsageError(f"{each!r} is not KEY=VALUE", remedy="for example: status=ready")
        name = key.strip().replace("-", "_")
        if name == "id":
            raise UsageError(
                "a task's id cannot be changed: its claim and branch carry it",
                remedy="add a new task, and cancel this one",
            )
        if name not in _EDITABLE:
            hint = did_you_mean(name, _EDITABLE) or f"known are {', '.join(_EDITABLE)}"
            raise UsageError(f"a task has no {key!r}", remedy=hint)
        changes[name] = value.strip()
    return changes


def _in_editor(source: "FileTasks", task_id: str) -> None:
    """Let a person edit the file, also one that does not parse."""
    look = source.all()
    broken = next((problem.path for problem in look.problems if problem.task == task_id), "")
    task = look.tasks.get(task_id)
    click.edit(filename=task.source if task is not None else broken or source.get(task_id).source)


def _picked(settings: Settings) -> "dict[str, UserProject]":
    """The projects that were asked for; their repositories are not looked at."""
    from refinery.configured import read_user
    from refinery.errors import UsageError

    picked = settings.pick(read_user(settings.home_of_projects()).projects)
    if not picked:
        raise UsageError(
            "no project is registered in this home",
            remedy="`refinery init SLUG --repo PATH_OR_URL --tasks FOLDER` registers one",
        )
    return picked


def _one_project(settings: Settings) -> "tuple[str, UserProject]":
    """The one project to add to."""
    from refinery.errors import UsageError

    found = _picked(settings)
    if len(found) > 1:
        raise UsageError(f"a new task belongs to one project of {', '.join(found)}", remedy="name it with -p")
    return next(iter(found.items()))


def _files(settings: Settings, slug: str, registered: "UserProject") -> "FileTasks":
    from refinery.project import folder_of
    from refinery.tasks.files import FileTasks

    cache = settings.open_home(create=False).cache / f"tasks-{folder_of(slug)}"
    return FileTasks(Path(registered.tasks).expanduser(), cache)


def _folder(settings: Settings, slug: str) -> "tuple[FileTasks, bool]":
    """A project's task folder, and whether another project has the same one."""
    from refinery.configured import read_user

    everyone = read_user(settings.open_home(create=False)).projects
    source = _files(settings, slug, everyone[slug])
    folders = [Path(each.tasks).expanduser().resolve() for each in everyone.values()]
    return source, folders.count(source.folder) > 1


def _source_of(settings: Settings, task_id: str) -> "FileTasks":
    """The folder that holds a task, readable or not; else the first, which says what is wrong.

    Raises:
        UsageError: it is an issue.
    """
    from refinery.cli.task_issues import are_issues, refuse_edit

    picked = _picked(settings)
    found = {slug: _files(settings, slug, each) for slug, each in picked.items() if not are_issues(each)}
    for source in found.values():
        look = source.all()
        if task_id in look.tasks or any(problem.task == task_id for problem in look.problems):
            return source
    issues = next((slug for slug, each in picked.items() if are_issues(each)), "")
    if issues and (task_id.isdecimal() or not found):
        raise refuse_edit(settings, issues, task_id)
    return next(iter(found.values()))
