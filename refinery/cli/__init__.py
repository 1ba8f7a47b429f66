"""The command line: one verb per module, imported only when it is used."""

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
    from refinery.cli.root import run

    sys.exit(run(sys.argv[1:] if args is None else args))
