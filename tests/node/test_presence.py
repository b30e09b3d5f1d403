"""What a node believes of others: the newest that they said, whatever the order in which it arrives."""

from clusterd.model.ids import NodeId
from clusterd.node.presence import Presence
from clusterd.sim import SimCluster, SimSettings
from clusterd.wire.peer_pb2 import Heartbeat

PEER = NodeId("n2")


def presence_of_n1() -> tuple[Presence, int]:
    cluster = SimCluster(SimSettings())
    cluster.start()
    cluster.run_for(2000)
    machine = cluster.machines[NodeId("n1")]
    assert machine.node is not None
    return machine.node.presence, machine.clock_ms()


def beat(sent_ms: int, incarnation: str, daemon_run: str = "d9") -> Heartbeat:
    return Heartbeat(daemon_run=daemon_run, incarnation=incarnation, run_id="r", sent_ms=sent_ms)


def test_a_heartbeat_that_was_overtaken_changes_nothing() -> None:
    presence, now_ms = presence_of_n1()
    presence.receive(PEER, beat(100, "new"), is_direct=True, now_ms=now_ms)
    assert presence.receive(PEER, beat(90, "old"), is_direct=True, now_ms=now_ms + 5)
    last = presence.detector.last(PEER)
    assert last is not None and (last.incarnation, last.received_ms) == ("new", now_ms)


def test_of_two_of_one_millisecond_the_number_says_which_is_newer() -> None:
    """A daemon that comes to itself after a pause says much at once, over two ways; the leader expelled it for the older."""
    presence, now_ms = presence_of_n1()
    for incarnation, number in (("new", 8), ("old", 7)):
        said = beat(100, incarnation)
        said.sequence = number
        presence.receive(PEER, said, is_direct=True, now_ms=now_ms)
    last = presence.detector.last(PEER)
    assert last is not None and last.incarnation == "new"


def test_one_that_was_sent_later_counts() -> None:
    presence, now_ms = presence_of_n1()
    presence.receive(PEER, beat(100, "old"), is_direct=True, now_ms=now_ms)
    presence.receive(PEER, beat(110, "new"), is_direct=True, now_ms=now_ms + 5)
    last = presence.detector.last(PEER)
    assert last is not None and last.incarnation == "new"


def test_another_run_of_the_daemon_has_a_clock_of_its_own() -> None:
    """A machine that was booted anew begins its clock at nothing."""
    presence, now_ms = presence_of_n1()
    presence.receive(PEER, beat(100, "old"), is_direct=True, now_ms=now_ms)
    presence.receive(PEER, beat(3, "new", "d10"), is_direct=True, now_ms=now_ms + 5)
    last = presence.detector.last(PEER)
    assert last is not None and last.incarnation == "new"
