"""Credentials for git over HTTP that exist only in a pipe to the one git command that may need them.

Properties: the token is on no command line, in no URL, environment, file or configuration. The helper that hands it
to git answers for one scheme, host and port alone; redirects are not followed; and such a command reads nobody's git
configuration, so that no `insteadOf`, proxy, helper or `.netrc` of anybody's can send it elsewhere. From the person's
configuration only the way out (proxy, certificates) is taken over. Accepted: for the milliseconds until the helper has
read it, a process of the same user that no sandbox holds could read the pipe as well, as it could read our memory.
https://git-scm.com/docs/gitcredentials
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import urlsplit

# Where a token may stand in our own environment: no git command of ours needs to see it there.
SECRET_NAMES: Final = (
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "REFINERY_APP_KEY",
)
_COPIES: Final = 4  # a command asks once; some ask again for a second connection
_LOOPBACK: Final = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1")
_WAY_OUT: Final = ("http.proxy", "http.proxyauthmethod", "http.sslcainfo", "http.sslcapath")
# `read` takes one line and `printf` is a part of the shell: nothing shows in a list of processes.
_HELPER: Final = (
    """!f() {{ test "$1" = get && IFS= read -r t </dev/fd/{descriptor} """
    r"""&& printf 'username=x-access-token\npassword=%s\n' "$t"; }}; f"""
)


@dataclass(frozen=True, slots=True, repr=False)
class GitCredentials:
    """What git may say to the server at `origin` (scheme, host and port). `token` is asked for at each command."""

    origin: str
    token: Callable[[], str]

    @contextmanager
    def offered(self) -> Iterator[int]:
        """A descriptor to be inherited by one git command, from which its helper reads the token.

        Raises:
            RefineryError: whatever keeps `token` from giving one.
        """
        token = self.token()
        theirs, ours = os.pipe()
        try:
            try:
                os.write(ours, f"{token}\n".encode() * _COPIES)
            finally:
                os.close(ours)
            yield theirs
        finally:
            os.close(theirs)

    def settings(self, descriptor: int) -> tuple[str, ...]:
        """The configuration of such a command."""
        return (
            "credential.helper=",
            f"credential.{self.origin}.helper={_HELPER.format(descriptor=descriptor)}",
            "http.followRedirects=false",
            "protocol.allow=never",
            f"protocol.{urlsplit(self.origin).scheme}.allow=always",
        )

    def environment(self) -> dict[str, str]:
        """Its environment: no home (`.netrc`), no program that asks a person, the way out as variables."""
        found = way_out(self.origin)
        numbered = {
            f"GIT_CONFIG_{part}_{number}": text
            for number, (key, value) in enumerate(found.items())
            for part, text in (("KEY", key), ("VALUE", value))
        }
        host = urlsplit(self.origin).hostname or ""
        direct = {"no_proxy": host, "NO_PROXY": host} if is_loopback(host) else {}
        fixed = {"HOME": os.devnull, "GIT_ASKPASS": "", "GIT_CONFIG_COUNT": str(len(found))}
        return {**fixed, **direct, **numbered}


def is_loopback(host: str) -> bool:
    """Whether what is sent to `host` stays on this machine."""
    return _LOOPBACK.fullmatch(host.lower()) is not None


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Those of our variables that hold secrets, emptied: GitPython cannot unset a variable."""
    return {name: "" for name in SECRET_NAMES if name in environ}


@cache
def way_out(origin: str) -> dict[str, str]:
    """Proxy and certificates for `origin` in the configuration of this person and machine; asked for once."""
    command = ["git", "-C", "/", "config", "--null", "--includes", "--get-urlmatch", "http", origin]
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    items = (item.partition("\n") for item in done.stdout.decode("utf-8", "surrogateescape").split("\0"))
    return {key: value for key, _, value in items if key in _WAY_OUT}
