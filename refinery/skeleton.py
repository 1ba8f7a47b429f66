"""The bytes that make a mirror, and what differs from them.

A config, a hook or an attributes file decides what git runs. So the mirror holds a closed list of names, every one of
them a plain file or folder, and whatever else appears there is somebody else's.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from refinery.errors import UsageError

_HEAD: Final = b"ref: refs/heads/none\n"
_PLATFORM: Final = "\tignorecase = true\n\tprecomposeunicode = true\n" if sys.platform == "darwin" else ""
_CONFIG: Final = f"""\
# Written by refinery; compared before every use. Do not edit: settings belong into refinery's configuration.
[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
{_PLATFORM}	logallrefupdates = false
	trustctime = true
	checkstat = default
	multipackindex = false
	attributesfile = /dev/null
	excludesfile = /dev/null
	protecthfs = true
	protectntfs = true
	filesreflocktimeout = 500
	packedrefstimeout = 5000
[gc]
	auto = 0
	pruneexpire = never
""".encode()
_FILES: Final = frozenset({"HEAD", "config", "packed-refs"})
_FOLDERS: Final = frozenset({"objects", "refs", "info"})
_PASSING: Final = frozenset({"packed-refs.lock", "packed-refs.new", "shallow.lock", "gc.pid", "gc.log"})


def write_skeleton(path: Path) -> None:
    """Make an empty mirror, all or nothing; one that somebody else made meanwhile is as good."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    for folder in ("objects/info", "objects/pack", "refs"):
        (building / folder).mkdir(parents=True)
    (building / "HEAD").write_bytes(_HEAD)
    (building / "config").write_bytes(_CONFIG)
    try:
        building.rename(path)
    except OSError:
        shutil.rmtree(building)
        if not (path / "config").exists():
            raise


def difference(path: Path) -> str:
    """What is not as written, in words; empty when nothing is.

    Raises:
        UsageError: there is no mirror.
    """
    try:
        with os.scandir(path) as entries:
            found = {entry.name: entry for entry in entries}
    except OSError as error:
        raise UsageError(f"there is no mirror at {path}", remedy="run `refinery sync`") from error
    for name, entry in found.items():
        if name not in _FILES | _FOLDERS | _PASSING:
            return f"unexpected {name}"
        is_as_made = entry.is_dir if name in _FOLDERS else entry.is_file
        if name not in _PASSING and not is_as_made(follow_symlinks=False):
            return f"{name} is of another kind"  # a FIFO would hang us, a symbolic link lead elsewhere
    for name, expected in (("HEAD", _HEAD), ("config", _CONFIG)):
        if _read(path / name) != expected:
            return f"{name} is not as written"
    return _foreign_objects(path) or _foreign_info(path) or _foreign_refs(path)


def _foreign_objects(path: Path) -> str:
    for name in ("objects/info/alternates", "objects/info/http-alternates"):
        if os.path.lexists(path / name):
            return f"unexpected {name}"
    return ""


def _foreign_info(path: Path) -> str:
    if not (path / "info").exists():
        return ""
    strange = [
        entry.name for entry in (path / "info").iterdir() if entry.name != "refs"
    ]  # `refs`: from `git gc`
    return f"unexpected info/{strange[0]}" if strange else ""


def _foreign_refs(path: Path) -> str:
    """Replaced objects, and branches: ours has none, and one could give newer gits attributes through HEAD."""
    packed = _read(path / "packed-refs")
    for name in ("refs/replace", "refs/heads"):
        if os.path.lexists(path / name) or f" {name}/".encode() in packed:
            return f"unexpected {name}"
    return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
