"""What a refusal of GitHub's means: a pure function from an answer to one of our errors, with its remedy."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from refinery.errors import RefineryError
from refinery.forges.github.errors import (
    LoginError,
    PermissionMissingError,
    RejectedError,
    UnusableRepositoryError,
)

_REPOSITORY: Final = re.compile(r"/repos/([^/]+/[^/]+)(/|$)")
_SSO: Final = re.compile(r"url=(\S+)")
_GRANT: Final = (
    "a workflow's token gets it by `permissions:`, an App or a fine-grained token on its settings page; a classic "
    "token needs the scope `repo` (`gh auth refresh -s repo`)"
)


def refusal(  # noqa: PLR0911  (one line for each kind of refusal)
    verb: str, path: str, status: int, headers: Mapping[str, str], body: Any
) -> RefineryError:
    """The error that an answer of status 4xx is."""
    words, errors = said(body)
    found = _REPOSITORY.match(path)
    repository = found[1] if found else ""
    about: dict[str, Any] = {"status": status, "words": words, "errors": errors}
    if status == 401:
        return LoginError(
            f"GitHub does not accept the credentials: {words or 'unauthorised'}",
            remedy="the token has expired or was revoked: make a new one, or `gh auth login`",
        )
    if status == 403 and "archived" in words.lower():
        return UnusableRepositoryError(
            f"{repository} is archived, so nothing can be written there",
            remedy="unarchive it in the repository's settings",
            **about,
        )
    if status == 403 and headers.get("x-github-sso", "").startswith("required"):
        return _single_sign_on(repository, headers["x-github-sso"], about)
    if status == 403:
        return _permission(verb, path, headers, about)
    if status == 410 or (status == 404 and "disabled" in words.lower()):
        return UnusableRepositoryError(
            f"{repository or path} has switched this off: {words or 'gone'}",
            remedy="switch issues on in the repository's settings, or use a folder of task files",
            **about,
        )
    if status == 404 and found and path == f"/repos/{repository}":
        return UnusableRepositoryError(
            f"there is no repository {repository}, or these credentials cannot see it",
            remedy="check its spelling, and that the token or App was given access to it",
            **about,
        )
    if status == 451:
        return UnusableRepositoryError(f"{repository} is blocked: {words}", remedy="ask its owner", **about)
    return RejectedError(
        f"GitHub refused {verb} {path} ({status}): {_all_words(words, errors)}", remedy=_hint(status), **about
    )


def _hint(status: int) -> str:
    if status == 404:
        return "it does not exist, or these credentials cannot see it"
    return ""


def _permission(verb: str, path: str, headers: Mapping[str, str], about: dict[str, Any]) -> RefineryError:
    """Which permission is missing, as far as GitHub tells."""
    wanted = headers.get("x-accepted-github-permissions", "")
    needed = " or ".join(_permissions(wanted)) or headers.get("x-accepted-oauth-scopes", "")
    missing = f"; it needs {needed}" if needed else ""
    return PermissionMissingError(
        f"these credentials may not {verb} {path}: {about['words'] or 'forbidden'}{missing}",
        remedy=f"grant {needed or 'the permission'}: {_GRANT}",
        **about,
    )


def _permissions(header: str) -> list[str]:
    """`issues=write; contents=read,pulls=write` in words: alternatives, each of one or more permissions."""
    sets = [each.strip() for each in header.split(";") if each.strip()]
    return [" and ".join(part.strip().replace("=", ": ") for part in each.split(",")) for each in sets]


def _single_sign_on(repository: str, header: str, about: dict[str, Any]) -> RefineryError:
    found = _SSO.search(header)
    where = f" at {found[1]}" if found else ""
    return PermissionMissingError(
        f"the organisation of {repository} asks for single sign-on, which this token has not passed",
        remedy=f"authorise the token{where}",
        **about,
    )


def said(body: Any) -> tuple[str, Sequence[Any]]:
    """GitHub's message and details in an answer's body; a page that is no JSON is shortened to a line."""
    if isinstance(body, Mapping):
        errors = body.get("errors")
        return str(body.get("message") or ""), errors if isinstance(errors, list) else []
    return " ".join(str(body or "").split())[:200], []


def _all_words(words: str, errors: Sequence[Any]) -> str:
    details = [_detail(each) for each in errors]
    return (
        ": ".join(part for part in (words, "; ".join(each for each in details if each)) if part)
        or "no reason"
    )


def _detail(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    place = " ".join(str(error[name]) for name in ("resource", "field", "code") if error.get(name))
    return str(error.get("message") or place)
