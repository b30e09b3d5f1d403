"""A node whose datagrams pass and whose streams carry nothing: it lives, and cannot be commanded."""

from dataclasses import replace

from clusterd.model.ids import NodeId
from clusterd.model.records import MoveRequest
from clusterd.model.states import MembershipState
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.network import Way


def with_groups(**properties: int) -> SimCluster:
    """g1, g2 and g3 run on n1, n2 and n3."""
    cluster = SimCluster(SimSettings(seed=5, properties=properties))
    cluster.start()
    cluster.run_for(3000)
    for name in ("n1", "n2", "n3"):
        others = [each for each in cluster.names if each != name]
        cluster.add_group(f"g{name[1]}", {f"s{name[1]}": ""}, preferred=(name, *others))
    assert cluster.run_until(lambda: all(cluster.is_online(f"g{n}", on=f"n{n}") for n in (1, 2, 3)))
    cluster.run_for(2000)
    return cluster


def follower(cluster: SimCluster) -> str:
    return next(each for each in reversed(cluster.names) if each != cluster.leader())


def leader_sees_mute(cluster: SimCluster, name: str) -> bool:
    node = cluster.machines[NodeId(cluster.leader() or "")].node
    return node is not None and name in node.commanding.mute_since


def test_it_goes_on_is_known_for_it_and_gets_nothing_new() -> None:
    cluster = with_groups()
    lost = follower(cluster)
    here = f"g{lost[1]}"
    cluster.isolate(lost, way=Way.STREAM)
    assert cluster.run_until(lambda: leader_sees_mute(cluster, lost), patience_ms=8000)
    cluster.run_for(10_000)
    assert cluster.is_online(here, on=lost), "its lease goes on"
    other = next(each for each in cluster.names if each != lost)
    group = cluster.view().group(f"g{other[1]}")
    assert group is not None
    cluster.commit(lambda draft: draft.put(replace(group, move=MoveRequest("m1", NodeId(lost)))), at=cluster.leader())
    cluster.run_for(5000)
    assert cluster.is_online(f"g{other[1]}", on=other), "it is not moved to where nothing can be said"
    cluster.heal()
    assert cluster.run_until(lambda: not leader_sees_mute(cluster, lost), patience_ms=5000)
    assert not cluster.overlaps()


def test_it_is_expelled_when_that_lasts_and_comes_back_with_its_streams() -> None:
    cluster = with_groups(stream_loss_limit=5)
    lost = follower(cluster)
    here = f"g{lost[1]}"
    cluster.isolate(lost, way=Way.STREAM)
    cluster.run_for(5000)
    assert cluster.is_online(here, on=lost)
    assert cluster.run_until(lambda: cluster.is_online(here) and not cluster.is_online(here, on=lost))
    record = cluster.view(cluster.leader()).membership(lost)
    assert record is not None and "no stream carried anything" in " ".join(each.text for each in record.steps)
    cluster.run_for(10_000)
    record = cluster.view(cluster.leader()).membership(lost)
    assert record is not None and record.state is MembershipState.DOWN, "heard, and not admitted"
    cluster.heal()
    assert cluster.run_until(lambda: _state(cluster, lost) is MembershipState.UP)
    assert not cluster.overlaps()


def test_a_third_node_that_reaches_both_is_stream_enough() -> None:
    cluster = with_groups(stream_loss_limit=5)
    lost, leader = follower(cluster), cluster.leader() or ""
    cluster.cut(lost, leader, way=Way.STREAM)
    cluster.run_for(20_000)
    assert not leader_sees_mute(cluster, lost)
    assert _state(cluster, lost) is MembershipState.UP
    assert cluster.is_online(f"g{lost[1]}", on=lost)


def test_a_stream_that_was_relayed_for_a_while_is_used_again() -> None:
    """Everything took the way through the third node, so nothing showed that the own stream carried again."""
    cluster = with_groups()
    lost, leader = follower(cluster), cluster.leader() or ""
    cluster.cut(lost, leader, way=Way.STREAM)
    cluster.run_for(10_000)
    cluster.heal()
    cluster.run_for(5000)
    for one, other in ((lost, leader), (leader, lost)):
        machine = cluster.machines[NodeId(one)]
        assert machine.node is not None
        assert machine.node.presence.detector.own_stream_age_ms(NodeId(other), machine.clock_ms()) < 2000


def test_where_datagrams_do_not_pass_nothing_changes() -> None:
    cluster = with_groups()
    began_us = cluster.timeline.now_us
    for name in cluster.names:
        cluster.isolate(name, way=Way.DATAGRAM)
    cluster.run_for(30_000)
    assert all(cluster.is_online(f"g{n}", on=f"n{n}") for n in (1, 2, 3))
    assert not [run for run in cluster.ledger.runs if run.started_us > began_us or run.ended_us is not None]


def _state(cluster: SimCluster, name: str) -> MembershipState | None:
    record = cluster.view(cluster.leader()).membership(name)
    return record.state if record is not None else None
