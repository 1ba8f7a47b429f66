"""Source archives of real packages, from the package registry through pip, kept by their digest."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Archive:
    """A released source archive; its digest makes every run of a test see the same bytes."""

    name: str
    version: str
    sha256: str


def fetch(archive: Archive, scratch: Path) -> Path:
    """The archive's file in the user's cache, downloaded on first use; skips the test when the registry is silent."""
    kept = _cache() / f"{archive.sha256}.tar.gz"
    if kept.exists() and _digest(kept) == archive.sha256:
        return kept
    found = _download(archive, scratch)
    assert _digest(found) == archive.sha256
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_name(f"{kept.name}.{os.getpid()}")
    shutil.copyfile(found, beside)
    beside.replace(kept)
    return kept


def unpack(file: Path, into: Path) -> Path:
    """The one folder that a source archive holds, below `into`."""
    with tarfile.open(file) as archive:
        archive.extractall(into, filter="data")
    (folder,) = into.iterdir()
    return folder


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "refinery-tests"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _download(archive: Archive, scratch: Path) -> Path:
    """By pip, which compares the digest before it opens the archive."""
    wanted, folder = scratch / "wanted.txt", scratch / "downloaded"
    wanted.write_text(f"{archive.name}=={archive.version} --hash=sha256:{archive.sha256}\n")
    only_source = ("--no-deps", "--no-binary", archive.name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
    ]
    command = [*pip, *only_source, "--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if "DO NOT MATCH THE HASHES" in done.stderr:
        pytest.fail(f"{archive.name} {archive.version} is not what was pinned: {done.stderr[-500:]}")
    if done.returncode != 0:
        pytest.skip(f"the package registry did not give {archive.name}: {done.stderr.strip()[-300:]}")
    (found,) = folder.iterdir()
    return found
