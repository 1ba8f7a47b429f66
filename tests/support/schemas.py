"""GitHub's published schemas, OpenAPI and GraphQL, from the npm registry at pinned versions, cached outside of git.

The cache is `$REFINERY_TEST_SCHEMAS`, else `refinery-tests` in the user's cache folder. Where the registry cannot be
reached the tests skip and say so; with `CI=true` that is a failure, since CI must always have held the fake to them.
"""

import fcntl
import functools
import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import graphql
import pytest

NEWER = Path(__file__).parent.parent.parent / "refinery" / "testing" / "schema_newer.graphql"


@dataclass(frozen=True)
class Published:
    """One file of a released npm package; `sha512` is of that file, so the rest of the package does not matter."""

    package: str
    member: str
    sha512: str


OPENAPI = Published(
    "@octokit/openapi@23.0.2",
    "package/generated/api.github.com.json",
    "ea1a01e8c254ee2d52ecc9450516686f968386c9ec1c75b5fc21a517aa3277781c10d74c0c3f9ffddbcbee57031a8fff100057f18eb10ccc1ab2fdf1a9c7e650",
)
GRAPHQL = Published(
    "@octokit/graphql-schema@15.26.1",
    "package/schema.graphql",
    "448dc77681a9616149edd1f43342848cf79be6466f65d59a3933f39abb7018b31633141c64ca30214ca6840104107a17c8315df56d1f707585d1f294fde50a70",
)


@functools.cache
def openapi() -> dict[str, Any]:
    """GitHub's REST description, with null added where it is allowed and the schema forgot it."""
    description: dict[str, Any] = json.loads(fetch(OPENAPI).read_bytes())
    _mend(description)
    return description


@functools.cache
def published() -> graphql.GraphQLSchema:
    """GitHub's GraphQL schema as the pinned package has it."""
    return graphql.build_schema(fetch(GRAPHQL).read_text(), assume_valid=True, no_location=True)


@functools.cache
def current() -> graphql.GraphQLSchema:
    """The published schema and the few fields that GitHub documents and the pinned package does not have yet."""
    return graphql.extend_schema(published(), graphql.parse(NEWER.read_text()), assume_valid=True)


def fetch(wanted: Published) -> Path:
    """The file in the cache, downloaded on first use and compared with its pinned digest on each."""
    kept = _cache() / wanted.sha512[:16] / Path(wanted.member).name
    with _alone(kept.parent):
        if not kept.exists() or _digest(kept.read_bytes()) != wanted.sha512:
            _download(wanted, kept)
    return kept


def _download(wanted: Published, kept: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        command = ["npm", "pack", "--silent", "--pack-destination", scratch, wanted.package]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=240, cwd=scratch)
        except (OSError, subprocess.SubprocessError) as error:
            said = str(getattr(error, "stderr", "") or error).strip()
            _unavailable(f"npm did not give {wanted.package}: {said[-300:]}")
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as package:
            member = package.extractfile(wanted.member)
            assert member is not None, f"{wanted.package} has no file {wanted.member}"
            text = member.read()
        assert _digest(text) == wanted.sha512, f"{wanted.package} is not what was pinned"
        beside = kept.with_name(f"{kept.name}.{os.getpid()}")
        beside.write_bytes(text)
        beside.replace(kept)


def _unavailable(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _cache() -> Path:
    chosen = os.environ.get("REFINERY_TEST_SCHEMAS")
    return Path(chosen) if chosen else _user_cache() / "refinery-tests"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process downloads while the others of the same test run wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(text: bytes) -> str:
    return hashlib.sha512(text).hexdigest()


def _mend(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("nullable") and isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"].append(None)
        if node.get("nullable") and len(node.get("allOf", [])) > 1:  # nothing is a person and a company
            node["anyOf"] = node.pop("allOf")
        node.pop(
            "discriminator", None
        )  # the choices tell themselves apart, and a list has no property to look at
        for way in ("oneOf", "anyOf"):
            choices = node.get(way, []) if node.get("nullable") else []
            if choices and not any("nullable" in str(choice) for choice in choices):
                choices.append({"nullable": True, "enum": [None]})
        for value in node.values():
            _mend(value)
    elif isinstance(node, list):
        for value in node:
            _mend(value)
