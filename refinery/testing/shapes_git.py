"""JSON bodies of what is in git: commits, refs, branches, and the files that something changes."""

from collections.abc import Sequence
from typing import Any

from refinery.testing import repository_git as git
from refinery.testing import shapes
from refinery.testing.repository_git import Made
from refinery.testing.state import Repository
from refinery.testing.world import ProblemError

Json = dict[str, Any]


def commit(made: Made, name: str, url: str) -> Json:
    """A commit of the git database."""
    api = f"{url}/repos/{name}/git/commits/{made.sha}"

    def who(parts: tuple[str, str, str]) -> Json:
        return {"name": parts[0], "email": parts[1], "date": parts[2].replace("+00:00", "Z")}

    return {
        "sha": made.sha,
        "node_id": shapes.node_id("Commit", int(made.sha[:8], 16)),
        "url": api,
        "html_url": f"{shapes.web(url)}/{name}/commit/{made.sha}",
        "author": who(made.author),
        "committer": who(made.committer),
        "message": made.message,
        "tree": {"sha": made.tree, "url": f"{url}/repos/{name}/git/trees/{made.tree}"},
        "parents": [
            {
                "sha": sha,
                "url": f"{url}/repos/{name}/git/commits/{sha}",
                "html_url": f"{shapes.web(url)}/{name}/commit/{sha}",
            }
            for sha in made.parents
        ],
        "verification": {
            "verified": False,
            "reason": "unsigned",
            "signature": None,
            "payload": None,
            "verified_at": None,
        },
    }


def ref(name: str, sha: str, repository_name: str, url: str) -> Json:
    """A ref."""
    api = f"{url}/repos/{repository_name}/git"
    return {
        "ref": name,
        "node_id": shapes.node_id("Ref", int(sha[:8], 16)),
        "url": f"{api}/{name}",
        "object": {"type": "commit", "sha": sha, "url": f"{api}/commits/{sha}"},
    }


def history_commit(made: Made, repository: Repository, url: str) -> Json:
    """A commit of a branch's log; its people are not matched with accounts."""
    shown = commit(made, repository.full_name, url)
    api = f"{url}/repos/{repository.full_name}/commits/{made.sha}"
    inner = {key: shown[key] for key in ("author", "committer", "message", "tree", "verification")}
    return {
        "sha": made.sha,
        "node_id": shown["node_id"],
        "commit": {**inner, "url": shown["url"], "comment_count": 0},
        "url": api,
        "html_url": shown["html_url"],
        "comments_url": f"{api}/comments",
        "author": None,
        "committer": None,
        "parents": shown["parents"],
    }


def files(
    repository: Repository, changed: Sequence[tuple[str, str, int, int]], head: str, url: str
) -> list[Json]:
    """Changed files, as `repository_git.changed_files` has them, at the commit `head`."""
    name = repository.full_name
    return [
        {
            "sha": head,
            "filename": path,
            "status": kind,
            "additions": added,
            "deletions": removed,
            "changes": added + removed,
            "blob_url": f"{shapes.web(url)}/{name}/blob/{head}/{path}",
            "raw_url": f"{shapes.web(url)}/{name}/raw/{head}/{path}",
            "contents_url": f"{url}/repos/{name}/contents/{path}?ref={head}",
        }
        for kind, path, added, removed in changed
    ]


def branch(found: Repository, name: str, sha: str, url: str) -> Json:
    """A branch, with what is publicly known of its protection."""
    api = f"{url}/repos/{found.full_name}/branches/{name}"
    made = git.show(found.path, sha)
    if made is None:
        raise ProblemError(404, "Branch not found")
    rules = found.protection.get(name)
    checks = (rules or {}).get("checks", [])
    return {
        "name": name,
        "commit": history_commit(made, found, url),
        "_links": {"html": f"{shapes.web(url)}/{found.full_name}/tree/{name}", "self": api},
        "protected": rules is not None,
        "protection": {
            "enabled": rules is not None,
            "required_status_checks": {
                "enforcement_level": "everyone" if checks else "off",
                "contexts": [each["context"] for each in checks],
                "checks": [{"context": each["context"], "app_id": each.get("app_id")} for each in checks],
            },
        },
        "protection_url": f"{api}/protection",
    }
