"""What a repository on GitHub lacks for a run, and what is dangerous there: rules over observed facts."""

from collections.abc import Iterator
from typing import Final

from refinery.core.findings import FAIL, OK, WARN, Finding
from refinery.core.issues import mirror_labels
from refinery.core.repository_facts import ACTIONS, BranchFacts, Needs, RepositoryFacts
from refinery.core.text import approximate_duration, listing, plural
from refinery.core.workflows import Workflow

_MOST_SKEW: Final = 30.0  # seconds; claims allow for more, people who read their times do not


def wanted_labels(needs: Needs) -> tuple[str, ...]:
    """The labels that must exist, in the order of their use."""
    tasks = (needs.label, *mirror_labels(needs.label)) if needs.has_tasks else (needs.label,)
    return (*tasks, *((needs.hold_label,) if needs.has_code else ()))


def about_repository(facts: RepositoryFacts, needs: Needs) -> Iterator[Finding]:
    """Credentials, permissions, clock, and the repository's own settings."""
    who = f", as {facts.login}" if facts.login else ""
    yield Finding(OK, "credentials", f"{facts.credentials}{who}")
    yield _archived(facts)
    if facts.access:
        yield _permissions(facts)
    yield _clock(facts)
    if needs.has_tasks:
        yield _issues(facts)
    yield _labels(facts, needs)
    if needs.has_code:
        yield _methods(facts, needs)


def about_branch(facts: RepositoryFacts, branch: BranchFacts, needs: Needs) -> Iterator[Finding]:
    """What lands there, under which rules, and what Actions does with the branches of agents."""
    yield _rules(branch)
    yield from _required(branch, needs)
    yield _ci(facts, branch, needs)
    yield from _workflows(facts, branch)


def _archived(facts: RepositoryFacts) -> Finding:
    if facts.is_archived:
        return Finding(
            FAIL,
            "on github",
            f"{facts.name} is archived, so nothing can be written there",
            f"unarchive it: {facts.page}/settings",
        )
    return Finding(OK, "on github", facts.page)


def _permissions(facts: RepositoryFacts) -> Finding:
    refused = [each for each in facts.access if each.is_granted is False]
    unknown = [each.what for each in facts.access if each.is_granted is None]
    if refused:
        remedy = next((each.remedy for each in refused if each.remedy), "")
        words = f"these credentials lack {listing(each.what for each in refused)}"
        return Finding(FAIL, "permissions", words, remedy)
    if unknown:
        words = f"whether these credentials have {listing(unknown)} could not be found out"
        return Finding(WARN, "permissions", words, "run `refinery doctor --trace-api` again")
    return Finding(OK, "permissions", ", ".join(each.what for each in facts.access))


def _clock(facts: RepositoryFacts) -> Finding:
    if abs(facts.skew) <= _MOST_SKEW:
        return Finding(OK, "clock", "agrees with GitHub's")
    way = "ahead of" if facts.skew > 0 else "behind"
    words = f"this machine's clock is {approximate_duration(abs(facts.skew))} {way} GitHub's"
    return Finding(WARN, "clock", words, "set it by NTP: an App's login depends on it")


def _issues(facts: RepositoryFacts) -> Finding:
    if facts.has_issues:
        return Finding(OK, "issues", "switched on")
    remedy = f"switch them on: {facts.page}/settings; or use task files: `refinery init SLUG --tasks FOLDER`"
    return Finding(FAIL, "issues", "switched off, and they are to be the tasks", remedy)


def _labels(facts: RepositoryFacts, needs: Needs) -> Finding:
    missing = [name for name in wanted_labels(needs) if name.casefold() not in facts.labels]
    if not missing:
        return Finding(OK, "labels", "all there")
    words = f"there is no label {listing(missing, 'or')} yet"
    return Finding(WARN, "labels", words, f"`refinery setup {facts.name}` makes them")


def _methods(facts: RepositoryFacts, needs: Needs) -> Finding:
    wanted = "squash" if needs.is_squash else "merge"
    allowed = listing(sorted(facts.methods)) or "none"
    if wanted in facts.methods:
        return Finding(OK, "merge methods", allowed)
    other = "`policy: {squash: false}`" if needs.is_squash else "`policy: {squash: true}`"
    remedy = f"allow it: {facts.page}/settings; or set {other} in the configuration"
    words = f"the policy lands by {wanted}, and allowed is {allowed}"
    return Finding(FAIL, "merge methods", words, remedy)


def _rules(branch: BranchFacts) -> Finding:
    parts = [f"{plural(len(branch.required), 'required check')}"]
    parts += ["a merge queue"] if branch.has_queue else []
    words = f"{branch.name}: {listing(parts)}"
    if branch.approvals:
        asks = f"{words}, and {plural(branch.approvals, 'approving review')}"
        remedy = "a person approves each pull, or a ruleset lets this App or account bypass the reviews"
        return Finding(WARN, "branch rules", f"{asks}, so nothing merges by itself", remedy)
    if branch.approvals is None:
        words += "; whether reviews are asked for shows only to an administrator"
    return Finding(OK, "branch rules", words)


def _required(branch: BranchFacts, needs: Needs) -> Iterator[Finding]:
    """Each required check, GitHub's and the policy's: whether its App was seen reporting it."""
    wanted = list(dict.fromkeys((*branch.required, *needs.required)))
    if not wanted:
        return
    never = [each for each in wanted if not _is_seen(each, branch)]
    if not never:
        yield Finding(OK, "required checks", listing(map(_shown, wanted)))
        return
    named = dict(branch.seen)
    for name, app in never:
        other = f"; {named[name]} reports one of that name" if app and name in named else ""
        yield Finding(
            WARN,
            "required checks",
            f"{_shown((name, app))} was not reported on the newest commits{other}",
            "pulls wait until it reports: check its name and its App in the configuration and the branch rules",
        )


def _is_seen(wanted: tuple[str, str], branch: BranchFacts) -> bool:
    return any(wanted[0] == name and wanted[1] in ("", app) for name, app in branch.seen)


def _shown(check: tuple[str, str]) -> str:
    return f"{check[0]} by {check[1]}" if check[1] else check[0]


def _ci(facts: RepositoryFacts, branch: BranchFacts, needs: Needs) -> Finding:
    if facts.login.removesuffix("[bot]") != ACTIONS:
        return Finding(OK, "ci", "starts for pulls of this identity")
    waits = bool(branch.required or needs.required)
    words = "GitHub starts no workflow for pulls that a workflow's own token opens"
    words += ", so the required checks never report" if waits else ""
    remedy = "use a GitHub App: docs/github.md says how"
    return Finding(FAIL if waits else WARN, "ci", words, remedy)


def _workflows(facts: RepositoryFacts, branch: BranchFacts) -> Iterator[Finding]:
    """Pushing a branch executes the agent's code in CI: with which secrets, and with what token?"""
    running = [each for each in branch.workflows if each.starts]
    if not running:
        yield Finding(OK, "workflows", "none starts for an agent's branch")
        return
    safe = True
    for each in running:
        if "pull_request_target" in each.starts or each.problem or each.secrets:
            safe = False
            yield _danger(each)
    unsafe_tokens = [each for each in running if _rights(each, facts) != "read"]
    if unsafe_tokens:
        yield _token_danger(facts, unsafe_tokens)
    elif safe:
        paths = listing(each.path for each in running)
        words = f"{paths} start for an agent's branch, without secrets and with a token that only reads"
        yield Finding(OK, "workflows", words)


def _danger(each: Workflow) -> Finding:
    if each.problem:
        words = f"cannot be read ({each.problem}), so what it gives to an agent's code is not known"
        remedy = "mend the file"
    elif "pull_request_target" in each.starts:
        words = "checks out a pull's head under pull_request_target: an agent's code gets every secret"
        remedy = "use pull_request there, which is enough to test"
    else:
        words = f"starts on {listing(each.starts)}, and gives {listing(each.secrets)} to what an agent wrote"
        remedy = "leave `polecat/**` out (`branches-ignore`), or move them to an environment that wants an approval"
    return Finding(WARN, "workflows", f"DANGER: {each.path} {words}", remedy)


def _token_danger(facts: RepositoryFacts, running: list[Workflow]) -> Finding:
    sure = any(_rights(each, facts) == "write" for each in running)
    may = (
        "can write to the repository"
        if sure
        else "may be able to write: only an administrator sees the setting"
    )
    paths = listing(each.path for each in running)
    return Finding(
        WARN,
        "workflow token",
        f"DANGER: pushing a branch runs the agent's code in {paths}, whose token {may}",
        f"set `permissions: {{contents: read}}` in the file, and read-only as default: {facts.page}/settings/actions",
    )


def _rights(each: Workflow, facts: RepositoryFacts) -> str:
    return each.rights or facts.default_rights
