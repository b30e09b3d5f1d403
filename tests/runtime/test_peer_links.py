"""Peers hear each other over mutual TLS, and nobody else gets in."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio
import pytest

from clusterd.adapters import introductions, peers_pb2_grpc
from clusterd.adapters.acquaintances import Acquaintances
from clusterd.adapters.certificates import Credentials, create_authority, issue_node
from clusterd.adapters.introductions import Introducer, NotIntroduced
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.adapters.pair_keys import Purpose
from clusterd.adapters.peer_links import PeerLinks
from clusterd.adapters.peers import PeerEvents, PeerIdentity
from clusterd.membership.runs import Caller, Rival
from clusterd.model.events import Note
from clusterd.model.ids import Incarnation, NodeId
from clusterd.wire.consensus_pb2 import ConsensusMessage
from clusterd.wire.peer_pb2 import ConsensusBatch, Envelope, Heartbeat, Hello, Sealed

AUTHORITY = create_authority("t")
STRANGERS = create_authority("t")
WAIT_S = 5.0


@dataclass
class Heard:
    opened: list[NodeId] = field(default_factory=list)
    broken: list[NodeId] = field(default_factory=list)
    received: list[tuple[NodeId, Envelope]] = field(default_factory=list)
    datagrams: list[tuple[NodeId, Heartbeat]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    calls: list[tuple[NodeId, Caller]] = field(default_factory=list)
    refusals: list[tuple[NodeId, Rival]] = field(default_factory=list)
    taken_for: Rival | None = None
    """Which run the core takes for the peer; None: whichever says hello."""
    on_receive: Callable[[NodeId, Envelope], None] = lambda link, envelope: None

    def receive(self, link: NodeId, envelope: Envelope) -> None:
        self.received.append((link, envelope))
        self.on_receive(link, envelope)

    @property
    def events(self) -> PeerEvents:
        return PeerEvents(
            self.opened.append,
            self.broken.append,
            self.receive,
            lambda peer, heartbeat, _: self.datagrams.append((peer, heartbeat)),
            self.notes.append,
            self.call,
            lambda *each: self.refusals.append(each),
            lambda: (Incarnation("i1"), (Incarnation("i0"),), 3),
            lambda: 6000,
        )

    def call(self, peer: NodeId, caller: Caller) -> Rival | None:
        self.calls.append((peer, caller))
        return None if self.taken_for is None or caller.daemon_run == self.taken_for.daemon_run else self.taken_for


@asynccontextmanager
async def links(
    name: str,
    ports: dict[str, int],
    heard: Heard,
    *,
    credentials: Credentials | None = None,
    cluster_id: str = "c1",
    run: str = "",
) -> AsyncIterator[PeerLinks]:
    peers = {NodeId(each): f"127.0.0.1:{port}" for each, port in ports.items() if each != name}
    own = credentials or issue_node(AUTHORITY, name)
    identity = PeerIdentity("t", cluster_id, NodeId(name), run or f"run-{name}", own)
    made = PeerLinks(identity, peers, f"127.0.0.1:{ports[name]}", heard.events)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def until(is_true: object) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_true():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def settle(is_true: Callable[[], bool], repeat: Callable[[], None]) -> None:
    """Do it again and again until it is so: what is lost is lost."""
    async with asyncio.timeout(WAIT_S):
        while not is_true():
            repeat()
            await asyncio.sleep(0.01)


def free_ports(*names: str) -> dict[str, int]:
    found = {}
    for name in names:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found[name] = probe.getsockname()[1]
    return found


async def _expect_refusal(secure: grpc.ChannelCredentials, port: int) -> None:
    options = [("grpc.ssl_target_name_override", "n2.t.clusterd")]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", secure, options=options) as channel:
        call = peers_pb2_grpc.PeersStub(channel).Exchange(timeout=2)
        with pytest.raises(grpc.aio.AioRpcError):
            await call.write(Envelope(sender="n1"))
            await call.read()


async def test_both_ends_of_one_stream_hear_each_other() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n1", ports, one) as first, links("n2", ports, two) as second:
        await until(lambda: one.opened and two.opened)
        first.send(NodeId("n2"), Envelope(sender="n1", receiver="n2", heartbeat=Heartbeat(sent_ms=1)))
        second.send(NodeId("n1"), Envelope(sender="n2", receiver="n1", heartbeat=Heartbeat(sent_ms=2)))
        await until(lambda: one.received and two.received)
    assert two.received[0][1].heartbeat.sent_ms == 1
    assert one.received[0][1].heartbeat.sent_ms == 2


async def test_the_end_of_a_peer_is_seen_at_once_and_its_return_too() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n1", ports, one):
        async with links("n2", ports, two):
            await until(lambda: one.opened)
        await until(lambda: one.broken)
        async with links("n2", ports, Heard()):
            await until(lambda: len(one.opened) == 2)


async def test_a_cut_link_loses_messages_without_breaking() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n1", ports, one) as first, links("n2", ports, two) as second:
        await until(lambda: one.opened and two.opened)
        second.cuts = LinkCuts(drop_from=("n1",))
        first.send(NodeId("n2"), Envelope(sender="n1", receiver="n2", heartbeat=Heartbeat(sent_ms=1)))
        second.send(NodeId("n1"), Envelope(sender="n2", receiver="n1", heartbeat=Heartbeat(sent_ms=2)))
        await until(lambda: one.received)
        assert two.received == [] and two.broken == []


async def test_a_certificate_of_another_authority_is_refused() -> None:
    ports, two = free_ports("n1", "n2"), Heard()
    wrong = issue_node(STRANGERS, "n1")
    async with links("n2", ports, two):
        secure = grpc.ssl_channel_credentials(AUTHORITY.pem, wrong.key, wrong.certificate)
        await _expect_refusal(secure, ports["n2"])
        assert not two.opened


async def test_a_member_cannot_claim_to_be_another() -> None:
    """n3's certificate is good, but a stream to n2 opened with it is a stream of n3, which is no member here."""
    ports, two = free_ports("n1", "n2"), Heard()
    other = issue_node(AUTHORITY, "n3")
    async with links("n2", ports, two), links("n1", ports, Heard(), credentials=other):
        await until(lambda: two.notes)
        assert not two.opened
    assert "clusterd://t/node/n3" in str(two.notes[0].get("peer"))


async def test_another_cluster_is_refused() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n2", ports, two), links("n1", ports, one, cluster_id="c2"):
        await until(lambda: one.notes or two.notes)
        assert not two.opened


async def test_nobody_gets_in_without_a_certificate() -> None:
    ports, two = free_ports("n1", "n2"), Heard()
    async with links("n2", ports, two):
        await _expect_refusal(grpc.ssl_channel_credentials(AUTHORITY.pem), ports["n2"])
        assert not two.opened


async def test_a_port_in_use_is_an_error_that_names_it() -> None:
    ports = free_ports("n1", "n2")
    async with links("n2", ports, Heard()):
        with pytest.raises(OSError, match=str(ports["n2"])):
            async with links("n2", ports, Heard()):
                pass


# ---- datagrams ----


def beat(run: str, sent_ms: int = 1) -> bytes:
    return Heartbeat(daemon_run=run, sent_ms=sent_ms).SerializeToString()


async def test_a_datagram_goes_beside_the_stream_that_agreed_on_its_key() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n1", ports, one) as first, links("n2", ports, two) as second:
        first.send_datagram(NodeId("n2"), beat("run-n1"))
        await until(lambda: one.opened and two.opened)
        await settle(lambda: bool(two.datagrams), lambda: first.send_datagram(NodeId("n2"), beat("run-n1", 7)))
        await settle(lambda: bool(one.datagrams), lambda: second.send_datagram(NodeId("n1"), beat("run-n2", 8)))
    assert {(peer, each.sent_ms) for peer, each in two.datagrams} == {("n1", 7)}, "nothing before there was a key"
    assert {(peer, each.sent_ms) for peer, each in one.datagrams} == {("n2", 8)}


async def test_a_datagram_outlives_its_stream_and_an_evicted_node_has_no_key() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n1", ports, one) as first, links("n2", ports, two) as second:
        await until(lambda: one.opened and two.opened)
        second._streams[NodeId("n1")].ended.set()
        await until(lambda: two.broken)
        await settle(lambda: bool(two.datagrams), lambda: first.send_datagram(NodeId("n2"), beat("run-n1")))
        second.know_members([NodeId("n2")])
        two.datagrams.clear()
        for _ in range(5):
            first.send_datagram(NodeId("n2"), beat("run-n1"))
        second._packets._take_datagram(b"x" * 100, 0)
        await asyncio.sleep(0.05)
    assert two.datagrams == []


async def test_a_copied_or_changed_datagram_is_nobody_s_word() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n1", ports, one) as first, links("n2", ports, two) as second:
        await until(lambda: one.opened and two.opened)
        packet = first._packets._acquaintances.seal(NodeId("n2"), Purpose.DATAGRAM, beat("run-n1"))
        other_run = first._packets._acquaintances.seal(NodeId("n2"), Purpose.DATAGRAM, beat("run-of-old"))
        relayed = first._packets._acquaintances.seal(NodeId("n2"), Purpose.RELAY, beat("run-n1"))
        assert packet is not None and other_run is not None and relayed is not None
        for each in (
            packet[:-1] + bytes([packet[-1] ^ 1]),
            b"\0" * 8 + packet[8:],
            packet[:20],
            other_run,
            relayed,
            b"",
        ):
            second._packets._take_datagram(each, 0)
        assert two.datagrams == []
        for _ in range(3):
            second._packets._take_datagram(packet, 0)
            first._packets._take_datagram(packet, 0)
    assert len(two.datagrams) == 1, "taken once"
    assert one.datagrams == [], "and by nobody else"


async def test_what_a_lab_loses_is_lost_on_streams_and_as_datagrams_until_it_is_mended() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n1", ports, one) as first, links("n2", ports, two) as second:
        await until(lambda: one.opened and two.opened)
        first.cuts, second.cuts = LinkCuts(loss_percent={"n2": 100}), LinkCuts(loss_percent={"n1": 100})
        await until(lambda: first._loss._filtered and second._loss._filtered)
        for _ in range(10):
            first.send(NodeId("n2"), Envelope(sender="n1", receiver="n2", heartbeat=Heartbeat(sent_ms=1)))
            first.send_datagram(NodeId("n2"), beat("run-n1"))
            await asyncio.sleep(0.01)
        assert two.received == [] and two.datagrams == [] and two.broken == []
        first.cuts = second.cuts = LinkCuts()
        await until(lambda: len(two.received) == 10)
        await settle(lambda: bool(two.datagrams), lambda: first.send_datagram(NodeId("n2"), beat("run-n1")))


# ---- nobody speaks for another ----


async def test_a_stream_does_not_bring_what_another_node_is_said_to_have_said() -> None:
    """With n2's key, over n2's own stream, a message in the name of n1: plain, relayed, and relayed with n2's own proof."""
    ports, two, three = free_ports("n1", "n2", "n3"), Heard(), Heard()
    async with links("n2", ports, two) as second, links("n3", ports, three):
        await until(lambda: two.opened and three.opened)
        stream = second._streams[NodeId("n3")]
        said = Envelope(sender="n1", receiver="n3", consensus=ConsensusBatch(messages=[ConsensusMessage(term=1000)]))
        stream.send(said)
        relayed = Envelope.FromString(said.SerializeToString())
        relayed.is_relayed = True
        stream.send(relayed)
        packet = second._packets._acquaintances.seal(NodeId("n3"), Purpose.RELAY, said.SerializeToString())
        stream.send(Envelope(sender="n1", receiver="n3", is_relayed=True, sealed=Sealed(packet=packet)))
        introduction = Envelope(sender="n1", receiver="n3", is_relayed=True, introduction=second._packets.own)
        stream.send(introduction)
        stream.send(Envelope(sender="n2", receiver="n3", heartbeat=Heartbeat(sent_ms=5)))
        await until(lambda: three.received)
    assert [(link, each.sender, each.WhichOneof("body")) for link, each in three.received] == [
        ("n2", "n2", "heartbeat")
    ]


async def test_what_a_third_node_relays_is_proven_by_its_sender() -> None:
    """n1 and n3 have no link of their own and never had one: they agree on keys through n2."""
    ports, heard = free_ports("n1", "n2", "n3"), {name: Heard() for name in ("n1", "n2", "n3")}
    cut = {"n1": LinkCuts(("n3",), ("n3",)), "n2": LinkCuts(), "n3": LinkCuts(("n1",), ("n1",))}
    async with AsyncExitStack() as stack:
        all_links = {name: await stack.enter_async_context(links(name, ports, heard[name])) for name in heard}
        for name, each in all_links.items():
            each.cuts = cut[name]
        heard["n2"].on_receive = lambda _, envelope: all_links["n2"].send(NodeId(envelope.receiver), envelope)
        await until(lambda: len(heard["n2"].opened) == 2)
        said = Envelope(
            sender="n1", receiver="n3", is_relayed=True, heartbeat=Heartbeat(daemon_run="run-n1", sent_ms=9)
        )
        await settle(lambda: bool(heard["n3"].received), lambda: all_links["n1"].send(NodeId("n2"), said))
        link, envelope = heard["n3"].received[0]
        assert (link, envelope.sender, envelope.is_relayed, envelope.heartbeat.sent_ms) == ("n2", "n1", True, 9)
        passed = [each for _, each in heard["n2"].received if each.WhichOneof("body") == "sealed"]
        assert passed and b"run-n1" in passed[0].sealed.packet, "proven, not secret"
        taken = len(heard["n3"].received)
        all_links["n2"].send(NodeId("n3"), passed[0])
        await asyncio.sleep(0.05)
        assert len(heard["n3"].received) == taken, "what was taken once is not taken again"


async def test_a_second_stream_of_the_same_run_takes_the_place_of_the_first() -> None:
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n1", ports, one) as first, links("n2", ports, two) as second:
        await until(lambda: one.opened and two.opened)
        before = second._streams[NodeId("n1")]
        again = asyncio.create_task(first._one_stream(NodeId("n2"), asyncio.Event()))
        await until(lambda: len(two.opened) == 2 and len(one.opened) == 2)
        assert before.ended.is_set() and second._streams[NodeId("n1")] is not before
        second.send(NodeId("n1"), Envelope(sender="n2", receiver="n1", heartbeat=Heartbeat(sent_ms=2)))
        first.send(NodeId("n2"), Envelope(sender="n1", receiver="n2", heartbeat=Heartbeat(sent_ms=1)))
        await until(lambda: one.received and two.received)
        assert one.broken == [] and two.broken == [], "one stream for another is no break"
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


@pytest.mark.parametrize(("here", "there"), [("n2", "n1"), ("n1", "n2")])
async def test_a_run_that_the_core_does_not_take_for_the_peer_is_refused_and_told(here: str, there: str) -> None:
    """Whichever side dials. The stream of the one that is there goes on."""
    ports, heard, peer = (
        free_ports(here, there),
        Heard(taken_for=Rival("first", "10.0.0.7", is_alive=True)),
        NodeId(there),
    )
    async with links(here, ports, heard) as mine, links(there, ports, Heard(), run="first"):
        await until(lambda: heard.opened)
        copied, copy = {**ports, there: free_ports(there)[there]}, Heard()
        async with links(there, copied, copy, run="second"):
            if here < there:  # this side dials: the address leads to the copy now
                mine._addresses[peer] = f"127.0.0.1:{copied[there]}"
                mine._streams[peer].ended.set()
            await until(lambda: copy.refusals)
        assert copy.refusals[0] == (here, heard.taken_for)
        assert "second" in [each.daemon_run for _, each in heard.calls]
        if here > there:
            assert heard.broken == [] and len(heard.opened) == 1 and copy.opened == []
    assert heard.calls[0][1].incarnation == "i1" and heard.calls[0][1].ended == ("i0",)
    assert heard.calls[0][1].boots == 3


def test_an_introduction_through_another_node_displaces_nobody_who_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = issue_node(AUTHORITY, "n1")

    def introducer(node: str, run: str) -> Introducer:
        own = credentials if node == "n1" else issue_node(AUTHORITY, node)
        return Introducer(cluster="t", cluster_id="c1", node=NodeId(node), daemon_run=run, credentials=own)

    asked: list[tuple[NodeId, str]] = []

    def is_let_in(peer: NodeId, run: str) -> bool:
        asked.append((peer, run))
        return False

    first = introducer("n1", "first")
    monkeypatch.setattr(introductions.time, "time_ns", lambda: (first.own.started_wall_ms + 1) * 1_000_000)
    third = Acquaintances(introducer("n3", "here"), [NodeId("n1")], is_let_in)
    assert third.meet(NodeId("n1"), first.own, by_own_stream=True) and not asked
    with pytest.raises(NotIntroduced, match="another run of it is heard"):
        third.meet(NodeId("n1"), introducer("n1", "second").own, by_own_stream=False)
    assert asked == [("n1", "second")]
    assert not third.meet(NodeId("n1"), first.own, by_own_stream=True), "its keys are there still"


class EndingStream:
    """Says hello, and ends when told to."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._is_greeted = False

    async def write(self, message: Envelope) -> None:
        return

    async def read(self) -> object:
        if not self._is_greeted:
            self._is_greeted = True
            return Envelope(sender="n1", hello=Hello(cluster_id="c1"))
        await self.ended.wait()
        return grpc.aio.EOF


@pytest.mark.parametrize("steps", range(8))
async def test_a_break_is_told_whenever_the_call_is_cancelled(steps: int) -> None:
    """gRPC ends the stream of a peer that was killed, and cancels the call: how long after that is chance."""
    ports, heard = free_ports("n1", "n2"), Heard()
    async with links("n2", ports, heard) as second:
        stream = EndingStream()
        served = asyncio.create_task(second._serve_stream(NodeId("n1"), stream, "127.0.0.1"))
        await until(lambda: heard.opened == ["n1"])
        stream.ended.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        served.cancel()
        await asyncio.gather(served, return_exceptions=True)
        assert heard.broken == ["n1"]


async def test_half_open_connections_keep_no_peer_out() -> None:
    """Who connects to a node and says nothing is let go soon; a peer gets in beside a few hundred of them."""
    ports, one, two = free_ports("n1", "n2"), Heard(), Heard()
    async with links("n2", ports, two):
        idle = [await asyncio.open_connection("127.0.0.1", ports["n2"]) for _ in range(300)]
        async with links("n1", ports, one):
            async with asyncio.timeout(20):
                ends = [reader.read() for reader, _ in idle]
                found = await asyncio.gather(*ends, return_exceptions=True)
            assert all(each == b"" or isinstance(each, ConnectionError) for each in found)
            await until(lambda: one.opened == ["n2"] and two.opened == ["n1"])
        for _, writer in idle:
            writer.close()


async def test_a_stream_that_has_ended_is_not_waited_for() -> None:
    """It is put away a moment after its end; until then the dialling side must not turn in a circle."""

    class Ended:
        looks = 0
        ended = asyncio.Event()

        @property
        def still_s(self) -> float:
            self.looks += 1
            assert self.looks < 100, "it turns in a circle and holds up the loop"
            return 0.0

    stream = Ended()
    stream.ended.set()
    links = object.__new__(PeerLinks)
    links._events = Heard().events
    links._streams = {NodeId("n2"): stream}  # type: ignore[dict-item]  # only what the wait looks at
    await links._until_needed(NodeId("n2"))
