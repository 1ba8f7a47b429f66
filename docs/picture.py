"""Draw docs/demo.svg from a real run of the demo: `python docs/picture.py` (takes as long as the demo)."""

import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

FIRST = 48  # lines from the beginning
WIDTH = 124


def main() -> None:
    """Run the demo on a terminal of its own, shorten its middle, and draw it."""
    lines = _run()
    table = next(number for number, line in enumerate(lines) if "what it shows" in _plain(line))
    shown = [*lines[:FIRST], "        …", "", *lines[table:]]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in shown:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="make demo", unique_id="demo")
    Path(__file__).with_name("demo.svg").write_text(svg, "utf-8")


def _run() -> list[str]:
    """The demo's output with its colours."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLUMNS=str(WIDTH), TERM="xterm-256color")
        os.execvp(sys.executable, [sys.executable, "-m", "refinery", "demo"])  # noqa: S606  (no shell is wanted)
    raw = b""
    while piece := _read(terminal):
        raw += piece
    os.waitpid(pid, 0)
    return raw.decode("utf-8", "replace").replace("\r\n", "\n").splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the way in which a terminal says that its last program has ended
        return b""


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


if __name__ == "__main__":
    main()
