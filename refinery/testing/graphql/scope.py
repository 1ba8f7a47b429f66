"""Who asks, of which world, and what may be seen: handed to every resolver of one question."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from refinery.testing import repository_git
from refinery.testing.graphql.cost import NOTHING, Cost
from refinery.testing.graphql.ids import Node, find_node, node_id
from refinery.testing.graphql.objects import Commit, Ref
from refinery.testing.graphql.problems import forbidden, unresolved
from refinery.testing.limits import Window
from refinery.testing.state import Account, Issue, Repository, Token
from refinery.testing.world import ROLES, World


@dataclass
class Scope:
    """One question: the world, the viewer's token and hour, what it costs, and which pulls were found to merge."""

    world: World
    viewer: Token
    base: str
    window: Window
    cost: Cost = NOTHING
    judged: dict[Issue, bool | None] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        """Who the viewer is."""
        return self.viewer.account

    def login(self, account: Account) -> str:
        """An account's name as GraphQL says it: an App's bot without REST's `[bot]`."""
        return account.login.removesuffix("[bot]") if account.kind == "Bot" else account.login

    def url(self, path: str) -> str:
        """A page's address."""
        return f"{self.base}/{path}"

    def node_id(self, node: Node) -> str:
        """The opaque name of an object."""
        return node_id(node)

    def role(self, repository: Repository) -> str:
        """The viewer's role: `none`, `read`, `triage`, `write`, `maintain` or `admin`."""
        if self.viewer.repositories is not None and repository not in self.viewer.repositories:
            return "none" if repository.private else "read"
        return self.world.role(repository, self.account)

    def sees(self, repository: Repository) -> bool:
        """Whether the viewer knows that it exists."""
        return not repository.private or self.role(repository) != "none"

    def may(self, repository: Repository, permission: str, role: str = "write") -> bool:
        """Whether the viewer has a role, and a token whose permission is for writing."""
        granted = self.viewer.permissions
        # What an App may is in its token; a person's token may at most what the person may.
        needed = "write" if self.account.app is not None and role != "read" else role
        has_role = ROLES.index(self.role(repository)) >= ROLES.index(needed)
        return has_role and (granted is None or granted.get(permission) in ("write", "admin"))

    def reads(self, *permissions: str) -> None:
        """Refuse a look that the viewer's token was not given any of these permissions for.

        Raises:
            Problem: FORBIDDEN.
        """
        granted = self.viewer.permissions
        if granted is not None and all(granted.get(name, "none") == "none" for name in permissions):
            raise forbidden(self._words)

    @property
    def _words(self) -> str:
        kind = "integration" if self.account.app is not None else "personal access token"
        return f"Resource not accessible by {kind}"

    def demand(self, repository: Repository, permission: str, role: str = "write") -> None:
        """Refuse a change that the viewer may not make.

        Raises:
            Problem: FORBIDDEN.
        """
        if repository.archived:
            raise forbidden("Repository was archived so is read-only.")
        if not self.may(repository, permission, role):
            raise forbidden(self._words)

    @property
    def repositories(self) -> Iterable[Repository]:
        """Those that the viewer may see."""
        return [each for each in self.world.repositories.values() if self.sees(each)]

    def refs(self, repository: Repository, prefix: str) -> list[Ref]:
        """Refs whose full name starts with `prefix`, by name."""
        found = repository_git.refs(repository.path, prefix)
        return [Ref(repository, name, oid) for name, oid in sorted(found.items())]

    def ref(self, repository: Repository, full_name: str) -> Ref | None:
        """A ref by its full name."""
        oid = repository_git.ref(repository.path, full_name)
        return Ref(repository, full_name, oid) if oid else None

    def tip(self, repository: Repository, branch: str) -> Commit | None:
        """The commit that a branch holds."""
        oid = repository_git.ref(repository.path, f"refs/heads/{branch}")
        return Commit(repository, oid) if oid else None

    def node(self, name: str) -> Node:
        """The object of that opaque name.

        Raises:
            Problem: NOT_FOUND, also for what the viewer may not see.
        """
        found = find_node(self.world, self.repositories, name)
        if found is None:
            raise unresolved("a node with the global id of", f"'{name}'")
        return found

    def issue(self, name: str, *, is_pull: bool) -> Issue:
        """An issue or pull by its opaque name.

        Raises:
            Problem: NOT_FOUND.
        """
        found = self.node(name)
        if not isinstance(found, Issue) or found.is_pull is not is_pull:
            kind = "PullRequest" if is_pull else "Issue"
            raise unresolved("a node with the global id of", f"'{name}' as {kind}")
        return found
