"""The cluster knows how long each group was online: over failures, moves of the leadership, lost quorums, cold starts."""

from dataclasses import replace

import pytest

from clusterd.leader.availability import measured
from clusterd.model.availability import AvailabilityRecord, AvailabilityState, Figures, figures
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import GroupRecord, MoveRequest
from clusterd.model.states import Wanted
from clusterd.sim import SimCluster, SimSettings


def started(seed: int = 3) -> SimCluster:
    cluster = SimCluster(SimSettings(seed=seed))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"server": ""}, preferred=("n1", "n2"))
    assert cluster.run_until(lambda: cluster.is_online("web"))
    cluster.run_for(3000)
    return cluster


def record_of(cluster: SimCluster) -> AvailabilityRecord:
    group = cluster.view().group("web")
    record = measured(cluster.view(), group) if group is not None else None
    assert record is not None
    return record


def told(cluster: SimCluster) -> Figures:
    machine = cluster.machines[NodeId(cluster.leader() or "")]
    assert machine.node is not None
    return figures(record_of(cluster), machine.node.cluster_clock.read(machine.clock_ms()))


def online_again(cluster: SimCluster, *, patience_ms: int = 60_000) -> int:
    """How long it took, and a little more for it to be written down."""
    began_ms = cluster.timeline.now_ms
    assert cluster.run_until(lambda: cluster.is_online("web"), patience_ms=patience_ms)
    took_ms = cluster.timeline.now_ms - began_ms
    cluster.run_for(3000)
    return took_ms


def is_about(found_ms: int, expected_ms: int, *, less_ms: int = 100, more_ms: int = 100) -> bool:
    return expected_ms - less_ms <= found_ms <= expected_ms + more_ms


def test_it_is_measured_since_it_was_online_and_nothing_is_written_while_nothing_changes() -> None:
    cluster = started()
    assert record_of(cluster).state is AvailabilityState.ONLINE
    revision = cluster.view().revision
    cluster.run_for(120_000)
    assert cluster.view().revision == revision
    assert told(cluster).outages == 0 and told(cluster).online_ms == told(cluster).expected_ms > 120_000


@pytest.mark.parametrize("victim", ["leader", "other"])
def test_a_failover_is_an_outage_also_when_the_leader_goes_with_it(victim: str) -> None:
    cluster = started()
    leader = cluster.leader()
    assert leader is not None
    owner = leader if victim == "leader" else next(each for each in cluster.names if each != leader)
    if cluster.group_state("web")[1] != owner:
        cluster.change_group_soon(GroupId("web"), leader, lambda group: move_to(group, owner))
        cluster.run_for(8000)
    assert cluster.group_state("web")[1] == owner
    before = told(cluster)
    cluster.kill(owner)
    cluster.run_for(1)
    took_ms = online_again(cluster)
    after = told(cluster)
    assert after.outages == before.outages + 1
    # Silence is noticed two seconds later: until then it counts as online.
    assert is_about(after.longest_ms, took_ms, less_ms=2500), (after, took_ms)
    assert after.expected_ms > after.online_ms >= before.online_ms


def test_what_one_leader_measured_the_next_one_knows() -> None:
    cluster = started()
    leader = cluster.leader()
    cluster.run_for(60_000)
    before = told(cluster)
    owner = cluster.group_state("web")[1]
    if leader == owner:
        cluster.freeze(leader or "", "daemon")
        cluster.run_for(1000)
        cluster.thaw(leader or "", "daemon")
    else:
        cluster.kill(leader or "")
    cluster.run_for(8000)
    assert told(cluster).online_ms >= before.online_ms + 7000


def test_offline_and_maintenance_count_for_nothing_and_a_group_of_the_same_name_begins_anew() -> None:
    cluster = started()
    want(cluster, Wanted.OFFLINE)
    cluster.run_for(60_000)
    expected_ms = told(cluster).expected_ms
    assert record_of(cluster).state is AvailabilityState.NOT_WANTED and told(cluster).outages == 0
    want(cluster, Wanted.ONLINE)
    online_again(cluster)
    assert told(cluster).expected_ms < expected_ms + 10_000
    want(cluster, Wanted.OFFLINE)
    cluster.run_for(3000)
    cluster.commit(lambda draft: cluster.delete_group(draft, "web", ["server"]))
    cluster.run_for(3000)
    assert cluster.view().availability("web") is None
    cluster.add_group("web", {"server": ""}, preferred=("n1", "n2"))
    online_again(cluster)
    assert told(cluster).expected_ms < 5000


def test_a_lost_quorum_and_a_cold_start_are_outages_as_long_as_they_took() -> None:
    cluster = started()
    owner = cluster.group_state("web")[1]
    for name in cluster.names:
        cluster.isolate(name)
    cluster.run_for(60_000)
    assert not cluster.is_online("web")
    cluster.heal()
    took_ms = online_again(cluster)
    lost = told(cluster)
    assert lost.outages == 1 and is_about(lost.longest_ms, 60_000 + took_ms, less_ms=3000), (owner, lost, took_ms)
    for name in cluster.names:
        cluster.kill(name)
    cluster.run_for(600_000)
    cluster.start()
    took_ms = online_again(cluster)
    cold = told(cluster)
    assert cold.outages == 2 and is_about(cold.longest_ms, 600_000 + took_ms, less_ms=5000, more_ms=5000), (
        cold,
        took_ms,
    )


def want(cluster: SimCluster, wanted: Wanted) -> None:
    leader = cluster.leader()
    assert leader is not None
    cluster.change_group_soon(GroupId("web"), leader, lambda group: replace(group, wanted=wanted))


def move_to(group: GroupRecord, node: str) -> GroupRecord:
    return replace(group, move=MoveRequest("m1", NodeId(node), 1, "somebody"))
