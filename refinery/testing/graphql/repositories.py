"""Repositories, and the questions that start from nothing."""

from typing import Any

from refinery.testing.graphql.lists import labels_window, listed
from refinery.testing.graphql.objects import GitObject, Ref, find
from refinery.testing.graphql.paging import Edge, Window, window
from refinery.testing.graphql.problems import Problem, forbidden, unresolved
from refinery.testing.graphql.registry import answers, is_kind, reads, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.pulls import pulls
from refinery.testing.state import Account, Issue, Label, Repository

is_kind(Repository, "Repository")
is_kind(Label, "Label")

reads(
    "Repository",
    name="name",
    nameWithOwner="full_name",
    owner="owner",
    createdAt="created_at",
    databaseId="id",
    deleteBranchOnMerge="delete_branch_on_merge",
    hasIssuesEnabled="has_issues",
    isArchived="archived",
    isPrivate="private",
    parent="fork_of",
    mergeCommitAllowed="allow_merge_commit",
    rebaseMergeAllowed="allow_rebase_merge",
    squashMergeAllowed="allow_squash_merge",
)
answers(
    "Repository",
    {
        "id": lambda repository, scope: scope.node_id(repository),
        "url": lambda repository, scope: scope.url(repository.full_name),
        "resourcePath": lambda repository, _: f"/{repository.full_name}",
        "sshUrl": lambda repository, _: f"git@github.localhost:{repository.full_name}.git",
        "description": lambda _repository, _scope: None,
        "allowUpdateBranch": lambda _repository, _scope: False,
        "autoMergeAllowed": lambda _repository, _scope: True,
        "isDisabled": lambda _repository, _scope: False,
        "isFork": lambda repository, _: repository.fork_of is not None,
        "isEmpty": lambda repository, scope: not scope.refs(repository, "refs/heads/"),
        "pushedAt": lambda repository, _: repository.created_at,
        "updatedAt": lambda repository, _: repository.created_at,
        "visibility": lambda repository, _: "PRIVATE" if repository.private else "PUBLIC",
        "viewerCanAdminister": lambda repository, scope: scope.role(repository) == "admin",
        "defaultBranchRef": lambda repository, scope: scope.ref(
            repository, f"refs/heads/{repository.default_branch}"
        ),
        "viewerPermission": lambda repository, scope: (
            None if (role := scope.role(repository)) == "none" else role.upper()
        ),
    },
)


@resolves("Query", "repository")
def _repository(
    _root: object, scope: Scope, owner: str, name: str, *, follow_renames: bool = True
) -> Repository:
    full = f"{owner}/{name}".casefold()
    found = scope.world.repositories.get(full)
    if found is None and follow_renames:
        found = scope.world.moved.get(full)
    if found is None or not scope.sees(found):
        raise unresolved("a Repository", f"with the name '{owner}/{name}'")
    return found


@resolves("Repository", "ref")
def _ref(repository: Repository, scope: Scope, qualified_name: str) -> Ref | None:
    for prefix in ("", "refs/", "refs/heads/", "refs/tags/"):
        full = prefix + qualified_name
        if full.startswith("refs/") and (found := scope.ref(repository, full)):
            return found
    return None


@resolves("Repository", "refs")
def _refs(
    repository: Repository,
    scope: Scope,
    ref_prefix: str,
    direction: str = "ASC",
    query: str = "",
    **bounds: Any,
) -> Window:
    if not ref_prefix.startswith("refs/") or not ref_prefix.endswith("/"):
        raise Problem(
            "UNPROCESSABLE", f"`{ref_prefix}` is not a valid ref prefix: it starts with refs/ and ends with /"
        )
    found = [ref for ref in scope.refs(repository, ref_prefix) if (query or "") in ref.full_name]
    return window(found[::-1] if direction == "DESC" else found, bounds, "refs")


@resolves("Repository", "object")
def _object(
    repository: Repository, _scope: Scope, expression: str | None = None, oid: str | None = None
) -> GitObject | None:
    return find(repository, oid or expression or "")


@resolves("Repository", "issue")
def _issue(repository: Repository, scope: Scope, number: int) -> Issue:
    scope.reads("issues")
    found = repository.issues.get(number)
    if found is None or found.is_pull or not repository.has_issues:
        raise unresolved("an Issue", f"with the number of {number}")
    return found


@resolves("Repository", "pullRequest")
def _pull(repository: Repository, scope: Scope, number: int) -> Issue:
    scope.reads("pull_requests")
    found = repository.issues.get(number)
    if found is None or not found.is_pull:
        raise unresolved("a PullRequest", f"with the number of {number}")
    return found


@resolves("Repository", "issues")
def _issues(repository: Repository, scope: Scope, **asked: Any) -> Window:
    scope.reads("issues")
    found = [issue for issue in repository.issues.values() if not issue.is_pull and repository.has_issues]
    return listed(scope, found, asked, "issues")


@resolves("Repository", "pullRequests")
def _pulls(repository: Repository, scope: Scope, **asked: Any) -> Window:
    scope.reads("pull_requests")
    return listed(scope, pulls(repository), asked, "pullRequests")


@resolves("Repository", "issueOrPullRequest")
def _either(repository: Repository, _scope: Scope, number: int) -> Issue:
    found = repository.issues.get(number)
    if found is None:
        raise unresolved("an issue or pull request", f"with the number of {number}")
    return found


@resolves("Repository", "label")
def _label(repository: Repository, _scope: Scope, name: str) -> Label | None:
    return repository.labels.get(name.casefold())


@resolves("Repository", "labels")
def _labels(repository: Repository, _scope: Scope, **asked: Any) -> Window:
    query = (asked.get("query") or "").casefold()
    return labels_window([label for key, label in repository.labels.items() if query in key], asked)


@resolves("Repository", "collaborators")
def _collaborators(repository: Repository, scope: Scope, **asked: Any) -> Window:
    if scope.role(repository) in ("none", "read", "triage"):
        raise forbidden("Must have push access to view repository collaborators.")
    accounts = [each for each in scope.world.accounts.values() if _is_collaborator(scope, repository, each)]
    login, query = asked.get("login"), asked.get("query") or ""
    found = [each for each in accounts if query in each.login and login in (None, each.login)]
    return window(found, asked, "collaborators", key=lambda account: (account.id,), of=repository)


def _is_collaborator(scope: Scope, repository: Repository, account: Account) -> bool:
    named = repository.permissions.get(account.login.casefold(), "none") != "none"
    return account.kind == "User" and (named or scope.world.role(repository, account) == "admin")


@resolves("RepositoryCollaboratorEdge", "permission")
def _permission(edge: Edge, scope: Scope) -> str:
    repository: Repository = edge.of
    return scope.world.role(repository, edge.node).upper()


def _holder(label: Label, scope: Scope) -> Repository:
    return next(each for each in scope.repositories if label in each.labels.values())


def _page(label: Label, scope: Scope) -> str:
    return f"{_holder(label, scope).full_name}/labels/{label.name}"


reads("Label", name="name", color="color")
answers(
    "Label",
    {
        "id": lambda label, scope: scope.node_id(label),
        "description": lambda label, _: label.description or None,
        "isDefault": lambda label, _: label.name in ("bug", "enhancement"),
        "createdAt": lambda label, scope: _holder(label, scope).created_at,
        "updatedAt": lambda label, scope: _holder(label, scope).created_at,
        "repository": _holder,
        "url": lambda label, scope: scope.url(_page(label, scope)),
        "resourcePath": lambda label, scope: "/" + _page(label, scope),
    },
)


@resolves("Label", "issues")
def _label_issues(label: Label, scope: Scope, **asked: Any) -> Window:
    found = [
        each for each in _holder(label, scope).issues.values() if label in each.labels and not each.is_pull
    ]
    return listed(scope, found, asked, "issues")


@resolves("Label", "pullRequests")
def _label_pulls(label: Label, scope: Scope, **asked: Any) -> Window:
    found = [each for each in _holder(label, scope).issues.values() if label in each.labels and each.is_pull]
    return listed(scope, found, asked, "pullRequests")
