"""What several verbs need: projects, holders, and the one project that a verb works on."""

import os
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from refinery.cli.output import say
from refinery.errors import UsageError

if TYPE_CHECKING:
    from refinery.cli.common import Settings
    from refinery.project import Project


def projects(settings: "Settings", *, afresh: bool = False) -> "list[Project]":
    """The projects that `-p` names, or all registered ones; `afresh` as in `open_projects`."""
    from refinery.wiring import open_projects

    return open_projects(settings.open_home(create=False), settings.projects, afresh=afresh)


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

    return caller or read_user(settings.open_home(create=False)).defaults.caller


def echo_for(settings: "Settings") -> Callable[[str], None]:
    """Lines for people; none with `--json`."""
    return (lambda _: None) if settings.json else say
