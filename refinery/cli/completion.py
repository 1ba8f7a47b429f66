"""`refinery completion`: the script that teaches a shell the verbs and options."""

import click

from refinery.cli.common import Settings, common_options
from refinery.errors import RefineryError

_WHERE = {
    "bash": 'eval "$(refinery completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(refinery completion zsh)" in ~/.zshrc',
    "fish": "refinery completion fish > ~/.config/fish/completions/refinery.fish",
}


@click.command(epilog="\b\n" + "\n".join(_WHERE.values()))
@click.argument("shell", type=click.Choice(list(_WHERE)))
@common_options(git=False)
def command(_settings: Settings, shell: str) -> None:
    """Print the completion script for SHELL."""
    from click.shell_completion import get_completion_class

    from refinery.cli.root import root

    kind = get_completion_class(shell)
    if kind is None:
        raise RefineryError(f"click knows no completion for {shell}", remedy="update click")
    click.echo(
        "\n".join(
            kind(root, {}, name, f"_{name.upper()}_COMPLETE").source() for name in ("refinery", "polecat")
        )
    )
