"""What a node says of itself: its machine once, its load with every heartbeat."""

from clusterd.model.ids import NodeId
from clusterd.model.records import NodeFactsRecord
from clusterd.model.settings import TypeSettings
from clusterd.model.type_times import own_times
from clusterd.node.events import MachineMeasured
from clusterd.sim import SimCluster, SimSettings

N2 = NodeId("n2")


def settled() -> SimCluster:
    cluster = SimCluster(SimSettings(seed=5))
    cluster.start()
    cluster.run_for(3000)
    return cluster


def test_facts_are_published_once_and_again_when_they_differ() -> None:
    cluster = settled()
    machine = cluster.machines[N2]
    for memory_percent in (10, 20, 30):
        machine.feed(MachineMeasured(16_000, 8, 5, memory_percent))
        cluster.run_for(1000)
    assert cluster.view().facts("n2") == NodeFactsRecord(N2, 16_000, 8)
    revision = cluster.view().revision_of("facts/n2")
    cluster.run_for(1000)
    assert cluster.view().revision_of("facts/n2") == revision > 0
    machine.feed(MachineMeasured(32_000, 8, 5, 30))
    cluster.run_for(1000)
    assert cluster.view().facts("n2") == NodeFactsRecord(N2, 32_000, 8)


def test_the_load_is_known_wherever_heartbeats_go() -> None:
    cluster = settled()
    cluster.machines[N2].feed(MachineMeasured(16_000, 8, 55, 66))
    cluster.run_for(1000)
    for machine in cluster.machines.values():
        assert machine.node is not None
        load = machine.node.presence.loads[N2]
        assert (load.processor_percent, load.memory_percent) == (55, 66)


def test_facts_that_the_cluster_forgot_are_said_again_by_the_next_daemon() -> None:
    cluster = settled()
    machine = cluster.machines[N2]
    machine.feed(MachineMeasured(16_000, 8, 0, 0))
    cluster.run_for(1000)
    machine.kill_daemon()
    machine.start()
    machine.feed(MachineMeasured(8_000, 4, 0, 0))
    cluster.run_for(5000)
    assert cluster.view().facts("n2") == NodeFactsRecord(N2, 8_000, 4)


def test_a_type_says_how_often_it_is_checked() -> None:
    schema = {"x-looks-alive-poll-interval": 100, "x-is-alive-poll-interval": 2000}
    found = own_times(schema)
    assert (found.looks_alive_poll_interval_ms, found.is_alive_poll_interval_ms) == (100, 2000)
    for nonsense in (0, -1, True, "5s", None, 2.5):
        assert own_times({"x-looks-alive-poll-interval": nonsense}) == TypeSettings()
