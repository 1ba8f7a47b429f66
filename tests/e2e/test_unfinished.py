"""Work that was pushed, and a forge or a worker that went away before the pull: it is finished, not done again."""

import socket

from support.scene import Scene
from support.swarms import Swarm

from refinery.core.model import ClaimState
from refinery.core.outcomes import Outcome
from refinery.errors import ForgeUnavailableError

EXPIRED = 4000.0


def silent(scene, times, *, at="pull", **options):
    """One run whose forge does not answer the first `times` that a pull is opened, or the claim released."""
    project = scene.project()
    name = "open_pull" if at == "pull" else "write_claim"
    plain, asked = getattr(project.forge, name), []

    def call(*args):
        if at == "pull" or args[1].state is ClaimState.RELEASED:
            asked.append(args)
            if len(asked) <= times:
                raise ForgeUnavailableError("no answer")
        return plain(*args)

    setattr(project.forge, name, call)
    return scene.worker(project, **options).run()


def test_f06_a_forge_that_is_silent_for_a_moment_after_the_push_costs_nothing(scene):
    """F6: the rest is done once more, and the work is published as what it is."""
    scene.task("a")
    result = silent(scene, 1)
    assert (result.outcome, result.pull) == (Outcome.PUBLISHED, 1)
    assert (scene.claim("a").outcome, scene.status("a")) == ("published", "review")
    assert scene.merge().merged


def test_f06_pushed_work_keeps_its_outcome_when_the_forge_goes_away(scene):
    """F6: no release says "forge-unavailable" over finished work; reconcile opens the pull, and it lands."""
    scene.task("a")
    assert silent(scene, 9).outcome is Outcome.FORGE_UNAVAILABLE
    assert (scene.claim("a").state, scene.claim("a").outcome) == ("held", "published")
    (done,) = scene.reconcile(scene.later(EXPIRED))
    assert (done.what, done.error) == ("finish-work", "")
    assert scene.merge().merged
    assert (scene.status("a"), scene.log()) == ("done", ["a 1"])


def test_f03_a_swarm_ends_only_after_a_last_reconcile(tmp_path):
    """F3: a lease that ends while it runs leaves a pull that only a reconcile lets land: all in one call."""
    scene = Scene(tmp_path / "s", limits={"lease": "2s", "backoff": "1h"})
    scene.task("a")
    silent(scene, 9, at="release", holder=f"bot@{socket.gethostname()}:1-a")
    assert (scene.claim("a").state, len(scene.state().pulls)) == ("held", 1)
    swarm = Swarm(scene, "--agent", "stub=1", "--merge")
    assert swarm.ends() == 0, swarm.text
    assert "[Reconciler] finish-work a" in swarm.text
    assert (scene.status("a"), scene.log()) == ("done", ["a 1"])
