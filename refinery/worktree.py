"""The worktree of an attempt: files checked out by us, and a git directory of its own for the agent.

    <folder>/tree/          the agent's working directory
    <folder>/tree/.git/     the agent's: borrows the mirror's objects, shares no config, hook, ref or index with anybody
    <folder>/kept-index     ours: what we checked out, with the stat data of that moment
    <folder>/meta.json      whose it is (`refinery.attempt`)

Our own checkout makes the index that the snapshot starts from. Copies of it keep its time stamp, since git takes an
entry as unchanged only if it is older than its index.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from refinery.carry import carry_over
from refinery.errors import RefineryError, UsageError
from refinery.git import Signature, commit_bytes, write_object
from refinery.mirror import ORIGIN, Mirror

REFINERY: Final = "Refinery"
EMAIL: Final = "refinery@localhost"
_AGENT_CONFIG: Final = """\
[core]
	repositoryformatversion = 0
	filemode = true
	bare = false
	logallrefupdates = true
[user]
	name = Agent
	email = agent@localhost
[commit]
	gpgsign = false
[gc]
	auto = 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A prepared worktree, and what is needed to judge it later.

    A commit made from it has `parents`; it starts at tree `start_tree`, in which the files `conflicts` hold conflict
    markers. `carried` were copied from the user's checkout and never enter a snapshot. `index_digest` is the SHA-256
    of the kept index. Paths are relative to `tree`, with undecodable bytes as surrogates.
    """

    folder: Path
    branch: str
    base: str
    tip: str
    parents: tuple[str, ...]
    start_tree: str
    index_digest: str
    conflicts: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()

    @property
    def tree(self) -> Path:
        """The folder that the agent works in."""
        return self.folder / "tree"

    @property
    def kept_index(self) -> Path:
        """The index of our own checkout."""
        return self.folder / "kept-index"


@dataclass(frozen=True, slots=True)
class Start:
    """Where an attempt starts: the parents of its commit, the tree to check out, and the conflicts within."""

    parents: tuple[str, ...]
    tree: str
    conflicts: tuple[str, ...] = ()


def starting_point(mirror: Mirror, base: str, tip: str = "") -> Start:
    """The base, or the merge of an earlier attempt's `tip` with it (markers kept), so that a push fast-forwards.

    Raises:
        UsageError: tip and base share no history.
    """
    if tip in ("", base):
        return Start((base,), mirror.tree_of(base))
    common = mirror.merge_bases(tip, base)
    if not common:
        raise UsageError(
            f"the branch at {tip[:12]} shares no history with the base at {base[:12]}: the base was replaced",
            remedy="move the old branch away or delete it; the next attempt then starts from the base",
        )
    if common in ((base,), (tip,)):
        newest = tip if common == (base,) else base
        return Start((newest,), mirror.tree_of(newest))
    merged = mirror.predict(tip, base)
    return Start((tip, base), merged.tree, merged.conflicts)


def prepare(
    mirror: Mirror,
    folder: Path,
    *,
    base: str,
    branch: str,
    tip: str = "",
    base_branch: str = "",
    carry_from: Path | None = None,
) -> Worktree:
    """Check out `base` (merged into `tip`, if there is one) in the empty or missing `folder`/tree.

    `branch` is what the agent finds itself on, `polecat/<key>`; `base_branch` (a name) becomes its `origin/<name>`.
    From the checkout `carry_from`, the ignored files that the base's `.worktreeinclude` names are copied.
    Two git processes, four when tip and base diverged.
    """
    start = starting_point(mirror, base, tip)
    tree, kept = folder / "tree", folder / "kept-index"
    tree.mkdir(parents=True)
    mirror.git(work_tree=tree, index=kept).run("read-tree", "--reset", "-u", start.tree)
    worktree = Worktree(
        folder=folder,
        branch=branch,
        base=base,
        tip=tip,
        parents=start.parents,
        start_tree=start.tree,
        index_digest=digest(kept),
        conflicts=start.conflicts,
        carried=carry_over(mirror, folder, base, carry_from) if carry_from else (),
    )
    _give_git(mirror, worktree, base_branch)
    return worktree


def is_as_given(worktree: Worktree) -> bool:
    """Whether the agent's git directory still has the branch that `prepare` put it on, at the commit that it was at."""
    git_dir = worktree.tree / ".git"
    head, ref = git_dir / "HEAD", git_dir / "refs" / "heads" / worktree.branch
    if any(path.is_symlink() for path in (git_dir, head, ref, *ref.parents[:4])):
        return False
    try:
        found = head.read_text("utf-8"), ref.read_text("utf-8")
    except (OSError, UnicodeError):
        return False
    return found == (f"ref: refs/heads/{worktree.branch}\n", f"{worktree.base}\n")


def give_to(worktree: Worktree, branch: str, base_branch: str) -> Worktree:
    """Put a worktree that is as given, and starts at its base, on another branch: only two or three refs change."""
    git_dir = worktree.tree / ".git"
    (git_dir / "refs" / "heads" / worktree.branch).unlink()
    (git_dir / "HEAD").write_text(f"ref: refs/heads/{branch}\n", "utf-8")
    _write_ref(git_dir, f"refs/heads/{branch}", worktree.base)
    if base_branch:
        _write_ref(git_dir, ORIGIN + base_branch, worktree.base)
    return replace(worktree, branch=branch)


def move_to(mirror: Mirror, worktree: Worktree, base: str) -> Worktree | None:
    """Bring a worktree that starts at its base to another one; what was added to its files stays.

    None: something in it is in the way. It is then neither here nor there, and good for nothing.
    """
    new = mirror.tree_of(base)
    git = mirror.git(work_tree=worktree.tree, index=worktree.kept_index)
    if git.attempt("read-tree", "-m", "-u", worktree.start_tree, new).code != 0:
        return None
    shutil.copy2(worktree.kept_index, worktree.tree / ".git" / "index")
    moved = replace(worktree, base=base, parents=(base,), start_tree=new)
    return replace(moved, index_digest=digest(worktree.kept_index))


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _give_git(mirror: Mirror, worktree: Worktree, base_branch: str) -> None:
    """Write the agent's git directory: a dozen small files, 20 ms less than `git clone --shared`."""
    git_dir = worktree.tree / ".git"
    for folder in ("objects/info", "objects/pack", "refs/heads", "info"):
        (git_dir / folder).mkdir(parents=True)
    alternates = os.fsencode(mirror.path.resolve() / "objects")
    (git_dir / "objects" / "info" / "alternates").write_bytes(alternates + b"\n")
    (git_dir / "config").write_text(_AGENT_CONFIG)
    (git_dir / "HEAD").write_text(f"ref: refs/heads/{worktree.branch}\n", "utf-8")
    _write_ref(git_dir, f"refs/heads/{worktree.branch}", _head(git_dir, worktree))
    if base_branch:
        _write_ref(git_dir, ORIGIN + base_branch, worktree.base)
    shutil.copy2(worktree.kept_index, git_dir / "index")


def _head(git_dir: Path, worktree: Worktree) -> str:
    """The commit that the agent sees: with two parents a merge of its own, so that `git status` starts clean."""
    if len(worktree.parents) == 1:
        return worktree.parents[0]
    who = Signature(REFINERY, EMAIL, time.time())
    lines = ["Merge the base into the branch"]
    if worktree.conflicts:
        lines += ["", "Conflict markers were kept in:", *worktree.conflicts]
    body = commit_bytes(worktree.start_tree, worktree.parents, who, who, "\n".join(lines) + "\n")
    return write_object(git_dir, "commit", body, durable=False)


def _write_ref(git_dir: Path, name: str, sha: str) -> None:
    path = git_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sha + "\n")


def remove(folder: Path, home: Path) -> None:
    """Move a worktree's folder into the home's trash: at once, whatever it holds; `empty_trash` deletes it."""
    trash = home / "trash"
    trash.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        try:
            folder.rename(trash / secrets.token_hex(8))
        except PermissionError:  # an agent of the same user may have taken the write bit away
            folder.chmod(0o700)
            folder.rename(trash / secrets.token_hex(8))


def empty_trash(home: Path) -> None:
    """Delete what `remove` put aside, folders without permissions included.

    By `rm` and not by Python, whose removal gives up on trees deeper than its stack and on read-only folders.

    Raises:
        RefineryError: something could not be deleted.
    """
    found = [str(path) for path in (home / "trash").glob("*")]
    if not found:
        return
    delete = ["rm", "-rf", "--", *found]
    if subprocess.run(delete, capture_output=True, check=False).returncode == 0:
        return
    subprocess.run(["chmod", "-R", "u+rwX", "--", *found], capture_output=True, check=False)
    done = subprocess.run(delete, capture_output=True, check=False)
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip()
        raise RefineryError(
            f"the trash could not be emptied: {words}", remedy=f"delete {home / 'trash'} by hand"
        )
