"""`python -m benchmarks [NAME ...]`: run all benchmarks, or those named, and print ratios against their baselines."""

import importlib
import sys
from collections.abc import Sequence

NAMES = ("startup", "claim", "task", "readiness", "pool", "swarm", "swarm_idle", "swarm_landing")


def main(argv: Sequence[str]) -> int:
    """Print each benchmark's lines as it ends; 2 for a name that there is not."""
    unknown = [name for name in argv if name not in NAMES]
    if unknown:
        print(f"there is no benchmark {unknown[0]}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in argv or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"{name}: {(module.__doc__ or '').splitlines()[0]}")
        told = module.run()
        lines = told if isinstance(told, list) else [f"{key}: {value}" for key, value in told.items()]
        print("".join(f"  {line}\n" for line in lines), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
