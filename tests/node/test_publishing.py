"""What a node says of itself: its machine once, its load with every heartbeat."""

import pytest

from clusterd.model import keys
from clusterd.model.events import PLUGIN_REFUSED, TYPE_VERSIONS_DIFFER
from clusterd.model.ids import NodeId
from clusterd.model.records import NodeFactsRecord, ResourceTypeRecord
from clusterd.model.settings import TypeSettings
from clusterd.model.type_times import own_times
from clusterd.node.events import HostUp, MachineMeasured
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


def _service(cluster: SimCluster, version: str) -> ResourceTypeRecord:
    return ResourceTypeRecord("generic_service", N2, version)


def _known(cluster: SimCluster, name: str = "generic_service") -> str | None:
    record = cluster.view().get(ResourceTypeRecord, keys.resource_type(name, "n2"))
    return record.version if record is not None else None


def _told(cluster: SimCluster) -> list[str]:
    return [each.event.message for each in cluster.events if each.event.name == TYPE_VERSIONS_DIFFER.name]


@pytest.mark.parametrize(("own", "counts"), [("1.10", "1.10"), ("1.9", "1.9"), ("0.9", "1")])
def test_two_versions_of_a_type_settle_once_on_the_newest(own: str, counts: str) -> None:
    """A plug-in was updated, and then a second host began."""
    cluster = settled()
    machine = cluster.machines[N2]
    machine.types["own-server"] = (*machine.usual_types()[1:], _service(cluster, own))
    cluster.add_group("web", {"server": ""}, preferred=("n2",), properties={"separate_monitor": True})
    assert cluster.run_until(lambda: cluster.is_online("web", on="n2"))
    cluster.run_for(2000)
    assert _known(cluster) == counts
    revision = cluster.view().revision
    cluster.run_for(10_000)
    assert cluster.view().revision == revision, "it is written again and again"
    assert _told(cluster) == [f"n2 has several versions of generic_service: 1 in host shared, {own} in host own-server"]


def test_what_no_host_offers_any_more_is_taken_back() -> None:
    cluster = settled()
    machine = cluster.machines[N2]
    machine.types["shared"] = machine.usual_types()[1:]
    assert _known(cluster) == "1"
    machine.crash_host("shared")
    assert cluster.run_until(lambda: _known(cluster) is None, patience_ms=5000)
    assert _known(cluster, "generic_script") == "1"


def test_types_do_not_come_and_go_with_a_host() -> None:
    cluster = settled()
    machine = cluster.machines[N2]
    machine.types["own-server"] = machine.usual_types()[:1]
    cluster.add_group("web", {"server": ""}, preferred=("n2",), properties={"separate_monitor": True})
    assert cluster.run_until(lambda: cluster.is_online("web", on="n2"))
    cluster.run_for(1000)
    revision = cluster.view().revision_of(keys.resource_type("generic_script", "n2"))
    for _ in range(3):
        machine.crash_host("shared")
        cluster.run_for(3000)
    assert cluster.view().revision_of(keys.resource_type("generic_script", "n2")) == revision > 0


def test_the_host_of_an_idle_node_is_started_again() -> None:
    cluster = settled()
    machine = cluster.machines[N2]
    machine.crash_host("shared")
    cluster.run_for(2000)
    assert machine.guard is not None and "shared" in machine.guard.hosts


def test_more_types_than_one_transaction_takes_are_told_in_several() -> None:
    cluster = settled()
    machine = cluster.machines[N2]
    many = tuple(ResourceTypeRecord(f"type-{at}", N2, "1", {"title": "x" * 60_000}) for at in range(20))
    machine.types["shared"] = (*machine.usual_types(), *many)
    machine.crash_host("shared")
    assert cluster.run_until(lambda: all(_known(cluster, each.name) for each in many), patience_ms=10_000)


def troubled(cluster: SimCluster, host: str, *troubles: str) -> None:
    """A host comes up that could not load something."""
    machine = cluster.machines[N2]
    assert machine.node is not None
    incarnation = machine.node.presence.incarnation
    assert incarnation
    machine.feed(HostUp(host, incarnation, 7, (), machine.usual_types(), troubles))
    cluster.run_for(1000)


def refused_events(cluster: SimCluster) -> list[str]:
    return [each.message for _, each in cluster.view().events() if each.name == PLUGIN_REFUSED.name]


def test_plug_ins_that_are_not_loaded_are_told_once_each() -> None:
    cluster = settled()
    cluster.machines[N2].feed(MachineMeasured(16_000, 8, 5, 10))
    cluster.run_for(1000)
    troubled(cluster, "shared", "a.py: SyntaxError")
    assert cluster.view().facts("n2") == NodeFactsRecord(N2, 16_000, 8, ("a.py: SyntaxError",))
    troubled(cluster, "shared", "a.py: SyntaxError", "plug-in folder /x: No such file or directory")
    first, second = refused_events(cluster)
    assert "a.py: SyntaxError" in first and "plug-in folder /x: No such file or directory" in second
    troubled(cluster, "r-of-its-own")
    facts = cluster.view().facts("n2")
    assert facts is not None and len(facts.plugin_troubles) == 2, "the shared host's word counts"
    troubled(cluster, "shared")
    assert cluster.view().facts("n2") == NodeFactsRecord(N2, 16_000, 8)
    assert len(refused_events(cluster)) == 2


def test_the_next_daemon_takes_nothing_back_before_a_host_has_spoken() -> None:
    cluster = settled()
    machine = cluster.machines[N2]
    machine.feed(MachineMeasured(16_000, 8, 5, 10))
    troubled(cluster, "shared", "a.py: SyntaxError")
    assert machine.node is not None
    machine.node.owning._publishing._troubles = None  # as in a daemon that has just begun
    machine.feed(MachineMeasured(32_000, 8, 5, 10))
    cluster.run_for(1000)
    assert cluster.view().facts("n2") == NodeFactsRecord(N2, 32_000, 8, ("a.py: SyntaxError",))


def test_what_is_told_of_plug_ins_is_bounded() -> None:
    cluster = settled()
    cluster.machines[N2].feed(MachineMeasured(16_000, 8, 5, 10))
    troubled(cluster, "shared", *(f"{number}: {'x' * 100_000}" for number in range(5000)))
    facts = cluster.view().facts("n2")
    assert facts is not None and sum(map(len, facts.plugin_troubles)) < 8000
