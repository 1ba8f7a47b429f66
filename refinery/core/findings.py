"""What a look at a machine or a project found, one thing at a time, each with its remedy."""

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `level` is ok, warn or fail; `project` is empty for the machine's own."""

    level: str
    name: str
    message: str
    remedy: str = ""
    project: str = ""
