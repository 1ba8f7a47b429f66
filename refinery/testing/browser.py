"""What people do on the fake in their browsers: repositories, rules, issues, pulls, reviews, checks."""

from collections.abc import Iterable, Mapping
from typing import Any

from refinery.git import Git
from refinery.testing import checking, pulls
from refinery.testing import repository_git as git
from refinery.testing.merging import HEADS
from refinery.testing.state import CheckRun, Comment, Issue, Repository, Review, Status
from refinery.testing.world import World


class Browser:
    """A world as a person sees it; each act is somebody's, `by` their login, with its event and its webhook."""

    def __init__(self, world: World) -> None:
        self.world = world

    # Repositories

    def create_repository(
        self, name: str, files: Mapping[str, str | bytes] | None = None, *, private: bool = False
    ) -> Repository:
        """A repository with one commit on main; without files an empty one."""
        with self.world.lock:
            return self.world.create_repository(name, files, private=private)

    def repository(self, name: str) -> Repository:
        """The repository of that name."""
        with self.world.lock:
            return self.world.find(name, self.world.account(name.partition("/")[0], "Organization"))

    def rename(self, name: str, new: str) -> None:
        """Rename a repository within its owner; the old name leads there."""
        with self.world.lock:
            self.world.rename(self.repository(name), new)

    def fork(self, name: str, login: str) -> str:
        """A fork of a person's own; returns its name."""
        with self.world.lock:
            source = self.repository(name)
            made = self.world.create_repository(f"{login}/{source.name}", None)
            made.owner = self.world.account(login)
            made.fork_of = source
            Git(made.path).run("fetch", "-q", str(source.path), "+refs/heads/*:refs/heads/*")
            made.known = git.refs(made.path, HEADS)
            return made.full_name

    def push(
        self,
        name: str,
        files: Mapping[str, str | bytes | None],
        *,
        branch: str = "main",
        by: str,
        force: bool = False,
    ) -> str:
        """A person's commit on a branch (made from the default one), pushed; `force` replaces the branch's last one."""
        with self.world.lock:
            repository = self.repository(name)
            tip = git.ref(repository.path, HEADS + branch)
            parent = tip or git.ref(repository.path, HEADS + repository.default_branch)
            if force and tip:
                parent = git.ref(repository.path, f"{tip}~1")
            sha = git.commit_files(repository.path, parent, files, f"{by} changes it", self.world.clock.now())
            git.transact(repository.path, [(HEADS + branch, tip, sha)])
            pulls.pushed(self.world, repository, self.world.account(by), {HEADS + branch})
            return sha

    def delete_branch(self, name: str, branch: str, *, by: str) -> None:
        """Delete a branch: pulls from it close."""
        with self.world.lock:
            repository = self.repository(name)
            git.delete_ref(repository.path, HEADS + branch)
            pulls.pushed(self.world, repository, self.world.account(by), {HEADS + branch})

    def protect(
        self,
        name: str,
        branch: str = "main",
        *,
        checks: Iterable[tuple[str, str]] = (),
        strict: bool = False,
        reviews: int = 0,
    ) -> None:
        """Classic protection: checks by name and App ("" for any), up-to-date branches, approving reviews."""
        with self.world.lock:
            rows = [
                {"context": check, "app_id": self.world.app(app).id if app else None} for check, app in checks
            ]
            self.repository(name).protection[branch] = {"checks": rows, "strict": strict, "reviews": reviews}

    def ruleset(
        self,
        name: str,
        branch: str = "main",
        *,
        checks: Iterable[tuple[str, str]] = (),
        merge_queue: bool = False,
    ) -> None:
        """A ruleset: required checks by name and App ("" for any), a merge queue."""
        with self.world.lock:
            rows: list[dict[str, Any]] = []
            for check, app in checks:
                rows.append({"context": check, **({"integration_id": self.world.app(app).id} if app else {})})
            rules: list[dict[str, Any]] = []
            if rows:
                asked = {"required_status_checks": rows, "strict_required_status_checks_policy": False}
                rules.append({"type": "required_status_checks", "parameters": asked})
            if merge_queue:
                rules.append({"type": "merge_queue"})
            self.repository(name).rulesets.append(
                {"id": self.world.next_id(), "branches": [branch], "rules": rules}
            )

    # Issues and pulls

    def open_issue(
        self,
        name: str,
        title: str,
        body: str = "",
        *,
        by: str,
        labels: Iterable[str] = (),
        assignees: Iterable[str] = (),
    ) -> Issue:
        """Open an issue, and put labels on."""
        with self.world.lock:
            issue = self.world.open_issue(self.repository(name), title, body, self.world.account(by), labels)
            issue.assignees = [self.world.account(login) for login in assignees]
            return issue

    def issue(self, name: str, number: int) -> Issue:
        """An issue or pull."""
        return self.repository(name).issues[number]

    def pulls(self, name: str) -> list[Issue]:
        """All pulls, the oldest first."""
        return pulls.pulls(self.repository(name))

    def labels(self, name: str, number: int) -> list[str]:
        """What is on it."""
        return [label.name for label in self.issue(name, number).labels]

    def comments(self, name: str, number: int) -> list[Comment]:
        """What was said on it."""
        return list(self.issue(name, number).comments)

    def label(self, name: str, number: int, label: str, *, by: str) -> None:
        """Put a label on; one that is on is taken off first, so that there is an event."""
        with self.world.lock:
            issue, who = self.issue(name, number), self.world.account(by)
            if label in self.labels(name, number):
                self.world.remove_label(issue, label, who)
            self.world.add_labels(issue, [label], who)

    def unlabel(self, name: str, number: int, label: str, *, by: str) -> None:
        """Take a label off."""
        with self.world.lock:
            self.world.remove_label(self.issue(name, number), label, self.world.account(by))

    def edit(
        self, name: str, number: int, *, by: str, title: str | None = None, body: str | None = None
    ) -> None:
        """Change title or body."""
        with self.world.lock:
            self.world.edit_issue(self.issue(name, number), self.world.account(by), title=title, body=body)

    def close(self, name: str, number: int, *, by: str, reason: str = "completed") -> None:
        """Close an issue (with a reason) or a pull."""
        with self.world.lock:
            self.world.set_state(self.issue(name, number), self.world.account(by), "closed", reason)

    def reopen(self, name: str, number: int, *, by: str) -> None:
        """Open it again."""
        with self.world.lock:
            self.world.set_state(self.issue(name, number), self.world.account(by), "open")

    def comment(self, name: str, number: int, body: str, *, by: str) -> Comment:
        """Say something."""
        with self.world.lock:
            return self.world.comment(self.issue(name, number), body, self.world.account(by))

    def open_pull(
        self,
        name: str,
        *,
        by: str,
        head: str,
        title: str = "A pull",
        body: str = "",
        base: str = "main",
        fork: str = "",
    ) -> Issue:
        """Open a pull from a branch, of `fork` if named."""
        with self.world.lock:
            source = self.repository(fork) if fork else None
            return pulls.open_pull(
                self.world,
                self.repository(name),
                self.world.account(by),
                title=title,
                body=body,
                head=head,
                base=base,
                head_repository=source,
            )

    def review(
        self, name: str, number: int, state: str, *, by: str, body: str = "", commit: str = ""
    ) -> Review:
        """Review a pull: APPROVED, CHANGES_REQUESTED or COMMENTED."""
        with self.world.lock:
            return pulls.review(
                self.world, self.issue(name, number), self.world.account(by), state, body, commit
            )

    def merge(
        self, name: str, number: int, *, by: str, method: str = "squash", from_queue: bool = False
    ) -> str:
        """Merge a pull by hand; `from_queue`: as the merge queue does."""
        with self.world.lock:
            issue = self.issue(name, number)
            return pulls.merge(
                self.world, issue, self.world.account(by), method=method, from_queue=from_queue
            )

    def draft(self, name: str, number: int, *, is_draft: bool = True) -> None:
        """Make a draft of a pull, or no longer."""
        with self.world.lock:
            issue = self.issue(name, number)
            if issue.pull is not None:
                issue.pull.draft, issue.updated_at = is_draft, self.world.clock.stamp()

    # Checks

    def report_check(
        self,
        name: str,
        sha: str,
        check: str,
        conclusion: str = "success",
        *,
        app: str = "ci-app",
        status: str = "completed",
    ) -> CheckRun:
        """A check run by an App, as its CI would report it."""
        with self.world.lock:
            return checking.report_check(
                self.world,
                self.repository(name),
                self.world.app(app),
                name=check,
                sha=sha,
                status=status,
                conclusion=conclusion if status == "completed" else None,
            )

    def report_status(self, name: str, sha: str, context: str, state: str = "success", *, by: str) -> Status:
        """A commit status."""
        with self.world.lock:
            return checking.report_status(
                self.world,
                self.repository(name),
                self.world.account(by),
                context=context,
                sha=sha,
                state=state,
            )
