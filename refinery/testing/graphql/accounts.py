"""People, organisations, bots and Apps; and the questions that start from nothing."""

from typing import Any

from refinery.testing.graphql.problems import unresolved
from refinery.testing.graphql.registry import answers, is_kind, reads, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Account, App

is_kind(Account, lambda account: account.kind)
is_kind(App, "App")


def _path(account: Account) -> str:
    return f"apps/{account.app.slug}" if account.app is not None else account.login


answers(
    "User Organization Bot",
    {
        "id": lambda account, scope: scope.node_id(account),
        "avatarUrl": lambda account, scope: scope.url(f"avatars/{account.id}"),
        "url": lambda account, scope: scope.url(_path(account)),
        "resourcePath": lambda account, _: f"/{_path(account)}",
    },
)
reads("User Organization Bot", databaseId="id", createdAt="created_at", updatedAt="created_at")
# Of `viewer`, which is always a User, an App's bot keeps the `[bot]` that an author's login lacks.
reads("User Organization", login="login", name="login")
answers("Bot", {"login": lambda account, scope: scope.login(account)})
answers(
    "User",
    {
        "email": lambda _account, _scope: "",
        "isViewer": lambda account, scope: account is scope.account,
    },
)
reads("App", databaseId="id", name="name", slug="slug", createdAt="created_at")
answers(
    "App",
    {
        "id": lambda app, scope: scope.node_id(app),
        "url": lambda app, scope: scope.url(f"apps/{app.slug}"),
    },
)
answers(
    "Query",
    {
        "id": lambda _root, _scope: "Q_",
        "viewer": lambda _root, scope: scope.account,
        "rateLimit": lambda _root, scope: scope,
    },
)


@resolves("Query", "node")
def _node(_root: object, scope: Scope, id: str) -> Any:  # noqa: A002  (GitHub's name)
    return scope.node(id)


@resolves("Query", "nodes")
def _nodes(_root: object, scope: Scope, ids: list[str]) -> list[Any]:
    return [scope.node(each) for each in ids]


@resolves("Query", "user")
def _user(_root: object, scope: Scope, login: str) -> Account:
    found = scope.world.accounts.get(login.casefold())
    if found is None or found.kind != "User":
        raise unresolved("a User", f"with the login of '{login}'")
    return found
