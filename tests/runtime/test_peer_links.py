"""Peers hear each other over mutual TLS, and nobody else gets in."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio
import pytest

from clusterd.adapters import peers_pb2_grpc
from clusterd.adapters.certificates import Credentials, create_authority, issue_node
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.adapters.peer_links import PeerEvents, PeerIdentity, PeerLinks
from clusterd.model.events import Note
from clusterd.model.ids import NodeId
from clusterd.wire.peer_pb2 import Envelope, Heartbeat, Hello

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

    @property
    def events(self) -> PeerEvents:
        return PeerEvents(
            self.opened.append,
            self.broken.append,
            lambda *each: self.received.append(each),
            lambda *each: self.datagrams.append(each),
            self.notes.append,
        )


@asynccontextmanager
async def links(
    name: str, ports: dict[str, int], heard: Heard, *, credentials: Credentials | None = None, cluster_id: str = "c1"
) -> AsyncIterator[PeerLinks]:
    peers = {NodeId(each): f"127.0.0.1:{port}" for each, port in ports.items() if each != name}
    own = credentials or issue_node(AUTHORITY, name)
    identity = PeerIdentity("t", cluster_id, NodeId(name), f"run-{name}", own)
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
        served = asyncio.create_task(second._serve_stream(NodeId("n1"), stream))
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
