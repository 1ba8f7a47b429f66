"""Telling a person who is not looking: a desktop notification where there is one, else the terminal's bell."""

import shutil
import subprocess
import sys
from typing import Final

_TITLE: Final = "Refinery"
_LONGEST: Final = 3.0  # seconds for the desktop to take it


def notify(text: str) -> bool:
    """Show `text`; whether it came to be seen or heard. Never an error: the alert itself is printed elsewhere."""
    return _on_desktop(text) or _ring()


def _on_desktop(text: str) -> bool:
    argv = _command(text)
    if argv is None:
        return False
    try:
        done = subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=_LONGEST, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _command(text: str) -> list[str] | None:
    """The text travels as an argument of its own, so that nothing in it is read as an option or as a script."""
    if shutil.which("notify-send"):
        return ["notify-send", "--app-name", _TITLE, "--", _TITLE, text]
    if shutil.which("osascript"):
        script = [
            "on run argv",
            "display notification (item 1 of argv) with title (item 2 of argv)",
            "end run",
        ]
        return ["osascript", *(word for line in script for word in ("-e", line)), text, _TITLE]
    return None


def _ring() -> bool:
    terminal = sys.__stderr__  # a live view redirects the other one
    if terminal is None or not terminal.isatty():
        return False
    try:
        terminal.write("\a")
        terminal.flush()
    except OSError:
        return False
    return True
