"""What several verbs need: projects, holders, and the one project that a verb works on."""

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from refinery.cli.output import say
from refinery.errors import ForgeUnavailableError, UsageError

if TYPE_CHECKING:
    from refinery.cli.common import Settings
    from refinery.connect import Connection
    from refinery.project import Project
    from refinery.wiring import Hooks


class Connections:
    """The connections to GitHub that a verb made, by project, and what it tells of them on standard error."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._by_project: dict[str, list[Connection]] = {}
        self._told: set[tuple[int, str]] = set()
        context = click.get_current_context(silent=True)
        if settings.trace_api and context is not None:
            context.call_on_close(self._tell_counts)

    def hooks(self) -> "Hooks":
        """What to hand to whatever opens projects."""
        from refinery.wiring import Hooks

        trace = say if self._settings.trace_api else None
        return Hooks(on_pause=self._tell_pause, trace=trace, opened=self._keep)

    def of(self, slug: str) -> "list[Connection]":
        """Those of a project: its code's, and its tasks' where they are the issues of another repository."""
        return self._by_project.get(slug, [])

    @contextmanager
    def explained(self) -> Iterator[None]:
        """A block that opens projects: where git gets no answer, GitHub's API may know why, and say it better.

        Raises:
            LoginError, UnusableRepositoryError: that is why.
        """
        try:
            yield
        except ForgeUnavailableError:
            for connection in (each for made in self._by_project.values() for each in made):
                connection.client.get(f"/repos/{connection.repository}", "login")
            raise

    def _keep(self, slug: str, connection: "Connection") -> None:
        self._by_project.setdefault(slug, []).append(connection)

    def _tell_pause(self, until: float, why: str) -> None:
        """Once for each pause, however many requests wait for its end."""
        from refinery.core.standing import clock

        if (round(until), why) not in self._told:
            self._told.add((round(until), why))
            say(f"waiting until {clock(until)}: {why}")

    def _tell_counts(self) -> None:
        """The requests of this process by purpose."""
        counts: dict[str, list[int]] = {}
        for connection in (each for made in self._by_project.values() for each in made):
            for purpose, count in connection.client.usage.purposes.items():
                row = counts.setdefault(purpose, [0, 0, 0])
                row[:] = [
                    a + b for a, b in zip(row, (count.sent, count.unchanged, count.retried), strict=True)
                ]
        for purpose, (sent, unchanged, retried) in sorted(counts.items()):
            say(f"{purpose}: {sent} sent, {unchanged} of them unchanged, {retried} repeated")
        total, free = (sum(row[place] for row in counts.values()) for place in (0, 1))
        say(f"all: {total} sent, {total - free} of them count against the quota")


def projects(
    settings: "Settings", *, afresh: bool = False, connections: Connections | None = None
) -> "list[Project]":
    """The projects that `-p` names, or all registered ones; `afresh` as in `open_projects`."""
    from refinery.wiring import open_projects

    connections = connections or Connections(settings)
    with connections.explained():
        return open_projects(
            settings.home_of_projects(), settings.projects, afresh=afresh, hooks=connections.hooks()
        )


def one_project(settings: "Settings", what: str, *, afresh: bool = False) -> "Project":
    """The one project to work on.

    Raises:
        UsageError: several are registered and none was named.
    """
    found = projects(settings, afresh=afresh)
    if len(found) > 1:
        names = ", ".join(project.slug for project in found)
        raise UsageError(f"{what} needs one project of {names}", remedy="name it with -p")
    return found[0]


def holder(caller: str) -> str:
    """Who we are in a claim: the caller, this host and process, and something random, so that nobody shares it (F2)."""
    return f"{caller}@{socket.gethostname()}:{os.getpid()}-{secrets.token_hex(3)}"


def caller_of(settings: "Settings", caller: str) -> str:
    """The caller's name: the flag, else the person's default."""
    from refinery.configured import read_user

    return caller or read_user(settings.home_of_projects()).defaults.caller


def echo_for(settings: "Settings") -> Callable[[str], None]:
    """Lines for people; none with `--json`."""
    return (lambda _: None) if settings.json else say
