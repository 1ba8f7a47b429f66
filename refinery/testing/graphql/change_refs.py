"""Mutations of refs and branches."""

import base64
from typing import Any

from refinery.git import ZERO
from refinery.testing import pulls as acts
from refinery.testing import repository_git as git
from refinery.testing.graphql.changes import mutates, named
from refinery.testing.graphql.objects import Commit, Ref
from refinery.testing.graphql.problems import unprocessable, unresolved
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Repository

_HEADS = "refs/heads/"


def _repository(scope: Scope, name: str) -> Repository:
    found = named(scope, name, Repository)
    scope.demand(found, "contents")
    return found


def _ref(scope: Scope, name: str) -> Ref:
    found = named(scope, name, Ref)
    scope.demand(found.repository, "contents")
    return found


def _check_name(name: str) -> str:
    if not name.startswith("refs/") or name.count("/") < 2:
        raise unprocessable(
            f"{name} is not a valid ref name: it starts with refs/ and has two slashes at least."
        )
    return name


@mutates("createRef")
def create_ref(scope: Scope, repository_id: str, name: str, oid: str) -> dict[str, Any]:
    """A new ref."""
    repository = _repository(scope, repository_id)
    git.create_ref(repository.path, _check_name(name), oid)
    acts.pushed(scope.world, repository, scope.account, {name})
    return {"ref": scope.ref(repository, name)}


@mutates("updateRef")
def update_ref(scope: Scope, ref_id: str, oid: str, *, force: bool = False) -> dict[str, Any]:
    """Move a ref; without force only forwards."""
    found = _ref(scope, ref_id)
    git.update_ref(found.repository.path, found.full_name, oid, force=force)
    acts.pushed(scope.world, found.repository, scope.account, {found.full_name})
    return {"ref": scope.ref(found.repository, found.full_name)}


@mutates("deleteRef")
def delete_ref(scope: Scope, ref_id: str) -> dict[str, Any]:
    """Delete a ref, whatever it holds."""
    found = _ref(scope, ref_id)
    git.delete_ref(found.repository.path, found.full_name)
    acts.pushed(scope.world, found.repository, scope.account, {found.full_name})
    return {}


@mutates("updateRefs")
def update_refs(scope: Scope, repository_id: str, ref_updates: list[dict[str, Any]]) -> dict[str, Any]:
    """Move several refs, all or none; forty zeros stand for absent, before as after.

    Each is moved from what it was seen to hold, so that a push in between makes it fail.
    """
    repository = _repository(scope, repository_id)
    steps = [_step(repository, each) for each in ref_updates]
    if not git.transact(repository.path, steps):
        raise unprocessable("Reference update failed")
    acts.pushed(scope.world, repository, scope.account, {name for name, _, _ in steps})
    return {}


def _step(repository: Repository, update: dict[str, Any]) -> tuple[str, str, str | None]:
    """One ref: its name, what it holds now, and what it is to hold."""
    path, name = repository.path, _check_name(str(update["name"]))
    actual, new = git.ref(path, name) or ZERO, str(update["after_oid"])
    before = update.get("before_oid")
    if before is not None and before != actual:
        raise unprocessable(f"{name} is at {actual}, and was expected at {before}.")
    if new == ZERO:
        return name, actual, None
    if not git.has(path, new):
        raise unprocessable(f"Object {new} does not exist.")
    if not update.get("force") and actual != ZERO and not git.is_ancestor(path, actual, new):
        raise unprocessable(f"{name}: the update is not a fast-forward.")
    return name, actual, new


@mutates("createCommitOnBranch")
def create_commit(
    scope: Scope,
    branch: dict[str, Any],
    message: dict[str, Any],
    expected_head_oid: str,
    file_changes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A commit of files on top of the expected head."""
    ref = _branch(scope, branch)
    if ref.oid != expected_head_oid:
        raise unprocessable(
            f'Expected branch to point to "{expected_head_oid}" but it points to "{ref.oid}".'
        )
    changed, path = file_changes or {}, ref.repository.path
    files: dict[str, str | bytes | None] = {each["path"]: None for each in changed.get("deletions") or ()}
    files |= {each["path"]: base64.b64decode(each["contents"]) for each in changed.get("additions") or ()}
    text = "\n\n".join(part for part in (message["headline"], message.get("body")) if part)
    sha = git.commit_files(path, ref.oid, files, text, scope.world.clock.now())
    git.update_ref(path, ref.full_name, sha, force=False)
    acts.pushed(scope.world, ref.repository, scope.account, {ref.full_name})
    return {"commit": Commit(ref.repository, sha), "ref": scope.ref(ref.repository, ref.full_name)}


def _branch(scope: Scope, said: dict[str, Any]) -> Ref:
    """A branch by its opaque name, or by the repository's and its own."""
    if said.get("id"):
        return _ref(scope, said["id"])
    where, name = str(said.get("repository_name_with_owner")), str(said.get("branch_name"))
    repository = scope.world.repositories.get(where.casefold())
    full = _HEADS + name.removeprefix(_HEADS)
    if repository is None or not scope.sees(repository):
        raise unresolved("a Repository", f"with the name '{where}'")
    scope.demand(repository, "contents")
    found = scope.ref(repository, full)
    if found is None:
        raise unresolved("a Ref", f"with the name '{name}'")
    return found
