"""The root of the command line: verbs by name, and the one place that catches everything.

Showing the help imports no verb, and none of the libraries that verbs need.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from refinery.cli.common import Settings, root_options
from refinery.errors import RefineryError, StoppedError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Each module has a `command`: verb → (module, what the help says of it).
VERBS: Final[dict[str, tuple[str, str]]] = {
    "init": ("init", "Register a project and mirror its repository."),
    "setup": ("setup", "Prepare a repository on GitHub."),
    "sync": ("sync", "Fetch what changed on the forge."),
    "task": ("task", "Add, list, show and edit tasks."),
    "run": ("run", "Work on a task, from claim to pull."),
    "swarm": ("swarm", "Run several workers, and a merger, until nothing is left to do."),
    "merge": ("merge", "Land the pulls that may merge, and explain the rest."),
    "explain": ("explain", "Say why a pull or a range of commits would merge, wait or be refused."),
    "replay": ("replay", "Judge a repository's landed history by each policy."),
    "review": ("review", "Approve a pull, ask for changes, or comment."),
    "status": ("status", "Show tasks, claims, pulls and verdicts."),
    "reconcile": ("reconcile", "Find and repair what killed processes left behind."),
    "reset-stalled": ("reset_stalled", "Give back tasks whose worker is gone."),
    "unfreeze": ("unfreeze", "Allow landing on a base again."),
    "doctor": ("doctor", "Check this machine and the projects."),
    "clean": ("clean", "Remove old transcripts, logs and discarded worktrees."),
    "config": ("config", "Show, check and describe the configuration."),
    "demo": ("demo", "Show the whole thing on a temporary project."),
    "fake-github": ("fake_github", "Serve a made-up GitHub on this machine, to try things out."),
    "completion": ("completion", "Print the script for your shell's completion."),
}


class Root(click.Group):
    """Looks verbs up by name, and lists them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Every verb, in the order of their use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (as above)
        """The verb's command, imported now; None for an unknown verb.

        Raises:
            UsageError: this installation lacks the verb's module.
        """
        if cmd_name not in VERBS:
            return None
        name = f"refinery.cli.{VERBS[cmd_name][0]}"
        try:
            command: click.Command = importlib.import_module(name).command
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise UsageError(
                f"this installation lacks the verb {cmd_name}", remedy="install polecat-refinery again"
            ) from error
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for an unknown verb."""
        if args[0] not in VERBS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from refinery.core.text import did_you_mean

            raise UsageError(
                f"{args[0]} is not a verb",
                remedy=did_you_mean(args[0], VERBS) or f"`{ctx.info_name} --help` lists the verbs",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (as above)
        """The list of verbs in the help."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, words) for verb, (_, words) in VERBS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Verbs and options, without importing the verbs."""
        from click.shell_completion import CompletionItem

        verbs = [
            CompletionItem(verb, help=words)
            for verb, (_, words) in VERBS.items()
            if verb.startswith(incomplete)
        ]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@root_options
def root() -> None:
    """Label an issue polecat, get a merged pull request.

    Refinery claims a task, runs a coding agent on it in a worktree of its own, opens a pull, and lands it when it is
    clean, additive and its checks passed.
    """


def run(args: Sequence[str]) -> int:
    """Run one verb and return the exit code; whatever goes wrong becomes a message here."""
    settings = Settings(json="--json" in args)
    try:
        result = root.main(list(args), prog_name=_program(), standalone_mode=False, obj=settings)
    except Exception as error:  # noqa: BLE001  (the one place that catches everything)
        return _report(error, settings)
    except KeyboardInterrupt:
        return _report(click.Abort(), settings)
    return result if isinstance(result, int) else 0


def _program() -> str:
    name = os.path.basename(sys.argv[0])  # noqa: PTH119  (pathlib is not worth importing for the help)
    return name if name in {"refinery", "polecat"} else "refinery"


def _report(error: Exception, settings: Settings) -> int:
    """Print what happened and what to do next; return the exit code."""
    from refinery.cli import output

    known = _known(error)
    if settings.verbose > (1 if isinstance(error, RefineryError | click.ClickException) else 0):
        import traceback

        output.say("".join(traceback.format_exception(error)).rstrip())
    if settings.json:
        message, remedy = output.shown(known.message), output.shown(known.remedy)
        output.print_json({"error": message, "outcome": known.outcome, "remedy": remedy})
    else:
        output.print_error(known, settings)
    return known.exit_code


def _known(error: Exception) -> RefineryError:
    """`error` as one of ours."""
    if isinstance(error, RefineryError):
        return error
    if isinstance(error, click.Abort):
        return StoppedError("stopped")
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else _program()
        return UsageError(
            " ".join(error.format_message().split()), remedy=f"`{path} --help` shows what it takes"
        )
    if isinstance(error, OSError):
        from refinery.home import explain

        if (refusal := explain(error)) is not None:
            return refusal
        if isinstance(error, FileNotFoundError) and not _has_folder():
            return UsageError("the current folder does not exist any more", remedy="change to one that does")
    return _internal(error)


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  (pathlib is not worth importing for this)
    except FileNotFoundError:
        return False
    return True


def _internal(error: Exception) -> RefineryError:
    words = " ".join(str(error).split())
    kind = type(error).__name__
    return RefineryError(
        f"unexpected {kind}: {words}" if words else f"unexpected {kind}",
        remedy="run again with -v for the traceback, and report it: this is a mistake in Refinery",
    )
