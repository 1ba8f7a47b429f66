"""Mutations of refs and branches."""

import base64
from typing import Any

from refinery.testing import pulls as acts
from refinery.testing import repository_git as git
from refinery.testing.graphql.changes import mutates
from refinery.testing.graphql.objects import Commit, Ref
from refinery.testing.graphql.problems import unprocessable, unresolved
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Repository

_ABSENT = "0" * 40


def _repository(scope: Scope, name: str) -> Repository:
    found = scope.node(name)
    if not isinstance(found, Repository):
        raise unresolved("a node with the global id of", f"'{name}' as Repository")
    scope.demand(found, "contents")
    return found


def _ref(scope: Scope, name: str) -> Ref:
    found = scope.node(name)
    if not isinstance(found, Ref):
        raise unresolved("a node with the global id of", f"'{name}' as Ref")
    scope.demand(found.repository, "contents")
    return found


@mutates("createRef")
def create_ref(scope: Scope, repository_id: str, name: str, oid: str) -> dict[str, Any]:
    """A new ref."""
    repository = _repository(scope, repository_id)
    try:
        git.create_ref(repository.path, name, oid)
    except git.RefProblemError as error:
        raise unprocessable(str(error)) from error
    acts.pushed(scope.world, repository, scope.account)
    return {"ref": scope.ref(repository, name)}


@mutates("updateRef")
def update_ref(scope: Scope, ref_id: str, oid: str, *, force: bool = False) -> dict[str, Any]:
    """Move a ref; without force only forwards."""
    found = _ref(scope, ref_id)
    try:
        git.update_ref(found.repository.path, found.full_name, oid, force=force)
    except git.RefProblemError as error:
        raise unprocessable(str(error)) from error
    acts.pushed(scope.world, found.repository, scope.account)
    return {"ref": scope.ref(found.repository, found.full_name)}


@mutates("deleteRef")
def delete_ref(scope: Scope, ref_id: str) -> dict[str, Any]:
    """Delete a ref, whatever it holds."""
    found = _ref(scope, ref_id)
    git.delete_ref(found.repository.path, found.full_name)
    acts.pushed(scope.world, found.repository, scope.account)
    return {}


@mutates("updateRefs")
def update_refs(scope: Scope, repository_id: str, ref_updates: list[dict[str, Any]]) -> dict[str, Any]:
    """Move several refs, all or none; forty zeros stand for absent."""
    repository = _repository(scope, repository_id)
    path, updates = repository.path, []
    for each in ref_updates:
        name, new, old = str(each["name"]), str(each["after_oid"]), each.get("before_oid")
        actual = git.ref(path, name)
        wanted = None if new == _ABSENT else new
        if old is not None and str(old) != (actual or _ABSENT):
            raise unprocessable(f"{name} is at {actual or _ABSENT}, not at {old}")
        if wanted is not None and not git.has(path, wanted):
            raise unprocessable(f"{name}: Object does not exist")
        is_forward = wanted is None or actual is None or git.is_ancestor(path, actual, wanted)
        if not is_forward and not each.get("force"):
            raise unprocessable(f"{name}: Update is not a fast forward")
        updates.append((name, actual or _ABSENT, wanted))
    if not git.transact(path, updates):
        raise unprocessable("the refs could not be updated")
    acts.pushed(scope.world, repository, scope.account)
    return {}


@mutates("createCommitOnBranch")
def create_commit(
    scope: Scope,
    branch: dict[str, Any],
    message: dict[str, Any],
    expected_head_oid: str,
    file_changes: Any = None,
) -> dict[str, Any]:
    """A commit of files on top of the expected head."""
    repository = scope.world.find(str(branch["repository_name_with_owner"]), scope.account)
    scope.demand(repository, "contents")
    name = f"refs/heads/{str(branch['branch_name']).removeprefix('refs/heads/')}"
    if git.ref(repository.path, name) != expected_head_oid:
        raise unprocessable(f"Expected branch to point to {expected_head_oid}")
    changed = file_changes or {}
    files: dict[str, bytes | None] = {each["path"]: None for each in changed.get("deletions") or ()}
    files |= {each["path"]: base64.b64decode(each["contents"]) for each in changed.get("additions") or ()}
    text = "\n\n".join(part for part in (message["headline"], message.get("body")) if part)
    sha = git.commit_files(repository.path, expected_head_oid, files, text, scope.world.clock.now())
    git.update_ref(repository.path, name, sha, force=False)
    acts.pushed(scope.world, repository, scope.account)
    return {"commit": Commit(repository, sha), "ref": scope.ref(repository, name)}
