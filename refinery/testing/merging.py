"""The commits that merging makes: a merge, a squash or a rebase, on the repository's real git."""

from collections.abc import Callable
from typing import Final

from refinery.git import Git, Signature
from refinery.testing import repository_git as git
from refinery.testing.state import Account, Issue, Pull, Repository
from refinery.testing.world import ProblemError, World

HEADS: Final = "refs/heads/"
_TRIES: Final = 20
_NOT_MERGEABLE: Final = "Pull Request is not mergeable"


def merge_commit(
    world: World, issue: Issue, by: Account, *, method: str, title: str, message: str
) -> tuple[str, str]:
    """Move the base by a merge of the pull's head; returns the base's old and new tip.

    Raises:
        ProblemError: 405: it conflicts, or the base moved again and again.
    """
    row, repository = _pull(issue), issue.repository
    make: Callable[[str], str] = {
        "squash": lambda base: _squash(world, issue, base, title, message),
        "rebase": lambda base: _rebase(world, repository, base, row.head_sha, by),
    }.get(method, lambda base: _merge(world, issue, base, by, title, message))
    for _ in range(_TRIES):
        base = git.ref(repository.path, HEADS + row.base_ref)
        if base is None:
            raise ProblemError(405, _NOT_MERGEABLE)
        commit = make(base)
        if git.transact(repository.path, [(HEADS + row.base_ref, base, commit)]):
            return base, commit
    raise ProblemError(405, "Base branch was modified. Review and try the merge again.")


def _pull(issue: Issue) -> Pull:
    if issue.pull is None:
        raise ProblemError(404, "Not Found")
    return issue.pull


def person(account: Account, at: float) -> Signature:
    """Somebody's name and address in commits that GitHub makes."""
    return Signature(account.login, f"{account.id}+{account.login}@users.noreply.github.localhost", at)


def _hub(at: float) -> Signature:
    return Signature("GitHub", "noreply@github.localhost", at)


def _tree(repository: Repository, base: str, head: str) -> str:
    tree = git.merge_tree(repository.path, base, head)
    if tree is None:
        raise ProblemError(405, _NOT_MERGEABLE)
    return tree


def _squash(world: World, issue: Issue, base: str, title: str, message: str) -> str:
    row, at = _pull(issue), world.clock.now()
    tree = _tree(issue.repository, base, row.head_sha)
    text = f"{title or f'{issue.title} (#{issue.number})'}\n\n{message}".strip()
    return git.make_commit(issue.repository.path, tree, [base], person(issue.author, at), _hub(at), text)


def _merge(world: World, issue: Issue, base: str, by: Account, title: str, message: str) -> str:
    row, at = _pull(issue), world.clock.now()
    tree = _tree(issue.repository, base, row.head_sha)
    owner = row.head_repository.owner.login if row.head_repository else "unknown"
    plain = f"Merge pull request #{issue.number} from {owner}/{row.head_ref}"
    text = f"{title or plain}\n\n{message or issue.title}".strip()
    return git.make_commit(issue.repository.path, tree, [base, row.head_sha], person(by, at), _hub(at), text)


def _rebase(world: World, repository: Repository, base: str, head: str, by: Account) -> str:
    """Each commit of the pull again, upon the base: three-way, with the commit's parent as the common ancestor."""
    shas = Git(repository.path).text("rev-list", "--reverse", "--no-merges", head, f"^{base}").split()
    tip, at = base, world.clock.now()
    for sha in shas:
        made = git.show(repository.path, sha)
        if made is None or len(made.parents) != 1:
            raise ProblemError(405, "This branch can't be rebased")
        upon = git.show(repository.path, tip)
        ours = upon.tree if upon is not None else made.tree
        # Both sides as children of the commit's parent, so that this is what they are compared with.
        sides = [
            git.make_commit(repository.path, tree, list(made.parents), _hub(at), _hub(at), "")
            for tree in (ours, made.tree)
        ]
        tree = _tree(repository, sides[0], sides[1])
        author = git.author_of(repository.path, sha)
        tip = git.make_commit(repository.path, tree, [tip], author, person(by, at), made.message)
    return tip
