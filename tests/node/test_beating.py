"""To whom does a node say that it lives, when, and by which way?"""

from collections.abc import Iterable, Iterator

from clusterd.model.ids import NodeId
from clusterd.node import effects as do
from clusterd.node import events as happened
from clusterd.node.node import Node
from clusterd.sim import SimCluster, SimSettings
from clusterd.wire.peer_pb2 import Heartbeat


def running(**settings: object) -> SimCluster:
    cluster = SimCluster(SimSettings(**settings))  # type: ignore[arg-type]
    cluster.start()
    cluster.run_for(4000)
    return cluster


def node_of(cluster: SimCluster, name: str) -> Node:
    node = cluster.machines[NodeId(name)].node
    assert node is not None
    return node


def sent_by(cluster: SimCluster, name: str, duration_ms: int) -> tuple[list[do.Send], list[do.SendDatagram]]:
    """What a node sends in that time."""
    sent: list[do.Effect] = []
    node = node_of(cluster, name)
    step_all = node.step_all

    def watched(events: Iterable[happened.Event], now_ms: int) -> list[do.Effect]:
        effects = step_all(events, now_ms)
        sent.extend(effects)
        return effects

    node.step_all = watched  # type: ignore[method-assign]
    cluster.run_for(duration_ms)
    node.step_all = step_all  # type: ignore[method-assign]
    return [each for each in sent if isinstance(each, do.Send)], [e for e in sent if isinstance(e, do.SendDatagram)]


def test_while_datagrams_pass_the_stream_carries_a_heartbeat_now_and_then() -> None:
    streamed, datagrams = sent_by(running(), "n2", 10_000)
    assert 70 <= len(datagrams) <= 90, "two peers, every 250 ms"
    assert 4 <= len(streamed) <= 6, "two peers, every 4.5 s: three quarters of the silence limit of streams"


def test_where_datagrams_do_not_pass_the_stream_carries_every_one() -> None:
    cluster = SimCluster(SimSettings())
    cluster.network.dials.has_datagrams = False
    cluster.start()
    cluster.run_for(4000)
    streamed, _ = sent_by(cluster, "n2", 10_000)
    assert 70 <= len(streamed) <= 90


def test_an_idle_node_asks_nobody() -> None:
    _, datagrams = sent_by(running(), "n1", 10_000)
    assert not [each for each in datagrams if Heartbeat.FromString(each.body).wants_answer]


def test_a_node_that_misses_a_peer_asks_it_in_quick_succession_for_a_while() -> None:
    cluster = running()
    cluster.kill("n3")
    cluster.run_for(600)
    _, datagrams = sent_by(cluster, "n1", 1000)
    assert len([each for each in datagrams if each.peer == "n3" and _asks(each)]) > 10
    cluster.run_for(2000)
    _, datagrams = sent_by(cluster, "n1", 5000)
    assert not [each for each in datagrams if each.peer == "n3" and _asks(each)], "it is given up"


def test_the_answer_to_the_leader_waits_for_a_heartbeat_that_goes_there() -> None:
    cluster = running()
    leader = cluster.leader()
    follower, other = (each for each in cluster.names if each != leader)
    node = node_of(cluster, follower)

    def answers(peers: list[NodeId]) -> Iterator[bool]:
        now_ms = cluster.machines[follower].clock_ms()
        node.step(happened.Tick(), now_ms)
        node.beating.beat(now_ms, peers)
        for effect in node._out.effects:
            if isinstance(effect, do.SendDatagram):
                yield Heartbeat.FromString(effect.body).HasField("beat")

    assert cluster.run_until(lambda: any(each.peer == leader for each in waiting_heartbeats(cluster, follower)))
    node.step_all(list(waiting_heartbeats(cluster, follower)), cluster.machines[follower].clock_ms())
    assert node.replica.raft._core.beat_round is not None
    assert list(answers([other])) == [False]
    assert list(answers([NodeId(leader or "")])) == [True]


def waiting_heartbeats(cluster: SimCluster, name: NodeId) -> list[happened.DatagramReceived]:
    return [each for each in cluster.machines[name]._waiting if isinstance(each, happened.DatagramReceived)]


def test_a_datagram_is_small_however_many_nodes_there_are() -> None:
    names = tuple(f"a-node-with-quite-a-long-name-and-more-of-it-{number:02}" for number in range(14))
    cluster = SimCluster(SimSettings(nodes=names))
    cluster.start()
    cluster.run_for(3000)
    _, datagrams = sent_by(cluster, names[0], 1500)
    assert datagrams and max(len(each.body) for each in datagrams) <= 1168
    node = node_of(cluster, names[1])
    last = node.presence.detector.last(NodeId(names[0]))
    assert last is not None and set(last.heard_age_ms) == set(names) - {names[0]}, (
        "what one leaves out another one says"
    )


def _asks(effect: do.SendDatagram) -> bool:
    return Heartbeat.FromString(effect.body).wants_answer
