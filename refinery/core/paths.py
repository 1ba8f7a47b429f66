"""Names of files as other systems read them: folding, globs, and names that no tree should gain.

Property: two names that any of Linux, macOS or Windows takes for one fold to the same text.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

# HFS+ ignores these when it compares names, so ".g\u200cit" is ".git" there (git: `next_hfs_char`).
_IGNORED: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])[ ]*(\..*)?")
_DOT_GIT: Final = re.compile(r"\.git|git~[0-9]+")
_UNPORTABLE: Final = re.compile(r'[\\:<>"|?*]')
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Co"})
_LONGEST: Final = 255  # bytes in one name, the limit of ext4, APFS and NTFS


def fold(name: str) -> str:
    """What a file system that folds case, Unicode form or trailing dots may take `name` (a path's component) for."""
    if name.isascii():
        return name.lower().rstrip(". ") or name
    text = unicodedata.normalize("NFKC", _IGNORED.sub("", name)).casefold()
    return unicodedata.normalize("NFKC", text).rstrip(". ") or name


def fold_path(path: str) -> str:
    """`fold` on every component."""
    return "/".join(map(fold, path.split("/")))


def ancestors(path: str) -> list[str]:
    """The folders that hold `path`, outermost first, beginning with the root `""`."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts))]


def oddity(path: str) -> str:
    """Why no tree should gain `path` ("" if it is ordinary): the end of a sentence that begins with the name."""
    return next((why for part in path.split("/") if (why := _odd_component(part))), "")


def _odd_component(part: str) -> str:
    bare = fold(part.partition(":")[0])
    faults = {
        "leaves its folder": part in ("", ".", ".."),
        "is git's own on some systems": _DOT_GIT.fullmatch(bare),
        "is not valid UTF-8": any("\udc80" <= char <= "\udcff" for char in part),
        "holds control or invisible characters": _IGNORED.search(part)
        or any(unicodedata.category(char) in _INVISIBLE for char in part),
        "cannot exist on Windows": _UNPORTABLE.search(part) or part.endswith((".", " ")),
        "is a device on Windows": _RESERVED.fullmatch(bare),
        "looks like an option or begins with a space": part.startswith(("-", " ")),
        "is too long": len(part.encode("utf-8", "surrogateescape")) > _LONGEST,
    }
    return next((why for why, is_so in faults.items() if is_so), "")


@lru_cache(maxsize=4096)
def glob(pattern: str, *, exact: bool = False) -> re.Pattern[str]:
    """A pattern in the manner of gitignore, for folded paths.

    Without a slash it matches a name at any depth, with one it is anchored at the root; whatever lies below a match
    matches too, unless `exact`; a slash at its end asks for a folder; `**` spans folders, and `*`, `?` and `[...]` stay
    within a name.

    Raises:
        ValueError: a set in brackets makes no sense.
    """
    body = pattern.rstrip("/")
    below = "/.*" if pattern.endswith("/") else "" if exact else "(?:/.*)?"
    floating = "" if "/" in body else "(?:.*/)?"
    return _compile(pattern, floating + _translate(body.lstrip("/").split("/")) + below)


@lru_cache(maxsize=256)
def branch_glob(pattern: str) -> re.Pattern[str]:
    """A pattern for whole branch names: `release/*` matches `release/1` but not `release/1/2`. Case matters.

    Raises:
        ValueError: a set in brackets makes no sense.
    """
    return _compile(pattern, _translate(pattern.split("/"), folded=False))


def _compile(pattern: str, regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a pattern: {error}") from error


def _translate(parts: list[str], *, folded: bool = True) -> str:
    regex = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            regex += ".+" if last else "(?:.*/)?"
            continue
        regex += _component(fold(part) if folded else part) + ("" if last else "/")
    return regex


def _component(part: str) -> str:
    regex, at = "", 0
    while at < len(part):
        char, close = part[at], part.find("]", at + 2)
        if char == "[" and close > 0:
            inner = part[at + 1 : close].replace("\\", r"\\").replace("[", r"\[")
            regex += "[" + ("^/" + inner[1:] if inner[0] == "!" else inner) + "]"
            at = close
        else:
            regex += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
        at += 1
    return regex
