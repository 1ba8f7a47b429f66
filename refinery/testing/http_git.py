"""Git over HTTP: `git http-backend` on the very repositories that the API works on, behind GitHub's permissions.

It takes no lock while git works, so pushes really race with the API for the same refs.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from refinery.testing import identity, pulls
from refinery.testing.api import Answer, Api, Came
from refinery.testing.faults import Fault
from refinery.testing.state import Repository, Token
from refinery.testing.world import ProblemError, World

_PATH: Final = re.compile(r"/([^/]+/[^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
_COMMAND: Final = re.compile(rb"[0-9a-f]{40} [0-9a-f]{40} (refs/[^\0\n ]+)")
_TIMEOUT: Final = 120
_REFUSED: Final = {401: "Authentication required", 403: "Write access to repository not granted."}


@dataclass(frozen=True, slots=True)
class Transfer:
    """One request of git's, for `hub.transfers`."""

    repository: str
    service: str
    login: str
    status: int


def is_git(path: str) -> bool:
    """Whether a path is git's, not the API's."""
    return _PATH.fullmatch(path) is not None


class HttpGit:
    """Git's side of a server."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.transfers: list[Transfer] = []

    def answer(self, came: Came, fault: Fault | None) -> Answer:
        """Handle one request from end to end."""
        found = _PATH.fullmatch(came.path)
        if found is None:
            return Answer(404)
        name, service = found[1], found[2]
        is_push = "git-receive-pack" in (service, came.query.get("service"))
        stale = fault is not None and fault.kind == "stale" and not is_push
        world = self.api.past.last if stale and self.api.past.last is not None else self.api.world
        with self.api.world.lock:
            token = identity.git_token(world, came.headers)
            login = token.account.login if token is not None else ""
            repository = _visible(world, name, token)
            status = _refusal(world, repository, token, is_push=is_push)
            if fault is not None and fault.kind == "status":
                status = fault.status
            guard = _guard(repository, token) if repository is not None and is_push else {}
            if is_push and service == "git-receive-pack" and not status:
                self.api.changing()
        if status or repository is None:
            answer = _plain(status, fault)
        else:
            answer = _backend(repository.path, service, came, login, guard)
            self._told(repository, came, token, service)
        self.transfers.append(Transfer(name, service, login, answer.status))
        return answer

    def _told(self, repository: Repository, came: Came, token: Token | None, service: str) -> None:
        """What follows from a push: by name, since others may have pushed other refs meanwhile."""
        if service == "git-receive-pack" and token is not None:
            names = _pushed_refs(came.raw)
            with self.api.world.lock:
                pulls.pushed(self.api.world, repository, token.account, names)


def _pushed_refs(raw: bytes) -> set[str]:
    """The refs that a push names: a line for each, which begins with its length, up to the empty one."""
    names: set[str] = set()
    at = 0
    while size := int(raw[at : at + 4] or b"0", 16):
        found = _COMMAND.match(raw[at + 4 : at + size])
        names |= {found[1].decode("utf-8", "replace")} if found else set()
        at += size
    return names


def _visible(world: World, name: str, token: Token | None) -> Repository | None:
    try:
        return world.find(name, token.account if token is not None else None)
    except ProblemError:
        return None


def _refusal(world: World, repository: Repository | None, token: Token | None, *, is_push: bool) -> int:
    """The HTTP status of a refusal; 0 for none."""
    if repository is None:
        return 404 if token is not None else 401
    if token is None:
        return 401 if is_push or repository.private else 0
    held = "none" if token.permissions is None else token.permissions.get("contents", "none")
    is_inside = token.repositories is None or repository in token.repositories
    if is_push:
        may = is_inside and (token.permissions is None or held == "write") and not repository.archived
        return 0 if may and world.may(repository, token.account, "write") else 403
    if repository.private and not (is_inside and (token.permissions is None or held in ("read", "write"))):
        return 403
    return 0


def _plain(status: int, fault: Fault | None) -> Answer:
    if fault is not None and fault.kind == "status":
        return Answer(status, fault.message.encode(), dict(fault.headers))
    headers = {"www-authenticate": 'Basic realm="GitHub"'} if status == 401 else {}
    return Answer(status, f"remote: {_REFUSED.get(status, 'Repository not found.')}\n".encode(), headers)


def _guard(repository: Repository, token: Token | None) -> dict[str, str]:
    """What the repository's update hook refuses, in its environment: a line for each pattern of refs."""
    lines = [f"{pattern}\t{words}" for pattern, words in repository.refusals]
    for branch, rules in repository.protection.items():
        if rules.get("checks") or rules.get("reviews"):
            lines.append(
                f"refs/heads/{branch}\tGH006: Protected branch update failed for refs/heads/{branch}."
            )
    for ruleset in repository.rulesets:
        kinds = {rule["type"] for rule in ruleset["rules"]}
        if kinds & {"required_status_checks", "merge_queue", "pull_request"}:
            lines += [
                f"refs/heads/{branch}\tGH013: Repository rule violations found"
                for branch in ruleset["branches"]
            ]
    held = token.permissions if token is not None else None
    is_person = token is not None and token.kind == "user"
    who = "a Personal Access Token" if is_person else "a GitHub App"
    words = f"refusing to allow {who} to create or update workflow"
    may_edit_workflows = held is None or held.get("workflows") == "write"
    return {"FAKE_REFUSED": "\n".join(lines), "FAKE_WORKFLOWS": "" if may_edit_workflows else words}


def _backend(path: Path, service: str, came: Came, login: str, guard: dict[str, str]) -> Answer:
    """Git's own HTTP server program on one repository."""
    env = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(path.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_PROTOCOL": came.headers.get("Git-Protocol", ""),
        "PATH_INFO": f"/{path.name}/{service}",
        "QUERY_STRING": came.raw_path.partition("?")[2],
        "REQUEST_METHOD": came.method,
        "CONTENT_TYPE": came.headers.get("Content-Type", ""),
        "REMOTE_USER": quote(login),
        "REMOTE_ADDR": "127.0.0.1",
        **guard,
    }
    done = subprocess.run(
        ["git", "http-backend"], input=came.raw, env=env, capture_output=True, check=False, timeout=_TIMEOUT
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    return Answer(status, body, headers)
