"""The program as a user starts it."""

import os
import subprocess
import sys


def refinery(*args, env=None, cwd=None, **options):
    """The program as a user starts it."""
    command = [sys.executable, "-m", "refinery", *map(str, args)]
    ours = ("REFINERY_", "GIT_", "COLUMNS")  # pytest-xdist sets the last one for its workers
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
        env={**clean, **(env or {})},
        **options,
    )
