"""Memory of idle workers: the proportional set size of each of 32, beside a Python that imports nothing.

Pages that workers share (the interpreter, libraries) are divided among those that map them. Linux only.
"""

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.stage import Stage
from tests.support.repos import ENV

_SETTLED = 2.0  # seconds without processor time used: everybody waits
_PATIENCE = 180.0
_AIM = 30.0  # MB


def run(workers: int = 32) -> list[str]:
    """The lines to print."""
    if not Path("/proc/self/smaps_rollup").exists():
        return ["not measured: this system does not tell proportional memory"]
    with tempfile.TemporaryDirectory() as temporary:
        stage = Stage(Path(temporary), 0)
        swarm = subprocess.Popen(stage.swarm(workers, "--forever"), stdout=subprocess.DEVNULL, env=ENV)
        bare = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2)]
        try:
            pids = _settled(swarm, workers)
            seen = [_pss(pid) for pid in pids]
            supervisor, plain = _pss(swarm.pid), statistics.median(_pss(each.pid) for each in bare)
        finally:
            swarm.send_signal(signal.SIGTERM)
            for each in bare:
                each.kill()
            for each in (swarm, *bare):
                each.wait()
    mean = statistics.mean(seen)
    verdict = "met" if mean <= _AIM else "MISSED"
    worker = (
        f"one of {workers} idle workers / python: {mean:.1f} MB / {plain:.1f} MB = {mean / plain:.2f}x"
        f" (aim {_AIM:g} MB, {verdict}; the largest {max(seen):.1f} MB)"
    )
    return [
        worker,
        f"the supervisor / python: {supervisor:.1f} MB / {plain:.1f} MB = {supervisor / plain:.2f}x",
    ]


def _settled(swarm: "subprocess.Popen[bytes]", workers: int) -> list[int]:
    """The workers' process ids, once all are there and none has used the processor for a while."""
    deadline = time.monotonic() + _PATIENCE
    before, since = -1, time.monotonic()
    while time.monotonic() < deadline and swarm.poll() is None:
        pids = list(_workers(swarm.pid))
        used = sum(_used(pid) for pid in pids)
        if (
            used - before > workers or len(pids) < workers
        ):  # looking every few seconds takes a tick or so each
            before, since = used, time.monotonic()
        elif time.monotonic() - since > _SETTLED:
            return pids
        time.sleep(0.2)
    raise SystemExit(f"{workers} workers never came to rest")


def _workers(parent: int) -> Iterator[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(parent), "-f", "run --loop"], capture_output=True, text=True, check=False
    )
    yield from map(int, found.stdout.split())


def _used(pid: int) -> int:
    """Processor time in ticks of a hundredth of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _pss(pid: int) -> float:
    """Proportional set size in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit(f"/proc/{pid}/smaps_rollup has no line Pss")
