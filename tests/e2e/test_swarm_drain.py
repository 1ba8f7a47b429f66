"""Ctrl+C at every phase of a swarm's work: once, twice, and with a deadline; then the next start goes on (F15, F16)."""

import os
import signal

import pytest
from support.gates import Gate
from support.scene import Scene, wait_for
from support.swarms import Swarm, processes_of

HALF = "echo half > half.txt\n"
WHOLE = 'echo "$REFINERY_TASK" > "$REFINERY_TASK.txt"\n'
PUSHES = {
    "claim": 'echo "$refs" | grep -q "^0* [0-9a-f]* refs/refinery/claims/a"',
    "push": 'echo "$refs" | grep -q refs/heads/polecat/a',
    "pull": 'echo "$refs" | grep -q refs/refinery/pulls/',
    "release": 'git show-ref -q --verify refs/refinery/pulls/1 && echo "$refs" | grep -q claims/a',
    "landing": 'echo "$refs" | grep -q refs/heads/main',
}
GITS = {"start": ("ls-remote", " reconcile "), "snapshot": ("add --all", " run --loop ")}
COMMANDS = ("set-up", "agent", "verify", "checks")
PHASES = (
    "start",
    "claim",
    "set-up",
    "agent",
    "snapshot",
    "verify",
    "push",
    "pull",
    "release",
    "checks",
    "landing",
)
MERGING = ("checks", "landing")


class Stage:
    """A swarm of one worker with two tasks, of which the first (or the merger) is held at a phase."""

    def __init__(self, root, phase):
        root.mkdir()
        self.gate, self.phase = Gate(root), phase
        here = {name: self.gate.wait_here if name == phase else "true" for name in COMMANDS}
        limits = {"backoff": "1h", "lease": "20s", "pool": 0}
        if phase == "pool":
            here["set-up"], limits["pool"] = self.gate.wait_here, 1
        config = {"setup": here["set-up"], "verify": here["verify"], "checks": {"tests": here["checks"]}}
        self.scene = Scene(root / "s", kind="file", limits=limits, **config)
        self.scene.agent(HALF + here["agent"] + "\n" + WHOLE)
        if phase in PUSHES:
            self.gate.in_pushes(self.scene.repo, PUSHES[phase])
        self.env = self.gate.in_git(*GITS[phase]) if phase in GITS else {}
        self.scene.task("a", priority=0)
        self.scene.task("b", priority=4)

    def held(self, *args):
        """The swarm, when it stands at the gate."""
        merge = ("--merge",) if self.phase in MERGING else ()
        swarm = Swarm(self.scene, "--agent", "stub=1", *merge, *args, env=self.env)
        wait_for(lambda: self.gate.is_held or swarm.process.poll() is not None)
        assert self.gate.is_held, swarm.text
        return swarm

    def outcome(self):
        """What became of the first task; nothing when it was never claimed."""
        claims = self.scene.state().claims
        assert {str(tip.claim.state) for tip in claims.values()} <= {"released"}
        return str(claims["a"].claim.outcome) if "a" in claims else ""

    def clean(self):
        """No process, worktree or lock is left."""
        wait_for(lambda: not processes_of(self.scene))
        assert (self.scene.worktrees(), self.scene.locks()) == ([], [])

    def resume(self):
        """The next start, of a whole swarm."""
        code, report = self.scene.json("swarm", "--agent", "stub=1", "--merge", "--max-load", "0")
        assert code == 0, report

    def work_on(self):
        """What a next start does, in this process: much cheaper."""
        assert self.scene.reconcile() == []
        while self.scene.run().task_id:
            pass
        assert self.scene.merge().exit_code == 0

    def done(self, attempts):
        """Everything is merged in the end; `attempts` the agent needed for the first task."""
        assert {self.scene.status(name) for name in "ab"} == {"done"}
        assert self.scene.show("main:a.txt") == "a"
        assert [line for line in self.scene.log() if line[0] == "a"] == attempts
        self.clean()


@pytest.fixture
def stage(tmp_path):
    """Makes a stage; its gate is opened in the end, whatever happened."""
    made = []

    def make(phase):
        made.append(Stage(tmp_path / "stage", phase))
        return made[0]

    yield make
    made[0].gate.open()
    made[0].gate.close()


@pytest.mark.parametrize("phase", PHASES)
def test_f15_a_drain_at_every_phase(stage, phase):
    """What was begun is finished, nothing else is claimed, the exit code is 17; the next start does the rest (F15)."""
    it = stage(phase)
    swarm = it.held()
    swarm.ctrl_c()
    swarm.says("draining")
    it.gate.open()
    assert swarm.ends() == 17, swarm.text
    claimed = {"start": "", "landing": "merged"}.get(phase, "published")
    assert it.outcome() == claimed
    assert phase in MERGING or "b" not in it.scene.state().claims
    it.clean()
    it.work_on()
    it.done(["a 1"])


@pytest.mark.parametrize("phase", ["set-up", "agent", "verify"])
def test_f15_a_drain_whose_time_is_over_is_nobodys_failure(stage, phase):
    """Whatever command runs then is stopped; the task was drained, did not fail, and is ready at once (F15, F16)."""
    it = stage(phase)
    swarm = it.held("--drain-timeout", "100ms")
    swarm.ctrl_c()
    assert swarm.ends() == 17, swarm.text
    assert (it.outcome(), it.scene.claim("a").failures) == ("drained", 0)
    assert phase == "set-up" or it.scene.show("polecat/a:half.txt") == "half"
    it.clean()
    it.work_on()
    it.done(["a 2"] if phase == "set-up" else ["a 1", "a 2"])


def test_f15_a_second_ctrl_c_while_nothing_is_to_do(stage):
    """A worker that does not even notice the first is stopped by the second, with exit code 130 (F15)."""
    it = stage("idle")
    for name in "ab":
        it.scene.set_status(name, "inbox")
    swarm = Swarm(it.scene, "--agent", "stub=1", "--merge", "--forever")
    wait_for(swarm.children)
    (worker,) = swarm.children()
    os.kill(worker, signal.SIGSTOP)
    swarm.ctrl_c()
    swarm.says("draining")
    swarm.ctrl_c()
    swarm.says("stopping at once")
    os.kill(worker, signal.SIGCONT)
    assert swarm.ends() == 130, swarm.text
    assert (it.outcome(), it.scene.log()) == ("", [])
    it.clean()


STUBBORN = """
trap '' TERM INT HUP
echo half > half.txt
(trap '' TERM HUP; setsid sh -c 'trap "" TERM; setsid sleep 600 & sleep 600' > /dev/null 2>&1 &)
exec > /dev/null 2>&1
"""


def test_f18_an_agent_that_will_not_end(tmp_path):
    """Deaf to signals, forked, in sessions of its own, its output closed: all of it is gone when the swarm is (F18)."""
    scene = Scene(tmp_path / "s", limits={"backoff": "1h", "lease": "20s"})
    scene.agent(STUBBORN + '[ "$REFINERY_TASK" = a ] || sleep 600\n' + WHOLE)
    for name in "ab":
        scene.task(name)
    swarm = Swarm(scene, "--agent", "stub=1")
    swarm.says(r"a: published \(pull 1\)")
    wait_for(lambda: "b 1" in scene.log())
    assert not processes_of(scene, "REFINERY_ATTEMPT_ID=a-1-")
    wait_for(lambda: len(processes_of(scene, "REFINERY_ATTEMPT_ID=b-1-")) >= 4)
    swarm.ctrl_c()
    swarm.says("draining")
    swarm.ctrl_c()
    assert swarm.ends() == 130, swarm.text
    wait_for(lambda: not processes_of(scene))
    assert (scene.claim("b").outcome, scene.show("polecat/b:half.txt")) == ("force-stopped", "half")


def test_f15_a_drain_while_the_pool_is_filled(stage):
    """A set-up for tasks to come is ended with the first: nobody waits for it (F15)."""
    it = stage("pool")
    for name in "ab":
        it.scene.set_status(name, "inbox")
    swarm = it.held("--forever")
    swarm.ctrl_c()
    assert swarm.ends() == 17, swarm.text
    assert it.outcome() == ""
    wait_for(lambda: not processes_of(it.scene))
    assert it.scene.worktrees() == []


FORCED = {
    "start": ("", ["a 1"]),
    "claim": ("force-stopped", ["a 2"]),
    "set-up": ("force-stopped", ["a 2"]),
    "agent": ("force-stopped", ["a 1", "a 2"]),
    "snapshot": ("published", ["a 1"]),
    "verify": ("force-stopped", ["a 1", "a 2"]),
    "push": ("published", ["a 1"]),
    "pull": ("published", ["a 1"]),
    "release": ("published", ["a 1"]),
    "checks": ("published", ["a 1"]),
    "landing": ("merged", ["a 1"]),
}


@pytest.mark.parametrize("phase", PHASES)
def test_f16_a_second_ctrl_c_at_every_phase(stage, phase):
    """All ends at once, exit code 130; claims are given back, work is on its branch, the next start resumes (F16)."""
    it = stage(phase)
    swarm = it.held()
    swarm.ctrl_c()
    swarm.says("draining")
    swarm.ctrl_c()
    swarm.says("stopping at once")
    if phase not in COMMANDS:  # those are ended by the swarm
        it.gate.open()
    assert swarm.ends() == 130, swarm.text
    outcome, attempts = FORCED[phase]
    assert it.outcome() == outcome, it.scene.history("a")
    if attempts[0] == "a 1" and outcome in ("published", "force-stopped"):
        assert it.scene.show("polecat/a:half.txt") == "half"
    it.clean()
    it.resume()
    it.done(attempts)
