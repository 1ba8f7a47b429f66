"""What happens on the fake GitHub, whoever asks for it: a person, REST, GraphQL or a push.

Each operation appends to the timeline, sets `updated_at`, and tells the webhooks. Problems are `ProblemError` with the
HTTP status and the words that GitHub uses.
"""

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinery.testing import repository_git as git
from refinery.testing.clock import Clock
from refinery.testing.state import (
    Account,
    App,
    Comment,
    Event,
    Installation,
    Issue,
    Label,
    Quirks,
    Repository,
    Start,
    Token,
)

if TYPE_CHECKING:
    from refinery.testing.webhooks import Webhooks

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
ACTIONS = "github-actions"
_STARTERS = {("pull_request", action) for action in ("opened", "synchronize", "reopened")}
_COLORS = {"polecat": "5319e7"}


class ProblemError(Exception):
    """A request that GitHub refuses: HTTP status, its message, and its list of details."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Sequence[Any] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})
        self.status = status
        self.message = message
        self.errors = list(errors)


class World:
    """Everything on one server. Whoever changes it holds `lock`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.clock = Clock()
        self.accounts: dict[str, Account] = {}
        self.apps: dict[str, App] = {}
        self.installations: dict[int, Installation] = {}
        self.repositories: dict[str, Repository] = {}
        self.moved: dict[str, Repository] = {}
        self.tokens: dict[str, Token] = {}
        self.listeners: list[Callable[[str, dict[str, Any]], None]] = []
        self.starts: list[Start] = []
        self.is_quiet = False
        self.webhooks: Webhooks | None = None
        self.quirks = Quirks()
        self._last_id = 1000
        self.app(ACTIONS, "GitHub Actions")

    def next_id(self) -> int:
        """A number that nothing else has."""
        self._last_id += 1
        return self._last_id

    def notify(self, event: str, **payload: Any) -> None:
        """Something happened: CI may start, and the webhooks may tell, unless this change is to be a quiet one."""
        if event == "push" or (event, payload.get("action")) in _STARTERS:
            self._start(event, payload)
        if not self.is_quiet:
            for listener in self.listeners:
                listener(event, payload)

    def _start(self, event: str, payload: Mapping[str, Any]) -> None:
        """Note what CI starts for: nothing that a job's own `GITHUB_TOKEN` does."""
        issue, sender = payload.get("issue"), payload["sender"]
        sha = issue.pull.head_sha if issue is not None and issue.pull is not None else payload.get("after")
        if sha is not None:
            is_own = sender is not None and sender.login == f"{ACTIONS}[bot]"
            self.starts.append(Start(event, payload["repository"].full_name, sha, not is_own))

    def account(self, login: str, kind: str = "User") -> Account:
        """The account of that login, made when it is not there."""
        key = login.casefold()
        if key not in self.accounts:
            self.accounts[key] = Account(self.next_id(), login, kind, self.clock.stamp())
        return self.accounts[key]

    def app(self, slug: str, name: str = "", *, key: str = "", owner: str = "github") -> App:
        """The App of that slug, with its bot account, made when it is not there."""
        if slug not in self.apps:
            made = App(self.next_id(), slug, name or slug, self.account(owner, "Organization"), key)
            made.created_at = self.clock.stamp()
            made.permissions = {
                "contents": "write",
                "issues": "write",
                "pull_requests": "write",
                "checks": "write",
                "metadata": "read",
            }
            self.apps[slug] = made
            self.account(f"{slug}[bot]", "Bot").app = made
        elif key:
            self.apps[slug].key = key
        return self.apps[slug]

    def create_repository(
        self,
        full_name: str,
        files: Mapping[str, str | bytes] | None,
        *,
        private: bool = False,
        branch: str = "main",
    ) -> Repository:
        """A repository with one commit, or (no files) an empty one."""
        owner, _, name = full_name.partition("/")
        path = self.folder / "repositories" / f"{full_name.lower().replace('/', '+')}.git"
        git.create(path, files or {}, self.clock.now(), branch)
        made = Repository(
            self.next_id(),
            self.account(owner, "Organization"),
            name,
            path,
            self.clock.stamp(),
            private=private,
            default_branch=branch,
        )
        self.repositories[full_name.casefold()] = made
        made.known = git.refs(path, "refs/heads/")
        for label in ("bug", "enhancement"):
            made.labels[label] = Label(self.next_id(), label)
        return made

    def find(self, full_name: str, viewer: Account | None = None) -> Repository:
        """The repository, by its present or a former name.

        Raises:
            ProblemError: there is none, or this viewer may not see it.
        """
        key = full_name.removesuffix(".git").casefold()
        found = self.repositories.get(key) or self.moved.get(key)
        if found is None or (found.private and (viewer is None or self.role(found, viewer) == "none")):
            raise ProblemError(404, "Not Found")
        return found

    def rename(self, repository: Repository, name: str) -> None:
        """Give it another name; the old one leads there."""
        old = repository.full_name.casefold()
        del self.repositories[old]
        repository.name = name
        self.moved[old] = repository
        self.repositories[repository.full_name.casefold()] = repository
        self.notify("repository", action="renamed", repository=repository)

    def grant(self, repository: Repository, login: str, role: str) -> None:
        """Give somebody a role: one of ROLES."""
        repository.permissions[self.account(login).login.casefold()] = role

    def role(self, repository: Repository, account: Account) -> str:
        """Somebody's role; the owner is admin, an App what its installation may."""
        if account.login == repository.owner.login:
            return "admin"
        if account.app is not None:
            installed = any(
                repository in each.repositories and each.app is account.app
                for each in self.installations.values()
            )
            return "write" if installed or account.app.slug == ACTIONS else "none"
        given = repository.permissions.get(account.login.casefold(), "none")
        return given if given != "none" or repository.private else "read"

    def may(self, repository: Repository, account: Account, role: str) -> bool:
        """Whether somebody has at least that role."""
        return ROLES.index(self.role(repository, account)) >= ROLES.index(role)

    def make_token(self, account: Account, value: str | None = None, **values: Any) -> Token:
        """A new token of an account."""
        prefix = {"installation": "ghs_", "actions": "ghs_"}.get(str(values.get("kind", "")), "ghp_")
        token = Token(value or prefix + secrets.token_hex(18), account, **values)
        self.tokens[token.value] = token
        return token

    def token(self, value: str) -> Token | None:
        """The token, if it still holds."""
        found = self.tokens.get(value)
        if found is None or found.is_revoked:
            return None
        return None if found.expires_at is not None and found.expires_at <= self.clock.now() else found

    # Issues

    def label(self, repository: Repository, name: str) -> Label:
        """The label of that name in whatever case, made when it is not there."""
        key = name.casefold()
        if key not in repository.labels:
            repository.labels[key] = Label(self.next_id(), name, _COLORS.get(key, "ededed"))
        return repository.labels[key]

    def open_issue(
        self, repository: Repository, title: str, body: str, by: Account, labels: Iterable[str] = ()
    ) -> Issue:
        """A new issue; its labels are put on right after, each with an event."""
        if not repository.has_issues:
            raise ProblemError(410, "Issues has been disabled in this repository.")
        self._refuse_archived(repository)
        issue = self.new_issue(repository, title, body, by)
        self.notify("issues", action="opened", repository=repository, issue=issue, sender=by)
        self.add_labels(issue, labels, by)
        return issue

    def new_issue(self, repository: Repository, title: str, body: str, by: Account) -> Issue:
        """A numbered issue, of which nobody was told yet: a pull begins as one too."""
        if not title.strip():
            raise ProblemError(
                422, "Validation Failed", [{"resource": "Issue", "code": "missing_field", "field": "title"}]
            )
        if len(body) > 65_536:
            raise ProblemError(422, "Validation Failed", ["body is too long (maximum is 65536 characters)"])
        now = self.clock.stamp()
        number = max(repository.issues, default=0) + 1
        issue = Issue(self.next_id(), number, repository, title, body, by, now, now)
        repository.issues[number] = issue
        return issue

    def event(self, issue: Issue, kind: str, by: Account | None, **values: str) -> Event:
        """Append to the timeline; the issue was changed."""
        made = Event(self.next_id(), kind, by, self.clock.stamp(), **values)
        issue.events.append(made)
        issue.updated_at = made.at
        return made

    def edit_issue(
        self, issue: Issue, by: Account, *, title: str | None = None, body: str | None = None
    ) -> None:
        """Change title or body."""
        if title is not None and title != issue.title:
            self.event(issue, "renamed", by, before=issue.title, after=title)
            issue.title = title
        if body is not None and body != issue.body:
            issue.body = body
            issue.last_edited_at, issue.editor = self.clock.stamp(), by
            issue.updated_at = issue.last_edited_at
        self._told(issue, "edited", by)

    def set_state(
        self, issue: Issue, by: Account | None, state: str, reason: str | None = None, commit: str = ""
    ) -> None:
        """Close or open again; nothing when it is so."""
        if issue.state == state:
            if state == "closed" and reason and reason != issue.state_reason:
                issue.state_reason, issue.updated_at = reason, self.clock.stamp()
            return
        issue.state = state
        self.event(issue, "closed" if state == "closed" else "reopened", by, commit=commit)
        issue.state_reason = (reason or "completed") if state == "closed" else "reopened"
        if issue.is_pull:
            issue.state_reason = None
        issue.closed_at = issue.updated_at if state == "closed" else None
        issue.closed_by = by if state == "closed" else None
        self._told(issue, "closed" if state == "closed" else "reopened", by)

    def _told(self, issue: Issue, action: str, by: Account | None) -> None:
        kind = "pull_request" if issue.is_pull else "issues"
        self.notify(kind, action=action, repository=issue.repository, issue=issue, sender=by)

    def add_labels(self, issue: Issue, names: Iterable[str], by: Account) -> None:
        """Put labels on; one that is there already makes no event."""
        for name in names:
            label = self.label(issue.repository, name)
            if label not in issue.labels:
                issue.labels.append(label)
                self.event(issue, "labeled", by, label=label.name)
                self._told(issue, "labeled", by)

    def remove_label(self, issue: Issue, name: str, by: Account) -> None:
        """Take a label off.

        Raises:
            ProblemError: it is not on.
        """
        found = next((label for label in issue.labels if label.name.casefold() == name.casefold()), None)
        if found is None:
            raise ProblemError(404, "Label does not exist")
        issue.labels.remove(found)
        self.event(issue, "unlabeled", by, label=found.name)
        self._told(issue, "unlabeled", by)

    def set_labels(self, issue: Issue, names: Sequence[str], by: Account) -> None:
        """Exactly these labels."""
        wanted = {name.casefold() for name in names}
        for label in list(issue.labels):
            if label.name.casefold() not in wanted:
                self.remove_label(issue, label.name, by)
        self.add_labels(issue, names, by)

    def assign(self, issue: Issue, who: Account, by: Account, *, is_on: bool = True) -> None:
        """Assign somebody, or no longer; nothing when it is so."""
        if (who in issue.assignees) is not is_on:
            (issue.assignees.append if is_on else issue.assignees.remove)(who)
            self.event(issue, "assigned" if is_on else "unassigned", by, after=who.login)

    def set_assignees(self, issue: Issue, wanted: Sequence[Account], by: Account) -> None:
        """Exactly these people."""
        for who in [each for each in issue.assignees if each not in wanted]:
            self.assign(issue, who, by, is_on=False)
        for who in wanted:
            self.assign(issue, who, by)

    def comment(self, issue: Issue, body: str, by: Account) -> Comment:
        """Say something."""
        if issue.locked and not self.may(issue.repository, by, "write"):
            raise ProblemError(403, "Unable to create comment because issue is locked.")
        if not body.strip() or len(body) > 65_536:
            raise ProblemError(
                422, "Validation Failed", [{"resource": "IssueComment", "code": "custom", "field": "body"}]
            )
        now = self.clock.stamp()
        made = Comment(self.next_id(), by, body, now, now, issue)
        issue.comments.append(made)
        issue.updated_at = now
        self.notify(
            "issue_comment",
            action="created",
            repository=issue.repository,
            issue=issue,
            comment=made,
            sender=by,
        )
        return made

    def edit_comment(self, comment: Comment, body: str, by: Account) -> None:
        """Change what was said."""
        comment.body, comment.updated_at = body, self.clock.stamp()
        comment.last_edited_at, comment.editor = comment.updated_at, by
        comment.issue.updated_at = comment.updated_at
        issue = comment.issue
        self.notify(
            "issue_comment",
            action="edited",
            repository=issue.repository,
            issue=issue,
            comment=comment,
            sender=by,
        )

    def delete_comment(self, comment: Comment, by: Account) -> None:
        """Take it back."""
        issue = comment.issue
        issue.comments.remove(comment)
        issue.updated_at = self.clock.stamp()
        self.notify(
            "issue_comment",
            action="deleted",
            repository=issue.repository,
            issue=issue,
            comment=comment,
            sender=by,
        )

    def find_comment(self, repository: Repository, number: int) -> Comment:
        """The comment with that id."""
        for issue in repository.issues.values():
            for comment in issue.comments:
                if comment.id == number:
                    return comment
        raise ProblemError(404, "Not Found")

    def find_issue(self, repository: Repository, number: int, *, pull: bool | None = None) -> Issue:
        """The issue or pull; `pull` says which of the two it must be."""
        found = repository.issues.get(number)
        if found is None or (pull is not None and found.is_pull is not pull):
            raise ProblemError(404, "Not Found")
        if not found.is_pull and not repository.has_issues:
            raise ProblemError(410, "Issues are disabled for this repo")
        return found

    def _refuse_archived(self, repository: Repository) -> None:
        if repository.archived:
            raise ProblemError(403, "Repository was archived so is read-only.")
