"""Tasks as issues: handed over by a label, trusted by who put it on, shown by labels and one comment.

Properties: an issue that nobody trusted handed over, or that was changed since, is BLOCKED with a problem that says why
(F28, F29); whatever could not be read makes nothing ready; an idle look costs no quota.
"""

from collections.abc import Callable, Iterable
from typing import Final

from refinery.core.config import ProjectConfig
from refinery.core.issues import Issue, Remark, to_task
from refinery.core.lease import Lease
from refinery.core.model import Problem, Status, Task, TaskList
from refinery.core.sanitise import redact as redact_shapes
from refinery.core.status_comment import Note, render
from refinery.core.trust import People, Untrusted, frozen_remarks, judge_trust, status_of, to_ask
from refinery.errors import TaskFileError
from refinery.forges.github.client import Client
from refinery.forges.github.permissions import Permissions
from refinery.tasks.github_issues import IssueBook
from refinery.tasks.github_mirror import IssueMirror

_MOST_ELSEWHERE: Final = 50  # issues without the label that a look asks for one by one


class GitHubTasks:
    """The issues of `repository` (`owner/name`).

    `config` gives the configuration on the base, as last read: the label, and who is trusted besides those who may
    write. `redact` takes secrets out of what is shown.
    """

    def __init__(
        self,
        client: Client,
        repository: str,
        config: Callable[[], ProjectConfig] = ProjectConfig,
        redact: Callable[[str], str] = redact_shapes,
    ) -> None:
        self.repository = repository
        self._config = config
        self._redact = redact
        self._book = IssueBook(client, repository)
        self._permissions = Permissions(client, repository)
        self._mirror = IssueMirror(client, self._book)

    def all(self) -> TaskList:
        """Every labelled issue, and those without the label that they depend on.

        Raises:
            ForgeUnavailableError: GitHub did not answer, or not wholly, which is not "no tasks" (F6).
            UsageError: there is no such repository, or it has no issues.
        """
        config = self._config()
        look = self._book.look(config.label)
        people = self._people(look.issues.values(), config)
        tasks = {task.id: task for task in look.closed.values()}
        problems: list[Problem] = []
        for _, issue in sorted(look.issues.items()):
            task, problem = self._judge(issue, people, config.label)
            if task is not None:
                tasks[task.id] = task
            else:
                tasks.pop(str(issue.number), None)
            problems += [problem] if problem is not None else []
        return TaskList(tasks={**self._elsewhere(tasks, problems), **tasks}, problems=tuple(problems))

    def get(self, task_id: str) -> Task:
        """One issue, read afresh, as it would be judged now.

        Raises:
            TaskFileError: it is gone, is no issue, or its front matter cannot be used.
        """
        config = self._config()
        issue = self._book.one(self._number(task_id), config.label)
        task, problem = self._judge(issue, self._people([issue], config), config.label)
        if task is None:
            raise TaskFileError(
                problem.text if problem else task_id, remedy=problem.remedy if problem else ""
            )
        return task

    def mirror(self, lease: Lease, task: Task, status: Status, note: Note | None = None) -> None:
        """Show `status` on the issue, under the lease on that task: labels, one comment; done closes it.

        Raises:
            TaskFileError: the issue is gone, or GitHub refuses.
            ForgeUnavailableError: GitHub did not answer.
            ValueError: the lease is on something else.
        """
        if lease.key != task.key:
            raise ValueError(f"a lease on {lease.key} permits no write for {task.key}")
        label = self._config().label
        body = render(lease, status, note or Note(), label, self._redact)
        self._mirror.show(self._number(task.id), label, status, body)

    def _people(self, issues: Iterable[Issue], config: ProjectConfig) -> People:
        known = People(allowed=frozenset(each.casefold() for each in config.trust.allow), own=self._book.own)
        asked = {login: None for issue in issues for login in to_ask(issue, config.label, known)}
        return People(writers=self._permissions.of(asked), allowed=known.allowed, own=known.own)

    def _judge(self, issue: Issue, people: People, label: str) -> tuple[Task | None, Problem | None]:
        """The task, and what is wrong with it; no task where its front matter cannot be used."""
        status = status_of(issue, label, people)
        trust = judge_trust(issue, label, people)
        is_handed_over = issue.is_open and issue.has(label)
        remarks: tuple[Remark, ...] = ()
        if isinstance(trust, Untrusted):
            status = Status.BLOCKED if is_handed_over else status
        else:
            remarks = frozen_remarks(issue, trust, people)
        task = to_task(issue, self.repository, status=status, remarks=remarks, own=self._book.own)
        if isinstance(task, Problem):
            return None, task
        if not isinstance(trust, Untrusted) or not is_handed_over:
            return task, None
        return task, Problem(path=task.source, message=trust.reason, task=task.id, remedy=trust.remedy)

    def _elsewhere(self, tasks: dict[str, Task], problems: list[Problem]) -> dict[str, Task]:
        """What open tasks depend on and nobody has labelled, as far as it exists."""
        unusable = {problem.task for problem in problems}
        wanted = dict.fromkeys(
            name
            for task in tasks.values()
            for name in task.depends_on
            if name not in tasks and name not in unusable and name.isdecimal()
        )
        found = (self._book.elsewhere(int(name)) for name in list(wanted)[:_MOST_ELSEWHERE])
        return {task.id: task for task in found if task is not None}

    def _number(self, task_id: str) -> int:
        if not task_id.isascii() or not task_id.isdecimal():
            raise TaskFileError(
                f"there is no issue {task_id!r}: issues have numbers", remedy="see `refinery task list`"
            )
        return int(task_id)
