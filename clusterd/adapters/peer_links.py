"""How do nodes hear each other? I/O. One long-lived gRPC stream per pair of nodes, with mutual TLS, and datagrams beside it.

The node with the smaller name dials; both ends use the same stream. `send` never waits and never fails: what cannot be sent
is lost, as on any network. A stream that ends is reported at once; whether that means anything is for the core to decide.

A stream belongs to one run of one peer. Another one of the same run takes its place (so the dialling side opens one when the
present one stands still: after a lost packet, TCP alone waits longer and longer). One of another run ends it if the core
takes that run for the peer (see `node.doubles`), and is refused otherwise, with a word about who is taken for it.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Collection, Mapping
from urllib.parse import unquote

import grpc
import grpc.aio

from clusterd.adapters import peers_pb2_grpc
from clusterd.adapters.certificates import dns_name, node_uri
from clusterd.adapters.handshakes import Handshakes
from clusterd.adapters.introductions import Introducer
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.adapters.packet_loss import PacketLoss
from clusterd.adapters.peer_options import SERVER_OPTIONS, client_options
from clusterd.adapters.peer_packets import PeerPackets, endpoint
from clusterd.adapters.peer_stream import PeerStream, Stream
from clusterd.adapters.peers import PeerEvents, PeerIdentity
from clusterd.membership.runs import Caller
from clusterd.model.events import PEER_REFUSED, note
from clusterd.model.ids import Incarnation, NodeId
from clusterd.wire.peer_pb2 import Envelope, Heartbeat

REDIAL_S = (0.05, 0.3)
STILL_MIN_S = 4.0
"""The silence limit of streams, of the settings, says when one stands still; but no sooner: a new one costs both ends."""


class PeerLinks(peers_pb2_grpc.PeersServicer):
    """Every link of one node: its server, and the channels that it dials."""

    def __init__(
        self,
        identity: PeerIdentity,
        addresses: Mapping[NodeId, str],
        listen: str,
        events: PeerEvents,
    ) -> None:
        self._identity = identity
        self._addresses = dict(addresses)
        self._listen = listen
        self._events = events
        self._cuts = LinkCuts()
        self._loss = PacketLoss(endpoint(listen)[1], {endpoint(each): peer for peer, each in addresses.items()})
        self._streams: dict[NodeId, PeerStream] = {}
        self._packets = PeerPackets(
            Introducer(
                cluster=identity.cluster,
                cluster_id=identity.cluster_id,
                node=identity.node,
                daemon_run=identity.daemon_run,
                credentials=identity.credentials,
            ),
            addresses,
            listen,
            self._received_datagram,
            events.noted,
            lambda peer, run: events.called(peer, Caller(run, Incarnation(""))) is None,
        )
        self._handshakes = Handshakes(identity, self._packets, events)
        self._server: grpc.aio.Server | None = None
        self._dialers: list[asyncio.Task[None]] = []
        self._jitter = random.Random(identity.daemon_run)

    @property
    def cuts(self) -> LinkCuts:
        """What a lab has cut now; replaced as a whole when the lab says something else."""
        return self._cuts

    @cuts.setter
    def cuts(self, cuts: LinkCuts) -> None:
        self._cuts = cuts
        self._loss.set(cuts.loss_percent)

    async def start(self) -> None:
        """Listen and dial. Raises OSError when the address cannot be bound."""
        credentials = self._identity.credentials
        server = grpc.aio.server(options=list(SERVER_OPTIONS))
        peers_pb2_grpc.add_PeersServicer_to_server(self, server)
        secure = grpc.ssl_server_credentials(
            [(credentials.key, credentials.certificate)], credentials.ca, require_client_auth=True
        )
        try:
            bound = server.add_secure_port(self._listen, secure)
        except RuntimeError as error:
            raise OSError(f"{self._listen} cannot be bound: {error}") from error
        if bound == 0:
            raise OSError(f"{self._listen} cannot be bound")
        await server.start()
        self._server = server
        self._packets.start()
        for peer in sorted(self._addresses):
            if self._identity.node < peer:
                self._dialers.append(asyncio.create_task(self._dial(peer), name=f"dial {peer}"))

    async def stop(self) -> None:
        for task in self._dialers:
            task.cancel()
        await asyncio.gather(*self._dialers, return_exceptions=True)
        if self._server is not None:
            await self._server.stop(grace=0.1)
        self._packets.stop()
        await self._loss.stop()

    def know_members(self, members: Collection[NodeId]) -> None:
        self._packets.know_members(members)

    def send(self, link: NodeId, envelope: Envelope) -> None:
        """Queue a message; it is lost when the link is not open, or is cut. What `link` is to relay is closed against it."""
        stream = self._streams.get(link)
        if stream is None or link in self.cuts.drop_to:
            return
        is_to_be_relayed = envelope.sender == self._identity.node and envelope.receiver != link
        out = self._packets.closed(envelope) if is_to_be_relayed else envelope
        if out is not None:
            stream.send(out)

    def send_datagram(self, peer: NodeId, body: bytes) -> None:
        if peer not in self.cuts.drop_to:
            self._packets.send_datagram(peer, body)

    def attend(self, *, is_attentive: bool) -> None:
        """Whether datagrams are posted as they come; otherwise they wait for `take_datagrams`."""
        self._packets.attend(is_attentive=is_attentive)

    def take_datagrams(self) -> None:
        """Post what waits in the socket."""
        self._packets.take_datagrams()

    # ---- the side that dials ----

    async def _dial(self, peer: NodeId) -> None:
        """Keep a stream to the peer. While the present one stands still another is tried beside it."""
        attempts: set[asyncio.Task[None]] = set()
        try:
            while True:
                await self._until_needed(peer)
                opened = asyncio.Event()
                attempt = asyncio.create_task(self._one_stream(peer, opened), name=f"stream to {peer}")
                attempts.add(attempt)
                waiting = asyncio.create_task(opened.wait(), name=f"opening {peer}")
                await asyncio.wait((attempt, waiting), return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                for ended in [each for each in attempts if each.done()]:
                    attempts.discard(ended)
                    ended.result()
                await asyncio.sleep(self._jitter.uniform(*REDIAL_S))
        finally:
            for each in attempts:
                each.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)

    async def _until_needed(self, peer: NodeId) -> None:
        """Until there is no stream, or the present one stands still. One that has ended is none, though it is put away only
        in a moment: to wait for its end would return at once, again and again, and hold up everything else of the node."""
        while (stream := self._streams.get(peer)) is not None and stream.still_s < self._still_max_s:
            if stream.ended.is_set():
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._still_max_s - stream.still_s + 0.01):
                    await stream.ended.wait()

    async def _one_stream(self, peer: NodeId, opened: asyncio.Event) -> None:
        credentials = self._identity.credentials
        secure = grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.certificate)
        options = client_options(dns_name(self._identity.cluster, peer))
        async with grpc.aio.secure_channel(f"ipv4:{self._addresses[peer]}", secure, options=options) as channel:
            call = peers_pb2_grpc.PeersStub(channel).Exchange()
            try:
                await self._serve_stream(peer, call, self._addresses[peer], opened)
            except grpc.aio.AioRpcError:
                return
            finally:
                call.cancel()

    # ---- the side that is dialled ----

    async def Exchange(  # type: ignore[override]  # the stub knows generators; this style reads and writes the context
        self, request_iterator: AsyncIterator[Envelope], context: grpc.aio.ServicerContext[Envelope, Envelope]
    ) -> None:
        """One stream of a peer. Its certificate must name a member of this cluster with a smaller name."""
        peer = self._peer_of(context)
        if peer is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this certificate is no peer's")
            return
        kind, _, remote = context.peer().partition(":")
        if kind.startswith("ipv"):
            self._loss.accepted(endpoint(unquote(remote)), peer)
        with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.UsageError):
            await self._serve_stream(peer, context, endpoint(unquote(remote))[0] if kind.startswith("ipv") else "")

    def _peer_of(self, context: grpc.aio.ServicerContext[Envelope, Envelope]) -> NodeId | None:
        uris = [bytes(each).decode("ascii", "replace") for each in context.auth_context().get("peer_uri", ())]
        for peer in self._addresses:
            if node_uri(self._identity.cluster, peer) in uris and peer < self._identity.node:
                return peer
        self._events.noted(
            note(PEER_REFUSED, peer=", ".join(uris), because="its certificate names no peer that may dial")
        )
        return None

    @property
    def _still_max_s(self) -> float:
        return max(STILL_MIN_S, self._events.stream_silence_max_ms() / 1000)

    # ---- both sides ----

    async def _serve_stream(
        self, peer: NodeId, stream: Stream, address: str, opened: asyncio.Event | None = None
    ) -> None:
        """A cut link says nothing, so its streams are not opened."""
        if peer in self.cuts.drop_to or peer in self.cuts.drop_from:
            await asyncio.sleep(0.2)
            return
        shake_hands = self._handshakes.answer if opened is None else self._handshakes.dial
        hello = await shake_hands(peer, stream, address)
        if hello is None:
            return
        made = PeerStream(peer, hello.daemon_run, stream)
        before = self._streams.get(peer)
        self._streams[peer] = made
        if before is not None:
            before.ended.set()
        if opened is not None:
            opened.set()
        self._events.opened(peer)
        try:
            await made.serve(self._received)
        finally:
            # Before anything is awaited: gRPC cancels the call of a peer that is gone, often just after its stream ended.
            if self._streams.get(peer) is made:
                del self._streams[peer]
                self._events.broken(peer)

    def _received(self, stream: PeerStream, envelope: Envelope) -> None:
        """Nobody speaks for another: the stream proves its own peer, and what that one relays proves itself."""
        link = stream.peer
        if link in self.cuts.drop_from or self._streams.get(link) is not stream:
            return
        if envelope.is_relayed and envelope.receiver == self._identity.node:
            inner = self._packets.opened(envelope, stream.send)
            if inner is not None:
                inner.is_relayed = True
                self._events.received(link, inner)
        elif envelope.HasField("hello"):
            self._handshakes.is_turned_away(link, envelope.hello)
        elif envelope.sender == link:
            self._events.received(link, envelope)

    def _received_datagram(self, peer: NodeId, heartbeat: Heartbeat, at_ms: int) -> None:
        if peer not in self.cuts.drop_from and not self._loss.drops_datagram_of(peer):
            self._events.received_datagram(peer, heartbeat, at_ms)
