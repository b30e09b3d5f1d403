"""A node that cannot hold everything says so when its guard answers."""

import pytest

from clusterd.model.events import CONTAINMENT_WEAK
from clusterd.model.ids import Incarnation, NodeId
from clusterd.node import events as happened
from clusterd.sim import SimCluster, SimSettings


@pytest.mark.parametrize(("kind", "count"), [("process-tree", 1), ("cgroup", 0)])
def test_what_cannot_be_held_is_told(kind: str, count: int) -> None:
    cluster = SimCluster(SimSettings(seed=3))
    cluster.start()
    cluster.run_for(3000)
    cluster.machines[NodeId("n1")].feed(happened.GuardUp(Incarnation("next"), (), 0, kind, ()))
    told = [each for each in cluster.trace if each.note.event is CONTAINMENT_WEAK]
    assert len(told) == count
