"""JSON bodies as GitHub's REST description has them; `url` is the API's base without a final slash."""

import base64
from typing import Any

from refinery.testing import checking, pulls
from refinery.testing import repository_git as git
from refinery.testing.state import (
    Account,
    Comment,
    Event,
    Issue,
    Label,
    Repository,
    Review,
)

Json = dict[str, Any]


def node_id(kind: str, number: int) -> str:
    """A GraphQL id: opaque to clients, the type and number to us."""
    return base64.urlsafe_b64encode(f"{kind}:{number}".encode()).decode().rstrip("=")


def web(url: str) -> str:
    """Where the pages are, for the API's base."""
    return url.removesuffix("/api/v3")


def account(who: Account, url: str) -> Json:
    """A simple user."""
    api = f"{url}/users/{who.login}"
    return {
        "login": who.login,
        "id": who.id,
        "node_id": node_id(who.kind, who.id),
        "avatar_url": f"{url}/avatars/{who.id}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{web(url)}/{who.login}",
        "followers_url": f"{api}/followers",
        "following_url": f"{api}/following{{/other_user}}",
        "gists_url": f"{api}/gists{{/gist_id}}",
        "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{api}/subscriptions",
        "organizations_url": f"{api}/orgs",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "received_events_url": f"{api}/received_events",
        "type": who.kind,
        "site_admin": False,
    }


_REPOSITORY_URLS = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
]


def minimal_repository(repository: Repository, url: str) -> Json:
    """A repository inside something else."""
    api = f"{url}/repos/{repository.full_name}"
    return {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id),
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": account(repository.owner, url),
        "private": repository.private,
        "html_url": f"{web(url)}/{repository.full_name}",
        "description": None,
        "fork": repository.fork_of is not None,
        "url": api,
        **{f"{name}_url": f"{api}/{name}" for name in _REPOSITORY_URLS},
    }


def repository(found: Repository, url: str, permission: str = "read") -> Json:
    """A whole repository, as its own page of the API."""
    level = ("none", "read", "triage", "write", "maintain", "admin").index(permission)
    words = ("pull", "triage", "push", "maintain", "admin")
    remote = f"{web(url)}/{found.full_name}.git"
    counts = ("forks_count", "stargazers_count", "watchers_count", "subscribers_count", "network_count")
    return {
        **minimal_repository(found, url),
        **dict.fromkeys(("git_url", "ssh_url", "clone_url", "svn_url"), remote),
        **dict.fromkeys(("mirror_url", "homepage", "language", "license"), None),
        **dict.fromkeys((*counts, "forks", "watchers"), 0),
        **dict.fromkeys(("has_projects", "has_wiki", "has_pages", "has_downloads", "has_discussions"), False),
        "permissions": {word: level > number for number, word in enumerate(words)},
        "size": 1,
        "default_branch": found.default_branch,
        "open_issues_count": sum(issue.state == "open" for issue in found.issues.values()),
        "open_issues": sum(issue.state == "open" for issue in found.issues.values()),
        "topics": [],
        "has_issues": found.has_issues,
        "archived": found.archived,
        "disabled": False,
        "visibility": "private" if found.private else "public",
        "pushed_at": found.created_at,
        "created_at": found.created_at,
        "updated_at": found.created_at,
        "allow_rebase_merge": found.allow_rebase_merge,
        "allow_squash_merge": found.allow_squash_merge,
        "allow_merge_commit": found.allow_merge_commit,
        "allow_auto_merge": False,
        "delete_branch_on_merge": found.delete_branch_on_merge,
    }


def label(found: Label, repository_name: str, url: str) -> Json:
    """A label."""
    return {
        "id": found.id,
        "node_id": node_id("Label", found.id),
        "url": f"{url}/repos/{repository_name}/labels/{found.name}",
        "name": found.name,
        "color": found.color,
        "default": False,
        "description": found.description or None,
    }


def _reactions(url: str) -> Json:
    words = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {"url": url, "total_count": 0, **dict.fromkeys(words, 0)}


def issue(found: Issue, url: str) -> Json:
    """An issue, or a pull as the issues' listing shows it."""
    name = found.repository.full_name
    api = f"{url}/repos/{name}/issues/{found.number}"
    kind = "pull" if found.is_pull else "issues"
    shown: Json = {
        "id": found.id,
        "node_id": node_id("PullRequest" if found.is_pull else "Issue", found.id),
        "url": api,
        "repository_url": f"{url}/repos/{name}",
        "labels_url": f"{api}/labels{{/name}}",
        "comments_url": f"{api}/comments",
        "events_url": f"{api}/events",
        "html_url": f"{web(url)}/{name}/{kind}/{found.number}",
        "number": found.number,
        "state": found.state,
        "state_reason": found.state_reason,
        "title": found.title,
        "body": found.body or None,
        "user": account(found.author, url),
        "labels": [label(each, name, url) for each in found.labels],
        "assignee": account(found.assignees[0], url) if found.assignees else None,
        "assignees": [account(each, url) for each in found.assignees],
        "milestone": None,
        "locked": found.locked,
        "active_lock_reason": None,
        "comments": len(found.comments),
        "closed_at": found.closed_at,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "author_association": association(found.repository, found.author),
        "reactions": _reactions(f"{api}/reactions"),
    }
    if found.pull is not None:
        shown["draft"] = found.pull.draft
        shown["pull_request"] = {
            "url": f"{url}/repos/{name}/pulls/{found.number}",
            "html_url": shown["html_url"],
            "diff_url": f"{shown['html_url']}.diff",
            "patch_url": f"{shown['html_url']}.patch",
            "merged_at": found.pull.merged_at,
        }
    return shown


def association(repository: Repository, who: Account) -> str:
    """What GitHub calls somebody's relation to a repository."""
    if who is repository.owner:
        return "OWNER"
    role = repository.permissions.get(who.login.casefold(), "none")
    return "COLLABORATOR" if role != "none" else "NONE"


def comment(found: Comment, url: str) -> Json:
    """A comment on an issue or pull."""
    name = found.issue.repository.full_name
    api = f"{url}/repos/{name}/issues/comments/{found.id}"
    return {
        "id": found.id,
        "node_id": node_id("IssueComment", found.id),
        "url": api,
        "html_url": f"{web(url)}/{name}/issues/{found.issue.number}#issuecomment-{found.id}",
        "issue_url": f"{url}/repos/{name}/issues/{found.issue.number}",
        "body": found.body,
        "user": account(found.author, url),
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "author_association": association(found.issue.repository, found.author),
        "performed_via_github_app": None,
        "reactions": _reactions(f"{api}/reactions"),
    }


def event(found: Event, on: Issue, url: str) -> Json:
    """One entry of a timeline."""
    api = f"{url}/repos/{on.repository.full_name}/issues/events/{found.id}"
    shown: Json = {
        "id": found.id,
        "node_id": node_id("Event", found.id),
        "url": api,
        "actor": account(found.actor, url) if found.actor else None,
        "event": found.kind,
        "commit_id": found.commit or None,
        "commit_url": None,
        "created_at": found.at,
        "performed_via_github_app": None,
    }
    if found.label:
        label_now = on.repository.labels.get(found.label.casefold())
        shown["label"] = {"name": found.label, "color": label_now.color if label_now else "ededed"}
    if found.kind == "renamed":
        shown["rename"] = {"from": found.before, "to": found.after}
    if found.kind == "closed":
        shown["state_reason"] = on.state_reason
    return shown


def pull(found: Issue, url: str, *, is_whole: bool = False, mergeable: bool | None = None) -> Json:
    """A pull; `is_whole`: as its own page, with what GitHub computes."""
    row = pulls.row_of(found)
    shown = issue(found, url)
    name = found.repository.full_name
    api = f"{url}/repos/{name}/pulls/{found.number}"
    for unused in (
        "repository_url",
        "labels_url",
        "events_url",
        "pull_request",
        "state_reason",
        "reactions",
        "comments",
    ):
        shown.pop(unused)
    shown |= {
        "url": api,
        "diff_url": f"{shown['html_url']}.diff",
        "patch_url": f"{shown['html_url']}.patch",
        "issue_url": f"{url}/repos/{name}/issues/{found.number}",
        "commits_url": f"{api}/commits",
        "review_comments_url": f"{api}/comments",
        "review_comment_url": f"{url}/repos/{name}/pulls/comments{{/number}}",
        "statuses_url": f"{url}/repos/{name}/statuses/{row.head_sha}",
        "merged_at": row.merged_at,
        "merge_commit_sha": row.merge_commit_sha,
        "requested_reviewers": [],
        "requested_teams": [],
        "draft": row.draft,
        "head": _side(row.head_repository, row.head_ref, row.head_sha, url),
        "base": _side(found.repository, row.base_ref, row.base_sha, url),
        "auto_merge": None,
        "_links": {
            kind: {"href": f"{api}/{kind}"}
            for kind in (
                "self",
                "html",
                "issue",
                "comments",
                "review_comments",
                "review_comment",
                "commits",
                "statuses",
            )
        },
    }
    return shown | _computed(found, url, mergeable) if is_whole else shown


def _side(found: Repository | None, ref: str, sha: str, url: str) -> Json:
    owner = found.owner if found is not None else None
    return {
        "label": f"{owner.login if owner else 'unknown'}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": account(owner, url) if owner else None,
        "repo": repository(found, url) if found else None,
    }


def _computed(found: Issue, url: str, mergeable: bool | None) -> Json:
    row = pulls.row_of(found)
    files = pulls.changed_files(found) if not row.merged else []
    return {
        "merged": row.merged,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": _merge_state(found, mergeable),
        "merged_by": account(row.merged_by, url) if row.merged_by else None,
        "comments": len(found.comments),
        "review_comments": 0,
        "maintainer_can_modify": row.can_maintainer_modify,
        "commits": len(git.commits_between(found.repository.path, row.base_sha, row.head_sha)),
        "additions": sum(each[2] for each in files),
        "deletions": sum(each[3] for each in files),
        "changed_files": len(files),
    }


def _merge_state(found: Issue, mergeable: bool | None) -> str:
    row = pulls.row_of(found)
    if found.state != "open" or mergeable is None:
        return "unknown"
    if not mergeable or row.draft:
        return "draft" if mergeable else "dirty"
    missing = checking.unmet(found)
    if missing:
        return "behind" if "out of date" in missing else "blocked"
    runs = checking.latest_checks(found.repository, row.head_sha)
    is_fine = all(run.conclusion in ("success", "neutral", "skipped") for run in runs)
    return "clean" if is_fine else "unstable"


def review(found: Review, on: Issue, url: str) -> Json:
    """A review."""
    page = f"{web(url)}/{on.repository.full_name}/pull/{on.number}#pullrequestreview-{found.id}"
    api = f"{url}/repos/{on.repository.full_name}/pulls/{on.number}"
    return {
        "id": found.id,
        "node_id": node_id("PullRequestReview", found.id),
        "user": account(found.author, url),
        "body": found.body,
        "state": found.state,
        "html_url": page,
        "pull_request_url": api,
        "_links": {"html": {"href": page}, "pull_request": {"href": api}},
        "submitted_at": found.submitted_at,
        "commit_id": found.commit,
        "author_association": association(on.repository, found.author),
    }


def profile(who: Account, url: str) -> Json:
    """A public user."""
    return account(who, url) | {
        "user_view_type": "public",
        "name": who.login,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": who.created_at,
        "updated_at": who.created_at,
    }
