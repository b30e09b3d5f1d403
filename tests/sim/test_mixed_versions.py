"""A cluster in which some nodes run the version before this one: it numbers no heartbeats, remembers nothing, and speaks
over streams only."""

from collections.abc import Collection

import pytest

from clusterd.model.ids import NodeId
from clusterd.node.presence import Presence
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.network import Network
from clusterd.wire.peer_pb2 import Ack, Envelope, Heartbeat

SINCE_THEN = ("sequence", "hears_datagrams", "memory", "disk", "is_partial", "local_offset_s")


def older(envelope: Envelope) -> Envelope:
    """What is left of a message between two nodes of which one does not know the rest."""
    copy = Envelope.FromString(envelope.SerializeToString())
    if copy.HasField("heartbeat"):
        for field in SINCE_THEN:
            copy.heartbeat.ClearField(field)  # type: ignore[arg-type]  # names of fields
        copy.heartbeat.ack.ClearField("sequence") if copy.heartbeat.HasField("ack") else None
    return copy


def with_old_ones(monkeypatch: pytest.MonkeyPatch, old: Collection[str], **settings: object) -> SimCluster:
    send, send_datagram = Network._send, Network._send_datagram

    def sent(self: Network, source: NodeId, link: NodeId, envelope: Envelope) -> None:
        send(self, source, link, older(envelope) if {source, link} & set(old) else envelope)

    def sent_datagram(self: Network, source: NodeId, peer: NodeId, body: bytes) -> None:
        if not {source, peer} & set(old):
            send_datagram(self, source, peer, body)

    monkeypatch.setattr(Network, "_send", sent)
    monkeypatch.setattr(Network, "_send_datagram", sent_datagram)
    cluster = SimCluster(SimSettings(**settings))  # type: ignore[arg-type]  # names are checked by the call itself
    cluster.start()
    cluster.run_for(3000)
    return cluster


@pytest.mark.parametrize("old", [("n1",), ("n3",), ("n2", "n3"), ("n1", "n2")])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_node_holds_its_lease_by_the_word_of_either_version(
    monkeypatch: pytest.MonkeyPatch, old: tuple[str, ...], seed: int
) -> None:
    cluster = with_old_ones(monkeypatch, old, seed=seed)
    cluster.add_group("web", {"site": ""}, preferred=("n1", "n2", "n3"))
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    other = "n2" if len(old) == 1 else "n3"
    cluster.kill(other)  # each of the two that are left needs the other's word
    cluster.run_for(20_000)
    assert cluster.is_online("web", on="n1") and len(cluster.ledger.runs) == 1
    cluster.start(other)
    cluster.run_for(5000)
    cluster.isolate("n1")
    assert cluster.run_until(lambda: cluster.is_online("web") and not cluster.is_online("web", on="n1"))
    cluster.heal()
    cluster.run_for(5000)
    assert not cluster.overlaps() and not cluster.breaches()


def acknowledged(cluster: SimCluster, *, sent_ms: int, sequence: int = 0, numbers: int = 0, **way: bool) -> bool:
    """Whether a lease begins at `sent_ms` by an acknowledgement of everybody else that names it so."""
    machine = cluster.machines[NodeId("n1")]
    assert machine.node is not None
    presence: Presence = machine.node.presence
    presence.begin(presence.incarnation)
    configuration = machine.node.replica.raft.configuration
    for peer in ("n2", "n3"):
        last = presence.detector.last(NodeId(peer))
        assert last is not None
        ack = Ack(
            daemon_run=presence.identity.daemon_run,
            incarnation=presence.incarnation,
            sent_ms=sent_ms,
            sequence=sequence,
            configuration_index=configuration.index,
            configuration_term=configuration.term,
        )
        said = Heartbeat(
            daemon_run=last.daemon_run, incarnation=last.incarnation, ack=ack, sequence=numbers, sent_ms=1 << 50
        )
        presence.receive(NodeId(peer), said, now_ms=machine.clock_ms(), **{"is_direct": True, "by_stream": True, **way})
    return presence.lease_start_ms() == sent_ms


def test_only_what_was_sent_is_believed_and_only_where_the_older_version_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = with_old_ones(monkeypatch, ("n2", "n3"))
    machine = cluster.machines[NodeId("n1")]
    assert machine.node is not None
    sendings = machine.node.presence.sendings
    last, sent_ms = list(sendings._sent_ms.items())[-1]
    assert acknowledged(cluster, sent_ms=sent_ms)
    assert not acknowledged(cluster, sent_ms=sent_ms + 1), "nothing was sent then"
    assert not acknowledged(cluster, sent_ms=machine.clock_ms() + 60_000), "nor in the future"
    assert not acknowledged(cluster, sent_ms=sent_ms, by_stream=False), "the older version sends no datagrams"
    assert not acknowledged(cluster, sent_ms=sent_ms, is_direct=False), "and is not relayed"
    assert not acknowledged(cluster, sent_ms=sent_ms, numbers=7), "who numbers heartbeats numbers what it acknowledges"
    assert acknowledged(cluster, sent_ms=sent_ms, sequence=last, numbers=7)
