"""When is a node woken by what its peers say, and when does a leader look around?"""

import pytest

from clusterd.model.ids import NodeId
from clusterd.node import events as happened
from clusterd.node import leading
from clusterd.node.node import Node
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.network import Way
from clusterd.wire.peer_pb2 import Heartbeat

N1, N2, N3 = NodeId("n1"), NodeId("n2"), NodeId("n3")


@pytest.fixture
def cluster() -> SimCluster:
    cluster = SimCluster(SimSettings())
    cluster.start()
    cluster.run_for(10_000)
    return cluster


def node_of(cluster: SimCluster, name: NodeId) -> Node:
    node = cluster.machines[name].node
    assert node is not None
    return node


def attentive(cluster: SimCluster) -> list[NodeId]:
    return [each for each in cluster.machines if node_of(cluster, each).beating.attention.is_paid]


def test_in_calm_any_datagram_waits(cluster: SimCluster) -> None:
    assert attentive(cluster) == []
    node, now_ms = node_of(cluster, N1), cluster.machines[N1].clock_ms()
    strange = Heartbeat(daemon_run="another", wants_answer=True)
    assert node.may_wait(happened.DatagramReceived(N2, strange, now_ms), now_ms)
    node.beating.attention.pay(now_ms)
    assert not node.may_wait(happened.DatagramReceived(N2, strange, now_ms), now_ms)


def test_who_asks_and_who_is_asked_pay_attention_for_a_while(cluster: SimCluster) -> None:
    asking = node_of(cluster, N1)
    asking.step(happened.LinkOpened(N2), cluster.machines[N1].clock_ms())
    assert attentive(cluster) == [N1]
    strange = Heartbeat(
        daemon_run=node_of(cluster, N1).identity.daemon_run, wants_answer=True, sent_ms=cluster.machines[N1].clock_ms()
    )
    node_of(cluster, N2).step(happened.DatagramReceived(N1, strange, None), cluster.machines[N2].clock_ms())
    assert attentive(cluster) == [N1, N2]
    cluster.run_for(1000)
    assert attentive(cluster) == [N1, N2]
    cluster.run_for(2000)
    assert attentive(cluster) == []


def test_who_misses_somebody_pays_attention(cluster: SimCluster) -> None:
    for other in (N2, N3):
        cluster.network.cut(other, N1, Way.DATAGRAM)
    cluster.run_for(900)
    assert attentive(cluster) == [N1, N2, N3], "it misses two, and asks them"
    cluster.network.heal()
    cluster.run_for(10_000)
    assert attentive(cluster) == []


def test_a_node_whose_stream_broke_is_listened_to(cluster: SimCluster) -> None:
    """That it outlived the break shows in its datagrams first."""
    node_of(cluster, N1).step(happened.LinkBroken(N2), cluster.machines[N1].clock_ms())
    assert attentive(cluster) == [N1]


def looks(cluster: SimCluster, monkeypatch: pytest.MonkeyPatch, for_ms: int) -> int:
    """How often the leader decides in that time."""
    count = 0
    decide = leading.decide

    def counted(*given: object, **more: object) -> object:
        nonlocal count
        count += 1
        return decide(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(leading, "decide", counted)
    cluster.run_for(for_ms)
    return count


def test_a_leader_in_calm_looks_around_now_and_then(cluster: SimCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 8 <= looks(cluster, monkeypatch, 10_000) <= 15, "of forty heartbeats"


def test_a_leader_that_misses_somebody_looks_with_every_heartbeat(
    cluster: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.network.cut(N2, N3, Way.BOTH)
    cluster.network.cut(N3, N2, Way.BOTH)
    cluster.run_for(2000)
    assert looks(cluster, monkeypatch, 5000) >= 19, "the two do not hear each other, whoever else does"
