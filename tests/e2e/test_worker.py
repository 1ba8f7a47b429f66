"""Every way in which a run can end, driven for real: an `sh` agent, real git, the real program where it is cheap."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.repos import git
from support.scene import ADD, wait_for

from refinery.core.model import CLAIMS, PullState
from refinery.core.outcomes import ENDINGS, Outcome
from refinery.errors import UsageError
from refinery.process import Stop, StopFlag

FIFO = 'echo half > half.txt\necho x > "{root}/started"\nread -r _ < "{root}/go"\n'  # waits for the test
QUICK = {"backoff": "0s"}


def outcome_of(scene, **options):
    """Run once; the result, after a look at what has to hold for every ending of an attempt."""
    result = scene.run(**options)
    claim = scene.claim(result.task_id)
    assert (claim.state, claim.outcome, claim.role) == ("released", result.outcome, "work")
    assert claim.reason == result.reason
    assert claim.mirror == scene.status(result.task_id)
    assert scene.worktrees() == []
    assert scene.locks() == []
    return result


def held_by(scene, task_id="a", seconds=600.0):
    """Take a task's claim over, as a second host does that takes the first one for dead."""
    forge = scene.project().forge
    tip = forge.observe().claims[task_id]
    thief = replace(tip.claim, holder="thief", nonce="thief", expires_at=forge.now() + seconds)
    return forge.write_claim(CLAIMS + task_id, thief, tip.sha)


def waiting_agent(scene, script=FIFO):
    os.mkfifo(scene.root / "go")
    scene.agent(script)


def let_go(scene):
    (scene.root / "go").write_text("\n")


def started(scene, *args):
    """The real program with an agent at work."""
    process = scene.start("run", "--json", *args)
    wait_for(lambda: (scene.root / "started").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


def finished(process):
    out, err = process.communicate(timeout=60)
    lines = out.splitlines() or ["{}"]
    return process.returncode, json.loads(out if lines[0] == "{" else lines[-1]), err


def test_published(scene):
    """A pull, a branch, a released claim that records both; exit code 0."""
    scene.task("a")
    code, told = scene.json("run", "-t", "a", "--agent", "stub")
    assert (code, told["status"], told["outcome"], told["pull"]) == (0, "success", "published", 1)
    assert set(told) >= {"task_id", "reason", "attempt", "agent", "commit", "branch", "seconds"}
    claim, pull = scene.claim("a"), scene.pull(1)
    assert scene.status("a") == claim.mirror == "review"
    assert told["commit"] == claim.head == pull.head == scene.refs()["refs/heads/polecat/a"]
    assert (claim.pull, claim.failures, claim.state) == (1, 0, "released")
    message = git(scene.git_dir, "log", "-1", "--format=%an|%(trailers:only,unfold)", pull.head)
    assert message.startswith("stub (polecat)|Refinery-Task: a\nRefinery-Attempt: 1\nRefinery-Claim: ")


def test_nothing_ready_says_why(scene):
    """Exit code 3, with a reason for each task; the agent was never started."""
    scene.task("a", status="blocked")
    scene.task("b", depends_on=["a"])
    scene.task("c", depends_on=["gone"])
    code, told = scene.json("run")
    assert (code, told["outcome"]) == (3, "nothing-ready")
    assert sorted(told["skipped"]) == ["a", "b", "c"]
    assert "gone" in told["skipped"]["c"]
    assert scene.log() == []


def test_f02_a_named_task_takes_the_claim_and_holders_are_distinct(scene):
    """F2: `run -t` claims like any other; two runs of one caller can be told apart; the second one loses."""
    scene.task("a")
    waiting_agent(scene)
    first = started(scene, "-t", "a")
    holder = scene.claim("a").holder
    code, told = scene.json("run", "-t", "a")
    assert (code, told["outcome"]) == (4, "claim-lost")
    assert holder in told["reason"]
    let_go(scene)
    assert finished(first)[0] == 0
    scene.task("b")
    scene.agent(ADD)
    assert scene.json("run", "-t", "b")[0] == 0
    assert holder.startswith("bot@")
    assert scene.claim("b").holder != holder
    assert scene.log() == ["a 1", "b 1"]


def test_claim_lost_in_the_race(scene, monkeypatch):
    """Somebody claims between our look at the queue and our write: nothing is started."""
    scene.task("a")
    project = scene.project()
    plain = project.forge.write_claim

    def beaten(ref, claim, parent):
        scene.project().forge.write_claim(ref, replace(claim, holder="faster", nonce="x"), parent)
        return plain(ref, claim, parent)

    monkeypatch.setattr(project.forge, "write_claim", beaten)
    assert scene.worker(project).run("a").outcome is Outcome.CLAIM_LOST
    assert (scene.claim("a").holder, scene.log(), scene.status("a")) == ("faster", [], "ready")


def test_f05_a_task_that_changed_while_it_was_claimed_is_left_alone(scene, monkeypatch):
    """F5: it is read again after the claim; cancelled or edited meanwhile, it is released without an agent."""
    scene.task("a")
    project = scene.project()
    plain = project.forge.write_claim

    def write(ref, claim, parent):
        scene.set_status("a", "cancelled")
        return plain(ref, claim, parent)

    monkeypatch.setattr(project.forge, "write_claim", write)
    assert scene.worker(project).run("a").outcome is Outcome.CLAIM_LOST
    claim = scene.claim("a")
    assert (claim.state, claim.outcome, claim.failures) == ("released", "claim-lost", 0)
    assert (scene.status("a"), scene.log()) == ("cancelled", [])


def test_f05_what_was_merged_or_closed_is_not_started_again(scene):
    """F5: a merged pull counts, even when the file's mirror went missing."""
    scene.task("a")
    scene.run()
    assert len(scene.merge().merged) == 1
    scene.set_status("a", "in_progress")
    assert scene.run().outcome is Outcome.NOTHING_READY
    assert scene.log() == ["a 1"]


def test_f17_a_stolen_lease_stops_the_agent_and_nothing_more_is_written(scene):
    """F4, F9, F17: the claim is the thief's, the task's mirror and branch stay as they are, the work is preserved."""
    scene.task("a")
    scene.agent("echo half > half.txt\necho x > {root}/started\nexec sleep 60\n")
    project, stolen = scene.project(), []

    def now():  # as soon as the agent is at work, the claim goes to another host and the next renewal is due
        if (scene.root / "started").exists() and not stolen:
            stolen.append(held_by(scene, seconds=9000.0))
            stolen.append((scene.refs(), (scene.tasks / "a.md").read_bytes()))
        return time.time() + 600 * len(stolen) / 2

    project.forge.now = now
    result = scene.worker(project).run()
    assert (result.outcome, ENDINGS[result.outcome].exit_code) == (Outcome.LEASE_LOST, 5)
    before, file = stolen[1]
    after = scene.refs()
    (kept,) = scene.preserved("a")
    assert after == {**before, kept: after[kept]}
    assert after[CLAIMS + "a"] == stolen[0]
    assert (scene.tasks / "a.md").read_bytes() == file
    assert scene.show(f"{kept}:half.txt") == "half"
    assert scene.worktrees() == []


def test_f17_a_lease_stolen_before_the_push_rejects_branch_and_claim(scene, monkeypatch):
    """F17: the push is pinned to our claim; what it would have brought is preserved."""
    scene.task("a")
    project = scene.project()
    plain = project.forge.push

    def push(lease, claim, what):
        held_by(scene)
        return plain(lease, claim, what)

    monkeypatch.setattr(project.forge, "push", push)
    assert scene.worker(project).run().outcome is Outcome.LEASE_LOST
    assert "refs/heads/polecat/a" not in scene.refs()
    (ref,) = scene.preserved("a")
    assert scene.show(f"{ref}:a.txt") == "a"
    assert (scene.claim("a").holder, scene.worktrees()) == ("thief", [])


def test_setup_failed(scene):
    """Ready again after its back-off; the agent never ran."""
    scene.configure(setup=["echo no compiler; exit 3"])
    scene.task("a")
    result = outcome_of(scene)
    assert (result.outcome, scene.status("a"), scene.log()) == (Outcome.SETUP_FAILED, "ready", [])
    assert "no compiler" in result.reason
    assert scene.claim("a").failures == 1
    assert scene.json("run")[0] == 3


def test_f10_an_agent_that_fails_never_looks_like_success(scene):
    """F10: exit code 10; after the cap the task is failed, and a loop that met only failures exits with 10."""
    scene.configure(limits={"backoff": "0s", "attempts": 2})
    scene.task("a")
    scene.agent("echo all is well; echo x > x.txt; exit 7\n")
    code, told = scene.json("run")
    assert (code, told["outcome"], told["status"]) == (10, "agent-failed", "failed")
    assert scene.status("a") == "ready"
    done = scene.cli("run", "--loop", "--json")
    assert done.returncode == 10
    assert scene.status("a") == "failed"
    assert scene.log() == ["a 1", "a 2"]
    assert "refs/heads/polecat/a" not in scene.refs()
    assert len(scene.preserved("a")) == 2
    assert scene.run().outcome is Outcome.NOTHING_READY


def test_f16_partial_work_of_a_timed_out_attempt_is_continued(scene):
    """F16: it is on the branch, no pull is open, and the next attempt starts from it."""
    scene.configure(limits=QUICK)
    scene.settings["agents"]["stub"]["timeout"] = "1s"
    scene.configure()
    scene.task("a")
    scene.agent("echo half > half.txt\nexec sleep 60\n")
    result = outcome_of(scene)
    assert (result.outcome, scene.status("a")) == (Outcome.TIMED_OUT, "ready")
    assert scene.show("polecat/a:half.txt") == "half"
    assert scene.state().pulls == {}
    scene.person({"later.txt": "by a person\n"})
    scene.agent("test -f half.txt && test -f later.txt && echo rest > rest.txt\n")
    again = outcome_of(scene)
    assert (again.outcome, again.attempt) == (Outcome.PUBLISHED, 2)
    assert git(scene.git_dir, "merge-base", "--is-ancestor", result.commit, again.commit) == ""
    assert [row.task for row in scene.merge().merged] == ["a"]


def test_verify_failed_ends_in_a_draft_for_a_person(scene):
    """Early advice worsens the outcome; at the cap the work is a draft pull, which never merges by itself."""
    scene.configure(verify=["echo two tests fail; exit 1"], limits={"backoff": "0s", "attempts": 2})
    scene.task("a")
    first = outcome_of(scene)
    assert (first.outcome, scene.status("a"), first.pull) == (Outcome.VERIFY_FAILED, "ready", None)
    assert "two tests fail" in first.reason
    second = outcome_of(scene)
    assert (second.outcome, scene.status("a"), scene.pull(1).draft) == (Outcome.VERIFY_FAILED, "review", True)
    report = scene.merge()
    assert (report.merged, report.exit_code) == ([], 7)


@pytest.mark.parametrize("words", ["no changes needed", "All done. The task is complete."])
def test_f11_f12_prose_changes_nothing_and_no_changes_is_a_question(scene, words):
    """F11, F12: the task is not done, no pull is made, not even of Refinery's own files: a person is asked."""
    scene.task("a")
    scene.agent(f"cat > /dev/null; test -f $REFINERY_PROMPT_FILE; echo '{words}'\n")
    result = outcome_of(scene)
    assert (result.outcome, scene.status("a")) == (Outcome.NO_CHANGES, "blocked")
    assert ENDINGS[result.outcome].exit_code == 13
    assert scene.state().pulls == {}
    assert "refs/heads/polecat/a" not in scene.refs()


def test_conflict_markers_are_kept_beside_the_branch_and_a_resolution_lands(scene):
    """The base went on under a branch: markers left are `conflict`, preserved; resolved, it is published and merges."""
    scene.configure(limits=QUICK, policy={"tier": "additions", "any": ["shared.txt"]})
    scene.person({"shared.txt": "one\n"})
    scene.task("a")
    scene.agent("echo ours >> shared.txt\n")
    assert outcome_of(scene).outcome is Outcome.PUBLISHED
    scene.person({"shared.txt": "one\ntheirs\n"})
    tip = scene.refs()["refs/heads/polecat/a"]
    scene.agent("grep -q '<<<<<<<' shared.txt\n")
    result = outcome_of(scene)
    assert (result.outcome, scene.status("a")) == (Outcome.CONFLICT, "ready")
    assert scene.refs()["refs/heads/polecat/a"] == tip
    (ref,) = scene.preserved("a")
    assert "<<<<<<<" in scene.show(f"{ref}:shared.txt")
    scene.agent("printf 'one\\ntheirs\\nours\\n' > shared.txt\n")
    assert outcome_of(scene).outcome is Outcome.PUBLISHED
    assert [row.pull for row in scene.merge().merged] == [1]
    assert scene.show("main:shared.txt") == "one\ntheirs\nours"


@pytest.mark.parametrize(
    "script",
    [
        "for file in ../*; do test ! -f $file || echo > $file; done\n",
        "echo '{}' > ../meta.json\n",
        "rm ../meta.json\n",
        "cd ..; rm -rf tree; ln -s /etc tree\n",
    ],
)
def test_tampered(scene, script):
    """An agent that changes what only Refinery writes: nothing of it goes on, a person is asked, exit code 15."""
    scene.task("a")
    scene.agent("echo x > x.txt\n" + script)
    result = scene.run()
    assert (result.outcome, ENDINGS[result.outcome].exit_code) == (Outcome.TAMPERED, 15)
    assert (scene.claim("a").state, scene.status("a"), len(scene.worktrees())) == ("released", "blocked", 1)
    assert "refs/heads/polecat/a" not in scene.refs()
    assert scene.state().pulls == {}


def test_push_refused_keeps_a_bundle(make):
    """A server's hook declines: blocked with its words, and the work is in a bundle that git can read."""
    scene = make(kind="file")
    hook = scene.repo / "hooks" / "pre-receive"
    hook.write_text(
        "#!/bin/sh\nwhile read old new ref; do\n"
        "case $ref in refs/heads/polecat/*) echo 'no bots here' >&2; exit 1;; esac\ndone\n"
    )
    hook.chmod(0o755)
    scene.task("a")
    result = outcome_of(scene)
    assert (result.outcome, scene.status("a")) == (Outcome.PUSH_REFUSED, "blocked")
    (bundle,) = (scene.home.path / "bundles").iterdir()
    assert str(bundle) in result.reason
    assert "no bots here" in result.reason
    assert "refs/heads/polecat/a" not in scene.refs()
    git(scene.git_dir, "fetch", "--quiet", str(bundle), "refs/refinery/bundled/a:refs/heads/restored")
    assert scene.show("restored:a.txt") == "a"


def test_blocked_by_the_result_file(scene):
    """The agent's question becomes the task's; its work so far waits on the branch."""
    scene.task("a")
    scene.agent(
        "echo half > half.txt\n"
        """echo '{"status": "blocked", "reason": "Which port?"}' > "$REFINERY_RESULT_FILE"\n"""
    )
    code, told = scene.json("run")
    assert (code, told["outcome"], told["status"], told["reason"]) == (
        18,
        "blocked",
        "blocked",
        "Which port?",
    )
    assert (scene.status("a"), scene.show("polecat/a:half.txt")) == ("blocked", "half")
    assert "Which port?" in scene.json("run")[1]["skipped"]["a"]


def test_f15_the_first_signal_lets_the_agent_finish(scene):
    """F15: Ctrl+C reaches Refinery alone; the agent ends well, its work is published, no more begins."""
    scene.task("a")
    scene.task("b")
    waiting_agent(scene, "trap 'echo hit > {root}/hit' INT TERM\n" + FIFO)
    process = scene.start("run", "--loop", "--json", start_new_session=True)
    wait_for((scene.root / "started").exists)
    os.killpg(process.pid, signal.SIGINT)  # the whole foreground group, as a terminal does
    time.sleep(1.5)  # the worker looks at its flag every second: only an agent that goes on shows that it may
    let_go(scene)
    code, told, _ = finished(process)
    assert (code, told["outcome"], told["task_id"]) == (0, "published", "a")
    assert not (scene.root / "hit").exists()
    assert (scene.status("a"), scene.status("b"), scene.log()) == ("review", "ready", ["a 1"])


def test_f15_the_second_signal_stops_at_once_and_keeps_the_work(scene):
    """F15: exit code 130; ready again at once, nobody's failure, and the next attempt continues."""
    scene.task("a")
    waiting_agent(scene)
    process = started(scene)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)  # another one: two of a kind that arrive together count once
    code, told, _ = finished(process)
    assert (code, told["outcome"], told["status"]) == (130, "force-stopped", "failed")
    claim = scene.claim("a")
    assert (scene.status("a"), claim.failures, claim.not_before) == ("ready", 0, 0.0)
    assert scene.show("polecat/a:half.txt") == "half"
    scene.agent("cat half.txt > whole.txt\n")
    assert scene.run().outcome is Outcome.PUBLISHED
    assert scene.show("polecat/a:whole.txt") == "half"


def test_drained(scene):
    """The drain deadline passes: the agent is ended, its work is on the branch, the task is ready."""
    scene.task("a")
    scene.agent("echo half > half.txt\necho busy\nexec sleep 60\n")
    stop = StopFlag()
    result = outcome_of(scene, stop=stop, drain_seconds=0.1, stream=lambda _: stop.request(Stop.DRAIN))
    stop.close()
    assert (result.outcome, scene.status("a")) == (Outcome.DRAINED, "ready")
    assert scene.show("polecat/a:half.txt") == "half"
    assert scene.claim("a").failures == 0


def test_f06_a_forge_that_is_gone_is_not_an_empty_queue(scene):
    """F6: exit code 20 before anything is claimed, and no task is touched."""
    scene.task("a")
    scene.json("status")
    before = (scene.tasks / "a.md").read_bytes()
    scene.repo.rename(scene.repo.with_name("moved.git"))
    done = scene.cli("run")
    assert done.returncode in (2, 20)
    assert "moved" not in done.stdout
    assert (scene.tasks / "a.md").read_bytes() == before


def test_f06_a_forge_that_goes_away_mid_run_loses_nothing(scene):
    """F6, F9: exit code 20; the work stays here until it can be saved, and reconcile saves it."""
    scene.task("a")
    waiting_agent(scene)
    process = started(scene)
    away = scene.repo.with_name("moved.git")
    scene.repo.rename(away)
    let_go(scene)
    code, told, _ = finished(process)
    assert (code, told["outcome"]) == (20, "forge-unavailable"), told
    assert len(scene.worktrees()) == 1
    away.rename(scene.repo)
    assert scene.claim("a").state == "held"
    scene.reconcile(scene.later(4000))
    (ref,) = scene.preserved("a")
    assert scene.show(f"{ref}:half.txt") == "half"
    assert (scene.status("a"), scene.worktrees()) == ("ready", [])


def test_f09_a_mistake_of_ours_releases_the_claim_and_keeps_the_work(scene, monkeypatch):
    """F9: an unexpected exception is loud, counted and backed off; the work is under preserved/."""
    scene.task("a")
    project = scene.project()
    monkeypatch.setattr(project.forge, "push", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scene.worker(project).run()
    claim = scene.claim("a")
    assert (claim.state, claim.outcome, claim.failures) == ("released", "internal-error", 1)
    assert claim.not_before > time.time()
    assert "ZeroDivisionError" in claim.reason
    (ref,) = scene.preserved("a")
    assert scene.show(f"{ref}:a.txt") == "a"
    assert (scene.status("a"), scene.worktrees()) == ("ready", [])


def test_f07_an_unknown_status_is_an_error_and_never_claimed(scene):
    """F7: the file and the word are named."""
    scene.task("a", status="on-hold")
    code, told = scene.json("run")
    assert (code, told["outcome"], scene.log()) == (3, "nothing-ready", [])
    problems = scene.json("status")[1]["problems"]
    assert any("a.md" in problem and "on-hold" in problem for problem in problems)
    with pytest.raises(UsageError, match="on-hold"):
        scene.run("a")
    assert scene.refs("refs/refinery/claims") == {}


def test_f13_only_the_attempts_own_changes_are_taken(make):
    """F13: a person's dirty checkout, its untracked and its ignored files are no part of anybody's snapshot."""
    scene = make(kind="checkout")
    (scene.repo / "src" / "a.py").write_text("a = 'mine'\n")
    for number in range(5):
        (scene.repo / f"scratch-{number}.txt").write_text("mine\n")
    scene.task("a")
    result = outcome_of(scene)
    assert git(scene.git_dir, "diff", "--name-only", f"{result.commit}~1", result.commit) == "a.txt"


def test_f14_work_starts_at_the_forges_base_not_at_what_is_checked_out(make):
    """F14: a checkout on another branch with commits of its own: they are in no pull, and HEAD stays where it is."""
    scene = make(kind="checkout")
    git(scene.repo, "checkout", "--quiet", "-b", "mine")
    (scene.repo / "private.txt").write_text("not yet\n")
    git(scene.repo, "add", "private.txt")
    git(scene.repo, "commit", "--quiet", "--message", "private")
    base = scene.refs()["refs/heads/main"]
    scene.settings["base"] = "main"
    scene.home.register("demo", repository=scene.url, tasks=str(scene.tasks), base="main")
    scene.task("a")
    result = outcome_of(scene)
    assert git(scene.git_dir, "rev-parse", f"{result.commit}~1") == base
    assert not scene.has(f"{result.commit}:private.txt")
    assert git(scene.repo, "symbolic-ref", "HEAD") == "refs/heads/mine"
    assert git(scene.repo, "status", "--porcelain") == ""


def test_f14_a_clone_with_a_stale_head_is_not_the_base(make):
    """F14: with the repository by URL, what this machine's clones hold does not matter: the server's ref does."""
    scene = make(kind="file")
    scene.task("a")
    assert outcome_of(scene).outcome is Outcome.PUBLISHED
    fresh = scene.person({"newer.txt": "newer\n"})
    scene.task("b")
    result = outcome_of(scene)
    assert git(scene.git_dir, "rev-parse", f"{result.commit}~1") == fresh


@pytest.mark.parametrize("ending", ["blocked", "failed", "done"])
def test_a_person_who_opens_a_task_again_starts_it_afresh(scene, ending):
    """Status `ready` against another recorded mirror: counters start again, and the old branch does not come back."""
    scene.configure(limits={"backoff": "0s", "attempts": 1})
    scene.task("a")
    scripts = {"blocked": "true\n", "failed": "exit 1\n", "done": ADD}
    scene.agent(scripts[ending])
    scene.run()
    if ending == "done":
        assert len(scene.merge().merged) == 1
    assert scene.status("a") == ending
    assert scene.run().outcome is Outcome.NOTHING_READY
    scene.set_status("a", "ready")
    scene.agent("echo more > more.txt\n")
    result = outcome_of(scene)
    assert (result.outcome, result.attempt) == (Outcome.PUBLISHED, 2)
    claim = scene.claim("a")
    assert (claim.failures, claim.repairs) == (0, 0)
    assert [row.pull for row in scene.merge().merged] == [result.pull]
    assert scene.show("main:more.txt") == "more"
    assert scene.status("a") == "done"


def test_a_red_check_is_repaired_on_the_same_branch_and_pull(scene):
    """Red → another attempt on branch and pull → green → merged."""
    scene.configure(limits=QUICK, checks={"tests": "test ! -f a.txt || grep -q good a.txt"})
    scene.task("a")
    scene.agent("echo bad > a.txt\n")
    first = outcome_of(scene)
    report = scene.merge()
    assert [row.verdict.reasons[0].code for row in report.refused] == ["check-failed"]
    scene.agent("echo good >> a.txt\n")
    second = outcome_of(scene)
    assert (second.outcome, second.attempt, second.pull) == (Outcome.PUBLISHED, 2, first.pull)
    assert [row.pull for row in scene.merge().merged] == [first.pull]
    assert scene.show("main:a.txt") == "bad\ngood"


def test_a_request_for_changes_reaches_the_next_attempt_and_repairs_are_capped(scene):
    """The review's words are in the prompt; after the cap the pull waits for a person."""
    scene.configure(limits={"backoff": "0s", "repairs": 1})
    scene.task("a")
    outcome_of(scene)
    assert scene.cli("review", "request-changes", "1", "-m", "Please say goodbye too").returncode == 0
    assert [row.verdict.reasons[0].code for row in scene.merge().refused] == ["changes-requested"]
    scene.agent('grep -q "Please say goodbye too" "$REFINERY_PROMPT_FILE" && echo goodbye > bye.txt\n')
    again = outcome_of(scene)
    assert (again.outcome, again.attempt, again.pull) == (Outcome.PUBLISHED, 2, 1)
    assert scene.claim("a").repairs == 1
    assert scene.merge().exit_code == 7
    assert scene.run().outcome is Outcome.NOTHING_READY
    assert scene.pull(1).state is PullState.OPEN
    assert scene.cli("review", "approve", "1", "--author", scene.pull(1).reviews[0].author).returncode == 0
    assert scene.merge().exit_code == 0


def test_a_task_file_that_vanishes_mid_run_does_not_keep_the_claim(scene):
    """The mirror cannot be written; the work is published and the claim released all the same."""
    scene.task("a")
    scene.agent('rm "{root}/tasks/a.md"\n' + ADD)
    result = scene.run()
    assert (result.outcome, result.pull) == (Outcome.PUBLISHED, 1)
    assert scene.claim("a").state == "released"


def test_every_outcome_of_the_table_is_named_here():
    """The closed list: what is not driven above has its reason."""
    elsewhere = {
        Outcome.USAGE: "test_bad_input",
        Outcome.OVER_BUDGET: "comes with the budgets",
        Outcome.MERGED: "test_merger",
        Outcome.WAITING: "test_merger",
    }
    source = Path(__file__).read_text("utf-8").replace("_", "-").casefold()
    assert [each for each in Outcome if each not in elsewhere and each.value not in source] == []
