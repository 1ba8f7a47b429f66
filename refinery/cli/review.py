"""`refinery review`: a person's word on a pull of the git forge."""

import getpass
import os

import click

from refinery.cli.common import Settings, common_options, json_option


@click.command("review")
@click.argument("decision", type=click.Choice(["approve", "request-changes", "comment"]))
@click.argument("pull", type=click.IntRange(min=1))
@click.option("-m", "--message", default="", help="What to say; needed to request changes or to comment.")
@click.option("--author", default="", help="Who reviews (default: the user of this machine).")
@json_option
@common_options
def command(settings: Settings, /, decision: str, pull: int, message: str, author: str) -> int:
    """Approve PULL's present head, request changes (a new attempt then repairs it), or comment."""
    from refinery.cli.output import print_json, say
    from refinery.cli.shared import one_project
    from refinery.core.model import PullState, Review, ReviewState
    from refinery.errors import UsageError

    if decision != "approve" and not message.strip():
        raise UsageError(f"review {decision} needs a message", remedy="say what with -m")
    states = {
        "approve": ReviewState.APPROVED,
        "request-changes": ReviewState.CHANGES_REQUESTED,
        "comment": ReviewState.COMMENTED,
    }
    project = one_project(settings, "review")
    seen = project.forge.observe().pulls.get(pull)
    if seen is None:
        raise UsageError(f"{project.slug} has no pull {pull}", remedy="`refinery status` lists the pulls")
    if decision != "comment" and seen.state is not PullState.OPEN:
        raise UsageError(
            f"pull {pull} is {seen.state}, so there is nothing to decide",
            remedy="`review comment` says something on it all the same",
        )
    given = Review(
        author=author or _user(),
        state=states[decision],
        head=seen.head,
        at=project.forge.now(),
        body=message,
    )
    project.forge.review(pull, given)
    if settings.json:
        print_json({"pull": pull, "review": given})
    else:
        say(f"pull {pull}: {given.state} by {given.author} at {given.head[:12]}")
    return 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that has no name
        return f"uid-{os.getuid()}"
