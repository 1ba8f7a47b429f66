"""`refinery explain`: exactly the verdict that `merge` would act on, or the tree rules over a range of commits."""

from pathlib import Path

import click

from refinery.cli.common import Settings, common_options, json_option


@click.command("explain")
@click.argument("what", metavar="PULL|BASE..HEAD")
@click.option(
    "--repo", type=click.Path(path_type=Path), help="For BASE..HEAD: the repository (default: here)."
)
@json_option
@common_options
def command(settings: Settings, /, what: str, repo: Path | None) -> int:
    """Say why PULL would merge, wait or be refused; or which tier BASE..HEAD is, which needs no project and no home."""
    if ".." in what:
        return _range(settings, what, repo or Path())
    if not what.isdecimal():
        from refinery.errors import UsageError

        raise UsageError(f"{what} is neither a pull's number nor BASE..HEAD", remedy="`refinery explain 3`")
    return _pull(settings, int(what))


def _range(settings: Settings, what: str, repo: Path) -> int:
    from refinery.cli.output import print_json
    from refinery.history import explain_range, render_range

    report = explain_range(repo, what)
    if settings.json:
        print_json(report)
    else:
        click.echo(render_range(report))
    return 0


def _pull(settings: Settings, number: int) -> int:
    from dataclasses import asdict

    from refinery.cli.output import print_json
    from refinery.cli.shared import one_project
    from refinery.errors import UsageError
    from refinery.judging import Judge
    from refinery.project import view

    project = one_project(settings, "explain", afresh=True)
    seen = view(project)
    if number not in seen.state.pulls:
        raise UsageError(f"{project.slug} has no pull {number}", remedy="`refinery status` lists the pulls")
    judge = Judge(project)
    judged = judge.judge(seen.state.pulls[number], seen)
    policy = judge.policy(seen)
    proofs = [proof for proof in (judged.snapshot.change, judged.snapshot.result) if proof is not None]
    tier = max((proof.tier for proof in proofs), key=list(type(policy.tier)).index, default=None)
    if settings.json:
        told = {**judged.verdict.to_json(), "tier": tier, "policy": asdict(policy)}
        print_json({"pull": number, "task": judged.pull.task, "head": judged.pull.head, **told})
        return 0
    click.echo(f"pull {number} ({judged.pull.task}): {judged.verdict.decision}, tier {tier or 'unknown'}")
    for each in judged.verdict.reasons:
        click.echo(f"  {each.text}\n    → {each.cure}")
    return 0
