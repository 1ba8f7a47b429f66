"""Landing under fire: workers, people and other mergers at once, checks that do not run, crashes, freezes."""

import os
import subprocess
from dataclasses import replace

import pytest
from support.repos import ENV, git
from support.scene import ADD, ended, forked, wait_for

from refinery.core.model import BRANCHES, CLAIMS, Role
from refinery.core.outcomes import Outcome
from refinery.errors import RefineryError, UsageError
from refinery.ports import Landed


def codes(rows):
    return {row.pull: [str(each.code) for each in row.verdict.reasons] for row in rows}


def publish(scene, *names, script=ADD, **values):
    """A published pull for each task, in this order."""
    scene.agent(script)
    for name in names:
        scene.task(name, **values)
        assert scene.run(name).outcome is Outcome.PUBLISHED


def landed(scene, base="main"):
    """The tasks that landed, oldest first."""
    log = git(scene.git_dir, "log", "--reverse", "--format=%(trailers:key=Refinery-Task,valueonly)", base)
    return [line for line in log.splitlines() if line]


def meanwhile(monkeypatch, forge, act, name="land"):
    """Run `act` once, just before the forge's next `name`."""
    plain, done = getattr(forge, name), []

    def staged(*args):
        if not done:
            done.append(True)
            act()
        return plain(*args)

    monkeypatch.setattr(forge, name, staged)


def test_it_lands_with_trailers_and_leaves_nothing_behind(scene):
    """Squashed, the predicted tree, the file says done, the claim is released; exit code 0."""
    publish(scene, "a")
    code, told = scene.json("merge")
    commit = scene.refs()["refs/heads/main"]
    assert (code, [(row["pull"], row["commit"]) for row in told["merged"]]) == (0, [(1, commit)])
    trailers = git(scene.git_dir, "log", "-1", "--format=%(trailers:only,unfold)", commit).splitlines()
    names = [line.partition(":")[0] for line in trailers]
    assert [
        f"Refinery-{name}" for name in ("Task", "Pull", "Base", "Head", "Tree", "Checks", "Policy")
    ] == names
    assert f"Refinery-Tree: {git(scene.git_dir, 'rev-parse', 'main^{tree}')}" in trailers
    claim = scene.claim("a")
    assert (scene.status("a"), claim.outcome, claim.state, claim.mirror) == (
        "done",
        "merged",
        "released",
        "done",
    )
    landing = scene.state().landing["main"].claim
    assert (landing.state, landing.intent) == ("released", None)
    assert scene.worktrees() == scene.locks() == []
    assert scene.json("merge")[0] == 0
    assert landed(scene) == ["a"]


def test_a_merger_and_a_worker_at_once(scene, monkeypatch):
    """While one pull lands another task is claimed, worked and published: neither disturbs the other."""
    publish(scene, "a")
    scene.task("b")
    project = scene.project()
    meanwhile(monkeypatch, project.forge, lambda: scene.run("b"))
    assert codes(scene.merge(project=project).merged) == {1: []}
    assert codes(scene.merge().merged) == {2: []}
    assert landed(scene) == ["a", "b"]


def test_f21_work_begun_on_the_pull_itself_is_not_merged_over(scene, monkeypatch):
    """F21: a worker takes the task's claim between verdict and landing: nothing lands until it is done."""
    publish(scene, "a")
    project = scene.project()

    def begin():
        forge = scene.project().forge
        tip = forge.observe().claims["a"]
        work = replace(tip.claim, role=Role.WORK, holder="worker", nonce="w", expires_at=forge.now() + 900)
        forge.write_claim(CLAIMS + "a", replace(work, state="held", outcome=None), tip.sha)

    meanwhile(monkeypatch, project.forge, begin)
    report = scene.merge(project=project)
    assert codes(report.waiting) == {1: ["claimed"]}
    assert (report.exit_code, landed(scene), scene.claim("a").holder) == (6, [], "worker")


def test_f20_a_push_to_the_branch_between_verdict_and_landing_is_seen(scene, monkeypatch):
    """F20: the head is part of the transaction; what was pushed is judged, not landed unseen."""
    publish(scene, "a")
    project = scene.project()

    def push():
        tree = git(scene.git_dir, "rev-parse", "polecat/a^{tree}")
        new = git(scene.git_dir, "commit-tree", tree, "-p", "polecat/a", "-m", "late")
        git(scene.git_dir, "update-ref", "refs/heads/polecat/a", new)

    meanwhile(monkeypatch, project.forge, push)
    report = scene.merge(project=project)
    assert codes(report.refused)[1] == ["moved"]
    assert (report.exit_code, landed(scene)) == (7, [])


def test_a_persons_push_to_the_base_between_verdict_and_landing(scene, monkeypatch):
    """Nothing lands on what was not predicted: the pull is judged and checked again on the new base, then lands."""
    publish(scene, "a")
    project = scene.project()
    meanwhile(monkeypatch, project.forge, lambda: scene.person({"theirs.txt": "t\n"}))
    assert codes(scene.merge(project=project).merged) == {1: []}
    assert git(scene.git_dir, "ls-tree", "--name-only", "main").splitlines() == [
        "README.md",
        "a.txt",
        "refinery.yml",
        "src",
        "theirs.txt",
    ]
    tree = git(scene.git_dir, "rev-parse", "main^{tree}")
    assert {check.conclusion for check in scene.state().checks[tree]} == {"success"}


def test_two_mergers(scene):
    """Two processes, six pulls: each lands once, and the one that finds the base taken says who has it."""
    publish(scene, "a", "b", "c", "d", "e", "f")
    mergers = [forked(scene.merge) for _ in range(2)]
    assert [ended(pid) for pid in mergers] == [0, 0]
    scene.merge()
    assert sorted(landed(scene)) == ["a", "b", "c", "d", "e", "f"]
    assert scene.locks() == []


def test_the_second_merger_waits_for_the_first(scene, monkeypatch):
    """One merger at a time per base: exit code 6, with the holder's name."""
    publish(scene, "a")
    project, seen = scene.project(), []
    meanwhile(monkeypatch, project.forge, lambda: seen.append(scene.json("merge")))
    assert codes(scene.merge(project=project).merged) == {1: []}
    ((code, told),) = seen
    assert code == 6
    assert "merger-" in str(told["waiting"])


@pytest.mark.parametrize("change", ["untracked", "modified"])
def test_a_change_in_a_persons_checkout_makes_it_wait(make, change):
    """In the way: exit code 6 with the path; once it is gone the pull lands and the checkout moves along."""
    scene = make(kind="checkout")
    path = "a.txt" if change == "untracked" else "README.md"
    publish(scene, "a", script=f"echo more >> {path}\n")
    mine = scene.repo / path
    mine.write_text("mine\n")
    (scene.repo / "src" / "a.py").write_text("unrelated\n")
    before = scene.refs()["refs/heads/main"]
    code, told = scene.json("merge")
    assert (code, told["waiting"][0]["reasons"][0]["code"]) == (6, "in-the-way")
    assert path in str(told["waiting"][0]["reasons"][0]["facts"])
    assert (mine.read_text(), scene.refs()["refs/heads/main"]) == ("mine\n", before)
    git(scene.repo, *(("clean", "-fq") if change == "untracked" else ("checkout", "-q", "--", path)))
    assert scene.json("merge")[0] == 0
    assert mine.read_text().endswith("more\n")
    assert git(scene.repo, "status", "--porcelain").strip() == "M src/a.py"


def test_a_change_that_appears_at_the_last_moment_still_waits(make, monkeypatch):
    """Between the look for obstacles and the landing itself."""
    scene = make(kind="checkout")
    publish(scene, "a")
    project = scene.project()
    meanwhile(monkeypatch, project.forge, lambda: (scene.repo / "a.txt").write_text("mine\n"))
    report = scene.merge(project=project)
    assert codes(report.waiting) == {1: ["in-the-way"]}
    assert (scene.repo / "a.txt").read_text() == "mine\n"
    claim = scene.claim("a")
    assert (claim.state, claim.outcome, landed(scene)) == ("released", "waiting", [])
    (scene.repo / "a.txt").unlink()
    assert codes(scene.merge().merged) == {1: []}


def test_f27_a_conflict_leaves_nothing_in_the_persons_checkout(make):
    """F27: prediction needs no working tree; files, index and merge state stay exactly as they are."""
    scene = make(kind="checkout")
    publish(scene, "a", script="echo ours >> README.md\n")
    (scene.repo / "README.md").write_text("hello\ntheirs\n")
    git(scene.repo, "commit", "--quiet", "--all", "--message", "theirs")
    (scene.repo / "src" / "a.py").write_text("in the middle of something\n")
    report = scene.merge()
    assert "conflict" in codes(report.refused)[1]
    assert (scene.repo / "README.md").read_text() == "hello\ntheirs\n"
    assert git(scene.repo, "status", "--porcelain").strip() == "M src/a.py"
    left = {"MERGE_HEAD", "MERGE_MSG", "SQUASH_MSG", "AUTO_MERGE"}
    assert {path.name for path in scene.git_dir.iterdir()} & left == set()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 127", "check-did-not-run"),
        ("no-such-program-anywhere", "check-did-not-run"),
        (["/no/such/program"], "check-did-not-run"),
        ("exit 126", "check-did-not-run"),
        ("kill -KILL $$", "check-did-not-run"),
        ("exit 1", "check-failed"),
    ],
)
def test_f19_a_check_that_did_not_run_never_merges(make, command, code):
    """F19: 127, 126, a missing program and a signal are no pass and no pre-existing failure."""
    scene = make(checks={"tests": command, "other": "true"})
    publish(scene, "a")
    report = scene.merge()
    assert (codes(report.refused), report.exit_code, landed(scene)) == ({1: [code]}, 7, [])


def test_f19_f25_without_checks_nothing_merges_and_results_of_other_trees_do_not_count(make):
    """F19, F25: no configured check is not a passed one; a green result of an earlier tree is not this one's."""
    scene = make(checks={})
    publish(scene, "a")
    assert codes(scene.merge().refused) == {1: ["no-checks"]}
    scene.configure(checks={"tests": "test ! -f bad.txt"})
    publish(scene, "b")
    scene.merge()
    assert sorted(landed(scene)) == ["a", "b"]
    scene.person({"bad.txt": "x\n"})
    publish(scene, "c")
    assert codes(scene.merge().refused) == {3: ["check-failed"]}


def test_f24_a_failed_tree_is_not_checked_again_and_the_oldest_goes_first(make, tmp_path):
    """F24: one run of the check per tree; order is priority, then age."""
    log = tmp_path / "checked"
    scene = make(checks={"tests": f"ls *.txt | tr '\\n' ' ' >> {log}; echo >> {log}; test ! -f b.txt"})
    publish(scene, "b", "c")
    publish(scene, "a", priority=0)
    scene.merge()
    assert landed(scene) == ["a", "c"]
    before = log.read_text().splitlines()
    assert len(set(before)) == len(before) > 1
    for _ in range(2):
        assert codes(scene.merge().refused) == {1: ["check-failed"]}
    assert log.read_text().splitlines() == before


def test_f33_what_acts_by_existing_waits_for_a_person(scene):
    """F33: additive, green, and still refused: a workflow, a conftest, a .pth, a symlink."""
    scripts = {
        "a": "mkdir -p .github/workflows && echo 'on: push' > .github/workflows/x.yml\n",
        "b": "echo 'import os' > conftest.py\n",
        "c": "echo 'import os' > x.pth\n",
        "d": "ln -s /etc/passwd link\n",
    }
    for name, script in scripts.items():
        publish(scene, name, script=script)
    report = scene.merge()
    found = codes(report.refused)
    assert {number: found[number][0] for number in found} == {
        1: "protected-path",
        2: "protected-path",
        3: "protected-path",
        4: "symlink",
    }
    assert landed(scene) == []


def test_f23_a_landing_that_is_not_as_predicted_freezes_the_base(make):
    """F23: a server's hook rewrites what was pushed; nothing lands after, exit code 8, until a person lifts it."""
    scene = make(kind="file")
    publish(scene, "a", "b")
    hook = scene.repo / "hooks" / "post-update"
    hook.write_text(
        "#!/bin/sh\n"
        'case "$*" in *refs/heads/main*) ;; *) exit 0;; esac\n'
        "unset GIT_QUARANTINE_PATH\n"
        "export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x\n"
        "new=$(git commit-tree main^^{tree} -p main^ -m rewritten) && git update-ref refs/heads/main $new\n"
    )
    hook.chmod(0o755)
    done = scene.cli("merge", "1")
    assert done.returncode == 8, done.stderr
    assert "main is frozen" in done.stderr
    assert "refinery unfreeze main" in done.stderr
    hook.unlink()
    code, told = scene.json("merge")
    assert (code, told["merged"]) == (8, [])
    assert {"frozen"} <= {
        reason["code"] for row in told["refused"] + told["waiting"] for reason in row["reasons"]
    }
    assert scene.json("status")[1]["frozen"]
    assert scene.json("unfreeze")[1]["was_frozen"] is True
    assert scene.json("unfreeze")[1]["was_frozen"] is False
    assert codes(scene.merge(2).merged) == {2: []}


def test_f23_a_forge_whose_answer_is_another_tree_freezes(scene, monkeypatch):
    """F23: on a repository by path too, what is read back decides."""
    publish(scene, "a")
    project = scene.project()
    plain = project.forge.land

    def land(*args):
        done = plain(*args)
        wrong = scene.person({"wrong.txt": "x\n"})
        git(
            scene.git_dir,
            "update-ref",
            "refs/heads/main",
            git(scene.git_dir, "commit-tree", f"{wrong}^{{tree}}", "-m", "x"),
        )
        return Landed(
            **{name: getattr(done, name) for name in done.__slots__} | {"tip": "0" * 40, "tree": "1" * 40}
        )

    monkeypatch.setattr(project.forge, "land", land)
    with pytest.raises(RefineryError, match="frozen"):
        scene.merge(project=project)
    assert "main" in scene.state().freezes


def test_a_persons_push_right_after_a_landing_is_no_alarm(scene, monkeypatch):
    """The base went on between landing and reading back, and holds what landed."""
    publish(scene, "a")
    project = scene.project()
    plain = project.forge.land

    def land(*args):
        done = plain(*args)
        pushed = scene.person({"after.txt": "x\n"})
        return replace(
            done, tip=pushed, tree=git(scene.git_dir, "rev-parse", f"{pushed}^{{tree}}"), parent=done.tip
        )

    monkeypatch.setattr(project.forge, "land", land)
    assert codes(scene.merge(project=project).merged) == {1: []}
    assert scene.state().freezes == {}


def test_f22_killed_between_landing_and_mirror(scene):
    """F22: the pull is merged, the file does not say so, the base is not blocked: reconcile finishes."""
    publish(scene, "a")

    def die():
        project = scene.project()
        plain = project.forge.land
        project.forge.land = lambda *args: (plain(*args), os._exit(9))
        scene.merge(project=project)

    assert ended(forked(die)) == 9
    assert (landed(scene), scene.status("a"), scene.claim("a").state) == (["a"], "review", "held")
    later = scene.later(4000)
    assert [str(each.what) for each in scene.reconcile(later)] == ["finish-landing"]
    claim = scene.claim("a")
    assert (scene.status("a"), claim.state, claim.outcome) == ("done", "released", "merged")
    publish(scene, "b")
    assert codes(scene.merge(project=later).merged) == {2: []}
    assert scene.reconcile(later) == []


def test_f22_a_dead_mergers_base_is_free_after_its_lease(scene):
    """F22: killed while it held the base, before anything moved: the next merger lands."""
    publish(scene, "a")

    def die():
        project = scene.project()
        project.forge.land = lambda *_: os._exit(9)
        scene.merge(project=project)

    assert ended(forked(die)) == 9
    assert scene.merge().exit_code == 6
    later = scene.later(4000)
    scene.reconcile(later)
    assert codes(scene.merge(project=later).merged) == {1: []}
    assert landed(scene) == ["a"]


def test_a_dry_run_runs_no_check_and_writes_no_ref(make, tmp_path):
    """Every ref is what it was, the check never started, and the verdicts are told."""
    scene = make(checks={"tests": f"touch {tmp_path / 'ran'}"})
    publish(scene, "a")
    publish(scene, "b", script="rm README.md\n")
    before = scene.refs()
    code, told = scene.json("merge", "--dry-run")
    assert (code, told["merged"]) == (7, [])
    assert [row["reasons"][0]["code"] for row in told["waiting"]] == ["check-missing"]
    assert [row["reasons"][0]["code"] for row in told["refused"]] == ["removed"]
    assert scene.refs() == before
    assert not (tmp_path / "ran").exists()
    assert scene.status("a") == "review"


def test_named_pulls_alone_are_merged(scene):
    """Numbers choose; an unknown one is a usage error before anything is done."""
    publish(scene, "a", "b", "c")
    assert codes(scene.merge(2).merged) == {2: []}
    with pytest.raises(UsageError, match="no pull 9"):
        scene.merge(1, 9)
    assert landed(scene) == ["b"]
    code, told = scene.json("merge", "2", "3")
    assert (code, [row["pull"] for row in told["merged"]]) == (7, [3])
    assert told["refused"][0]["reasons"][0]["code"] == "not-open"
    assert scene.cli("merge", "9").returncode == 2


def test_a_branch_goes_only_when_asked(scene):
    """`--delete-branch`; the pull keeps its head reachable."""
    publish(scene, "a", "b")
    head = scene.pull(2).head
    assert scene.cli("merge", "1").returncode == 0
    assert scene.cli("merge", "2", "--delete-branch").returncode == 0
    branches = scene.refs("refs/heads")
    assert BRANCHES + "polecat/a" in branches
    assert BRANCHES + "polecat/b" not in branches
    assert "refs/refinery/pulls/2" in git(scene.git_dir, "for-each-ref", "--contains", head)


def test_dependent_pulls_land_in_order(scene):
    """A task whose dependency is in review is not ready; after the landing it is, and lands too."""
    publish(scene, "a")
    scene.task("b", depends_on=["a"])
    assert scene.run("b").outcome is Outcome.NOTHING_READY
    assert codes(scene.merge().merged) == {1: []}
    assert scene.run("b").outcome is Outcome.PUBLISHED
    assert codes(scene.merge().merged) == {2: []}
    assert landed(scene) == ["a", "b"]


def test_watch_lands_what_comes_and_stops_on_a_signal(scene):
    """`merge --watch`: a pull opened later is landed; the first signal ends it."""
    publish(scene, "a")
    process = scene.start("merge", "--watch", "--interval", "0.1")
    wait_for(lambda: landed(scene) == ["a"])
    publish(scene, "b")
    wait_for(lambda: landed(scene) == ["a", "b"])
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert scene.state().landing["main"].claim.state == "released"


def test_a_slow_check_is_stopped_and_tells_nothing(scene):
    """The second signal while a check runs: no result is recorded, nothing lands, no process stays."""
    started = scene.root / "checking"
    scene.configure(checks={"tests": f"echo $$ > {started}; exec sleep 300"})
    publish(scene, "a")
    process = scene.start("merge", "--json")
    wait_for(lambda: started.exists() and started.read_text().strip())
    process.terminate()
    process.send_signal(2)
    process.communicate(timeout=60)
    assert (process.returncode, landed(scene), scene.state().checks) == (6, [], {})
    check = int(started.read_text())
    wait_for(lambda: subprocess.run(["kill", "-0", str(check)], check=False, env=ENV, stderr=-3).returncode)
    assert scene.worktrees() == []
