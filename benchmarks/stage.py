"""A project for benchmarks of whole swarms: a repository of some files, tasks for an agent of one line, a home."""

import sys
from pathlib import Path

from benchmarks.measure import timed
from tests.support.repos import bare, git

AGENT = 'echo "$REFINERY_TASK" > "work-$REFINERY_TASK.txt"'
_FILES = 200


class Stage:
    """A project below `root` with `count` ready tasks: t-0, t-1 and so on, in this order."""

    def __init__(self, root: Path, count: int, *, agent: str = AGENT, check: str = "true") -> None:
        source = {f"src/part{n % 10}/m{n}.py": f"VALUE = {n}\n" * 40 for n in range(_FILES)}
        config = f"agents: {{stub: {{command: [sh, -c, '{agent}']}}}}\nchecks: {{tests: '{check}'}}\n"
        self.repo = bare(root / "code.git", {"refinery.yml": config, **source})
        tasks = root / "tasks"
        tasks.mkdir()
        for number in range(count):
            header = f"id: t-{number}\ntitle: Write file {number}\nstatus: ready\norder: {number}\n"
            (tasks / f"t-{number}.md").write_text(f"---\n{header}---\n\nWrite it.\n")
        self.program = [sys.executable, "-m", "refinery", "--home", str(root / "home")]
        timed([*self.program, "init", "demo", "--repo", str(self.repo), "--tasks", str(tasks)])

    def swarm(self, workers: int, *options: str) -> list[str]:
        """The command line of a swarm; the machine's load is no reason to wait."""
        return [*self.program, "swarm", "--agent", f"stub={workers}", "--max-load", "0", "--json", *options]

    def refs(self, pattern: str) -> int:
        """How many refs there are below `pattern`."""
        return len(self._git("for-each-ref", "--format=x", pattern))

    def landed(self) -> int:
        """How many tasks are on the base."""
        return len(self._git("rev-list", "--first-parent", "main")) - 1

    def _git(self, *args: str) -> list[str]:
        return git(self.repo, *args).splitlines()
