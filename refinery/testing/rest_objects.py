"""REST: what else there is of git: blobs and trees to write, commits to list and compare, merges of branches."""

import base64
from collections.abc import Callable
from typing import Any

from refinery.errors import GitError
from refinery.git import Git, write_object
from refinery.testing import pulls, shapes, shapes_git
from refinery.testing import repository_git as git
from refinery.testing.merging import person
from refinery.testing.repository_git import Made
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.state import Issue, Repository
from refinery.testing.world import ProblemError

_REPO = "/repos/{owner}/{repo}"
_HEADS = "refs/heads/"
_PULL = _REPO + "/pulls/{number}"


def _resolved(repository: Repository, name: str) -> str:
    """The commit that a SHA, a branch or a full ref names."""
    for tried in (name, _HEADS + name):
        found = git.ref(repository.path, tried)
        if found is not None and git.show(repository.path, found) is not None:
            return found
    raise ProblemError(422, f"No commit found for SHA: {name}")


def _made(repository: Repository, sha: str) -> Made:
    found = git.show(repository.path, sha)
    if found is None:
        raise ProblemError(404, "Not Found")
    return found


def _row(repository: Repository, sha: str, url: str) -> dict[str, Any]:
    return shapes_git.history_commit(_made(repository, sha), repository, url)


def _page(ask: Ask, items: list[Any], shape: Callable[[Any], dict[str, Any]]) -> Reply:
    """One page of a listing, of which only the items on it are shaped."""
    reply = paged(ask, items)
    reply.body = [shape(each) for each in reply.body]
    return reply


def _writable(ask: Ask) -> Repository:
    return ask.repository("write", "contents:write")


@route("POST", _REPO + "/git/blobs")
def create_blob(ask: Ask) -> Reply:
    """Keep bytes; `encoding` is utf-8 or base64."""
    repository, body = _writable(ask), ask.body
    content = str(body.get("content", ""))
    try:
        raw = base64.b64decode(content) if body.get("encoding") == "base64" else content.encode()
    except ValueError as error:
        raise ProblemError(422, "content is not valid Base64") from error
    sha = write_object(repository.path, "blob", raw, durable=False)
    return Reply(201, {"sha": sha, "url": f"{ask.url}/repos/{repository.full_name}/git/blobs/{sha}"})


@route("GET", _REPO + "/git/blobs/{sha}")
def get_blob(ask: Ask) -> Reply:
    """A blob, in base64."""
    repository, sha = ask.repository(permission="contents:read"), ask.parts["sha"]
    done = Git(repository.path).attempt("cat-file", "blob", sha)
    if done.code != 0:
        raise ProblemError(404, "Not Found")
    return Reply(
        200,
        {
            "sha": sha,
            "node_id": shapes.node_id("Blob", int(sha[:8], 16)),
            "size": len(done.out),
            "url": f"{ask.url}/repos/{repository.full_name}/git/blobs/{sha}",
            "content": base64.encodebytes(done.out).decode(),
            "encoding": "base64",
        },
    )


@route("POST", _REPO + "/git/trees")
def create_tree(ask: Ask) -> Reply:
    """A tree from entries, upon `base_tree` if that is named; an entry whose `sha` is null is taken away."""
    repository, body = _writable(ask), ask.body
    base = body.get("base_tree")
    entries = [_entry(repository, each) for each in body.get("tree", [])]
    try:
        tree = git.write_tree(repository.path, str(base) if base else None, entries)
    except GitError as error:
        raise ProblemError(422, "tree.sha is not a valid tree") from error
    api = f"{ask.url}/repos/{repository.full_name}/git"
    out = Git(repository.path).text("ls-tree", "-z", tree)
    rows = []
    for line in filter(None, out.split("\0")):
        (mode, kind, sha), path = line.partition("\t")[0].split(), line.partition("\t")[2]
        rows.append({"path": path, "mode": mode, "type": kind, "sha": sha, "url": f"{api}/{kind}s/{sha}"})
    return Reply(201, {"sha": tree, "url": f"{api}/trees/{tree}", "tree": rows, "truncated": False})


def _entry(repository: Repository, each: dict[str, Any]) -> tuple[str, str, str | None]:
    if "content" in each:
        sha = write_object(repository.path, "blob", str(each["content"]).encode(), durable=False)
        return str(each["path"]), str(each.get("mode", "100644")), sha
    return str(each["path"]), str(each.get("mode", "100644")), each.get("sha")


@route("GET", _REPO + "/commits")
def list_commits(ask: Ask) -> Reply:
    """The history of a branch or commit, the newest first; of one path with `path`."""
    repository = ask.repository(permission="contents:read")
    start = _resolved(repository, ask.query.get("sha") or repository.default_branch)
    only = ["--", ask.query["path"]] if ask.query.get("path") else []
    found = Git(repository.path).text("rev-list", start, *only).split()
    return _page(ask, found, lambda sha: _row(repository, sha, ask.url))


@route("GET", _REPO + "/commits/{sha}/pulls")
def pulls_of_commit(ask: Ask) -> Reply:
    """The pulls that contain a commit, or that were merged as it."""
    repository = ask.repository(permission="pull_requests:read")
    sha = _resolved(repository, ask.parts["sha"])
    found = [issue for issue in pulls.pulls(repository) if _brings(issue, sha)]
    return _page(ask, found, lambda issue: shapes.pull(issue, ask.url))


def _brings(issue: Issue, sha: str) -> bool:
    row, path = issue.pull, issue.repository.path
    if row is None or sha in (row.merge_commit_sha, row.head_sha):
        return row is not None
    return git.is_ancestor(path, sha, row.head_sha) and not git.is_ancestor(path, sha, row.base_sha)


@route("GET", _REPO + "/compare/{basehead+}")
def compare(ask: Ask) -> Reply:
    """What `head` has over `base`, as `base...head`."""
    repository = ask.repository(permission="contents:read")
    base_name, dots, head_name = ask.parts["basehead"].partition("...")
    if not dots:
        raise ProblemError(404, "Not Found")
    base, head = _resolved(repository, base_name), _resolved(repository, head_name)
    common = git.merge_base(repository.path, base, head)
    if common is None:
        raise ProblemError(404, f"No common ancestor between {base_name} and {head_name}.")
    ahead = Git(repository.path).text("rev-list", "--reverse", head, f"^{base}").split()
    behind = len(Git(repository.path).text("rev-list", base, f"^{head}").split())
    state = {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind"}.get((min(len(ahead), 1), min(behind, 1)))
    api = f"{ask.url}/repos/{repository.full_name}/compare/{base_name}...{head_name}"
    page = f"{ask.url}/{repository.full_name}/compare/{base_name}...{head_name}"
    return Reply(
        200,
        {
            "url": api,
            "html_url": page,
            "permalink_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "base_commit": _row(repository, base, ask.url),
            "merge_base_commit": _row(repository, common, ask.url),
            "status": state or "diverged",
            "ahead_by": len(ahead),
            "behind_by": behind,
            "total_commits": len(ahead),
            "commits": [_row(repository, sha, ask.url) for sha in ahead],
            "files": shapes_git.files(
                repository, git.changed_files(repository.path, common, head), head, ask.url
            ),
        },
    )


@route("GET", _REPO + "/commits/{sha+}")
def get_commit(ask: Ask) -> Reply:
    """One commit of the history, with what it changed."""
    repository = ask.repository(permission="contents:read")
    sha = _resolved(repository, ask.parts["sha"])
    parents = _made(repository, sha).parents
    found = git.changed_files(repository.path, parents[0], sha) if parents else []
    counts = {"additions": sum(each[2] for each in found), "deletions": sum(each[3] for each in found)}
    return Reply(
        200,
        {
            **_row(repository, sha, ask.url),
            "stats": {**counts, "total": sum(counts.values())},
            "files": shapes_git.files(repository, found, sha, ask.url),
        },
    )


@route("GET", _PULL + "/commits")
def pull_commits(ask: Ask) -> Reply:
    """The commits that a pull brings, the oldest first."""
    repository = ask.repository(permission="pull_requests:read")
    issue = _pull(ask, repository)
    row = pulls.row_of(issue)
    found = git.commits_between(repository.path, row.base_sha, row.head_sha)
    return _page(ask, found, lambda sha: _row(repository, sha, ask.url))


def _pull(ask: Ask, repository: Repository) -> Issue:
    number = ask.parts["number"]
    if not number.isdecimal():
        raise ProblemError(404, "Not Found")
    return ask.world.find_issue(repository, int(number), pull=True)


@route("POST", _REPO + "/merges")
def merge_branches(ask: Ask) -> Reply:
    """Merge `head` into the branch `base`: 204 when there is nothing to, 409 when they conflict."""
    repository, body = _writable(ask), ask.body
    base_name, head_name = str(body.get("base", "")), str(body.get("head", ""))
    head = _resolved(repository, head_name)
    words = str(body.get("commit_message") or f"Merge {head_name} into {base_name}")
    sha = _merged(ask, repository, base_name, head, words)
    return Reply(201, _row(repository, sha, ask.url)) if sha else Reply(204)


def _merged(ask: Ask, repository: Repository, branch: str, head: str, words: str) -> str | None:
    """Merge a commit into a branch; None when it is there already."""
    tip = git.ref(repository.path, _HEADS + branch)
    if tip is None:
        raise ProblemError(404, "Base does not exist")
    if git.is_ancestor(repository.path, head, tip):
        return None
    tree = git.merge_tree(repository.path, tip, head)
    if tree is None:
        raise ProblemError(409, "Merge conflict")
    who = person(ask.viewer, ask.world.clock.now())
    sha = git.make_commit(repository.path, tree, [tip, head], who, who, words)
    if not git.transact(repository.path, [(_HEADS + branch, tip, sha)]):
        raise ProblemError(409, "Base branch was modified. Review and try the merge again.")
    pulls.pushed(ask.world, repository, ask.viewer, {_HEADS + branch})
    return sha


@route("PUT", _PULL + "/update-branch")
def update_branch(ask: Ask) -> Reply:
    """Merge the base into a pull's branch, if its head is still the expected one."""
    repository = ask.repository("write", "pull_requests:write")
    issue = _pull(ask, repository)
    row = issue.pull
    if row is None or row.head_repository is None or issue.state != "open":
        raise ProblemError(422, "Validation Failed")
    if ask.body.get("expected_head_sha", row.head_sha) != row.head_sha:
        raise ProblemError(422, "expected_head_sha did not match the current head ref.")
    base = git.ref(repository.path, _HEADS + row.base_ref) or ""
    words = f"Merge branch '{row.base_ref}' into {row.head_ref}"
    try:
        done = _merged(ask, row.head_repository, row.head_ref, base, words)
    except ProblemError as error:
        raise ProblemError(422, "merge conflict between base and head") from error
    if done is None:
        raise ProblemError(422, "There are no new commits on the base branch.")
    return Reply(202, {"message": "Updating pull request branch.", "url": f"{ask.url}{ask.path}"})
