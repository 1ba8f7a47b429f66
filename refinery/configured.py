"""Configuration files, read once: what a text was parsed to is kept in the home's cache, under the text's digest.

Reading a kept configuration takes a millisecond, parsing one takes the import of its parser. What decides a landing
is better parsed afresh (`core.config_model`), since an agent without a sandbox could write to the cache.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, TypeVar

from refinery import __version__
from refinery.core.config import ProjectConfig, UserConfig, from_plain
from refinery.home import Home, explained, write_atomic

_T = TypeVar("_T", ProjectConfig, UserConfig)
_UNUSABLE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError)


def read_project(home: Home, text: bytes, source: str) -> ProjectConfig:
    """The project configuration in `text`; `source` names it in messages.

    Raises:
        ConfigError: every mistake in it, each with file and line.
    """
    return _read(home, ProjectConfig, text, source)


def read_user(home: Home) -> UserConfig:
    """The person's configuration in this home; the defaults where there is no file.

    Raises:
        ConfigError: every mistake in it, each with file and line.
    """
    with explained(home.config_file):
        try:
            text = home.config_file.read_bytes()
        except FileNotFoundError:
            return UserConfig()
    return _read(home, UserConfig, text, str(home.config_file))


def _read(home: Home, kind: type[_T], text: bytes, source: str) -> _T:
    name = hashlib.sha256(f"{kind.__name__} {__version__}\n".encode() + text).hexdigest()
    path = home.cache / f"config-{name}.json"
    with suppress(*_UNUSABLE):
        kept: dict[str, Any] = json.loads(path.read_bytes())
        return from_plain(kind, kept)
    from refinery.core.config_model import read  # noqa: PLC0415  (the import that the cache saves)

    config = read(kind, text, source)
    with suppress(OSError):  # a cache that cannot be written costs time, nothing else
        write_atomic(path, json.dumps(asdict(config)).encode())
    return config
