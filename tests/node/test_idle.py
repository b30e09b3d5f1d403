"""What does a node leave be while nothing is new?"""

from collections.abc import Iterable

import pytest

from clusterd.model.ids import Incarnation, NodeId
from clusterd.node import effects as do
from clusterd.node import events as happened
from clusterd.node.node import Node
from clusterd.sim import SimCluster, SimSettings


@pytest.fixture
def cluster() -> SimCluster:
    cluster = SimCluster(SimSettings())
    cluster.start()
    cluster.run_for(6000)
    return cluster


def node_of(cluster: SimCluster, name: str) -> Node:
    node = cluster.machines[NodeId(name)].node
    assert node is not None
    return node


def test_a_marker_is_written_when_it_says_something_new(cluster: SimCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    node, marks = node_of(cluster, "n2"), 0
    step_all = node.step_all

    def watched(events: Iterable[happened.Event], now_ms: int) -> list[do.Effect]:
        nonlocal marks
        effects = step_all(events, now_ms)
        marks += sum(isinstance(each, do.Mark) for each in effects)
        return effects

    monkeypatch.setattr(node, "step_all", watched)
    cluster.run_for(10_000)
    assert marks == 0, "nothing was promised, and nobody else promised anything"
    cluster.mark_soon("n1")
    cluster.run_for(3000)
    assert marks >= 1, "what was committed since is remembered"


def test_a_guards_answer_waits_unless_somebody_waits_for_it(cluster: SimCluster) -> None:
    node, now_ms = node_of(cluster, "n2"), cluster.machines[NodeId("n2")].clock_ms()
    present, ends_ms = node.presence.incarnation, node.owning.lease_deadline_ms()
    answer = happened.GuardRenewed(present, ends_ms, is_refused=False)
    assert node.may_wait(answer, now_ms)
    assert not node.may_wait(happened.GuardRenewed(present, ends_ms, is_refused=True), now_ms)
    assert not node.may_wait(happened.GuardRenewed(Incarnation("another"), ends_ms, is_refused=False), now_ms)
    assert not node.may_wait(answer, ends_ms - 100), "the lease is about to end"
