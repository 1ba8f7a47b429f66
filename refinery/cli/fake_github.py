"""`refinery fake-github`: a GitHub of one's own on this machine, to try things out against."""

import re
import selectors
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from refinery.cli.common import Settings, common_options, json_option

if TYPE_CHECKING:
    from refinery.process import StopFlag
    from refinery.testing import FakeGitHub

_PERSON: Final = "mona"
_NEEDED: Final = ("aiohttp", "graphql")
_NAME: Final = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


@click.command("fake-github")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Listen there; any free port without it."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the repositories there; in a temporary folder without it.",
)
@click.option(
    "--repo",
    "names",
    multiple=True,
    metavar="OWNER/NAME",
    help="Begin with this repository; may be repeated.  [default: acme/widgets]",
)
@click.option("--token", metavar="TEXT", help="What to call the made-up token; a random one without it.")
@json_option
@common_options
def command(
    settings: Settings, /, port: int, folder: Path | None, names: tuple[str, ...], token: str | None
) -> int:
    """Serve a made-up GitHub on this machine until Ctrl+C: REST, GraphQL, git and webhooks, without limits of others.

    Issues, pulls and checks are kept in memory and are gone with it; repositories are real, below the folder.
    """
    from refinery.cli.output import print_json
    from refinery.process import StopFlag

    _check(names, folder)
    stop = StopFlag()
    with ExitStack() as stack:
        stack.callback(stop.close)
        stack.enter_context(stop.on_signals())
        hub = _serve(stack, folder, port)
        for name in names or ("acme/widgets",):
            hub.create_repository(name, files={"README.md": f"# {name.partition('/')[2]}\n"})
            hub.grant(name, _PERSON, "admin")
        given = hub.token(_PERSON, value=token)
        if settings.json:
            print_json(_as_json(hub, given, names or ("acme/widgets",)))
        else:
            _tell(hub, given, names or ("acme/widgets",))
        _wait(stop)
    return 0


def _check(names: tuple[str, ...], folder: Path | None) -> None:
    """Refuse what cannot be begun.

    Raises:
        UsageError: the extra is missing, a name is none, or the folder holds something.
    """
    from refinery.errors import UsageError

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the made-up GitHub needs {' and '.join(missing)}, which this installation lacks",
            remedy="pip install 'polecat-refinery[testing]'",
        )
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name} is not a repository's name", remedy="write it as OWNER/NAME")
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} holds something already, and issues are not kept from one start to the next",
            remedy="name an empty folder, or one that is not there yet",
        )


def _serve(stack: ExitStack, folder: Path | None, port: int) -> "FakeGitHub":
    import tempfile

    from refinery.errors import UsageError
    from refinery.testing import FakeGitHub

    where = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fake-github-")))
    try:
        return stack.enter_context(FakeGitHub(where, port=port))
    except OSError as error:
        if not port:
            raise
        raise UsageError(
            f"port {port} cannot be listened on: {error.strerror or error}",
            remedy="name another one, or none for any that is free",
        ) from error


def _wait(stop: "StopFlag") -> None:
    """Until somebody asks for the end."""
    with selectors.DefaultSelector() as selector:
        selector.register(stop, selectors.EVENT_READ)
        selector.select()


def _as_json(hub: "FakeGitHub", token: str, names: tuple[str, ...]) -> dict[str, object]:
    return {
        "url": hub.url,
        "api": hub.api,
        "graphql": hub.graphql,
        "socket": hub.socket,
        "folder": hub.world.folder,
        "login": _PERSON,
        "token": token,
        "repositories": {name: hub.git(name) for name in names},
    }


def _tell(hub: "FakeGitHub", token: str, names: tuple[str, ...]) -> None:
    rows = [
        ("a made-up GitHub:", hub.api),
        ("token:", f"{token}  ({_PERSON}, who may do everything)"),
        ("folder:", str(hub.world.folder)),
        *(("repository:", hub.git(name)) for name in names),
        ("for refinery:", f"export GITHUB_API_URL={hub.api} GITHUB_TOKEN={token}"),
        ("", f"refinery -p {names[0]} status"),
        ("for gh:", f"http_unix_socket: {hub.socket}    (in $GH_CONFIG_DIR/config.yml)"),
        ("", f"GH_TOKEN={token} gh api repos/{names[0]}"),
        ("a first issue:", f"gh api repos/{names[0]}/issues -f title='Say hello' -f 'labels[]=polecat'"),
    ]
    for what, how in rows:
        click.echo(f"{what:20}{how}")
    click.echo("\nCtrl+C ends it.")
