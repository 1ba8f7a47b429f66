"""Who asks: tokens, and the statements that Apps sign (https://docs.github.com/apps/creating-github-apps)."""

import base64
import re
from collections.abc import Mapping
from typing import Final

import jwt

from refinery.testing.routes import Ask
from refinery.testing.state import App, Token
from refinery.testing.world import ProblemError, World

_LONGEST: Final = 600  # seconds that a statement may hold
_LEEWAY: Final = 60


def credential(headers: Mapping[str, str]) -> str:
    """The secret of an Authorization header: a bearer's, or the password of Basic."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return value.strip()
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except ValueError:
        return ""


def git_token(world: World, headers: Mapping[str, str]) -> Token | None:
    """Whose git traffic this is; None for nobody's, or a wrong secret."""
    return world.token(credential(headers))


def identify(ask: Ask) -> None:
    """Fill in `token` or `app`.

    Raises:
        ProblemError: what was sent identifies nobody.
    """
    if not ask.headers.get("authorization"):
        return
    value = credential(ask.headers)
    if re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", value):
        ask.app = _signer(ask.world, value)
        return
    ask.token = ask.world.token(value)
    if ask.token is None:
        raise ProblemError(401, "Bad credentials")


def _signer(world: World, statement: str) -> App:
    """The App that signed, by its id or client id; the fake's clock decides about times."""
    try:
        claimed = str(jwt.decode(statement, options={"verify_signature": False}).get("iss"))
        app = next(each for each in world.apps.values() if claimed in (str(each.id), f"Iv1.{each.id:016x}"))
        values = jwt.decode(
            statement, app.key, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
        )
        issued, ends = float(values["iat"]), float(values["exp"])
    except (jwt.PyJWTError, StopIteration, ValueError, KeyError) as error:
        raise ProblemError(401, "A JSON web token could not be decoded") from error
    now = world.clock.now()
    if issued > now + _LEEWAY:
        raise ProblemError(
            401, "'Issued at' claim ('iat') must be an Integer representing the time that it was issued"
        )
    if ends <= now:
        raise ProblemError(
            401, "'Expiration time' claim ('exp') must be a numeric value representing the future time"
        )
    if ends > now + _LONGEST + _LEEWAY:
        raise ProblemError(401, "'Expiration time' claim ('exp') is too far in the future")
    return app
