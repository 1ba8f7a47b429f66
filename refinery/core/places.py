"""Where code and tasks are, from what a person wrote: a GitHub repository, or something else. Pure."""

import re
from typing import Final
from urllib.parse import urlsplit

PREFIX: Final = "github:"
ISSUES: Final = "github"  # as a project's tasks: the issues of its own repository
_NAME: Final = re.compile(r"/?([A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+?)(?:\.git)?/?")
_HOSTED: Final = re.compile(r"[a-z][a-z0-9+.-]*://|[^/]+@[^/]+:|[^/]+:(?!\\)", re.IGNORECASE)
_SCP: Final = re.compile(r"(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>[^/].*)")


def github_name(place: str, host: str) -> str:
    """`OWNER/NAME` where `place` is a repository of the GitHub at `host` (with its port); empty otherwise.

    Written as `github:OWNER/NAME`, as an HTTP or SSH URL, or as `git@HOST:OWNER/NAME`.
    """
    if place.startswith(PREFIX):
        return _name(place.removeprefix(PREFIX))
    if "://" in place:
        url = urlsplit(place)
        of_url = url.netloc.rpartition("@")[2] if url.scheme in ("http", "https") else url.hostname or ""
        ours = host if url.scheme in ("http", "https") else host.partition(":")[0]
        return _name(url.path) if of_url.lower() == ours.lower() else ""
    found = _SCP.fullmatch(place)
    return _name(found["path"]) if found and found["host"].lower() == host.partition(":")[0].lower() else ""


def may_be_github(place: str) -> bool:
    """Whether `place` could name a repository on GitHub: enough to ask which GitHub that would be."""
    return place.startswith(PREFIX) or (bool(_HOSTED.match(place)) and not place.startswith("file:"))


def is_github_slug(text: str) -> bool:
    """Whether a project's name is that of a repository on GitHub."""
    return bool(_name(text)) and not text.startswith("/") and text.count("/") == 1


def _name(path: str) -> str:
    found = _NAME.fullmatch(path)
    return found[1] if found else ""
