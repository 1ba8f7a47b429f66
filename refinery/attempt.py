"""One attempt on this machine: its worktree, the note of whose it is, and what a dead worker left behind.

`worktrees/<attempt id>/meta.json` is written before anything else is in the folder, so a worktree without a readable
note is damage, not a crash. One that was taken from the pool stays where it was prepared, with its note added there.
A process is known by its id *and* its start time: ids are used again.
"""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from refinery.errors import TamperedError, UsageError
from refinery.git import Signature
from refinery.mirror import Mirror
from refinery.snapshot import Stamp, commit_snapshot, snapshot
from refinery.worktree import EMAIL, REFINERY, Worktree, prepare

READY: Final = "ready"  # in a folder of the pool (`refinery.pool`): free for the first who takes it
IN_HAND: Final = re.compile(
    r"(?:filling|taken)-([0-9]+)-[0-9a-f]+"
)  # there too: a process prepares it, or looks at it


class State(StrEnum):
    """How far an attempt came. Only in READY can there be work that nobody else holds."""

    PREPARING = "preparing"
    READY = "ready"
    SAVED = "saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What an attempt is about: `claim` is the SHA of the claim it runs under, `tip` an earlier attempt's commit."""

    project: str
    task: str
    key: str
    attempt: int
    claim: str
    branch: str
    base: str
    tip: str = ""
    base_branch: str = ""

    @property
    def id(self) -> str:
        """The attempt's name on this machine; fencing is by the claim, hence its SHA (F4)."""
        return f"{self.key[:80]}-{self.attempt}-{self.claim[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What `meta.json` says. `worktree` is None until it has been prepared; `started` identifies the process `pid`."""

    work: Work
    pid: int
    started: str
    state: State = State.PREPARING
    worktree: Worktree | None = None


@dataclass(frozen=True, slots=True)
class Leftover:
    """A worktree whose worker is dead. `meta` is None if its note cannot be read (`problem`): then keep it."""

    folder: Path
    meta: Meta | None
    problem: str = ""


def begin(mirror: Mirror, home: Path, work: Work, *, carry_from: Path | None = None) -> Worktree:
    """Make the worktree of an attempt, noted as this process's. Errors as `worktree.prepare`.

    Raises:
        UsageError: there is a worktree of the same claim already.
    """
    meta = Meta(work=work, pid=os.getpid(), started=process_start(os.getpid()) or "")
    folder = _claim_folder(home / "worktrees", meta)
    worktree = prepare(
        mirror,
        folder,
        base=work.base,
        branch=work.branch,
        tip=work.tip,
        base_branch=work.base_branch,
        carry_from=carry_from,
    )
    write_meta(folder, replace(meta, state=State.READY, worktree=worktree))
    return worktree


def _claim_folder(worktrees: Path, meta: Meta) -> Path:
    """The attempt's folder with its note in it: both appear at once."""
    worktrees.mkdir(parents=True, exist_ok=True)
    building = worktrees / scratch_name("new")
    building.mkdir()
    write_meta(building, meta)
    folder = worktrees / meta.work.id
    try:
        building.rename(folder)
    except OSError as error:
        (building / "meta.json").unlink()
        building.rmdir()
        raise UsageError(
            f"there is a worktree {folder} of this very claim already",
            remedy="run `refinery reconcile`, which saves and removes what a dead worker left",
        ) from error
    return folder


def mark_saved(folder: Path) -> None:
    """Note that the forge holds this attempt's work: a crash from now on loses nothing."""
    write_meta(folder, replace(read_meta(folder), state=State.SAVED))


def check_note(folder: Path, work: Work) -> None:
    """Make sure that the note still says whose worktree this is, before anything in it is believed.

    Raises:
        TamperedError: an agent changed it.
    """
    try:
        is_ours = read_meta(folder).work == work
    except UsageError:
        is_ours = False
    if not is_ours:
        raise TamperedError(
            f"the worktree {folder} cannot be trusted: the note of whose it is was changed",
            remedy="nothing of it was taken; look at the folder, then run the task again",
        )


def write_meta(folder: Path, meta: Meta) -> None:
    """Write `meta.json`, atomically."""
    values = asdict(replace(meta, worktree=None))
    if meta.worktree is not None:
        values["worktree"] = {**asdict(meta.worktree), "folder": meta.worktree.folder.name}
    temporary = folder / "meta.json.new"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(values, file, indent=1)
    temporary.replace(folder / "meta.json")


def read_meta(folder: Path) -> Meta:
    """The note of a worktree.

    Raises:
        UsageError: it is missing or damaged.
    """
    try:
        return _parse(folder, json.loads((folder / "meta.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{folder / 'meta.json'} cannot be read: {error}",
            remedy=f"look for work in {folder / 'tree'}, then delete {folder} by hand",
        ) from error


def _parse(folder: Path, values: Mapping[str, Any]) -> Meta:
    found = values["worktree"]
    return Meta(
        work=Work(**values["work"]),
        pid=int(values["pid"]),
        started=str(values["started"]),
        state=State(values["state"]),
        worktree=Worktree(**{**_tuples(found), "folder": folder}) if found else None,
    )


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def leftovers(home: Path) -> list[Leftover]:
    """The worktrees whose process is dead, by name; those of live ones are nobody else's business."""
    found = []
    pooled = [folder for folder in sorted((home / "pool").glob("*/[!.]*")) if _is_attempts(folder)]
    for folder in [*sorted((home / "worktrees").glob("[!.]*")), *pooled]:
        try:
            meta = read_meta(folder)
        except UsageError as error:
            found.append(Leftover(folder, None, error.message))
            continue
        if not is_alive(meta):
            found.append(Leftover(folder, meta))
    return found


def _is_attempts(folder: Path) -> bool:
    """Whether an attempt works, or worked, in this folder of the pool: nobody has to work in it first."""
    for _ in range(2):  # a rename while the folder is listed can hide both names
        try:
            names = set(os.listdir(folder))  # noqa: PTH208  (one call, so that few renames come between)
        except OSError:
            return False
        if "meta.json" not in names and any(name == READY or IN_HAND.fullmatch(name) for name in names):
            return False
    return True


def scratch_name(kind: str) -> str:
    """A new name for a folder of this process's that holds nobody's work."""
    return f".{kind}-{os.getpid()}-{secrets.token_hex(4)}"


def dead_scratch(home: Path) -> list[Path]:
    """Such folders whose process is dead. One whose process id was given out again stays until that one has ended."""
    found = []
    for folder in sorted((home / "worktrees").glob(".*-*-*")):
        pid = folder.name.split("-")[1]
        if pid.isdecimal() and process_start(int(pid)) is None:
            found.append(folder)
    return found


def is_alive(meta: Meta) -> bool:
    """Whether the very process that began the attempt still runs."""
    started = process_start(meta.pid)
    return started is not None and started == meta.started


def snapshot_leftover(mirror: Mirror, leftover: Leftover, now: float) -> str | None:
    """A commit of what a dead attempt left, or None if there is nothing that the forge lacks.

    The caller pushes it to `refs/refinery/preserved/<key>/<attempt>-<claim>`, and removes the folder after that.

    Raises:
        UsageError: the note cannot be read, so nobody knows what the files belong to.
        TamperedError, GitError: as `snapshot`.
    """
    meta = leftover.meta
    if meta is None:
        raise UsageError(leftover.problem, remedy=f"look at {leftover.folder} by hand")
    if meta.state is not State.READY or meta.worktree is None:
        return None
    taken = snapshot(mirror, meta.worktree)
    if not taken.is_changed:
        return None
    work = meta.work
    stamp = Stamp(work.task, work.attempt, work.claim)
    author = Signature(REFINERY, EMAIL, now)
    message = f"Interrupted work on {' '.join(work.task.split())}"
    return commit_snapshot(mirror, taken, meta.worktree.parents, stamp, author, message)


def process_start(pid: int) -> str | None:
    """What tells this process from a later one with the same id, or None if there is no such process.

    Linux: the boot, and the start in clock ticks since then (proc(5), field 22). Elsewhere: `ps -o lstart=`.
    """
    if sys.platform != "linux":
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"
