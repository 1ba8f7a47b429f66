"""The warm pool: worktrees prepared ahead of need, set-up included, that an attempt takes instead of making one.

    pool/<project>/<name>/tree, kept-index     as in any worktree; the tree never moves, since set-up may write its path
    pool/<project>/<name>/inventory            what lay in it when set-up had ended (`refinery.inventory`)
    pool/<project>/<name>/setup.log            what set-up printed
    pool/<project>/<name>/filling-<pid>-…      whose it is now: being prepared …
                          ready                … free for the first who takes it: its note …
                          taken-<pid>-…        … being looked at by somebody who will work in it, or throw it away
                          meta.json            the worktree of an attempt (`refinery.attempt`), and never free again

Properties
- Taking is one rename of `ready`: of any number of takers one wins, and nobody waits for anybody.
- Taken once, it is an attempt's or in the trash: there is no way back to `ready`.
- Until `meta.json` is there nobody has worked in it, so what a dead process left without one is thrown away.
- What anybody touched in between is not used: that shows by its inventory. A program of the same user outside any box
  could forge note, list, index and files alike, as it could forge this program (docs/security.md).
"""

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from refinery.attempt import IN_HAND, READY, Meta, State, Work, process_start, scratch_name, write_meta
from refinery.carry import offer_digest
from refinery.core.config import ProjectConfig
from refinery.core.pooling import FRESH, may_move
from refinery.errors import GitError
from refinery.inventory import NAME, Inventory, difference, record
from refinery.mirror import Mirror
from refinery.worktree import Worktree, give_to, is_as_given, move_to, prepare, remove

LOG: Final = "setup.log"
_BRANCH: Final = "polecat/prepared"
_BESIDE: Final = frozenset({"tree", "kept-index", "include", NAME, LOG})
_SHA: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a worktree has to be prepared for.

    `kind` is `core.pooling.kind_of`; `checkout` is where files are carried over from.
    """

    project: str
    kind: str
    base: str
    base_branch: str
    config: ProjectConfig
    checkout: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A prepared worktree.

    `offer` is the digest of what the checkout had to carry over, `made_at` is in seconds since the epoch.
    """

    project: str
    kind: str
    base_branch: str
    offer: str
    made_at: float
    worktree: Worktree
    inventory: Inventory

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.worktree.folder


@dataclass(frozen=True, slots=True)
class Taken:
    """A worktree that is now an attempt's, and when it was prepared (seconds since the epoch)."""

    worktree: Worktree
    made_at: float

    @property
    def printed(self) -> bytes:
        """What its set-up printed."""
        log = self.worktree.folder / LOG
        return log.read_bytes() if log.is_file() else b""


def fill(
    mirror: Mirror, home: Path, wanted: Wanted, set_up: Callable[[Worktree], str]
) -> tuple[Entry | None, str]:
    """Prepare one more worktree: the entry, or why there is none.

    `set_up` runs the commands and says why they failed, or nothing; the entry's name, in `marker_of`, marks what it
    starts. The caller holds the project's lock. Errors as `worktree.prepare` and `inventory.record`.
    """
    folder, token = _begin(home / "pool" / wanted.project)
    try:
        worktree = prepare(
            mirror,
            folder,
            base=wanted.base,
            branch=_BRANCH,
            base_branch=wanted.base_branch,
            carry_from=wanted.checkout,
        )
        offer = _offer(mirror, folder, wanted)
        problem = "" if _is_as_carried(worktree, wanted) else "a carried file changed while it was copied"
        problem = problem or set_up(worktree)
        if not problem and not is_as_given(worktree):
            problem = "set-up changed the branch of the worktree's own git directory"
        if not problem:
            return _finish(mirror, wanted, worktree, offer, token), ""
    except BaseException:
        remove(folder, home)
        raise
    remove(folder, home)
    return None, problem


def _begin(shelf: Path) -> tuple[Path, Path]:
    """A new folder with its token in it: both appear at once."""
    shelf.mkdir(parents=True, exist_ok=True)
    building = shelf / scratch_name("new")
    building.mkdir()
    token = _token("filling")
    (building / token).touch()
    folder = shelf / secrets.token_hex(4)
    building.rename(folder)
    return folder, folder / token


def _finish(mirror: Mirror, wanted: Wanted, worktree: Worktree, offer: str, token: Path) -> Entry:
    inventory = record(mirror, worktree)
    entry = Entry(
        project=wanted.project,
        kind=wanted.kind,
        base_branch=wanted.base_branch,
        offer=offer,
        made_at=time.time(),
        worktree=replace(worktree, index_digest=inventory.index_digest),
        inventory=inventory,
    )
    values = asdict(entry)
    values["worktree"]["folder"] = worktree.folder.name
    token.write_text(json.dumps(values), "utf-8")
    token.rename(worktree.folder / READY)
    return entry


def _token(kind: str) -> str:
    return f"{kind}-{os.getpid()}-{secrets.token_hex(4)}"


def marker_of(folder: Path) -> str:
    """What marks the processes of an entry's set-up, so that strays of a killed one are found."""
    return f"pool-{folder.name}"


def _offer(mirror: Mirror, folder: Path, wanted: Wanted) -> str:
    if wanted.checkout is None:
        return ""
    return offer_digest(mirror, folder, wanted.base, wanted.checkout)


def _is_as_carried(worktree: Worktree, wanted: Wanted) -> bool:
    """Whether the copies are of what the offer tells of: a copy has the time of its original."""
    if wanted.checkout is None:
        return not worktree.carried
    pairs = [((worktree.tree / name).lstat(), (wanted.checkout / name).lstat()) for name in worktree.carried]
    return all((one.st_size, one.st_mtime_ns) == (two.st_size, two.st_mtime_ns) for one, two in pairs)


def ready(home: Path, project: str = "*") -> list[Entry]:
    """The entries that are free now, the oldest first; damaged ones, which nobody can use, are thrown away."""
    found = []
    for note in (home / "pool").glob(f"{project}/*/{READY}"):
        try:
            found.append(_parse(note.parent, json.loads(note.read_bytes())))
        except FileNotFoundError:  # somebody just took it
            continue
        except (OSError, ValueError, TypeError, KeyError):
            discard(home, note.parent)
    return sorted(found, key=lambda entry: entry.made_at)


def _parse(folder: Path, values: Mapping[str, Any]) -> Entry:
    tuples = {name: tuple(value) for name, value in values["worktree"].items() if isinstance(value, list)}
    worktree = Worktree(**{**values["worktree"], **tuples, "folder": folder})
    inventory = values["inventory"]
    entry = Entry(
        project=str(values["project"]),
        kind=str(values["kind"]),
        base_branch=str(values["base_branch"]),
        offer=str(values["offer"]),
        made_at=float(values["made_at"]),
        worktree=worktree,
        inventory=Inventory(**{**inventory, "changed": tuple(inventory["changed"])}),
    )
    is_sound = _SHA.fullmatch(worktree.base) and worktree.branch == _BRANCH and not worktree.conflicts
    if not is_sound or entry.project != folder.parent.name or worktree.parents != (worktree.base,):
        raise ValueError("not a note of ours")
    return entry


def take(
    mirror: Mirror, home: Path, wanted: Wanted, work: Work, tell: Callable[[str], None] = lambda _: None
) -> Taken | None:
    """A prepared worktree for an attempt that starts at `wanted.base`, noted as this process's; None: there is none.

    Those prepared at that very base come first. What is found unfit goes to the trash, and `tell` hears why.
    """
    fitting = [entry for entry in ready(home, wanted.project) if serves(mirror, entry, wanted)]
    for entry in sorted(fitting, key=lambda entry: entry.worktree.base != wanted.base):
        token = _win(entry.folder)
        if token is None:
            continue
        worktree, why = _made_ready(mirror, entry, wanted, work)
        if worktree is None:
            remove(entry.folder, home)
            tell(f"a prepared worktree was thrown away: {why}")
            continue
        started = process_start(os.getpid()) or ""
        write_meta(
            entry.folder,
            Meta(work=work, pid=os.getpid(), started=started, state=State.READY, worktree=worktree),
        )
        token.unlink()
        return Taken(worktree, entry.made_at)
    return None


def serves(mirror: Mirror, entry: Entry, wanted: Wanted) -> bool:
    """Whether an entry was prepared for this, by its note: the same set-up, lately, at the base or one like it."""
    is_alike = entry.kind == wanted.kind and entry.base_branch == wanted.base_branch
    if not is_alike or not 0 <= time.time() - entry.made_at < FRESH:
        return False
    return entry.worktree.base == wanted.base or _may_move(mirror, entry.worktree.base, wanted)


def _may_move(mirror: Mirror, old: str, wanted: Wanted) -> bool:
    listing = ("diff-tree", "-r", "--name-only", "-z", "--no-renames", old, wanted.base, "--")
    done = mirror.git().attempt(*listing)
    changed = (os.fsdecode(name) for name in done.out.split(b"\0") if name)
    return done.code == 0 and may_move(changed, wanted.config)


def _win(folder: Path) -> Path | None:
    """Become the only one who may do anything with an entry."""
    token = folder / _token("taken")
    try:
        (folder / READY).rename(token)
    except OSError:
        return None
    return token


def _made_ready(mirror: Mirror, entry: Entry, wanted: Wanted, work: Work) -> tuple[Worktree | None, str]:
    """The entry as the worktree of that attempt, or why it cannot be."""
    names = {path.name for path in entry.folder.iterdir() if not IN_HAND.fullmatch(path.name)}
    if not names <= _BESIDE:
        return None, f"{min(names - _BESIDE)} appeared beside it"
    try:
        why = difference(mirror, entry.worktree, entry.inventory)
    except GitError as error:
        why = error.message
    if not why and entry.worktree.start_tree != mirror.tree_of(entry.worktree.base):
        why = "its note does not hold"
    if not why and _offer(mirror, entry.folder, wanted) != entry.offer:
        why = "the files that are carried over from the checkout have changed"
    if why:
        return None, why
    worktree: Worktree | None = entry.worktree
    if entry.worktree.base != wanted.base:
        worktree = move_to(mirror, entry.worktree, wanted.base)
    if worktree is None:
        return None, "what set-up made is in the way of the newer base"
    return replace(give_to(worktree, work.branch, wanted.base_branch), tip=work.tip), ""


def discard(home: Path, folder: Path) -> bool:
    """Throw an entry away; False when somebody was faster."""
    is_ours = _win(folder) is not None
    if is_ours:
        remove(folder, home)
    return is_ours


def dead_entries(home: Path, project: str = "*") -> list[Path]:
    """Entries that a dead process was preparing or looking at: nobody has worked in them."""
    return [folder for folder, pid in _in_hand(home, project) if process_start(pid) is None]


def _in_hand(home: Path, project: str) -> Iterator[tuple[Path, int]]:
    """The folders that a process has in hand, or was just making, with its id."""
    for folder in sorted((home / "pool").glob(f"{project}/*")):
        if folder.name.startswith("."):
            yield folder, int(folder.name.split("-")[1])
            continue
        with suppress(OSError):
            names = [path.name for path in folder.iterdir()]
            tokens = [found for name in names if (found := IN_HAND.fullmatch(name))]
            if tokens and "meta.json" not in names:
                yield folder, int(tokens[0][1])
