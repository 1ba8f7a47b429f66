"""The command line: one verb per module, imported only when it is used."""

import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the program and exit: 0 when all is well, else with the exit code of how it ended."""
    if os.name == "nt":
        sys.stderr.write(
            "error: Windows is not supported yet\n  → run Refinery in WSL, or on Linux or macOS\n"
        )
        sys.exit(2)
    _complete_streams()
    try:
        from refinery.cli.root import run

        sys.exit(run(sys.argv[1:] if args is None else args))
    except KeyboardInterrupt:  # while importing, or while ending
        sys.stderr.write("error: stopped\n")
        sys.stderr.flush()
        os._exit(130)  # an interrupt inside a generated class has the interpreter end by the signal instead


def _complete_streams() -> None:
    """Put the null device where a caller closed a standard stream, so that no file of ours gets its number.

    What an output's encoding lacks is written as escapes: a strange title must not end a run.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115  (a descriptor, open for as long as we run)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
