"""A renewal that was not answered, and the write that follows it."""

from dataclasses import replace

import pytest

from refinery.core.model import CLAIMS, Claim, Role
from refinery.core.outcomes import Outcome
from refinery.errors import ForgeUnavailableError
from refinery.lease import Keeper, Wanted, acquire, advance

HELD = 600.0


def wanted():
    return Wanted(key="a", task="a", role=Role.WORK, holder="bot@here:1-a", seconds=HELD)


@pytest.mark.parametrize("arrived", [True, False])
def test_an_unanswered_renewal_is_settled_before_the_next_write(scene, arrived):
    """Whether it arrived or not: the next commit follows what stands, and is not taken for somebody else's (F4)."""
    forge = scene.project().forge
    keeper = Keeper(forge, acquire(forge, None, wanted(), forge.now()), HELD)
    unanswered(forge, arrived=arrived)
    keeper.renew(forge.now())
    first = keeper.lease.tip
    lease = keeper.ensure(forge.now())
    assert lease.tip != first
    keeper.lease = advance(forge, lease, head="h" * 40)
    assert scene.refs(CLAIMS + "a") == {CLAIMS + "a": keeper.lease.tip}


def test_f22_a_late_offer_does_not_take_back_what_was_written_since(scene):
    """A renewal that was never answered, then a push: the next renewal keeps the branch's head (F22)."""
    forge = scene.project().forge
    keeper = Keeper(forge, acquire(forge, None, wanted(), forge.now()), HELD)
    unanswered(forge, arrived=False)
    keeper.renew(forge.now())
    keeper.lease = advance(forge, keeper.lease, head="h" * 40, outcome=Outcome.PUBLISHED)
    keeper.renew(forge.now() + 1)
    assert scene.refs(CLAIMS + "a") == {CLAIMS + "a": keeper.settled().tip}
    assert (scene.claim("a").head, scene.claim("a").outcome) == ("h" * 40, Outcome.PUBLISHED)


def unanswered(forge, *, arrived):
    """The next write of a claim gets no answer."""
    plain = forge.write_claim

    def write_claim(ref: str, claim: Claim, old: str | None) -> str:
        forge.write_claim = plain
        if arrived:
            plain(ref, replace(claim), old)
        raise ForgeUnavailableError("no answer")

    forge.write_claim = write_claim
