"""REST: refs, commits and trees of the git database; branches, contents."""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

from refinery.git import EMPTY_TREE, Git, Signature
from refinery.testing import pulls, shapes_git
from refinery.testing import repository_git as git
from refinery.testing.routes import Ask, Reply, route
from refinery.testing.state import Repository
from refinery.testing.world import ProblemError

_GIT = "/repos/{owner}/{repo}/git"
_HEADS = "refs/heads/"


def _changing(ask: Ask, repository: Repository, names: set[str], change: Callable[[], object]) -> None:
    """Change refs, and let everything that follows from it happen."""
    try:
        change()
    except git.RefProblemError as error:
        raise ProblemError(422, str(error)) from error
    pulls.pushed(ask.world, repository, ask.viewer, names)


def _writable(ask: Ask) -> Repository:
    return ask.repository("write", "contents:write")


@route("GET", _GIT + "/ref/{ref+}")
def get_ref(ask: Ask) -> Reply:
    """One ref."""
    repository = ask.repository(permission="contents:read")
    name = f"refs/{ask.parts['ref']}"
    sha = git.ref(repository.path, name)
    if sha is None:
        raise ProblemError(404, "Not Found")
    return Reply(200, shapes_git.ref(name, sha, repository.full_name, ask.url))


@route("GET", _GIT + "/matching-refs/{ref+}")
def matching_refs(ask: Ask) -> Reply:
    """Every ref that starts so; never in pages."""
    repository = ask.repository(permission="contents:read")
    found = git.refs(repository.path, f"refs/{ask.parts['ref']}")
    return Reply(
        200, [shapes_git.ref(name, sha, repository.full_name, ask.url) for name, sha in found.items()]
    )


@route("POST", _GIT + "/refs")
def create_ref(ask: Ask) -> Reply:
    """A new ref."""
    repository, body = _writable(ask), ask.body
    name, sha = str(body.get("ref", "")), str(body.get("sha", ""))
    if not name.startswith("refs/") or name.count("/") < 2:
        raise ProblemError(422, "Reference name must start with 'refs/' and contain at least two slashes.")
    _changing(ask, repository, {name}, lambda: git.create_ref(repository.path, name, sha))
    return Reply(201, shapes_git.ref(name, sha, repository.full_name, ask.url))


@route("PATCH", _GIT + "/refs/{ref+}")
def update_ref(ask: Ask) -> Reply:
    """Move a ref; without `force` only forwards."""
    repository, body = _writable(ask), ask.body
    name, sha = f"refs/{ask.parts['ref']}", str(body.get("sha", ""))
    force = bool(body.get("force", False))
    _changing(ask, repository, {name}, lambda: git.update_ref(repository.path, name, sha, force=force))
    return Reply(200, shapes_git.ref(name, sha, repository.full_name, ask.url))


@route("DELETE", _GIT + "/refs/{ref+}")
def delete_ref(ask: Ask) -> Reply:
    """Delete a ref, whatever it holds."""
    repository, name = _writable(ask), f"refs/{ask.parts['ref']}"
    if git.ref(repository.path, name) is None:
        raise ProblemError(422, "Reference does not exist")
    _changing(ask, repository, {name}, lambda: git.delete_ref(repository.path, name))
    return Reply(204)


def _signature(found: object, fallback: Signature) -> Signature:
    if not isinstance(found, dict):
        return fallback
    date = found.get("date")
    at = datetime.fromisoformat(str(date)).timestamp() if date else fallback.at
    return Signature(str(found.get("name", fallback.name)), str(found.get("email", fallback.email)), at)


@route("POST", _GIT + "/commits")
def create_commit(ask: Ask) -> Reply:
    """A commit object, the same bytes for the same input."""
    repository, body = _writable(ask), ask.body
    viewer = ask.viewer
    plain = Signature(viewer.login, f"{viewer.login}@users.noreply.github.localhost", ask.world.clock.now())
    author = _signature(body.get("author"), plain)
    committer = _signature(body.get("committer"), author)
    if body.get("tree") == EMPTY_TREE and ask.world.quirks.refuses_empty_tree:
        raise ProblemError(422, "Tree SHA does not exist")
    try:
        sha = git.make_commit(
            repository.path,
            str(body.get("tree", "")),
            [str(parent) for parent in body.get("parents", [])],
            author,
            committer,
            str(body.get("message", "")) + ("\n" if ask.world.quirks.rewrites_commits else ""),
        )
    except git.RefProblemError as error:
        raise ProblemError(422, str(error)) from error
    made = git.show(repository.path, sha)
    if made is None:
        raise ProblemError(500, "it was just made")
    return Reply(201, shapes_git.commit(made, repository.full_name, ask.url))


@route("GET", _GIT + "/commits/{sha}")
def get_commit(ask: Ask) -> Reply:
    """A commit object."""
    repository = ask.repository(permission="contents:read")
    made = git.show(repository.path, ask.parts["sha"]) if git.has(repository.path, ask.parts["sha"]) else None
    if made is None:
        raise ProblemError(404, "Not Found")
    return Reply(200, shapes_git.commit(made, repository.full_name, ask.url))


@route("GET", _GIT + "/trees/{tree}")
def get_tree(ask: Ask) -> Reply:
    """A tree, with `recursive` everything below it."""
    repository = ask.repository(permission="contents:read")
    options = ("-r", "-t") if ask.query.get("recursive") else ()
    done = Git(repository.path).attempt("ls-tree", "-z", "--long", *options, ask.parts["tree"], "--")
    if done.code != 0:
        raise ProblemError(404, "Not Found")
    api = f"{ask.url}/repos/{repository.full_name}/git"
    limit = ask.world.quirks.tree_limit
    rows = []
    for line in done.out.decode("utf-8", "replace").split("\0"):
        if line:
            head, _, path = line.partition("\t")
            mode, kind, sha, size = head.split()
            row = {"path": path, "mode": mode, "type": kind, "sha": sha, "url": f"{api}/{kind}s/{sha}"}
            rows.append(row | ({"size": int(size)} if size.isdigit() else {}))
    sha = Git(repository.path).text("rev-parse", ask.parts["tree"] + "^{tree}").strip()
    return Reply(
        200, {"sha": sha, "url": f"{api}/trees/{sha}", "tree": rows[:limit], "truncated": len(rows) > limit}
    )


def _content(ask: Ask, name: str, where: str, path: str, entry: tuple[str, str, int]) -> dict[str, Any]:
    """One file or folder, without its content; `entry` is kind, SHA and size."""
    kind, sha, size = entry
    links = {
        "url": f"{ask.url}/repos/{name}/contents/{path}?ref={where}",
        "git_url": f"{ask.url}/repos/{name}/git/{kind}s/{sha}",
        "html_url": f"{ask.origin}/{name}/{kind}/{where}/{path}",
    }
    return {
        "type": "file" if kind == "blob" else "dir",
        "size": size,
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        **links,
        "download_url": f"{ask.origin}/{name}/raw/{where}/{path}" if kind == "blob" else None,
        "_links": {"git": links["git_url"], "self": links["url"], "html": links["html_url"]},
    }


@route("GET", "/repos/{owner}/{repo}/contents/{path+}")
def get_contents(ask: Ask) -> Reply:
    """One file with its content, or a list of what is in a folder."""
    repository = ask.repository(permission="contents:read")
    where, path = ask.query.get("ref") or repository.default_branch, ask.parts["path"].strip("/")
    reading = Git(repository.path)
    sha = reading.attempt("rev-parse", "--verify", "--quiet", f"{where}:{path}").out.decode().strip()
    if not sha:
        raise ProblemError(404, "Not Found")
    if reading.text("cat-file", "-t", sha) == "blob":
        raw = reading.run("cat-file", "blob", sha)
        shown = _content(ask, repository.full_name, where, path, ("blob", sha, len(raw)))
        return Reply(200, {**shown, "encoding": "base64", "content": base64.encodebytes(raw).decode()})
    rows = []
    for line in filter(None, reading.text("ls-tree", "-z", "--long", sha).split("\0")):
        head, _, name = line.partition("\t")
        _, kind, entry, size = head.split()
        found = (kind, entry, int(size) if size.isdigit() else 0)
        rows.append(_content(ask, repository.full_name, where, f"{path}/{name}", found))
    return Reply(200, rows)


@route("PUT", "/repos/{owner}/{repo}/contents/{path+}")
def put_contents(ask: Ask) -> Reply:
    """Write one file by a commit on a branch."""
    repository, body = _writable(ask), ask.body
    branch = str(body.get("branch") or repository.default_branch)
    tip = git.ref(repository.path, _HEADS + branch)
    content = base64.b64decode(str(body.get("content", "")))
    path = ask.parts["path"]
    old = Git(repository.path).attempt("rev-parse", "--verify", "--quiet", f"{tip}:{path}")
    if old.code == 0 and str(body.get("sha", "")) != old.out.decode().strip():
        raise ProblemError(409 if body.get("sha") else 422, f"{path} does not match {body.get('sha')}")

    def change() -> None:
        at = ask.world.clock.now()
        sha = git.commit_files(repository.path, tip, {path: content}, str(body.get("message", "")), at)
        git.transact(repository.path, [(_HEADS + branch, tip, sha)])

    _changing(ask, repository, {_HEADS + branch}, change)
    made = git.show(repository.path, git.ref(repository.path, _HEADS + branch) or "")
    if made is None:
        raise ProblemError(409, "Conflict")
    ask.query = {"ref": branch}
    shown = get_contents(ask).body
    return Reply(
        200 if old.code == 0 else 201,
        {"content": shown, "commit": shapes_git.commit(made, repository.full_name, ask.url)},
    )
