"""Durations, sizes, ages, suggestions and terminal widths: words and numbers as people read and write them.

Properties: `parse_duration(format_duration(x)) == x` for whole milliseconds, and likewise for sizes; `truncate` never
returns more columns than it was given.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART: Final = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*(ms|[smhdw])"
DURATION_PATTERN: Final = r"^0$|^([0-9]{1,15}(\.[0-9]{1,6})?\s*(ms|s|m|h|d|w)\s*)+$"
_BYTES: Final = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
SIZE_PATTERN: Final = r"^0$|^[0-9]{1,15}(\.[0-9]{1,6})?\s*([KkMmGgTt][Ii]?)?[Bb]$"


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `15m`, `4h`, `2d`, `1h30m`, `250ms` or `0`.

    Raises:
        ValueError: no number with a unit; the message says what to write.
    """
    word = text.strip()
    if not re.fullmatch(DURATION_PATTERN.strip("^$"), word):
        example = f"{word}s or {word}m" if re.fullmatch(r"[0-9]{1,15}", word) else "90s, 15m, 4h or 2d"
        raise ValueError(f"{text!r} is not a duration: write a number with its unit, such as {example}")
    parts = [(float(number), unit) for number, unit in re.findall(_PART, word)]
    return sum(number / 1000 if unit == "ms" else number * _SECONDS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """`seconds` exactly, in the largest unit that leaves a whole number: `15m`, `90s`, `250ms`."""
    millis = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        step = int(_SECONDS[unit] * 1000)
        if millis and millis % step == 0:
            return f"{millis // step}{unit}"
    return f"{millis}ms" if millis else "0s"


def approximate_duration(seconds: float) -> str:
    """`seconds` as a person says it, in the two largest units: `0.4s`, `12s`, `1m30s`, `2h5m`, `3d4h`."""
    if seconds < 0:
        return "-" + approximate_duration(-seconds)
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for big, small in (("d", "h"), ("h", "m"), ("m", "s")):
        count, rest = divmod(whole, int(_SECONDS[big]))
        if count:
            lesser = rest // int(_SECONDS[small])
            return f"{count}{big}{lesser}{small}" if lesser else f"{count}{big}"
    return f"{whole}s"


def parse_size(text: str) -> int:
    """Bytes of `100MB`, `4GB`, `512KiB` or `0`. KB, MB, GB and TB are powers of 1000, KiB and so on of 1024.

    Raises:
        ValueError: no number with a unit.
    """
    word = text.strip()
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-z]+)", word, re.IGNORECASE)
    units = {name.lower(): size for name, size in _BYTES.items()}
    if word == "0":
        return 0
    if found is None or found[2].lower() not in units:
        raise ValueError(f"{text!r} is not a size: write a number with its unit, such as 100MB or 4GB")
    return round(float(found[1]) * units[found[2].lower()])


def format_size(count: int) -> str:
    """`count` bytes exactly, in the largest unit that leaves a whole number: `100MB`, `512KiB`, `17B`."""
    for unit in ("TB", "TiB", "GB", "GiB", "MB", "MiB", "KB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return f"{count}B"


def approximate_size(count: int) -> str:
    """`count` bytes as a person says it: `17 B`, `1.2 MB`."""
    for unit in ("TB", "GB", "MB", "KB"):
        if count >= _BYTES[unit]:
            return f"{count / _BYTES[unit]:.1f} {unit}"
    return f"{count} B"


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that `word` was probably meant to be, or an empty string. Case does not count."""
    by_folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean NAME?`, or an empty string when nothing is near."""
    name = closest(word, known)
    return f"did you mean {name}?" if name else ""


def plural(count: int, singular: str, several: str = "") -> str:
    """`1 task`, `2 tasks`; `several` where adding an s is wrong."""
    return f"{count} {singular if count == 1 else several or singular + 's'}"


def listing(words: Iterable[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    items = list(words)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def width(text: str) -> int:
    """The columns that `text` takes on a terminal: wide characters two, combining and invisible ones none."""
    return sum(map(_columns, text))


def plain_table(rows: Sequence[Sequence[str]], gap: str = "  ") -> str:
    """`rows` as left-aligned columns, without a rule or colour; a final newline unless there are no rows."""
    if not rows:
        return ""
    widths = [max(width(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)]
        lines.append(gap.join(cells).rstrip() + "\n")
    return "".join(lines)


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf", "Cc"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
