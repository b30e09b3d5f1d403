"""Who is at the other end of a stream that opens, and is it let in? I/O.

Both say hello; the side that dialled speaks first. Who is not taken for the peer (see `node.doubles`) hears in the answer
which other daemon is, and the stream ends.
"""

import asyncio

from clusterd.adapters.introductions import NotIntroduced
from clusterd.adapters.peer_packets import PeerPackets
from clusterd.adapters.peer_stream import Stream
from clusterd.adapters.peers import PeerEvents, PeerIdentity
from clusterd.membership.runs import Caller, Rival
from clusterd.model.events import PEER_REFUSED, note
from clusterd.model.ids import Incarnation, NodeId
from clusterd.wire import peer_pb2 as wire
from clusterd.wire.peer_pb2 import Envelope, Hello

PROTOCOL_VERSION = 1
HELLO_WAIT_MAX_S = 2.0
LAST_WORD_S = 0.1
"""For the last word of a stream to get out before the stream ends."""


class Handshakes:
    """One node's."""

    def __init__(self, identity: PeerIdentity, packets: PeerPackets, events: PeerEvents) -> None:
        self._identity, self._packets, self._events = identity, packets, events

    async def dial(self, peer: NodeId, stream: Stream, address: str) -> Hello | None:
        """The hello of the peer that was dialled. None: the two do not go on."""
        await self._say(peer, stream)
        hello = await _hear(stream)
        if hello is None or self.is_turned_away(peer, hello) or not self._is_of_cluster(peer, hello):
            return None
        rival = self._events.called(peer, _caller(hello, address))
        if rival is not None:
            await self._say(peer, stream, rival)
            await asyncio.sleep(LAST_WORD_S)
            return None
        return hello if await self._is_introduced(peer, hello) else None

    async def answer(self, peer: NodeId, stream: Stream, address: str) -> Hello | None:
        """The hello of a peer that dialled. None: the two do not go on."""
        hello = await _hear(stream)
        if hello is None or not self._is_of_cluster(peer, hello):
            return None
        rival = self._events.called(peer, _caller(hello, address))
        await self._say(peer, stream, rival)
        if rival is not None:
            await asyncio.sleep(LAST_WORD_S)
            return None
        return hello if await self._is_introduced(peer, hello) else None

    def is_turned_away(self, peer: NodeId, hello: Hello) -> bool:
        """Whether the peer says that another daemon is this node."""
        if not hello.HasField("rival"):
            return False
        told = hello.rival
        self._events.refused(peer, Rival(told.daemon_run, told.address, told.is_alive))
        return True

    async def _say(self, peer: NodeId, stream: Stream, rival: Rival | None = None) -> None:
        incarnation, ended, boots = self._events.standing()
        hello = Hello(
            cluster_id=self._identity.cluster_id,
            daemon_run=self._identity.daemon_run,
            protocol_version=PROTOCOL_VERSION,
            introduction=self._packets.own,
            incarnation=incarnation,
            ended_incarnations=ended,
            boots=boots,
        )
        if rival is not None:
            told = wire.Rival(daemon_run=rival.daemon_run, address=rival.address, is_alive=rival.is_alive)
            hello.rival.CopyFrom(told)
        await stream.write(Envelope(sender=self._identity.node, receiver=peer, hello=hello))

    def _is_of_cluster(self, peer: NodeId, hello: Hello) -> bool:
        if hello.cluster_id == self._identity.cluster_id:
            return True
        self._events.noted(note(PEER_REFUSED, peer=peer, because=f"it is of cluster {hello.cluster_id}"))
        return False

    async def _is_introduced(self, peer: NodeId, hello: Hello) -> bool:
        if not hello.HasField("introduction"):
            return True
        try:
            await self._packets.met(peer, hello.introduction)
        except NotIntroduced as refused:
            self._events.noted(note(PEER_REFUSED, peer=peer, because=str(refused)))
            return False
        return True


async def _hear(stream: Stream) -> Hello | None:
    try:
        async with asyncio.timeout(HELLO_WAIT_MAX_S):
            said = await stream.read()
    except TimeoutError:
        return None
    return said.hello if isinstance(said, Envelope) and said.HasField("hello") else None


def _caller(hello: Hello, address: str) -> Caller:
    ended = tuple(Incarnation(each) for each in hello.ended_incarnations)
    return Caller(hello.daemon_run, Incarnation(hello.incarnation), ended, address, hello.boots)
