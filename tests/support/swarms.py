"""A running swarm, from outside: its lines, its processes, its end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from refinery.home import Home
from support.scene import Scene, wait_for

ANY_LOAD = ("--max-load", "0")  # the machine that runs the tests may be busy


class Swarm:
    """A running swarm, in a session of its own as on a terminal; its lines are read from a file."""

    def __init__(
        self, scene: Scene, *args: str, env: Mapping[str, str] | None = None, home: Home | None = None
    ) -> None:
        self.path = scene.root / f"swarm-{time.monotonic_ns()}.log"
        place = str((home or scene.home).path)
        command = [sys.executable, "-m", "refinery", "--home", place, "-p", "demo", "swarm"]
        with self.path.open("w") as out:
            self.process = subprocess.Popen(
                [*command, *ANY_LOAD, *args],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )

    @property
    def text(self) -> str:
        """All that it said so far."""
        return self.path.read_text()

    def says(self, words: str, seconds: float = 30.0) -> re.Match[str]:
        """Wait until it says so; the match."""
        wait_for(lambda: re.search(words, self.text) or self.process.poll() is not None, seconds)
        found = re.search(words, self.text)
        assert found, self.text
        return found

    def ctrl_c(self) -> None:
        """As the terminal does: to every process of the foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ends(self, seconds: float = 40.0) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(seconds)

    def children(self, words: str = "run --loop") -> list[int]:
        """The process ids of its children with these words on their command lines: by default the workers."""
        wanted = ["pgrep", "-P", str(self.process.pid), "-f", words]
        found = subprocess.run(wanted, capture_output=True, text=True, check=False)
        return [int(line) for line in found.stdout.split()]


def processes_of(scene: Scene, words: str = "") -> dict[int, str]:
    """The living processes that this scene is named to, or whose environment says so: their command lines by id.

    `words` have to be in the command line or the environment too.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes()
                told = line + (folder / "environ").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if str(scene.root).encode() in told and words.encode() in told and state != "Z":
                found[int(folder.name)] = line.replace(b"\0", b" ").decode()
    return found
