"""Pulls on the fake: opened, pushed to, reviewed, checked and merged, on the repository's real git."""

import re

from refinery.git import Git
from refinery.testing import repository_git as git
from refinery.testing.checking import has_queue, unmet
from refinery.testing.merging import HEADS, merge_commit
from refinery.testing.state import Account, Issue, Pull, Repository, Review
from refinery.testing.world import ProblemError, World

_CLOSES = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:#|[\w.-]+/[\w.-]+#)(\d+)", re.IGNORECASE
)


def open_pull(  # noqa: PLR0913  (what a pull is opened with)
    world: World,
    repository: Repository,
    by: Account,
    *,
    title: str,
    head: str,
    base: str,
    body: str = "",
    draft: bool = False,
    head_repository: Repository | None = None,
) -> Issue:
    """A new pull from `head`, a branch of `head_repository` (the same repository by default).

    Raises:
        ProblemError: there is one already, a branch is missing, or there is nothing to merge.
    """
    if repository.archived:
        raise ProblemError(403, "Repository was archived so is read-only.")
    source = head_repository or repository
    tip, onto = _ends(repository, source, head, base)
    issue = world.new_issue(repository, title, body, by)
    issue.pull = Pull(
        world.next_id(),
        head,
        tip,
        source,
        base,
        onto,
        draft=draft,
    )
    _keep_head(issue)
    world.notify("pull_request", action="opened", repository=repository, issue=issue, sender=by)
    return issue


def _ends(repository: Repository, source: Repository, head: str, base: str) -> tuple[str, str]:
    """The tips of a new pull's branches, of which there is no open pull yet, and that differ."""
    tip, onto = git.ref(source.path, HEADS + head), git.ref(repository.path, HEADS + base)
    if tip is None or onto is None:
        raise _invalid(resource="PullRequest", field="base" if tip else "head", code="invalid")
    for other in pulls(repository):
        row = row_of(other)
        found = (row.head_ref, row.base_ref, row.head_repository)
        if other.state == "open" and found == (head, base, source):
            words = f"A pull request already exists for {source.owner.login}:{head}."
            raise _invalid(resource="PullRequest", code="custom", message=words)
    if source is not repository:
        Git(repository.path).run("fetch", "-q", "--no-write-fetch-head", str(source.path), tip)
    if git.is_ancestor(repository.path, tip, onto):
        words = f"No commits between {base} and {head}"
        raise _invalid(resource="PullRequest", code="custom", message=words)
    return tip, onto


def _invalid(**details: str) -> ProblemError:
    return ProblemError(422, "Validation Failed", [details])


def pulls(repository: Repository) -> list[Issue]:
    """All pulls, the oldest first."""
    return [issue for _, issue in sorted(repository.issues.items()) if issue.is_pull]


def row_of(issue: Issue) -> Pull:
    """What a pull has beyond an issue.

    Raises:
        ProblemError: it is no pull.
    """
    if issue.pull is None:
        raise ProblemError(404, "Not Found")
    return issue.pull


def pushed(world: World, repository: Repository, by: Account, names: set[str] | None = None) -> None:
    """Branches may have moved, by a push or the API: bring pulls along, close what landed, tell.

    `names` are the full refs that `by` moved; None: whatever did. Each move is seen to once, whoever comes first.
    """
    after = git.refs(repository.path, HEADS)
    for name in sorted({*repository.known, *after} if names is None else names):
        old, new = repository.known.get(name), after.get(name)
        if old == new or not name.startswith(HEADS):
            continue
        if new is None:
            del repository.known[name]
        else:
            repository.known[name] = new
        _moved(world, repository, name.removeprefix(HEADS), old, new, by)


def _moved(
    world: World, repository: Repository, branch: str, old: str | None, new: str | None, by: Account
) -> None:
    for other in world.repositories.values():
        for issue in pulls(other):
            row = row_of(issue)
            if issue.state == "open" and row.head_repository is repository and row.head_ref == branch:
                _head_moved(world, issue, old, new, by)
            if issue.state == "open" and other is repository and row.base_ref == branch and new is None:
                world.set_state(issue, by, "closed")
    if new is not None:
        _mark_merged(world, repository, branch, new, by)
        if branch == repository.default_branch:
            messages = Git(repository.path).text("log", "--format=%B", new, *([f"^{old}"] if old else []))
            close_named(world, repository, messages, by, new)
    world.notify("push", repository=repository, ref=HEADS + branch, before=old, after=new, sender=by)


def _head_moved(world: World, issue: Issue, old: str | None, new: str | None, by: Account) -> None:
    row, other = row_of(issue), issue.repository
    if new is None or row.head_repository is None:
        world.event(issue, "head_ref_deleted", by)
        world.set_state(issue, by, "closed")
        return
    if old is not None and not git.is_ancestor(row.head_repository.path, old, new):
        world.event(issue, "head_ref_force_pushed", by, before=old, after=new)
    row.head_sha = new
    row.base_sha = git.ref(other.path, HEADS + row.base_ref) or row.base_sha
    _keep_head(issue)
    issue.updated_at = world.clock.stamp()
    world.notify("pull_request", action="synchronize", repository=other, issue=issue, sender=by)


def _keep_head(issue: Issue) -> None:
    """Let the pull's own ref hold its head, which may be a fork's."""
    row, path = row_of(issue), issue.repository.path
    if row.head_repository is not None and row.head_repository is not issue.repository:
        Git(path).run("fetch", "-q", "--no-write-fetch-head", str(row.head_repository.path), row.head_sha)
    Git(path).run("update-ref", f"refs/pull/{issue.number}/head", row.head_sha)


def _mark_merged(world: World, repository: Repository, branch: str, tip: str, by: Account) -> None:
    """Pulls whose head came into their base by a push are merged, in GitHub's eyes."""
    waiting = [each for each in pulls(repository) if each.state == "open" and row_of(each).base_ref == branch]
    if not waiting:
        return
    held = set(
        Git(repository.path)
        .text("for-each-ref", "--format=%(refname)", f"--merged={tip}", "refs/pull")
        .split()
    )
    for issue in waiting:
        if f"refs/pull/{issue.number}/head" in held:
            _settle(world, issue, by, tip)


def _settle(world: World, issue: Issue, by: Account, commit: str) -> None:
    """The pull is merged, and closed."""
    row = row_of(issue)
    row.merged, row.merged_by, row.merge_commit_sha = True, by, commit
    row.merged_at, row.is_queued = world.clock.stamp(), False
    world.event(issue, "merged", by, commit=commit)
    world.set_state(issue, by, "closed")


def close_named(world: World, repository: Repository, text: str, by: Account, commit: str) -> None:
    """Close the issues that a text on the default branch names, as "Closes #12" does."""
    for number in dict.fromkeys(int(found) for found in _CLOSES.findall(text)):
        issue = repository.issues.get(number)
        if issue is not None and not issue.is_pull and issue.state == "open":
            world.set_state(issue, by, "closed", "completed", commit)


def closing_issues(issue: Issue) -> list[Issue]:
    """The issues that merging a pull into the default branch closes."""
    numbers = dict.fromkeys(int(found) for found in _CLOSES.findall(issue.body))
    found = (issue.repository.issues.get(number) for number in numbers)
    return [each for each in found if each is not None and not each.is_pull]


def mergeable(issue: Issue, *, is_asked: bool = True) -> bool | None:
    """Whether it merges cleanly: None for the first who ask about this head and base, since a job has to find out."""
    row, path = row_of(issue), issue.repository.path
    pair = (row.head_sha, git.ref(path, HEADS + row.base_ref) or "")
    if row.judged != pair:
        row.judged, row.asked = pair, 0
    if row.asked < issue.repository.unknown_answers:
        row.asked += int(is_asked)
        row.mergeable = None
    else:
        row.mergeable = git.merge_tree(path, pair[1], pair[0]) is not None if all(pair) else False
    return row.mergeable


def review(world: World, issue: Issue, by: Account, state: str, body: str = "", commit: str = "") -> Review:
    """A review by somebody who did not write the pull."""
    row = row_of(issue)
    if by is issue.author and state != "COMMENTED":
        words = "approve" if state == "APPROVED" else "request changes on"
        raise ProblemError(422, "Unprocessable Entity", [f"Can not {words} your own pull request"])
    made = Review(world.next_id(), by, state, body, commit or row.head_sha, world.clock.stamp())
    row.reviews.append(made)
    world.event(issue, "reviewed", by)
    world.notify(
        "pull_request_review",
        action="submitted",
        repository=issue.repository,
        issue=issue,
        review=made,
        sender=by,
    )
    return made


def _tip(issue: Issue) -> str | None:
    """The head's branch as it is now: a push that is being dealt with counts already."""
    row = row_of(issue)
    if row.head_repository is None:
        return row.head_sha
    return git.ref(row.head_repository.path, HEADS + row.head_ref)


def merge(  # noqa: PLR0913  (what GitHub lets one choose)
    world: World,
    issue: Issue,
    by: Account,
    *,
    sha: str = "",
    method: str = "merge",
    title: str = "",
    message: str = "",
    from_queue: bool = False,
) -> str:
    """Merge a pull; returns the commit.

    Raises:
        ProblemError: 409 when the head is not `sha`; 405 for everything that GitHub's rules are against.
    """
    row, repository = row_of(issue), issue.repository
    if issue.state != "open" or row.draft:
        raise ProblemError(
            405, "Pull Request is still a draft" if row.draft else "Pull Request is not mergeable"
        )
    if (sha or row.head_sha) != _tip(issue):
        raise ProblemError(409, "Head branch was modified. Review and try the merge again.")
    if has_queue(repository, row.base_ref) and not from_queue:
        raise ProblemError(405, "Changes must be made through the merge queue")
    allowed = {"squash": repository.allow_squash_merge, "merge": repository.allow_merge_commit}
    if not allowed.get(method, repository.allow_rebase_merge):
        words = {"squash": "Squash merges", "merge": "Merge commits", "rebase": "Rebase merges"}[method]
        raise ProblemError(405, f"{words} are not allowed on this repository.")
    missing = unmet(issue)
    if missing:
        raise ProblemError(405, missing)
    row.base_sha, commit = merge_commit(world, issue, by, method=method, title=title, message=message)
    _settle(world, issue, by, commit)
    pushed(world, repository, by, {HEADS + row.base_ref})
    if row.base_ref == repository.default_branch:
        close_named(world, repository, issue.body, by, commit)
    if repository.delete_branch_on_merge and row.head_repository is repository:
        git.delete_ref(repository.path, HEADS + row.head_ref)
        pushed(world, repository, by, {HEADS + row.head_ref})
    return commit


def enqueue(world: World, issue: Issue, by: Account, expected: str = "") -> None:
    """Put a pull into its base's merge queue."""
    row = row_of(issue)
    if expected and expected != row.head_sha:
        raise ProblemError(422, "Expected head oid does not match")
    if not has_queue(issue.repository, row.base_ref):
        raise ProblemError(422, "Merge queue is not enabled for this branch")
    missing = unmet(issue)
    if missing:
        raise ProblemError(422, missing)
    row.is_queued = True
    world.event(issue, "added_to_merge_queue", by)
    issue.updated_at = world.clock.stamp()


def changed_files(issue: Issue) -> list[tuple[str, str, int, int]]:
    """What a pull changes, as `repository_git.changed_files`, whole (GitHub lists 3,000 at the most)."""
    row, path = row_of(issue), issue.repository.path
    tip = git.ref(path, HEADS + row.base_ref) if issue.state == "open" else None
    onto = tip or row.base_sha
    return git.changed_files(path, git.merge_base(path, onto, row.head_sha) or onto, row.head_sha)
