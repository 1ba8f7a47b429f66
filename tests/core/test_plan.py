"""Readiness and order: every rule of docs/design.md, as tables and properties."""

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery.core.blockers import _TEXT, Blocker
from refinery.core.claims import SKEW, mirror_after
from refinery.core.model import (
    Claim,
    ClaimState,
    ClaimTip,
    ForgeState,
    Problem,
    Pull,
    PullState,
    Role,
    Status,
    Task,
    TaskList,
)
from refinery.core.outcomes import Outcome
from refinery.core.plan import order, plan, readiness, unclaimed

NOW = 1_000_000.0
HEAD = "a" * 40


def task(name="t", status=Status.READY, **fields):
    return Task(id=name, title=name, status=status, **fields)


def listed(*tasks, problems=()):
    return TaskList(tasks={each.id: each for each in tasks}, problems=tuple(problems))


def held(name="t", left=600.0, **fields):
    given = {"attempt": 1, "holder": "w1", "role": Role.WORK, "nonce": "n", "acquired_at": NOW - 100}
    return ClaimTip("c" * 40, Claim(task=name, expires_at=NOW + left, **{**given, **fields}))


def released(outcome, name="t", **fields):
    given = {
        "state": ClaimState.RELEASED,
        "outcome": outcome,
        "work_outcome": outcome,
        "left": 0.0,
        "head": HEAD,
    }
    return held(name, **{**given, **fields})


def pull(number=1, name="t", state=PullState.OPEN, **fields):
    given = {"branch": f"polecat/{name}", "head": HEAD, "base": "main", "title": name}
    closed = NOW - 50 if state is not PullState.OPEN else 0.0
    return Pull(number=number, task=name, state=state, **{"closed_at": closed, **given, **fields})


def state(tip=None, pulls=(), problems=(), heads=()):
    claims = {} if tip is None else {"t": tip}
    return ForgeState(
        claims=claims,
        pulls={each.number: each for each in pulls},
        problems=tuple(problems),
        heads=dict(heads),
    )


def judge(mine, forge=None, others=(), problems=(), caller="me", attempts=3, repairable=()):
    return readiness(
        mine,
        listed(mine, *others, problems=problems),
        forge or state(),
        NOW,
        caller=caller,
        attempts=attempts,
        repairable=frozenset(repairable),
    )


def codes(result):
    return [reason.code.value for reason in result.reasons]


# The file alone.


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.READY, None),
        (Status.INBOX, "inbox"),
        (Status.DORMANT, "dormant"),
        (Status.BLOCKED, "blocked"),
        (Status.IN_PROGRESS, "stalled"),
        (Status.REVIEW, "in-review"),
        (Status.DONE, "finished"),
        (Status.FAILED, "finished"),
        (Status.CANCELLED, "finished"),
    ],
)
def test_without_a_claim_only_ready_is_ready(status, code):
    """Every other status has a reason of its own."""
    assert codes(judge(task(status=status))) == ([code] if code else [])


@pytest.mark.parametrize("kind", ["task", "action", "bug", "feature"])
def test_leaf_types_are_run(kind):
    """These four types, and no type, mean work."""
    assert judge(task(type=kind)).is_ready


@pytest.mark.parametrize("kind", ["epic", "project", "goal", "note", "tasks"])
def test_other_types_are_not_run(kind):
    """Anything else is a container or a note."""
    assert codes(judge(task(type=kind))) == ["wrong-type"]


def test_a_parent_is_not_a_leaf():
    """A task that others name as their parent is not run; one that names itself is."""
    result = judge(task(), others=[task("a", parent="t"), task("b", parent="t")])
    assert codes(result) == ["not-a-leaf"]
    assert result.reasons[0].text == "it is the parent of a and b"
    assert judge(task(parent="t")).is_ready


@pytest.mark.parametrize(
    ("assignee", "is_ready"),
    [
        ("", True),
        ("polecat", True),
        ("bot", True),
        ("me", True),
        ("Me", True),
        ("@bot", True),
        ("nic", False),
    ],
)
def test_only_our_own_tasks_are_taken(assignee, is_ready):
    """Nobody's, polecat's, bot's and the caller's."""
    assert judge(task(assignee=assignee)).is_ready is is_ready


# Dependencies.


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.DONE, None),
        (Status.READY, "dependency-waiting"),
        (Status.REVIEW, "dependency-waiting"),
        (Status.INBOX, "dependency-waiting"),
        (Status.CANCELLED, "dependency-dead"),
        (Status.FAILED, "dependency-dead"),
    ],
)
def test_a_dependency_must_be_done(status, code):
    """Anything but done blocks, and by name; what will never be done says so."""
    result = judge(task(depends_on=("d",)), others=[task("d", status)])
    assert codes(result) == ([code] if code else [])
    assert all("d" in reason.text and str(status) in reason.text for reason in result.reasons)


def test_a_landed_dependency_is_done():
    """A merged pull is the truth before its mirror is written; a re-opened task is not done."""
    mine, other = task(depends_on=("d",)), task("d", Status.REVIEW)
    landed = pull(7, "d", PullState.MERGED)
    assert judge(mine, state(pulls=[landed]), others=[other]).is_ready
    reopened = ForgeState(
        pulls={7: landed}, claims={"d": released(Outcome.MERGED, "d", mirror=Status.DONE, pull=7)}
    )
    assert codes(judge(mine, reopened, others=[task("d")])) == ["dependency-waiting"]
    assert codes(judge(mine, state(pulls=[landed]), others=[task("d", Status.CANCELLED)])) == [
        "dependency-dead"
    ]


def test_f7_unknown_dependencies_are_reported_by_name():
    """F7: an id that nobody has is a reason, not a silent wait; a file that cannot be used is named."""
    broken = Problem(path="d.md", message="bad", task="d")
    result = judge(task(depends_on=("nobody", "d")), problems=[broken])
    assert codes(result) == ["dependency-unknown", "dependency-unreadable"]
    assert "nobody" in result.reasons[0].text
    assert "d.md" in result.reasons[1].cure


def test_f7_circles_are_reported_by_name():
    """F7: a circle is spelled out for its members; who waits for one is not in it; a done member breaks it."""
    a, b, c = task("a", depends_on=("b",)), task("b", depends_on=("c", "x")), task("c", depends_on=("a",))
    outside = task("o", depends_on=("a",))
    own = task("own", depends_on=("own",))
    queue = plan(listed(a, b, c, outside, own), state(), NOW, caller="me", attempts=3)
    for name in "abc":
        assert queue.skipped[name][-1].text == "its dependencies go in a circle: a → b → c → a"
    assert "dependency-cycle" not in codes(queue.readiness["o"])
    assert queue.skipped["own"][-1].facts["cycle"] == "own → own"
    broken = plan(listed(a, b, replace(c, status=Status.DONE)), state(), NOW, caller="me", attempts=3)
    assert "dependency-cycle" not in codes(broken.readiness["a"])


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefx"), max_size=3), max_size=6)
)
def test_circles_are_those_that_a_walk_finds(edges):
    """A task is reported as part of a circle exactly when a walk along its dependencies comes back to it."""
    tasks = listed(*(task(name, depends_on=tuple(names)) for name, names in edges.items()))
    queue = plan(tasks, state(), NOW, caller="me", attempts=3)
    for name in edges:
        seen, todo = set(), list(edges[name])
        while todo:
            each = todo.pop()
            if each not in seen:
                seen.add(each)
                todo += edges.get(each, [])
        assert ("dependency-cycle" in codes(queue.readiness[name])) == (name in seen)


# Claims.


@pytest.mark.parametrize("status", [Status.READY, Status.IN_PROGRESS, Status.REVIEW])
@pytest.mark.parametrize("role", list(Role))
def test_a_live_claim_keeps_the_task(status, role):
    """Whoever holds the task is named, with the instant at which the lease ends."""
    result = judge(task(status=status), state(held(role=role)))
    assert codes(result) == ["claimed"]
    assert "w1" in result.reasons[0].text
    assert "1970-01-12 13:56:40 UTC" in result.reasons[0].text


@pytest.mark.parametrize("status", [Status.READY, Status.IN_PROGRESS])
def test_f3_the_task_of_a_dead_worker_is_ready_again(status):
    """F3: what a file says does not keep a task from being taken over once the lease has expired."""
    assert codes(judge(task(status=status), state(held(left=-SKEW + 1)))) == ["claimed"]
    assert judge(task(status=status), state(held(left=-SKEW))).is_ready


def test_a_dead_worker_that_had_written_review():
    """Without any pull the attempt never published; with one, the pull decides."""
    mine, tip = task(status=Status.REVIEW), held(left=-60)
    assert judge(mine, state(tip)).is_ready
    assert codes(judge(mine, state(tip, [pull()]))) == ["pull-open", "in-review"]


def test_f6_a_claim_that_cannot_be_read_is_held():
    """F6: neither an unreadable tip nor a ref that could not be read at all means that nobody works on it."""
    unread = judge(task(), state(ClaimTip("c" * 40, None, "claim version 9 is not known")))
    assert codes(unread) == ["claim-unreadable"]
    assert "version 9" in unread.reasons[0].text
    ref = "refs/refinery/claims/t"
    assert codes(judge(task(), state(problems=[f"{ref} cannot be read: bad object"]))) == ["claim-unreadable"]
    assert judge(task(), state(problems=[f"{ref}-2 cannot be read: bad object"])).is_ready


def test_f6_a_pull_that_cannot_be_read_may_be_merged():
    """F6: the claim names a pull whose record is damaged: the task is not started again."""
    tip = released(Outcome.AGENT_FAILED, mirror=Status.READY, pull=4, failures=1)
    damaged = ["refs/refinery/pulls/4 cannot be read: no JSON"]
    assert codes(judge(task(), state(tip, problems=damaged))) == ["pull-unreadable"]
    assert judge(task(), state(tip)).is_ready


def test_a_lease_from_a_wrong_clock_is_reported():
    """A claim that lasts longer than any may is held, and says why it will not end by itself."""
    assert codes(judge(task(), state(held(left=30 * 86400.0)))) == ["claim-broken"]


@pytest.mark.parametrize("outcome", [o for o in Outcome if mirror_after(o, 1, 3) is not None])
@pytest.mark.parametrize("mirror", ["as written", None])
def test_a_released_claim_decides_with_the_file_as_mirrored(outcome, mirror):
    """Ready again only after outcomes that say so, whether or not the mirror was recorded."""
    written = mirror_after(outcome, 1, 3)
    status = written if mirror else Status.READY
    result = judge(task(status=status), state(released(outcome, mirror=written if mirror else None)))
    assert result.is_ready == (written is Status.READY)
    assert not result.is_restarted


@pytest.mark.parametrize(
    "recorded", [Status.BLOCKED, Status.REVIEW, Status.FAILED, Status.DONE, Status.IN_PROGRESS]
)
def test_ready_against_another_mirror_is_a_persons_act(recorded):
    """A person set `ready`: failures and back-off start from nothing, and the worker is told so."""
    tip = released(Outcome.AGENT_FAILED, mirror=recorded, failures=3, not_before=NOW + 99)
    result = judge(task(), state(tip))
    assert result.is_ready
    assert result.is_restarted
    assert not judge(task(status=Status.FAILED), state(tip)).is_ready


def test_a_dead_workers_ready_is_no_persons_act():
    """It may have written `ready` just before a release that never came: its failures still count."""
    tip = held(left=-60, mirror=Status.REVIEW, failures=2)
    assert not judge(task(), state(tip)).is_restarted
    assert codes(judge(task(), state(tip), attempts=2)) == ["attempts-exhausted"]


def test_in_progress_by_hand_is_not_taken():
    """A file that says in_progress where our release recorded `ready` is somebody's own work."""
    tip = released(Outcome.AGENT_FAILED, mirror=Status.READY)
    result = judge(task(status=Status.IN_PROGRESS), state(tip))
    assert codes(result) == ["stalled"]
    assert "reset-stalled" in result.reasons[0].cure


def test_a_dead_mergers_claim_leaves_the_work_outcome():
    """The merger's lease says nothing about the work: what the worker released counts."""
    done = held(left=-60, role=Role.MERGE, work_outcome=Outcome.PUBLISHED, mirror=Status.READY)
    assert codes(judge(task(), state(done))) == ["in-review"]
    failed = held(left=-60, role=Role.MERGE, work_outcome=Outcome.AGENT_FAILED, mirror=Status.READY)
    assert judge(task(), state(failed)).is_ready


def test_a_question_is_passed_on():
    """The reason for which the agent stopped is what a person reads."""
    tip = released(Outcome.BLOCKED, mirror=Status.BLOCKED, reason="Which colour?")
    assert "Which colour?" in judge(task(status=Status.BLOCKED), state(tip)).reasons[0].text


def test_failures_and_back_off():
    """The cap ends it; before the cap the next attempt waits for its instant."""
    tip = released(Outcome.AGENT_FAILED, mirror=Status.READY, failures=2, not_before=NOW + 1)
    assert codes(judge(task(), state(tip))) == ["backing-off"]
    assert codes(judge(task(), state(tip), attempts=2)) == ["attempts-exhausted", "backing-off"]
    past = replace(tip, claim=replace(tip.claim, not_before=NOW))
    assert judge(task(), state(past)).is_ready


# Pulls.


def test_f5_a_merged_pull_is_final():
    """F5: a merged task is not started again, whatever its file says, with a claim or without."""
    merged = pull(state=PullState.MERGED)
    assert codes(judge(task(), state(pulls=[merged]))) == ["pull-merged"]
    stale = released(Outcome.AGENT_FAILED, mirror=Status.READY, pull=1, failures=1)
    assert codes(judge(task(), state(stale, [merged]))) == ["pull-merged"]
    expired = held(left=-60, mirror=Status.READY, pull=1)
    assert codes(judge(task(status=Status.IN_PROGRESS), state(expired, [merged]))) == ["pull-merged"]
    landed = released(Outcome.MERGED, role=Role.MERGE, pull=1)
    assert codes(judge(task(), state(landed, [merged]))) == ["pull-merged", "landed"]


def test_f5_a_late_and_fruitless_claim_does_not_reopen_a_merged_task():
    """F5: somebody claimed on an old observation, saw the merged pull and gave back: still merged."""
    late = released(Outcome.CLAIM_LOST, mirror=Status.READY, acquired_at=NOW - 10)
    assert codes(judge(task(), state(late, [pull(state=PullState.MERGED)]))) == ["pull-merged"]
    late_and_killed = held(left=-60, acquired_at=NOW - 10, mirror=Status.READY, pull=1)
    assert codes(judge(task(), state(late_and_killed, [pull(state=PullState.MERGED)]))) == ["pull-merged"]


def test_a_person_reopens_a_merged_task():
    """`ready` where `done` was recorded re-opens; so it stays while the new attempts fail, drain or die."""
    merged = pull(state=PullState.MERGED)
    reopened = judge(
        task(), state(released(Outcome.MERGED, role=Role.MERGE, mirror=Status.DONE, pull=1), [merged])
    )
    assert reopened.is_ready
    assert reopened.is_restarted
    dead = held(left=-60, acquired_at=NOW - 10, mirror=Status.DONE)
    assert judge(task(status=Status.IN_PROGRESS), state(dead, [merged])).is_ready
    for outcome in (Outcome.AGENT_FAILED, Outcome.DRAINED):
        again = released(outcome, acquired_at=NOW - 10, mirror=Status.READY)
        assert judge(task(), state(again, [merged])).is_ready
    second = released(Outcome.PUBLISHED, acquired_at=NOW - 10, mirror=Status.REVIEW, pull=2)
    both = state(second, [merged, pull(2)])
    assert codes(judge(task(status=Status.REVIEW), both)) == ["pull-open", "in-review"]


def test_a_pull_closed_unmerged_asks_a_person():
    """Nothing starts by itself after a person closed the pull; a person's `ready` does."""
    forge = state(released(Outcome.PUBLISHED, mirror=Status.REVIEW, pull=1), [pull(state=PullState.CLOSED)])
    result = judge(task(status=Status.REVIEW), forge)
    assert codes(result) == ["in-review"]
    assert "its pull 1 is closed" in result.reasons[0].text
    assert judge(task(), forge).is_ready


PUBLISHED = released(Outcome.PUBLISHED, mirror=Status.REVIEW, pull=1)


@pytest.mark.parametrize(
    ("change", "repairs"),
    [
        ({}, 1),
        ({"repairable": ()}, None),
        ({"pulls": [pull(head="b" * 40)]}, None),
        ({"pulls": [pull(same_repository=False)]}, None),
        ({"pulls": [pull(2)]}, None),
        ({"heads": {"polecat/t": "b" * 40}}, None),
        ({"heads": {"polecat/t": HEAD}}, 1),
        ({"tip": replace(PUBLISHED, claim=replace(PUBLISHED.claim, head=""))}, None),
        ({"tip": replace(PUBLISHED, claim=replace(PUBLISHED.claim, attempt=30))}, 1),
        ({"status": Status.BLOCKED}, 1),
    ],
)
def test_only_our_own_recorded_pull_is_repaired(change, repairs):
    """Open, ours, head as recorded and repairable: one field off, and it is left alone."""
    given = {
        "tip": PUBLISHED,
        "pulls": [pull()],
        "repairable": (1,),
        "attempts": 3,
        "status": Status.REVIEW,
        "heads": (),
    }
    given.update(change)
    forge = state(given["tip"], given["pulls"], heads=given["heads"])
    result = judge(
        task(status=given["status"]), forge, attempts=given["attempts"], repairable=given["repairable"]
    )
    assert result.repairs == repairs
    assert result.is_ready == (repairs is not None and given["status"] is Status.REVIEW)


def test_reading_again_after_acquiring():
    """One's own fresh claim is put aside: what counts is the tip that it took over."""
    before = released(Outcome.AGENT_FAILED, mirror=Status.READY, failures=1)
    mine = state(held(mirror=Status.READY))
    assert judge(task(), unclaimed(mine, "t", before)).is_ready
    assert judge(task(), unclaimed(mine, "t", None)).is_ready
    merged = replace(mine, pulls={1: pull(state=PullState.MERGED)})
    assert codes(judge(task(), unclaimed(merged, "t", before))) == ["pull-merged"]
    assert codes(judge(task(), mine)) == ["claimed"]


def test_a_task_that_changed_counts_as_read_last():
    """The task itself is taken as given, not as it stood in the listing."""
    result = readiness(
        task(depends_on=("t",)), listed(task(), task("d")), state(), NOW, caller="me", attempts=3
    )
    assert codes(result) == ["dependency-waiting", "dependency-cycle"]


# The queue.


def test_the_order_is_priority_order_created_id():
    """Each part decides only where the parts before it are equal; undated tasks come last, numbers count by value."""
    tasks = [
        task("z", priority=0, order=9),
        task("y", priority=1, order=1),
        task("x", priority=1, order=2, created="2026-01-01"),
        task("a", priority=1, order=2, created="2026-01-02"),
        task("9", priority=2, created="2026-01-01"),
        task("10", priority=2, created="2026-01-01"),
        task("0", priority=2),
    ]
    queue = plan(listed(*reversed(tasks)), state(), NOW, caller="me", attempts=3)
    assert [each.id for each in queue.ready] == [each.id for each in tasks]


def test_tasks_of_one_status_are_judged_apart():
    """What a claim or pull says of one task is not carried over to the next of the same status."""
    forge = ForgeState(claims={"b": held("b")}, pulls={1: pull(1, "d")})
    queue = plan(listed(*map(task, "abcde")), forge, NOW, caller="me", attempts=3)
    assert [each.id for each in queue.ready] == ["a", "c", "e"]


def test_every_blocker_has_words():
    """Each reason can be said, and cured, with the facts it carries."""
    assert set(_TEXT) == set(Blocker)


def test_ten_thousand_tasks_in_one_chain():
    """A chain as long as the list needs no recursion, and time in proportion; closed to a circle, too."""
    chain = [task(f"t{n}", depends_on=(f"t{n + 1}",)) for n in range(10_000)]
    began = time.perf_counter()
    queue = plan(listed(*chain, task("t10000")), state(), NOW, caller="me", attempts=3)
    assert [each.id for each in queue.ready] == ["t10000"]
    circle = plan(listed(*chain, task("t10000", depends_on=("t0",))), state(), NOW, caller="me", attempts=3)
    assert len(circle.skipped) == 10_001
    assert len(circle.skipped["t5000"][-1].text) < 200
    pulls = {n: pull(n, f"t{n}", PullState.CLOSED) for n in range(1, 10_000)}
    claims = {f"t{n}": released(Outcome.DRAINED, f"t{n}", mirror=Status.READY) for n in range(10_000)}
    plan(listed(*chain), ForgeState(claims=claims, pulls=pulls), NOW, caller="me", attempts=3)
    assert time.perf_counter() - began < 10


STATUSES = st.sampled_from(list(Status))
TIPS = st.none() | st.builds(
    held,
    left=st.sampled_from([-60.0, 60.0]),
    role=st.sampled_from(list(Role)),
    state=st.sampled_from(list(ClaimState)),
    outcome=st.none() | st.sampled_from(list(Outcome)),
    work_outcome=st.none() | st.sampled_from(list(Outcome)),
    mirror=st.none() | STATUSES,
    failures=st.integers(0, 4),
    attempt=st.integers(1, 4),
    not_before=st.sampled_from([0.0, NOW + 9]),
    acquired_at=st.sampled_from([NOW - 90, NOW - 10]),
    head=st.sampled_from(["", HEAD]),
    pull=st.none() | st.integers(1, 2),
)
PULLS = st.lists(
    st.builds(pull, number=st.integers(1, 3), state=st.sampled_from(list(PullState))),
    max_size=2,
    unique_by=lambda p: p.number,
)
FORGES = st.builds(state, tip=TIPS, pulls=PULLS)
MINE = st.builds(
    task,
    status=STATUSES,
    type=st.sampled_from(["task", "epic"]),
    assignee=st.sampled_from(["", "nic"]),
    depends_on=st.sampled_from([(), ("d",), ("gone",)]),
)
OTHERS = st.lists(st.builds(task, name=st.just("d"), status=STATUSES), max_size=1)
BLOCKERS = {
    "live claim": lambda mine, forge, others: (mine, replace(forge, claims={"t": held()}), others),
    "unreadable claim": lambda mine, forge, others: (
        mine,
        replace(forge, claims={"t": ClaimTip("c", None)}),
        others,
    ),
    "unknown dependency": lambda mine, forge, others: (replace(mine, depends_on=("nobody",)), forge, others),
    "more dependencies": lambda mine, forge, others: (
        replace(mine, depends_on=(*mine.depends_on, "e")),
        forge,
        [*others, task("e", Status.INBOX)],
    ),
    "itself": lambda mine, forge, others: (replace(mine, depends_on=(*mine.depends_on, "t")), forge, others),
    "a child": lambda mine, forge, others: (mine, forge, [*others, task("c", parent="t")]),
    "a type": lambda mine, forge, others: (replace(mine, type="epic"), forge, others),
    "an assignee": lambda mine, forge, others: (replace(mine, assignee="nic"), forge, others),
    "a final status": lambda mine, forge, others: (replace(mine, status=Status.CANCELLED), forge, others),
    "another open pull": lambda mine, forge, others: (
        mine,
        replace(forge, pulls={**forge.pulls, 9: pull(9)}),
        others,
    ),
    "an unreadable claim ref": lambda mine, forge, others: (
        mine,
        replace(forge, problems=("refs/refinery/claims/t cannot be read",)),
        others,
    ),
}


@settings(max_examples=300, deadline=None)
@given(MINE, FORGES, OTHERS)
def test_no_blocker_makes_a_task_ready(mine, forge, others):
    """Each blocker, added to any situation, leaves the task not ready."""
    for name, block in BLOCKERS.items():
        blocked, against, among = block(mine, forge, others)
        assert not judge(blocked, against, among, repairable=(1, 2)).is_ready, name


@settings(max_examples=300, deadline=None)
@given(MINE, FORGES, OTHERS)
def test_one_task_and_the_whole_list_are_judged_alike(mine, forge, others):
    """The queue and the single question never disagree; what is ready has no reasons, what is not has cures."""
    queue = plan(listed(mine, *others), forge, NOW, caller="me", attempts=3, repairable=frozenset({1, 2}))
    result = judge(mine, forge, others, repairable=(1, 2))
    assert queue.readiness["t"] == result
    assert (mine in queue.ready) == result.is_ready == ("t" not in queue.skipped)
    assert all(reason.text and reason.cure and reason.to_json() for reason in result.reasons)


@settings(max_examples=100, deadline=None)
@given(MINE, FORGES)
def test_a_live_claim_never_lets_a_task_be_ready(mine, forge):
    """Whatever else is said, a task that somebody holds is not ready."""
    for role in Role:
        assert not judge(mine, replace(forge, claims={"t": held(role=role)}), repairable=(1, 2, 3)).is_ready


@given(
    st.lists(
        st.builds(
            task,
            name=st.text("abc019", min_size=1, max_size=4),
            priority=st.integers(0, 1),
            order=st.sampled_from([0.0, 1.0]),
            created=st.sampled_from(["", "2026-01-01", "2026-01-02"]),
        ),
        unique_by=lambda each: each.id,
        max_size=8,
    ),
    st.randoms(),
)
def test_the_order_is_total_and_stable(tasks, dice):
    """Any two tasks have an order, and it does not depend on how they were listed."""
    shuffled = list(tasks)
    dice.shuffle(shuffled)
    queues = [plan(listed(*some), state(), NOW, caller="me", attempts=3).ready for some in (tasks, shuffled)]
    assert queues[0] == queues[1]
    assert len({order(each) for each in tasks}) == len(tasks)


def test_f28_a_task_that_its_source_blocks_says_why():
    """F28: an issue that nobody trusted handed over is blocked, and the reason is the source's."""
    why = Problem(path="acme/widgets#12", task="12", message="the label was put on by eve")
    made = plan(
        listed(task("12", Status.BLOCKED), problems=[why]), ForgeState(), NOW, caller="me", attempts=3
    )
    assert [each.text for each in made.skipped["12"]] == ["it is blocked: the label was put on by eve"]
