"""`FakeGitHub`: a GitHub of one's own for tests, and what people do there in their browsers.

    with FakeGitHub(folder) as hub:
        hub.create_repository("acme/widgets", files={"README.md": "hello"})
        hub.user("mona"); hub.grant("acme/widgets", "mona", "admin")
        issue = hub.open_issue("acme/widgets", "Add a greeting", by="mona", labels=("polecat",))

Every change made here is made as a person would make it, with its event and its webhook; inside `hub.quietly()` no
webhook is told.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from refinery.testing import (
    rest_checks,
    rest_git,
    rest_hooks,
    rest_issues,
    rest_objects,
    rest_people,
    rest_pulls,
    rest_repos,
    rest_rules,
    rest_settings,
)
from refinery.testing.api import Api, Request
from refinery.testing.browser import Browser
from refinery.testing.clock import Clock
from refinery.testing.faults import Faults
from refinery.testing.http_git import Transfer
from refinery.testing.limits import Limits
from refinery.testing.server import Server
from refinery.testing.state import App, Installation, Quirks, Start
from refinery.testing.webhooks import Hook, Webhooks
from refinery.testing.world import World

# Importing them fills the table of routes; what takes the whole rest of a path comes last.
REST = (
    rest_repos,
    rest_settings,
    rest_people,
    rest_hooks,
    rest_issues,
    rest_pulls,
    rest_checks,
    rest_rules,
    rest_git,
    rest_objects,
)


class FakeGitHub(Browser):
    """A stateful GitHub on loopback, with its repositories below `folder`. A context manager."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(World(folder))
        self.wire = Api(self.world)
        self.server = Server(self.wire, folder)
        self.webhooks = self.world.webhooks = Webhooks(self.world, lambda: self.api)
        self._port = port

    def __enter__(self) -> Self:
        self.server.start(self._port)
        self.webhooks.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.webhooks.stop()
        self.server.stop()

    # Where it is

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return self.wire.origin

    @property
    def api(self) -> str:
        """The base of REST, as on an Enterprise server."""
        return f"{self.url}/api/v3"

    @property
    def graphql(self) -> str:
        """Where GraphQL is."""
        return f"{self.url}/api/graphql"

    def git(self, name: str) -> str:
        """The URL that git clones a repository from."""
        return f"{self.url}/{name}.git"

    def folder(self, name: str) -> Path:
        """The bare repository itself."""
        return self.repository(name).path

    # Knobs

    @property
    def clock(self) -> Clock:
        """The server's clock."""
        return self.world.clock

    @property
    def faults(self) -> Faults:
        """What goes wrong on the wire."""
        return self.wire.faults

    @property
    def limits(self) -> Limits:
        """The rate limits."""
        return self.wire.limits

    @property
    def requests(self) -> list[Request]:
        """Every API request so far."""
        return self.wire.requests

    @property
    def transfers(self) -> list[Transfer]:
        """Every request of git's so far."""
        return self.server.git.transfers

    @property
    def socket(self) -> Path:
        """The unix socket, which is elsewhere where the folder's path is too long for one."""
        return self.server.socket

    @property
    def quirks(self) -> Quirks:
        """What a client must stand either way."""
        return self.world.quirks

    @property
    def starts(self) -> list[Start]:
        """What workflows would have started for, and what they did not since a job caused it."""
        return self.world.starts

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Changes in this block tell no webhook."""
        with self.world.lock:
            self.world.is_quiet = True
            try:
                yield
            finally:
                self.world.is_quiet = False

    # Who is there

    def user(self, login: str) -> str:
        """A person; returns the login."""
        with self.world.lock:
            return self.world.account(login).login

    def grant(self, name: str, login: str, role: str) -> None:
        """Give a role: none, read, triage, write, maintain or admin."""
        with self.world.lock:
            self.world.grant(self.repository(name), login, role)

    def token(
        self, login: str, permissions: Mapping[str, str] | None = None, *, value: str | None = None
    ) -> str:
        """A token of a person; with `permissions` a fine-grained one; `value` is how it reads, if not by chance."""
        with self.world.lock:
            held = dict(permissions) if permissions is not None else None
            return self.world.make_token(self.world.account(login), value, permissions=held).value

    def actions_token(self, name: str, permissions: Mapping[str, str] | None = None) -> str:
        """The `GITHUB_TOKEN` of a workflow's job."""
        held = permissions or {
            "contents": "write",
            "issues": "write",
            "pull_requests": "write",
            "checks": "write",
        }
        with self.world.lock:
            bot = self.world.account("github-actions[bot]", "Bot")
            where = [self.repository(name)]
            return self.world.make_token(
                bot, kind="actions", permissions=dict(held), repositories=where
            ).value

    def app(
        self,
        slug: str,
        public_key: str = "",
        *,
        owner: str = "acme",
        permissions: Mapping[str, str] | None = None,
    ) -> App:
        """An App; `public_key` (PEM) is what its statements are checked with, if not by `app_key`."""
        with self.world.lock:
            made = self.world.app(slug, key=public_key, owner=owner)
            if permissions is not None:
                made.permissions = {"metadata": "read", **permissions}
            return made

    def app_key(self, slug: str) -> str:
        """A new private key (PEM) of an App, in place of the one it had."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.app(slug, public.decode())
        return private.decode()

    def refuse_pushes(self, name: str, pattern: str, words: str) -> None:
        """Refuse pushes to refs that a shell pattern names (`refs/heads/polecat/*`), in these words."""
        with self.world.lock:
            self.repository(name).refusals.append((pattern, words))

    def install(self, slug: str, *names: str) -> Installation:
        """Install an App on repositories."""
        with self.world.lock:
            where = [self.repository(name) for name in names]
            made = Installation(self.world.next_id(), self.world.app(slug), where[0].owner, where)
            self.world.installations[made.id] = made
            return made

    def revoke(self, token: str) -> None:
        """Take a token back."""
        with self.world.lock:
            self.world.tokens[token].is_revoked = True

    def webhook(self, url: str, secret: str, *events: str, name: str = "", app: str = "") -> Hook:
        """Tell `url` of a repository's events (`name`), or of those wherever an App (`app`) is installed."""
        with self.world.lock:
            return self.webhooks.add(
                url,
                secret,
                events or ("*",),
                repository=self.repository(name) if name else None,
                app=self.world.app(app) if app else None,
            )
