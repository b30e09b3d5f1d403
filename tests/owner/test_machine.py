"""The resource's state machine: every pair of state and happening is an arc or an explained exemption."""

from itertools import product

import pytest

from clusterd.model.errors import BrokenInvariant
from clusterd.model.ids import ResourceId
from clusterd.model.states import NextAction, ResourceState
from clusterd.owner.machine import ARCS, IGNORED, Happening, Held, advance

OWNED = [each for each in ResourceState if each not in (ResourceState.UNKNOWN, ResourceState.INITIALIZING)]


@pytest.mark.parametrize(("state", "happening"), list(product(OWNED, Happening)))
def test_every_pair_is_said(state: ResourceState, happening: Happening) -> None:
    is_arc, is_ignored = (state, happening) in ARCS, (state, happening) in IGNORED
    assert is_arc != is_ignored
    held = Held(ResourceId("a"), state, sequence=4, next_action=NextAction.RETRY, next_action_cluster_ms=9)
    after = advance(held, happening, because="x", wall_ms=7)
    if is_ignored:
        assert after is held
        assert IGNORED[state, happening]
    else:
        assert after.state is ARCS[state, happening].target
        assert (after.sequence, after.since_wall_ms, after.next_action) == (5, 7, "")
        assert after.cause == f"{ARCS[state, happening].because}: x"


def test_what_nobody_said_stops_the_process() -> None:
    with pytest.raises(BrokenInvariant):
        advance(Held(ResourceId("a"), ResourceState.UNKNOWN), Happening.ONLINE_ASKED, because="", wall_ms=0)


def test_every_state_can_be_left_and_reached() -> None:
    reached = {ResourceState.OFFLINE}
    for _ in OWNED:
        reached |= {arc.target for (source, _), arc in ARCS.items() if source in reached}
    assert reached == set(OWNED)
    assert {source for source, _ in ARCS} == set(OWNED)
