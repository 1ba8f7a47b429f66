"""The promises of `Refs`, on every transport: by path, over `file://`, over `git http-backend`."""

import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.repos import bare, checkout, commit, git
from support.server import allow_push, serve

from refinery.errors import ForgeUnavailableError, PushRefusedError, RefMovedError
from refinery.forges.git.by_path import PathRefs
from refinery.forges.git.by_url import UrlRefs
from refinery.forges.git.refs import Refs, RefUpdate
from refinery.git import Signature
from refinery.mirror import Mirror

WHO = Signature("Tester", "t@example.org", 1_700_000_000)
CLAIM = "refs/refinery/claims/a"
Maker = Callable[[], Refs]


def fresh_mirror(path: Path) -> Mirror:
    """An empty mirror, as a new home has it."""
    return Mirror.create(path, "", is_url=True)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A bare repository that takes pushes."""
    repo = bare(tmp_path / "srv" / "code.git")
    allow_push(repo)
    return repo


@pytest.fixture(params=["path", "file", "http"])
def make(request: pytest.FixtureRequest, tmp_path: Path, origin: Path) -> Iterator[Maker]:
    """Makes transports to `origin`, each with a mirror of its own, as separate hosts would."""
    count = itertools.count()

    def mirror() -> Mirror:
        return fresh_mirror(tmp_path / f"mirror-{os.getpid()}-{next(count)}.git")

    if request.param == "path":
        yield lambda: PathRefs(origin, mirror())
    elif request.param == "file":
        yield lambda: UrlRefs(f"file://{origin}", mirror())
    else:
        with serve(origin.parent) as url:
            yield lambda: UrlRefs(f"{url}/{origin.name}", mirror())


def test_create_only_refuses_a_second_creation(make: Maker) -> None:
    """The second orphan loses, and says what is there."""
    one, two = make(), make()
    first = one.commit("one", [], WHO)
    one.transact([RefUpdate(CLAIM, None, first)])
    with pytest.raises(RefMovedError) as lost:
        two.transact([RefUpdate(CLAIM, None, two.commit("two", [], WHO))])
    assert lost.value.actual == first


def test_an_unanswered_write_offered_again_is_a_success(make: Maker) -> None:
    """The very same commit, offered twice, is ours both times."""
    refs = make()
    first = refs.commit("one", [], WHO)
    refs.transact([RefUpdate(CLAIM, None, first)])
    refs.transact([RefUpdate(CLAIM, None, first)])
    row = refs.tip(CLAIM)
    assert row is not None
    assert (row.sha, row.message) == (first, "one")


def test_a_descendant_does_not_pass_for_a_creation(make: Maker) -> None:
    """A fast-forward over somebody's claim, without having seen it, loses."""
    one, two = make(), make()
    first = one.commit("one", [], WHO)
    one.transact([RefUpdate(CLAIM, None, first)])
    assert two.rows()
    child = two.commit("two", [first], WHO)
    with pytest.raises(RefMovedError):
        two.transact([RefUpdate(CLAIM, None, child)])


def test_rows_and_transactions_over_several_refs(make: Maker) -> None:
    """All move or none: one stale lease spoils the whole transaction."""
    refs = make()
    main = next(row for row in refs.rows() if row.ref == "refs/heads/main").sha
    one, two = refs.commit("one", [], WHO), refs.commit("two", [], WHO)
    refs.transact([RefUpdate(CLAIM, None, one), RefUpdate("refs/refinery/pulls/1", None, two)])
    with pytest.raises(RefMovedError):
        refs.transact(
            [
                RefUpdate("refs/refinery/claims/b", None, refs.commit("three", [], WHO)),
                RefUpdate(CLAIM, two, refs.commit("four", [], WHO)),
            ]
        )
    assert {row.ref: row.sha for row in refs.rows()} == {
        "refs/heads/main": main,
        CLAIM: one,
        "refs/refinery/pulls/1": two,
    }


def test_delete_is_pinned_to_the_sha_seen(make: Maker) -> None:
    """Deletion of a moved ref loses; of the seen one succeeds."""
    refs = make()
    one = refs.commit("one", [], WHO)
    refs.transact([RefUpdate(CLAIM, None, one)])
    with pytest.raises(RefMovedError):
        refs.transact([RefUpdate(CLAIM, "1" * 40, None)])
    refs.transact([RefUpdate(CLAIM, one, None)])
    assert refs.tip(CLAIM) is None


def test_objects_come_along_from_the_mirror(tmp_path: Path, origin: Path) -> None:
    """A commit that only the mirror has arrives with its files, by path."""
    mirror = fresh_mirror(tmp_path / "mirror.git")
    mirror.fetch(str(origin))
    base = git(origin, "rev-parse", "main")
    other = bare(tmp_path / "other.git", {})
    git(other, "fetch", "--quiet", str(origin), "+refs/heads/main:refs/heads/main")
    new = commit(other, {"added.txt": "added\n"})
    git(other, "push", "--quiet", str(mirror.path), "main:refs/remotes/origin/new")
    refs = PathRefs(origin, mirror)
    refs.transact([RefUpdate("refs/heads/polecat/a", None, new)], objects=[new], have=[base])
    assert git(origin, "show", "polecat/a:added.txt") == "added"
    assert git(origin, "fsck", "--strict") == ""


def test_f06_an_absent_repository_is_unavailable_never_empty(tmp_path: Path, origin: Path) -> None:
    """F6: no answer is neither "no work" nor "lost"."""
    mirror = fresh_mirror(tmp_path / "mirror.git")
    for refs in (PathRefs(tmp_path / "gone.git", mirror), UrlRefs(f"file://{tmp_path}/gone.git", mirror)):
        with pytest.raises(ForgeUnavailableError):
            refs.rows()
    assert PathRefs(origin, mirror).rows()


def test_a_server_hook_that_declines_is_a_refusal_with_its_words(tmp_path: Path, origin: Path) -> None:
    """A ruleset is not a passing fault."""
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'workflows are protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    refs = UrlRefs(f"file://{origin}", fresh_mirror(tmp_path / "mirror.git"))
    with pytest.raises(PushRefusedError, match="hook declined"):
        refs.transact([RefUpdate(CLAIM, None, refs.commit("one", [], WHO))])


def _contend(refs: Refs, start: "multiprocessing.synchronize.Event", number: int, ref: str) -> bool:
    sha = refs.commit(f"claim of {number}", [], WHO)
    start.wait()
    try:
        refs.transact([RefUpdate(ref, None, sha)])
    except RefMovedError:
        return False
    return True


def _race(make: Maker, contenders: int, ref: str = CLAIM) -> int:
    context = multiprocessing.get_context("fork")
    start = context.Event()
    results: multiprocessing.Queue[bool | str] = context.Queue()

    def run(refs: Refs, number: int) -> None:
        try:
            results.put(_contend(refs, start, number, ref))
        except BaseException as error:  # noqa: BLE001  (the parent reports it)
            results.put(repr(error))

    children = [context.Process(target=run, args=(make(), number)) for number in range(contenders)]
    for child in children:
        child.start()
    start.set()
    answers = [results.get(timeout=120) for _ in children]
    for child in children:
        child.join()
    assert all(isinstance(answer, bool) for answer in answers), answers
    return sum(answer is True for answer in answers)


def test_f01_f17_one_winner_of_many_contenders(make: Maker, origin: Path) -> None:
    """F1, F17: of eight processes that create one claim at once, exactly one wins, on every transport."""
    assert _race(make, 8) == 1
    assert git(origin, "for-each-ref", "--format=%(refname)", "refs/refinery/") == CLAIM


def test_f01_one_winner_of_64_in_every_one_of_20_rounds(tmp_path: Path) -> None:
    """F1: 64 processes race for one task by path; one winner, 20 rounds."""
    for number in range(20):
        repo = bare(tmp_path / f"round-{number}.git")
        mirror = fresh_mirror(tmp_path / f"mirror-{number}.git")
        assert _race(lambda repo=repo, mirror=mirror: PathRefs(repo, mirror), 64) == 1


@pytest.mark.races
@pytest.mark.timeout(900)
def test_f01_one_winner_of_64_in_20_rounds_by_url(make: Maker) -> None:
    """F1: 64 processes race for one task, 20 rounds, on every transport."""
    for number in range(20):
        assert _race(make, 64, f"{CLAIM}{number}") == 1


def test_f01_one_winner_of_64_by_url(make: Maker) -> None:
    """F1: the same by URL, one round of 64 in the ordinary run."""
    assert _race(make, 64) == 1


def test_a_lock_of_a_dead_writer_of_ours_is_removed(tmp_path: Path, origin: Path) -> None:
    """The note names ref and SHA; a lock that holds exactly that SHA is ours."""
    refs = PathRefs(origin, fresh_mirror(tmp_path / "mirror.git"))
    sha = refs.commit("one", [], WHO)
    lock = origin / f"{CLAIM}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(sha + "\n")
    (origin / "refinery.journal").write_text(f'[["{CLAIM}", "{sha}"]]')
    refs.transact([RefUpdate(CLAIM, None, sha)])
    assert not lock.exists()


def test_a_persons_lock_is_waited_for_and_reported(
    tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that no note explains is never removed."""
    monkeypatch.setattr("refinery.forges.git.by_path._PATIENCE", 0.1)
    refs = PathRefs(origin, fresh_mirror(tmp_path / "mirror.git"))
    lock = origin / f"{CLAIM}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("")
    with pytest.raises(ForgeUnavailableError, match="lock"):
        refs.transact([RefUpdate(CLAIM, None, refs.commit("one", [], WHO))])
    assert lock.exists()


def test_foreign_hooks_of_a_path_repository_do_not_run(tmp_path: Path) -> None:
    """A reference-transaction hook in somebody's checkout is not ours to run (F32)."""
    repo = checkout(tmp_path / "work")
    canary = tmp_path / "canary"
    hook = repo / ".git" / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
    hook.chmod(0o755)
    refs = PathRefs(repo / ".git", fresh_mirror(tmp_path / "mirror.git"))
    refs.transact([RefUpdate(CLAIM, None, refs.commit("one", [], WHO))])
    assert not canary.exists()
