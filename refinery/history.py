"""The tree rules on commits that exist already: `explain BASE..HEAD` and `replay`.

Both need a git directory and nothing else: no project, no home, no forge. Nothing is written.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refinery.core.additive import TIERS, Classification, Tier
from refinery.core.reasons import NOT_ADDITIVE, Code, Reason, printable, reason
from refinery.core.text import parse_duration, plain_table, plural
from refinery.core.verdict import Policy, tree_reasons
from refinery.errors import GitError, UsageError
from refinery.git import Git
from refinery.trees import Progress, compare, compare_many, merge_bases

_SHOWN: Final = 12  # reasons of one kind that a text lists before it counts the rest


@dataclass(frozen=True, slots=True)
class RangeReport:
    """What HEAD does to BASE since they parted: full SHAs, the least tier that admits it, every tree reason."""

    base: str
    head: str
    tier: Tier
    reasons: tuple[Reason, ...]
    files: int = 0
    added_lines: int = 0

    def to_json(self) -> dict[str, object]:
        """`{base, head, tier, reasons}`."""
        return {
            "base": self.base,
            "head": self.head,
            "tier": str(self.tier),
            "reasons": [each.to_json() for each in self.reasons],
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One landed change: the commit it landed on, its own, the least tier that admits it, what the rules say."""

    base: str
    head: str
    tier: Tier
    reasons: tuple[Reason, ...]
    subject: str = ""

    @property
    def merges_at(self) -> Tier | None:
        """The least tier of a policy that would have let it through; None: no tier."""
        return self.tier if all(each.code in NOT_ADDITIVE for each in self.reasons) else None

    def to_json(self) -> dict[str, object]:
        """`{base, head, tier, reasons}`."""
        return {
            "base": self.base,
            "head": self.head,
            "tier": str(self.tier),
            "reasons": [each.to_json() for each in self.reasons],
        }


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A branch's landed changes, newest first, and what was left out of them."""

    since: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def tiers(self) -> dict[str, int]:
        """How many changes each tier is the least for."""
        return {str(tier): sum(row.tier is tier for row in self.rows) for tier in TIERS}

    @property
    def would_merge(self) -> dict[str, int]:
        """How many changes a policy of each tier would have let through."""
        least = [TIERS.index(row.merges_at) for row in self.rows if row.merges_at is not None]
        return {str(tier): sum(at <= index for at in least) for index, tier in enumerate(TIERS)}

    @property
    def reasons(self) -> dict[str, int]:
        """How many changes each reason stands against, the most frequent first."""
        codes = Counter(code for row in self.rows for code in {str(each.code) for each in row.reasons})
        return dict(sorted(codes.items(), key=lambda item: (-item[1], item[0])))

    def to_json(self) -> dict[str, object]:
        """`{changes, tiers, would_merge, reasons, rows, notes}`."""
        return {
            "changes": len(self.rows),
            "tiers": self.tiers,
            "would_merge": self.would_merge,
            "reasons": self.reasons,
            "rows": [row.to_json() for row in self.rows],
            "notes": list(self.notes),
        }


def explain_range(repo: Path, spec: str, policy: Policy | None = None) -> RangeReport:
    """What the tree rules say about `BASE..HEAD`, from their merge base on.

    Raises:
        UsageError: not a repository, not a range, a commit that is not there, or a history that is cut off.
    """
    git = open_repository(repo)
    base_name, head_name = _ends(spec)
    base, head = _commit(git, base_name, repo), _commit(git, head_name, repo)
    bases = merge_bases(git, base, head)
    if not bases and _shallow(git):
        raise UsageError(
            f"{spec}: no common commit is in this shallow clone, so what the change adds cannot be told",
            remedy="fetch the rest of the history: git fetch --unshallow",
        )
    if len(bases) != 1:
        code = Code.SEVERAL_MERGE_BASES if bases else Code.NO_MERGE_BASE
        facts = {"count": len(bases)} if bases else {}
        return RangeReport(base, head, Tier.ANY, (reason(code, **facts),))
    found = compare(git, bases[0], head)
    reasons = tree_reasons([found], policy or Policy())
    return RangeReport(base, head, found.tier, reasons, found.files, found.added_lines)


def replay(
    repo: Path,
    since: str,
    policy: Policy | None = None,
    *,
    now: float | None = None,
    progress: Progress | None = None,
) -> ReplayReport:
    """Judge what landed on the current branch within `since` (`180d`, `26w`) by the tree rules alone.

    A change is a commit of the first-parent history against its first parent; a root commit landed on nothing and is
    left out. `progress` hears how many of all are done.

    Raises:
        UsageError: not a repository, no commits, or not a duration.
    """
    git = open_repository(repo)
    try:
        start = (time.time() if now is None else now) - parse_duration(since)
    except ValueError as error:
        raise UsageError(str(error), remedy="write how far to look back, such as --since 180d") from error
    head = _commit(git, "HEAD", repo)
    commits = _landed(git, head, start)
    cut = _shallow(git)
    steps = [(parent, commit, tree) for commit, tree, parent, _ in commits if parent and commit not in cut]
    found = compare_many(git, steps, progress=progress)
    subjects = {commit: subject for commit, _, _, subject in commits}
    rows = [
        _row(step, one, subjects[step[1]], policy or Policy()) for step, one in zip(steps, found, strict=True)
    ]
    notes = [
        f"the history is cut off at {commit[:12]} (shallow clone); what landed before it was not judged"
        for commit, *_ in commits
        if commit in cut
    ]
    return ReplayReport(since, tuple(rows), tuple(notes))


def open_repository(path: Path) -> Git:
    """Git on the repository that holds `path`: a bare one, a checkout, a linked worktree, or a folder inside.

    Raises:
        UsageError: there is none.
    """
    start = path.expanduser().absolute()
    if not start.is_dir():
        raise UsageError(f"{path} is not a folder", remedy="give the path of a git repository with --repo")
    for folder in (start, *start.parents):
        if (found := _git_dir(folder)) is not None:
            return Git(found)
    raise UsageError(f"{path} is not in a git repository", remedy="give the path of one with --repo")


def render_range(report: RangeReport) -> str:
    """A report for people: the tier, then what stands against merging, most frequent kind first."""
    head = f"{report.base[:12]}..{report.head[:12]}: tier {report.tier}"
    size = f"{plural(report.files, 'file')}, {plural(report.added_lines, 'added line')}"
    if not report.reasons:
        return f"{head} ({size}); the tree rules have nothing against it\n"
    return f"{head} ({size}); not merged without a person, because\n" + _reason_lines(report.reasons)


def render_replay(report: ReplayReport) -> str:
    """A report for people: how much each tier would have merged, and what held back the rest."""
    total = len(report.rows)
    lines = [f"{plural(total, 'change')} landed on this branch within {report.since}\n\n"]
    if total:
        table = [["policy", "would have merged", "share"]]
        table += [
            [f"tier: {tier}", str(count), f"{100 * count / total:.0f}%"]
            for tier, count in report.would_merge.items()
        ]
        lines.append(plain_table(table))
    if report.reasons:
        lines.append(
            "\nWhat stood against merging, by number of changes (tier any lifts the first kind alone)\n\n"
        )
        rows = [
            ["not additive" if Code(code) in NOT_ADDITIVE else "any tier", code, str(count)]
            for code, count in report.reasons.items()
        ]
        lines.append(
            plain_table(
                [["against", "reason", "changes"], *sorted(rows, key=lambda row: row[0] != "not additive")]
            )
        )
    lines += [f"\nnote: {note}\n" for note in report.notes]
    return "".join(lines)


def _reason_lines(reasons: Sequence[Reason]) -> str:
    text = ""
    for code, count in Counter(each.code for each in reasons).most_common():
        alike = [each for each in reasons if each.code is code]
        text += "".join(f"  {code}: {each.text}\n    {each.cure}\n" for each in alike[:_SHOWN])
        text += f"  {code}: and {count - _SHOWN} more\n" if count > _SHOWN else ""
    return text


def _row(step: tuple[str, str, str], found: Classification, subject: str, policy: Policy) -> Row:
    parent, commit, _ = step
    return Row(parent, commit, found.tier, tree_reasons([found], policy), subject)


def _landed(git: Git, head: str, start: float) -> list[tuple[str, str, str, str]]:
    """(commit, tree, first parent or "", subject) of the first-parent history since `start`, newest first."""
    # git reads a number as an instant only from 100000000 (1973) on
    since = [f"--since-as-filter={int(start)}"] if start >= 1e8 else []
    out = git.text(
        "rev-list",
        "--first-parent",
        *since,
        "--no-commit-header",
        "--format=%H %T %P%x00%s",
        head,
        "--",
    )
    found = []
    for line in out.split("\n") if out else []:
        names, _, subject = line.partition("\0")
        commit, tree, *parents = names.split()
        found.append((commit, tree, parents[0] if parents else "", printable(subject)))
    return found


def _ends(spec: str) -> tuple[str, str]:
    mark = "..." if "..." in spec else ".."
    base, found, head = spec.partition(mark)
    if not found or not (base or head):
        raise UsageError(
            f"{spec!r} is not a range of commits", remedy="write BASE..HEAD, such as main..my-branch"
        )
    return base or "HEAD", head or "HEAD"


def _commit(git: Git, name: str, repo: Path) -> str:
    done = git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if done.code == 0:
        return done.out.decode().strip()
    if name == "HEAD":
        raise UsageError(
            f"{repo} has no commit yet", remedy="commit something first, or name a branch that exists"
        )
    raise UsageError(
        f"{printable(name)} is not a commit of {repo}",
        remedy="fetch it first, or see `git branch -a` for the names that exist",
    )


def _git_dir(folder: Path) -> Path | None:
    marker = folder / ".git"
    if marker.is_file():
        target = marker.read_text("utf-8", "surrogateescape").removeprefix("gitdir:").strip()
        marker = folder / target
    for found in (marker, folder):
        if (found / "HEAD").is_file() and ((found / "objects").is_dir() or (found / "commondir").is_file()):
            return found
    return None


def _shallow(git: Git) -> frozenset[str]:
    """The commits at which a shallow clone is cut off (https://git-scm.com/docs/shallow)."""
    try:
        path = git.text("rev-parse", "--git-path", "shallow")
        return frozenset((git.git_dir / path).read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise GitError(f"{git.git_dir}: the list of cut-off commits cannot be read") from error
