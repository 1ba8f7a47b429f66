"""Where a GitHub is: the addresses of its API and of its git server, from whatever a person typed. Pure functions."""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from refinery.errors import UsageError
from refinery.git_credentials import is_loopback

PUBLIC: Final = "https://api.github.com"
_SLUG: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")
_REMEDY: Final = "give it as https://HOST or https://HOST/api/v3; without any, it is github.com"


def normalise_api_url(text: str) -> str:
    """The API's base URL without a final slash, from a host, a server's page or the API's own URL.

    github.com and `*.ghe.com` have an `api.` host of their own; any other server has its API at `/api/v3`
    (https://docs.github.com/en/enterprise-server/rest/overview/resources-in-the-rest-api).

    Raises:
        UsageError: it is no such URL, or would send a token unencrypted over a network.
    """
    words = text.strip()
    if not words:
        return PUBLIC
    url = _split(words if "://" in words else f"https://{words}", words)
    host = (url.hostname or "").lower().removeprefix("www.")
    if host in ("github.com", "api.github.com"):
        return PUBLIC
    if url.path.rstrip("/") not in ("", "/api", "/api/v3", "/api/graphql"):
        raise UsageError(f"{words} is not the address of a GitHub server's API", remedy=_REMEDY)
    if host.endswith(".ghe.com"):
        return f"https://api.{host.removeprefix('api.')}"
    return f"{url.scheme}://{_host_and_port(url)}/api/v3"


def _split(words: str, typed: str) -> SplitResult:
    try:
        url = urlsplit(words)
        usable = bool(url.hostname) and (url.port is None or url.port > 0) and not re.search(r"\s", words)
    except ValueError as error:
        raise UsageError(f"{typed} is not a URL: {error}", remedy=_REMEDY) from error
    if not usable or url.scheme not in ("http", "https") or url.username or url.query or url.fragment:
        shown = "the API's URL" if "@" in typed else typed  # what stands before an @ may be a password
        raise UsageError(f"{shown} is not the address of a GitHub server", remedy=_REMEDY)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise UsageError(
            f"{typed} would send the token unencrypted", remedy="write https:// instead of http://"
        )
    return url


def _host_and_port(url: SplitResult) -> str:
    host = (url.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[url.scheme]
    return host if url.port in (None, default) else f"{host}:{url.port}"


def web_url(api_url: str) -> str:
    """Scheme, host and port of a server's pages and git repositories, for a normalised API URL."""
    url = urlsplit(api_url)
    return f"{url.scheme}://{_host_and_port(url).removeprefix('api.')}"


def git_url(api_url: str, slug: str) -> str:
    """The URL that git fetches `OWNER/NAME` from."""
    return f"{web_url(api_url)}/{slug}.git"


def parse_slug(text: str) -> tuple[str, str]:
    """Owner and name of `OWNER/NAME`.

    Raises:
        UsageError: it is not that.
    """
    if not _SLUG.fullmatch(text) or text.split("/")[1] in (".", ".."):
        raise UsageError(f"{text} is not the name of a repository on GitHub", remedy="write OWNER/NAME")
    owner, _, name = text.partition("/")
    return owner, name
