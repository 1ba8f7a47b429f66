"""Issues as tasks, from the command line: which project has them, opening one, and where a person edits one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from refinery.core.text import listing
from refinery.errors import UsageError

if TYPE_CHECKING:
    from refinery.cli.common import Settings
    from refinery.connect import Connection
    from refinery.core.config import UserProject

_FRONT: Final = ("type", "priority", "order", "agent", "parent", "complexity")
_NOT_OF_ISSUES: Final = {"task_id": "--id", "folder": "--folder"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An issue that was just opened; `notes` say what keeps it from being a task at once."""

    number: int
    url: str
    notes: tuple[str, ...]


def are_issues(registered: "UserProject") -> bool:
    """Whether a project's tasks are issues."""
    from refinery.core.places import ISSUES, PREFIX

    return registered.tasks == ISSUES or registered.tasks.startswith(PREFIX)


def open_issue(settings: "Settings", slug: str, options: Mapping[str, Any], body: str) -> Opened:
    """Open an issue; with the status ready it is handed over at once, by the label of the project's configuration.

    Raises:
        UsageError: an option that no issue can have.
        AnswerLostError: nobody knows whether it was opened.
    """
    _check(options)
    connection, label = _place(settings, slug)
    is_ready = options["status"] == "ready"
    labels = [*([label] if is_ready else []), *options["label"]]
    someone = options["assignee"] if options["assignee"] not in ("", "polecat", "bot") else ""
    wanted: dict[str, Any] = {"title": options["title"], "body": _body(options, body), "labels": labels}
    wanted |= {"assignees": [someone]} if someone else {}
    made = _sent(connection, wanted)
    return Opened(
        number=int(made["number"]),
        url=f"{_page(connection)}/issues/{made['number']}",
        notes=tuple(_notes(made, labels, label if is_ready else "")),
    )


def _sent(connection: "Connection", wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    from refinery.forges.github.errors import AnswerLostError

    try:
        made = connection.client.send("POST", f"/repos/{connection.repository}/issues", wanted, "issue")
    except AnswerLostError as error:
        raise AnswerLostError(
            f"whether the issue was opened is not known: {error.message}",
            remedy=f"look at {_page(connection)}/issues before you do it again",
        ) from error
    found: Mapping[str, Any] = made.body
    return found


def refuse_edit(settings: "Settings", slug: str, task_id: str) -> UsageError:
    """Why an issue is not edited from here, and where it is."""
    connection, label = _place(settings, slug)
    return UsageError(
        f"{task_id} is an issue of {connection.repository}, which is edited on GitHub",
        remedy=f"{_page(connection)}/issues/{task_id}; put the label {label} on again afterwards",
    )


def _place(settings: "Settings", slug: str) -> "tuple[Connection, str]":
    """The connection to the issues, and the label that hands one over."""
    from dataclasses import replace

    from refinery.cli.shared import Connections, projects
    from refinery.git import scrub_environment

    scrub_environment()
    connections = Connections(settings)
    (project,) = projects(replace(settings, projects=(slug,)), connections=connections)
    label = project.config(project.forge.observe()).label
    return connections.of(slug)[-1], label


def _page(connection: "Connection") -> str:
    return connection.url.removesuffix(".git")


def _check(options: Mapping[str, Any]) -> None:
    given = [name for key, name in _NOT_OF_ISSUES.items() if options[key]]
    if given:
        raise UsageError(
            f"an issue takes no {listing(given, 'or')}", remedy="GitHub numbers issues; leave it out"
        )
    if options["status"] not in ("ready", "inbox"):
        raise UsageError(
            f"a new issue is ready or in the inbox, not {options['status']}",
            remedy="leave --status out, or write --status inbox and put the label on later",
        )


def _body(options: Mapping[str, Any], body: str) -> str:
    """The text, with a block at its top for what no label of GitHub's says."""
    from refinery.core.model import Task

    plain = Task(id="", title="")
    values = {**options, "type": options["kind"]}
    lines = [f"{name}: {values[name]}" for name in _FRONT if values[name] != getattr(plain, name)]
    depends = [f"Depends on #{each.removeprefix('#')}" for each in options["depends_on"]]
    front = "\n".join(("---", *lines, "---", "", "")) if lines else ""
    return front + "\n\n".join(filter(None, (body, "\n".join(depends))))


def _notes(made: Mapping[str, Any], labels: list[str], handed_over: str) -> list[str]:
    """GitHub leaves labels out without a word where the caller may not label; an App's label is not trusted."""
    there = {str(each["name"]).casefold() for each in made["labels"]}
    lacking = [each for each in labels if each.casefold() not in there]
    if lacking:
        return [f"GitHub did not put {listing(lacking)} on it: these credentials may not label"]
    author = made.get("user") or {}
    if handed_over and author.get("type") == "Bot":
        who = author["login"]
        again = "once `trust.allow` names it, or somebody who may write puts the label on again"
        return [f"{who} put the label on, and is no person: it counts {again}"]
    return []
