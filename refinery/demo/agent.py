"""The demo's agent: does what its script says for this task and attempt. Copied beside the demo, and run by itself.

It is a program like any other agent: it knows its task from the environment, works in its current folder, and speaks
by its exit code and its result file. Standard library only.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    """Read the script, do the step of this attempt, and return the exit code."""
    steps: list[dict[str, Any]] = json.loads(Path(sys.argv[1]).read_text("utf-8"))[
        os.environ["REFINERY_TASK"]
    ]
    step = steps[min(int(os.environ["REFINERY_ATTEMPT"]), len(steps)) - 1]
    if step["told"] not in sys.stdin.read():
        _say(f"nobody told me {step['told']!r}")
        return 1
    _say(f"{step['says']} (in {Path.cwd().parent.name}/)")
    for path, text in step["write"].items():
        _write(Path(path), text)
    for path, text in step["append"].items():
        _write(Path(path), Path(path).read_text("utf-8") + text)
    for path, line in step["remove"].items():
        lines = Path(path).read_text("utf-8").splitlines(keepends=True)
        _write(Path(path), "".join(each for each in lines if each.strip() != line))
    if step["result"]:
        _write(Path(os.environ["REFINERY_RESULT_FILE"]), json.dumps(step["result"]))
    time.sleep(step["sleeps"])
    return int(step["exits"])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
