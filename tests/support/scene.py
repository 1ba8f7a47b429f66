"""A small project on real git: repository, tasks, home, and a shell script for an agent; services and the real program.

The agent is `agent.sh` beside the repository, so that a test rewrites it between attempts; with `LOG` it notes each
start in `agent.log`.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from refinery.configured import read_user
from refinery.core.claims import decode
from refinery.core.model import CLAIMS, Claim, ForgeState, Pull
from refinery.core.tasks import parse
from refinery.home import Home
from refinery.merger import MergeOptions, Merger, MergeReport
from refinery.project import Project
from refinery.reconciler import Done, ReconcileOptions, Reconciler
from refinery.report import RunResult
from refinery.wiring import open_project
from refinery.worker import Worker, WorkOptions
from support.program import refinery
from support.repos import bare, checkout, commit, git

LOG = 'echo "$REFINERY_TASK $REFINERY_ATTEMPT" >> "{root}/agent.log"\n'
ADD = 'echo "$REFINERY_TASK" > "$REFINERY_TASK.txt"\n'
FILES = {"README.md": "hello\n", "src/a.py": "a = 1\n"}


class Scene:
    """Everything of one test, below `root`."""

    def __init__(self, root: Path, *, kind: str = "bare", url: str = "", **config: object) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.script = root / "agent.sh"
        self.settings = {
            "agents": {"stub": {"command": ["sh", str(self.script)]}},
            "checks": {"tests": "true"},
            **config,
        }
        make = checkout if kind == "checkout" else bare
        place = root / "work" if kind == "checkout" else root / "srv" / "code.git"
        self.repo = make(place, {**FILES, "refinery.yml": yaml.safe_dump(self.settings)})
        self.git_dir = self.repo / ".git" if kind == "checkout" else self.repo
        self.url = url or (f"file://{self.repo}" if kind == "file" else str(self.repo))
        self.tasks = root / "tasks"
        self.tasks.mkdir()
        self.home = self.new_home("home")
        self.agent(ADD)

    def new_home(self, name: str) -> Home:
        """A home that knows the project as `demo`; another one is another host."""
        home = Home.open(self.root / name)
        home.register("demo", repository=self.url, tasks=str(self.tasks))
        return home

    def configure(self, **config: object) -> None:
        """Change the configuration on the base, by a person's commit."""
        self.settings |= config
        self.person({"refinery.yml": yaml.safe_dump(self.settings)}, "configure")

    def person(self, files: Mapping[str, str | bytes | None], message: str = "change") -> str:
        """A person's commit on the base, pushed from elsewhere."""
        return commit(self.git_dir, files, message)

    def agent(self, script: str, *, logs: bool = True) -> None:
        """What the agent does from now on."""
        head = LOG.format(root=self.root) if logs else ""
        self.script.write_text(head + script.replace("{root}", str(self.root)))

    def log(self) -> list[str]:
        """`task attempt` of every start of the agent."""
        path = self.root / "agent.log"
        return path.read_text().splitlines() if path.exists() else []

    def task(self, task_id: str, body: str = "Do it.", **values: object) -> Path:
        """A task file, ready unless `status` says otherwise."""
        front = {"id": task_id, "title": f"The task {task_id}", "status": "ready", **values}
        lines = "".join(f"{name}: {json.dumps(value)}\n" for name, value in front.items())
        path = self.tasks / f"{task_id}.md"
        path.write_text(f"---\n{lines}---\n\n{body}\n")
        return path

    def status(self, task_id: str) -> str:
        """What the task's file says."""
        task = parse((self.tasks / f"{task_id}.md").read_bytes(), "file", task_id)
        return str(getattr(task, "status", task))

    def set_status(self, task_id: str, status: str) -> None:
        """A person's edit of the task's file."""
        path = self.tasks / f"{task_id}.md"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text(
            "".join(f"status: {status}\n" if line.startswith("status:") else line for line in lines)
        )

    def project(self, home: Home | None = None) -> Project:
        """The project as a new process opens it."""
        where = home or self.home
        return open_project(where, read_user(where), "demo")

    def worker(self, project: Project | None = None, **options: object) -> Worker:
        """A worker with a holder's name of its own."""
        holder = f"bot@test:{os.getpid()}-{os.urandom(3).hex()}"
        return Worker(
            project or self.project(), WorkOptions(**{"caller": "bot", "holder": holder, **options})
        )

    def run(self, task_id: str = "", **options: object) -> RunResult:
        """One run, in this process."""
        return self.worker(**options).run(task_id)

    def merge(self, *pulls: int, project: Project | None = None, **options: object) -> MergeReport:
        """One pass of a merger, in this process."""
        how = MergeOptions(**{"holder": f"merger-{os.urandom(3).hex()}", "pulls": pulls, **options})
        return Merger(project or self.project(), how).merge()

    def reconciler(self, project: Project | None = None, **options: object) -> Reconciler:
        """A reconciler with a name of its own."""
        how = ReconcileOptions(**{"holder": f"mender-{os.urandom(3).hex()}", **options})
        return Reconciler(project or self.project(), how)

    def reconcile(self, project: Project | None = None, **options: object) -> list[Done]:
        """One reconcile, in this process."""
        return self.reconciler(project, **options).reconcile()

    def later(self, seconds: float, home: Home | None = None) -> Project:
        """The project as it is seen by somebody whose clock is `seconds` ahead: leases have expired."""
        project = self.project(home)
        project.forge.now = lambda: time.time() + seconds  # type: ignore[method-assign]  # the clock, not the forge
        return project

    def cli(self, *args: object, **options: object) -> "subprocess.CompletedProcess[str]":
        """The real program on this project."""
        return refinery("--home", self.home.path, "-p", "demo", *args, **options)

    def start(self, *args: object, **options: object) -> "subprocess.Popen[str]":
        """The real program, running."""
        command = [sys.executable, "-m", "refinery", "--home", str(self.home.path), "-p", "demo"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, *map(str, args)], **pipes, **options)

    def json(self, *args: object) -> "tuple[int, dict[str, object]]":
        """Exit code and JSON of the real program."""
        done = self.cli(*args, "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def refs(self, *patterns: str) -> dict[str, str]:
        """Every ref of the repository, by plain git."""
        out = git(self.git_dir, "for-each-ref", "--format=%(refname) %(objectname)", *patterns)
        return dict(line.split(" ") for line in out.splitlines())

    def state(self) -> ForgeState:
        """What the forge holds."""
        return self.project().forge.observe()

    def claim(self, task_id: str) -> Claim:
        """What the tip of a task's claim says."""
        tip = self.state().claims.get(task_id)
        assert tip is not None, f"no claim on {task_id}"
        assert tip.claim is not None, tip.problem
        return tip.claim

    def history(self, task_id: str) -> list[str]:
        """What every commit of a task's claim says, the oldest first: for messages of failed tests."""
        shas = git(self.git_dir, "rev-list", "--reverse", CLAIMS + task_id).splitlines()
        found = [decode(git(self.git_dir, "log", "-1", "--format=%B", sha) + "\n") for sha in shas]
        return [f"{each.attempt} {each.state} {each.role} {each.outcome}: {each.reason}" for each in found]

    def pull(self, number: int) -> Pull:
        """One pull."""
        return self.state().pulls[number]

    def show(self, what: str) -> str:
        """`REV:PATH` of the repository, by plain git."""
        return git(self.git_dir, "show", what)

    def has(self, what: str) -> bool:
        """Whether the repository has `REV:PATH`."""
        done = subprocess.run(
            ["git", "-C", str(self.git_dir), "cat-file", "-e", what], check=False, stderr=-3
        )
        return done.returncode == 0

    def preserved(self, task_id: str) -> dict[str, str]:
        """The refs under which a task's work was put aside."""
        return self.refs(f"refs/refinery/preserved/{task_id}")

    def worktrees(self) -> list[str]:
        """The attempts' folders that are there."""
        return (
            sorted(path.name for path in self.home.worktrees.iterdir())
            if self.home.worktrees.is_dir()
            else []
        )

    def locks(self) -> list[str]:
        """Lock files of git in the repository."""
        return sorted(
            str(path.relative_to(self.git_dir))
            for path in self.git_dir.rglob("*.lock")
            if path.name != "refinery.lock"
        )


def forked(act: Callable[[], object], code: int = 0) -> int:
    """Start `act` in a child without clean-up of any kind; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        act()
        os._exit(code)
    except BaseException:  # noqa: BLE001  (a child must never return into the test)
        traceback.print_exc()
        os._exit(99)


def ended(pid: int) -> int:
    """The exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_for(is_true: Callable[[], object], seconds: float = 20.0) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)
