"""Where credentials come from. The first that is there counts, and nothing is mixed.

1. a GitHub App: `REFINERY_APP_ID`, with its private key in the file `REFINERY_APP_KEY_FILE` or in `REFINERY_APP_KEY`;
2. a file with a token: `REFINERY_GITHUB_TOKEN_FILE`, else `token_file` of the configuration;
3. `GH_TOKEN`, then `GITHUB_TOKEN`, in the order that `gh` takes them; for a server other than github.com first
   `GH_ENTERPRISE_TOKEN` and `GITHUB_ENTERPRISE_TOKEN`;
4. `gh auth token`, where the `gh` program is installed and logged in.

Which server: the configuration's URL, else `GITHUB_API_URL`, else github.com.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from refinery.errors import UsageError
from refinery.forges.github.address import normalise_api_url, web_url
from refinery.forges.github.credentials import Credentials, FixedToken, KeptToken
from refinery.forges.github.errors import LoginError

APP_ID: Final = "REFINERY_APP_ID"
APP_KEY: Final = "REFINERY_APP_KEY"
APP_KEY_FILE: Final = "REFINERY_APP_KEY_FILE"
TOKEN_FILE: Final = "REFINERY_GITHUB_TOKEN_FILE"  # noqa: S105  (the name of a variable)
API_URL: Final = "GITHUB_API_URL"
_TOKENS: Final = ("GH_TOKEN", "GITHUB_TOKEN")
_ENTERPRISE: Final = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
_PATIENCE: Final = 20.0  # seconds for `gh`, which may ask the system's key ring
_REMEDY: Final = (
    "set GITHUB_TOKEN or REFINERY_GITHUB_TOKEN_FILE, configure a GitHub App, or run `gh auth login`"
)


def find_api_url(environ: Mapping[str, str], configured: str = "") -> str:
    """The API's base URL, normalised; `configured` is the configuration's.

    Raises:
        UsageError: as `normalise_api_url`.
    """
    return normalise_api_url(configured or environ.get(API_URL, ""))


def find_credentials(
    environ: Mapping[str, str], *, api_url: str, slug: str, token_file: str = ""
) -> Credentials:
    """The credentials for repository `slug` at `api_url`, as this module says. Sends nothing.

    Raises:
        LoginError: there are none.
        UsageError: what there is cannot be used.
    """
    if environ.get(APP_ID) or environ.get(APP_KEY) or environ.get(APP_KEY_FILE):
        return _app(environ, api_url, slug)
    path = environ.get(TOKEN_FILE) or token_file
    if path:
        return KeptToken(lambda: _token_in(Path(path).expanduser()), f"the file {path}")
    host = urlsplit(web_url(api_url)).netloc
    is_public = host == "github.com" or host.endswith(".ghe.com")
    for name in (*(() if is_public else _ENTERPRISE), *_TOKENS):
        if environ.get(name, "").strip():
            return FixedToken(_usable(environ[name], name), name)
    first = _of_gh(environ, host)
    if first:
        source = f"`gh auth token --hostname {host}`"
        return KeptToken(lambda: _usable(_of_gh(environ, host), source), source, _usable(first, source))
    raise LoginError(f"there are no credentials for {host}", remedy=_REMEDY)


def _app(environ: Mapping[str, str], api_url: str, slug: str) -> Credentials:
    from refinery.forges.github.app_auth import AppInstallation  # noqa: PLC0415  (its import is slow)

    app_id, path = environ.get(APP_ID, "").strip(), environ.get(APP_KEY_FILE, "")
    if not app_id or not (path or environ.get(APP_KEY)):
        lack = APP_ID if not app_id else f"{APP_KEY_FILE} or {APP_KEY}"
        raise UsageError(
            f"half of a GitHub App is configured: {lack} is missing",
            remedy="the App's settings page shows its id, and makes a private key",
        )
    key = _read(Path(path).expanduser()) if path else environ[APP_KEY].replace("\\n", "\n")
    return AppInstallation(api_url, app_id, key, slug)


def _token_in(path: Path) -> str:
    return _usable(_read(path), str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(
            f"{path} cannot be read: {why}", remedy="name a file with nothing but the secret in it"
        ) from error


def _usable(text: str, source: str) -> str:
    """The token in `text`, which ends up in a header and in a line to git."""
    token = text.strip()
    if not re.fullmatch(r"[!-~]+", token):
        state = "is empty" if not token else "holds more than a token"
        raise LoginError(f"{source} {state}", remedy="put the token there, alone on one line")
    return token


def _of_gh(environ: Mapping[str, str], host: str) -> str:
    """What `gh` has for a host; empty when nothing, or when it is not installed."""
    program = shutil.which("gh", path=environ.get("PATH"))
    if program is None:
        return ""
    command = [program, "auth", "token", "--hostname", host]
    try:
        done = subprocess.run(
            command, env=dict(environ), capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
