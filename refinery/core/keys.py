"""The names of tasks and bases in refs.

Property: `key_for` is injective (up to a SHA-256 collision among names whose key would be longer than 240), and two
different keys differ even where case or Unicode form is folded. Every key is one valid ref name component, and with
`.lock` behind it fits into a file name (255 bytes).
"""

import hashlib
import re
from typing import Final

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST: Final = 240
_HASHED: Final = re.compile(r"_z[0-9a-f]{64}\Z")


def key_for(name: str) -> str:
    """The ref name component of a task id or branch name: lower-case, digits, `-`, and `_xx` for other bytes.

    Raises:
        ValueError: `name` is empty.
    """
    raw = name.encode("utf-8", "surrogateescape")
    if not raw:
        raise ValueError("an empty name has no key")
    key = _escape(raw)
    if len(key) > _LONGEST:
        return _escape(raw[:60]) + "_z" + hashlib.sha256(raw).hexdigest()
    return key


def name_of(key: str) -> str | None:
    """The name whose key this is; None where it cannot be told: the key was cut, or is nobody's."""
    if _HASHED.search(key):
        return None
    parts = re.split(r"_([0-9a-f]{2})", key)
    raw = b"".join(
        bytes.fromhex(part) if index % 2 else part.encode("utf-8", "surrogateescape")
        for index, part in enumerate(parts)
    )
    name = raw.decode("utf-8", "surrogateescape")
    return name if name and key_for(name) == key else None


def _escape(raw: bytes) -> str:
    return "".join(
        chr(byte) if byte in _PLAIN and not (index == 0 and byte == ord("-")) else f"_{byte:02x}"
        for index, byte in enumerate(raw)
    )
