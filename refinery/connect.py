"""Projects on GitHub: from a registered place to a client, a forge and a task source, for one process.

What it imports is slow to import, so only projects on GitHub come here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from refinery.core.config import ProjectConfig, UserConfig
from refinery.core.sanitise import redact
from refinery.forges.github.address import git_url, web_url
from refinery.forges.github.auth import find_api_url, find_credentials
from refinery.forges.github.client import Client
from refinery.forges.github.credentials import Credentials
from refinery.forges.github.forge import GitHubForge, Place
from refinery.forges.github.ledger import Ledger
from refinery.git_credentials import GitCredentials
from refinery.home import Home
from refinery.mirror import Mirror
from refinery.tasks.github import GitHubTasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One repository on GitHub, and who we are there."""

    api: str
    repository: str
    credentials: Credentials
    client: Client

    @property
    def url(self) -> str:
        """Where git finds it."""
        return git_url(self.api, self.repository)

    @property
    def git_credentials(self) -> GitCredentials:
        """What git may say there, and nowhere else."""
        return GitCredentials(web_url(self.api), self.credentials.token)


def connect(
    user: UserConfig,
    repository: str,
    home: Home,
    on_pause: Callable[[float, str], None],
    trace: Callable[[str], None] | None = None,
) -> Connection:
    """The connection to `OWNER/NAME`; nothing is sent yet.

    Raises:
        LoginError: there are no credentials.
    """
    api = find_api_url(os.environ, user.github.api)
    credentials = find_credentials(
        os.environ, api_url=api, slug=repository, token_file=user.github.token_file
    )
    name = next(iter(credentials.secrets), "")
    client = Client(api, credentials, on_pause=on_pause, ledger=Ledger.shared(home.cache, api, name))
    if trace is not None:
        client.trace(lambda traced: trace(str(traced)))
    return Connection(api=api, repository=repository, credentials=credentials, client=client)


def make_forge(
    connection: Connection, mirror: Mirror, base: str, label: Callable[[str], str], *, has_issue_tasks: bool
) -> GitHubForge:
    """The forge that is this repository."""
    place = Place(
        repository=connection.repository,
        url=connection.url,
        base=base,
        has_issue_tasks=has_issue_tasks,
        label=label,
    )
    return GitHubForge(connection.client, mirror, place)


def make_tasks(connection: Connection, config: Callable[[], ProjectConfig]) -> GitHubTasks:
    """The issues of this repository as tasks; `config` is asked anew at each look."""
    return GitHubTasks(
        connection.client,
        connection.repository,
        config,
        lambda text: redact(text, connection.credentials.secrets),
    )
