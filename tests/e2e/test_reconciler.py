"""What killed processes leave behind, each staged by a real death at the right point, and what mends it."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.repos import ENV, git
from support.scene import ADD, ended, forked, wait_for

from refinery.core.model import CLAIMS, Status
from refinery.core.outcomes import Outcome
from refinery.forges.git import checkouts

EXPIRED = 4000.0


def kinds(done):
    return [str(each.what) for each in done]


def dies_at(scene, stage, task="a"):
    """Run the task in a child that `stage(project)` kills."""

    def act():
        project = scene.project()
        stage(project)
        scene.worker(project).run(task)

    assert ended(forked(act)) == 9


def die(*_, **__):
    os._exit(9)


def mended(scene, expected, seconds=EXPIRED):
    """Reconcile once the lease has expired: these repairs and no error, and nothing more the second time."""
    later = scene.later(seconds)
    planned = scene.reconcile(later, is_rehearsal=True)
    done = scene.reconcile(later)
    assert [each.error for each in done] == [""] * len(done)
    assert kinds(done) == expected
    seen_ahead = [
        each for each in expected if each != "repair"
    ]  # a lock is only looked at while it is removed
    assert kinds(planned) == seen_ahead
    assert scene.reconcile(later) == []
    assert scene.reconcile(later, is_rehearsal=True) == []
    return later


@pytest.mark.parametrize("where", ["open_pull", "mirror", "release"])
def test_finish_work_completes_what_was_pushed(scene, where):
    """Killed after the push: pull, mirror and release are made up for, the agent is not started again."""
    scene.task("a")

    def stage(project):
        if where == "open_pull":
            project.forge.open_pull = die
            return
        plain, release = project.tasks.mirror, project.forge.write_claim

        def mirror(lease, task, status, note=None):
            if status is Status.REVIEW and where == "mirror":
                os._exit(9)
            plain(lease, task, status, note)

        def write(ref, claim, parent):
            return die() if claim.state == "released" else release(ref, claim, parent)

        project.tasks.mirror = mirror
        project.forge.write_claim = write

    dies_at(scene, stage)
    head = scene.refs()["refs/heads/polecat/a"]
    later = mended(scene, ["preserve", "finish-work"])
    claim = scene.claim("a")
    assert (scene.status("a"), claim.outcome, claim.pull, claim.head) == ("review", "published", 1, head)
    assert (claim.state, claim.failures, claim.mirror) == ("released", 0, "review")
    assert scene.log() == ["a 1"]
    assert [row.pull for row in scene.merge(project=later).merged] == [1]


def test_finish_work_counts_a_failure_that_was_pushed(scene):
    """A timed-out attempt that died after its push: one failure, ready again, continued from the branch."""
    scene.settings["agents"]["stub"]["timeout"] = "1s"
    scene.configure(limits={"backoff": "0s"})
    scene.task("a")
    scene.agent("echo half > half.txt\nexec sleep 60\n")

    def stage(project):
        plain = project.tasks.mirror
        project.tasks.mirror = lambda *args: die() if args[2] is Status.READY else plain(*args)

    dies_at(scene, stage)
    later = mended(scene, ["preserve", "finish-work"])
    claim = scene.claim("a")
    assert (scene.status("a"), claim.outcome, claim.failures) == ("ready", "timed-out", 1)
    scene.agent("mv half.txt whole.txt\n")
    assert scene.worker(later).run().outcome is Outcome.PUBLISHED
    assert scene.show("polecat/a:whole.txt") == "half"


@pytest.mark.parametrize("where", ["mirror", "begin", "push"])
def test_give_back_makes_the_task_ready_and_keeps_its_work(scene, monkeypatch, where):
    """F3: killed before anything was pushed: ready again, nobody's failure, a finished tree is under preserved/."""
    scene.task("a")

    def stage(project):
        if where == "mirror":
            project.tasks.mirror = die
        elif where == "begin":
            monkeypatch.setattr("refinery.working.worktree_for", die)
        else:
            project.forge.push = die

    dies_at(scene, stage)
    assert scene.run().outcome is Outcome.NOTHING_READY
    later = mended(scene, ["preserve", "give-back"] if where == "push" else ["give-back"])
    claim = scene.claim("a")
    assert (scene.status("a"), claim.state, claim.failures) == ("ready", "released", 0)
    assert [scene.show(f"{ref}:a.txt") for ref in scene.preserved("a")] == ["a"] * (where == "push")
    result = scene.worker(later).run()
    assert (result.outcome, result.attempt) == (Outcome.PUBLISHED, 2)


def test_show_done_writes_what_a_landing_could_not(scene):
    """The file was away while its pull landed: it says done afterwards, and the task is not started again."""
    path = scene.task("a")
    scene.run()
    project = scene.project()
    plain = project.forge.land

    def land(*args):
        path.rename(scene.root / "away.md")
        return plain(*args)

    project.forge.land = land
    assert len(scene.merge(project=project).merged) == 1
    (scene.root / "away.md").rename(path)
    assert scene.status("a") == "review"
    mended(scene, ["show-done"])
    assert (scene.status("a"), scene.claim("a").mirror) == ("done", "done")


def test_f18_a_killed_worker_leaves_no_agent_behind(scene):
    """F18: kill -9 of the worker alone: its guard ends the whole tree; what was written is preserved."""
    scene.task("a")
    scene.agent("echo half > half.txt\nsetsid sleep 300 &\necho $! > {root}/stray\nwait\n")
    process = scene.start("run")
    wait_for((scene.root / "stray").exists)
    wait_for((scene.root / "stray").read_text)
    stray = Path("/proc") / (scene.root / "stray").read_text().strip()
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not stray.exists())
    mended(scene, ["preserve", "give-back"])
    (ref,) = scene.preserved("a")
    assert scene.show(f"{ref}:half.txt") == "half"


def test_f18_strays_without_their_guard_are_found_and_ended(scene):
    """F18: worker and guard both killed: reconcile knows the agent's processes by their marker, in any session."""
    scene.task("a")
    scene.agent("setsid sh -c 'setsid sleep 300 & echo $! > {root}/stray; wait' &\nwait\n")
    process = scene.start("run")
    wait_for(lambda: (scene.root / "stray").exists() and (scene.root / "stray").read_text().strip())
    stray = Path("/proc") / (scene.root / "stray").read_text().strip()
    guards = [
        int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]
    process.send_signal(signal.SIGSTOP)
    for pid in guards:
        os.kill(pid, signal.SIGKILL)
    process.kill()
    process.communicate(timeout=60)
    assert stray.exists()
    done = scene.reconcile(scene.later(EXPIRED))
    assert "end-stray" in kinds(done)
    assert not stray.exists() or (stray / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    assert scene.status("a") == "ready"


def test_f03_a_live_claim_is_never_touched(scene):
    """F3, F4: reconcile and reset-stalled beside a working agent change no ref, no file and no process."""
    scene.task("a")
    os.mkfifo(scene.root / "go")
    scene.agent("echo x > {root}/started\nread -r _ < {root}/go\n" + ADD)
    process = scene.start("run", "--json")
    wait_for((scene.root / "started").exists)
    before, file = scene.refs(), (scene.tasks / "a.md").read_bytes()
    for verb in (["reconcile"], ["reset-stalled", "--hours", "0"], ["reset-stalled"]):
        code, told = scene.json(*verb)
        assert (code, told["repairs"]) == (0, [])
    assert scene.reconcile(scene.later(600.0)) == []
    assert (scene.refs(), (scene.tasks / "a.md").read_bytes()) == (before, file)
    (scene.root / "go").write_text("\n")
    out, _ = process.communicate(timeout=60)
    assert json.loads(out)["outcome"] == "published"


def test_f04_a_dead_attempts_late_words_change_nothing(scene):
    """F4: a worker that was suspended past its lease finds its successor's claim, and writes nothing."""
    scene.task("a")
    project = scene.project()
    plain, seen = project.forge.push, []

    def push(*args):
        later = scene.later(EXPIRED)
        assert scene.worker(later).run("a").outcome is Outcome.PUBLISHED
        seen.append(scene.refs())
        return plain(*args)

    project.forge.push = push
    assert scene.worker(project).run("a").outcome is Outcome.LEASE_LOST
    assert {ref: sha for ref, sha in scene.refs().items() if ref in seen[0]} == seen[0]
    assert (scene.claim("a").attempt, scene.status("a"), scene.log()) == (2, "review", ["a 1", "a 2"])
    assert len(scene.preserved("a")) == 1


def test_f03_reset_stalled_gives_back_what_nobody_holds(scene):
    """F3: in_progress without a claim, by age; `--dry-run` only tells."""
    path = scene.task("a", status="in_progress")
    assert scene.json("reset-stalled")[1]["repairs"] == []
    then = time.time() - 5 * 3600
    os.utime(path, (then, then))
    _, told = scene.json("reset-stalled", "--dry-run")
    assert (told["dry_run"], [each["repair"] for each in told["repairs"]]) == (True, ["reset"])
    assert scene.status("a") == "in_progress"
    assert scene.json("reset-stalled", "--hours", "6")[1]["repairs"] == []
    assert [each["subject"] for each in scene.json("reset-stalled")[1]["repairs"]] == ["a"]
    assert scene.status("a") == "ready"
    assert scene.run().outcome is Outcome.PUBLISHED


def test_a_broken_lease_is_reported_and_only_a_person_ends_it(scene):
    """A clock was wrong: ends in ten years. Status says so, reconcile leaves it, reset-stalled gives it back."""
    scene.task("a")
    dies_at(scene, lambda project: setattr(project.tasks, "mirror", die))
    forge = scene.project().forge
    tip = forge.observe().claims["a"]
    forge.write_claim(CLAIMS + "a", replace(tip.claim, expires_at=time.time() + 3.2e8), tip.sha)
    assert any("clock was wrong" in each for each in scene.json("status")[1]["problems"])
    assert scene.json("reconcile")[1]["repairs"] == []
    assert scene.run().outcome is Outcome.NOTHING_READY
    assert [each["repair"] for each in scene.json("reset-stalled")[1]["repairs"]] == ["give-back"]
    assert scene.run().outcome is Outcome.PUBLISHED


def test_old_claims_of_finished_tasks_go_and_a_failed_ones_stays(scene):
    """After a day, pinned to what was seen; the counters of a failed task are what stops it from starting again."""
    scene.configure(limits={"backoff": "0s", "attempts": 1})
    scene.task("a")
    scene.run()
    scene.merge()
    scene.task("b")
    scene.agent("exit 1\n")
    scene.run()
    assert (scene.status("a"), scene.status("b")) == ("done", "failed")
    assert scene.reconcile(scene.later(80_000)) == []
    assert kinds(scene.reconcile(scene.later(90_000), is_rehearsal=True)) == ["delete"]
    assert CLAIMS + "a" in scene.refs()
    mended(scene, ["delete"], 90_000)
    assert CLAIMS + "a" not in scene.refs()
    assert CLAIMS + "b" in scene.refs()
    scene.set_status("b", "ready")
    scene.agent(ADD)
    assert scene.run().attempt == 2


def test_a_dead_writers_ref_lock_is_removed_and_a_persons_is_not(scene):
    """Noted, and holding the noted SHA: ours. Any other is somebody's, and is left where it is."""
    scene.task("a")
    scene.run()
    sha = scene.refs()["refs/heads/main"]
    ours = scene.git_dir / "refs/refinery/claims/dead.lock"
    theirs = scene.git_dir / "refs/heads/theirs.lock"
    ours.write_text(sha + "\n")
    theirs.write_text(sha + "\n")
    (scene.git_dir / "refinery.journal").write_text(json.dumps([["refs/refinery/claims/dead", sha]]))
    scene.reconcile()
    assert (ours.exists(), theirs.exists()) == (False, True)
    assert scene.json("reconcile")[1]["repairs"] == []


def test_f22_a_checkout_left_half_moved_is_safe_until_it_is_brought_along(make, monkeypatch):
    """F22: files are new, the index is old: no commit of a person's can undo the landing, whoever else writes refs."""
    scene = make(kind="checkout")
    scene.task("a")
    scene.run()

    def half(checkout, move):
        checkouts._read_tree(checkout, move)
        os._exit(9)

    monkeypatch.setattr(checkouts, "finish", half)
    assert ended(forked(scene.merge)) == 9
    monkeypatch.undo()
    scene.task("b")
    assert scene.run("b").outcome is Outcome.PUBLISHED
    refused = subprocess.run(
        ["git", "commit", "-am", "x"], cwd=scene.repo, env=ENV, capture_output=True, check=False
    )
    assert b"index.lock" in refused.stderr
    later = mended(scene, ["repair", "finish-landing"])
    assert (scene.locks(), git(scene.repo, "status", "--porcelain")) == ([], "")
    assert (scene.repo / "a.txt").read_text() == "a\n"
    assert [row.task for row in scene.merge(project=later).merged] == ["b"]


def test_two_reconcilers_at_once(scene):
    """Each repair is done once, whoever is faster; nobody fails."""
    for name in ("a", "b", "c", "d"):
        scene.task(name)
        dies_at(scene, lambda project: setattr(project.forge, "open_pull", die), name)
    pids = [forked(lambda: scene.reconcile(scene.later(EXPIRED))) for _ in range(3)]
    assert [ended(pid) for pid in pids] == [0, 0, 0]
    scene.reconcile(scene.later(EXPIRED))
    assert sorted(pull.task for pull in scene.state().pulls.values()) == ["a", "b", "c", "d"]
    assert {scene.status(name) for name in ("a", "b", "c", "d")} == {"review"}
    assert scene.worktrees() == scene.locks() == []
    assert git(scene.git_dir, "fsck", "--strict", "--no-dangling") == ""


def test_a_folder_whose_note_is_damaged_is_kept_and_told(scene):
    """Nobody knows what the files belong to: they are a person's to look at, and the exit code says so."""
    folder = scene.home.worktrees / "odd"
    (folder / "tree").mkdir(parents=True)
    (folder / "tree" / "work.txt").write_text("precious\n")
    code, told = scene.json("reconcile")
    assert (code, [each["repair"] for each in told["repairs"]]) == (1, ["keep"])
    assert (folder / "tree" / "work.txt").exists()
