"""A repository on the fake GitHub, with forges of several people's: for the contract suite and for races."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refinery.forges.github.client import Client
from refinery.forges.github.credentials import FixedToken
from refinery.forges.github.forge import GitHubForge
from refinery.forges.github.forge import Place as Where
from refinery.git_credentials import GitCredentials
from refinery.mirror import Mirror
from refinery.testing import FakeGitHub
from support.forges import FILES, Place, make_mirror
from support.hub import NAME


class HubPlace(Place):
    """The repository on `hub`: `robot` is at work, `mona` reviews."""

    def __init__(self, root: Path, hub: FakeGitHub) -> None:
        self.root, self.hub = root, hub
        hub.create_repository(NAME, files=FILES)
        for login, role in (("robot", "write"), ("mona", "admin")):
            hub.user(login)
            hub.grant(NAME, login, role)
        self.clients: list[Client] = []
        forge, mirror = self.forge_of("robot")
        super().__init__(hub.folder(NAME), hub.folder(NAME), forge, mirror)
        self.reviewer, _ = self.forge_of("mona")

    def forge_of(self, login: str, host: str = "") -> tuple[GitHubForge, Mirror]:
        """The repository as that person sees it, from a machine of their own."""
        token = self.hub.token(login)
        credentials = GitCredentials(self.hub.url, lambda: token)
        mirror = make_mirror(self.root / (host or login), credentials=credentials)
        self.clients.append(Client(self.hub.api, FixedToken(token, "the test")))
        where = Where(
            repository=NAME,
            url=self.hub.git(NAME),
            base="main",
            has_issue_tasks=False,
            label=lambda _base: "polecat",
        )
        return GitHubForge(self.clients[-1], mirror, where), mirror

    def person_moves(self, branch: str, commit: str) -> None:
        """A person pushes a commit of the mirror's to a branch."""
        self.mirror.git(user_config=True).run(
            "push", "--quiet", "--force", self.hub.git(NAME), f"{commit}:refs/heads/{branch}"
        )

    def person_deletes(self, branch: str) -> None:
        """A person deletes a branch."""
        self.hub.delete_branch(NAME, branch, by="mona")

    def comments(self, number: int) -> list[str]:
        """What was said on a pull."""
        return [each.body for each in self.hub.comments(NAME, number)]

    def clock(self) -> float:
        """What GitHub's clock says."""
        return self.hub.clock.now()

    def fall_silent(self) -> None:
        """GitHub no longer answers, neither by its API nor by git."""
        self.hub.faults.add("drop", count=None)


@contextmanager
def opened_hub(root: Path) -> Iterator[HubPlace]:
    """The repository on a fake of its own."""
    with FakeGitHub(root / "hub") as hub:
        place = HubPlace(root, hub)
        try:
            yield place
        finally:
            for client in place.clients:
                client.close()
