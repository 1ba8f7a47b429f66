"""Whether this machine has room for one more agent: free memory, free disk, load."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refinery.core.text import approximate_size

_MEMINFO: Final = Path("/proc/meminfo")
_CGROUPS: Final = (  # limit and use, of version 2 and version 1 (https://docs.kernel.org/admin-guide/cgroup-v2.html)
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current"), "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        "total_inactive_file",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What must be there before a task is claimed: bytes of memory and disk, load per core at the most (0: any)."""

    min_memory: int = 256 * 2**20
    min_disk: int = 512 * 2**20
    max_load: float = 8.0


def obstacle(home: Path, wanted: Thresholds) -> str:
    """Why no further agent should start now; empty when there is room."""
    disk = shutil.disk_usage(home).free
    if disk < wanted.min_disk:
        return f"{_free(disk, wanted.min_disk)} of disk"
    memory = free_memory()
    if memory is not None and memory < wanted.min_memory:
        return f"{_free(memory, wanted.min_memory)} of memory"
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    if wanted.max_load and load > wanted.max_load:
        return f"the load is {load:.1f} per core, {wanted.max_load:g} is the most"
    return ""


def _free(there: int, wanted: int) -> str:
    return f"{approximate_size(there)} free and {approximate_size(wanted)} wanted"


def free_memory() -> int | None:
    """Bytes that a new process could get without swapping, within this container's limit; None: nobody tells."""
    found = [each for each in (_of_machine(), *(_of_group(*files) for files in _CGROUPS)) if each is not None]
    return min(found, default=None)


def _of_machine() -> int | None:
    if sys.platform == "darwin":
        return _of_mac()
    with suppress(OSError):
        if found := re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMINFO.read_text(), re.MULTILINE):
            return int(found[1]) * 1024
    return None


def _of_mac() -> int | None:
    text = subprocess.run(["vm_stat"], capture_output=True, text=True, check=False).stdout
    size = re.search(r"page size of (\d+) bytes", text)
    pages = re.findall(r"^Pages (?:free|inactive|speculative):\s+(\d+)\.", text, re.MULTILINE)
    return int(size[1]) * sum(map(int, pages)) if size and pages else None


def _of_group(limit: Path, use: Path, cache: str) -> int | None:
    with suppress(OSError, ValueError):
        most, used = int(limit.read_text()), int(use.read_text())
        given_back = re.search(rf"^{cache} (\d+)$", (use.parent / "memory.stat").read_text(), re.MULTILINE)
        return most - used + (int(given_back[1]) if given_back else 0)
    return None
