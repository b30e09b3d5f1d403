"""How do nodes hear each other? I/O. One long-lived gRPC stream per pair of nodes, with mutual TLS.

The node with the smaller name dials; both ends use the same stream. `send` never waits and never fails: what cannot be sent
is lost, as on any network. A stream that ends is reported at once; whether that means anything is for the core to decide.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import grpc
import grpc.aio

from clusterd.adapters import peers_pb2_grpc
from clusterd.adapters.certificates import Credentials, dns_name, node_uri
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.adapters.peer_options import CHANNEL_OPTIONS, client_options
from clusterd.model.events import PEER_REFUSED, Note, note
from clusterd.model.ids import NodeId
from clusterd.wire.peer_pb2 import Envelope, Hello

PROTOCOL_VERSION = 1
QUEUE_MESSAGES_MAX = 4096
HELLO_WAIT_MAX_S = 2.0
REDIAL_S = (0.05, 0.3)


@dataclass(frozen=True, slots=True)
class PeerEvents:
    """Where the links report to. All are called on the event loop and must not block."""

    opened: Callable[[NodeId], None]
    broken: Callable[[NodeId], None]
    received: Callable[[NodeId, Envelope], None]
    noted: Callable[[Note], None]


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who this node is towards its peers."""

    cluster: str
    cluster_id: str
    node: NodeId
    daemon_run: str
    credentials: Credentials


class _Stream(Protocol):
    """Either end of a bidirectional call."""

    async def read(self) -> object: ...

    async def write(self, message: Envelope, /) -> None: ...


class _Link:
    """One open stream: a task reads, a task writes, and a bounded queue lies between the core and the writer."""

    def __init__(self, peer: NodeId, stream: _Stream) -> None:
        self.peer = peer
        self._stream = stream
        self._queue: deque[Envelope] = deque(maxlen=QUEUE_MESSAGES_MAX)
        self._wakeup = asyncio.Event()

    def send(self, envelope: Envelope) -> None:
        self._queue.append(envelope)
        self._wakeup.set()

    async def write_all(self) -> None:
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._queue:
                await self._stream.write(self._queue.popleft())

    async def read_all(self, received: Callable[[NodeId, Envelope], None]) -> None:
        while True:
            message = await self._stream.read()
            if not isinstance(message, Envelope):
                return
            received(self.peer, message)


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
        self.cuts = LinkCuts()
        """What a lab has cut now; replaced as a whole when the lab says something else."""
        self._links: dict[NodeId, _Link] = {}
        self._server: grpc.aio.Server | None = None
        self._dialers: list[asyncio.Task[None]] = []
        self._jitter = random.Random(identity.daemon_run)

    async def start(self) -> None:
        """Listen and dial. Raises OSError when the address cannot be bound."""
        credentials = self._identity.credentials
        server = grpc.aio.server(options=list(CHANNEL_OPTIONS))
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
        for peer in sorted(self._addresses):
            if self._identity.node < peer:
                self._dialers.append(asyncio.create_task(self._dial(peer), name=f"dial {peer}"))

    async def stop(self) -> None:
        for task in self._dialers:
            task.cancel()
        await asyncio.gather(*self._dialers, return_exceptions=True)
        if self._server is not None:
            await self._server.stop(grace=0.1)

    def send(self, peer: NodeId, envelope: Envelope) -> None:
        """Queue a message; it is lost when the link is not open, or is cut."""
        link = self._links.get(peer)
        if link is not None and peer not in self.cuts.drop_to:
            link.send(envelope)

    # ---- the side that dials ----

    async def _dial(self, peer: NodeId) -> None:
        credentials = self._identity.credentials
        secure = grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.certificate)
        options = client_options(dns_name(self._identity.cluster, peer))
        while True:
            async with grpc.aio.secure_channel(f"ipv4:{self._addresses[peer]}", secure, options=options) as channel:
                call = peers_pb2_grpc.PeersStub(channel).Exchange()
                try:
                    await self._serve_stream(peer, call)
                except grpc.aio.AioRpcError:
                    pass
                finally:
                    call.cancel()
            await asyncio.sleep(self._jitter.uniform(*REDIAL_S))

    # ---- the side that is dialled ----

    async def Exchange(  # type: ignore[override]  # the stub knows generators; this style reads and writes the context
        self, request_iterator: AsyncIterator[Envelope], context: grpc.aio.ServicerContext[Envelope, Envelope]
    ) -> None:
        """One stream of a peer. Its certificate must name a member of this cluster with a smaller name."""
        peer = self._peer_of(context)
        if peer is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this certificate is no peer's")
            return
        with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.UsageError):
            await self._serve_stream(peer, context)

    def _peer_of(self, context: grpc.aio.ServicerContext[Envelope, Envelope]) -> NodeId | None:
        uris = [bytes(each).decode("ascii", "replace") for each in context.auth_context().get("peer_uri", ())]
        for peer in self._addresses:
            if node_uri(self._identity.cluster, peer) in uris and peer < self._identity.node:
                return peer
        self._events.noted(
            note(PEER_REFUSED, peer=", ".join(uris), because="its certificate names no peer that may dial")
        )
        return None

    # ---- both sides ----

    async def _serve_stream(self, peer: NodeId, stream: _Stream) -> None:
        if not await self._shake_hands(peer, stream):
            return
        link = _Link(peer, stream)
        self._links[peer] = link
        self._events.opened(peer)
        writer = asyncio.create_task(link.write_all(), name=f"write {peer}")
        reader = asyncio.create_task(link.read_all(self._received), name=f"read {peer}")
        try:
            await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before anything is awaited: gRPC cancels the call of a peer that is gone, often just after its stream ended.
            if self._links.get(peer) is link:
                del self._links[peer]
                self._events.broken(peer)
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)

    async def _shake_hands(self, peer: NodeId, stream: _Stream) -> bool:
        """Exchange who we are. A cut link says nothing, so its streams are not opened."""
        if peer in self.cuts.drop_to or peer in self.cuts.drop_from:
            await asyncio.sleep(0.2)
            return False
        hello = Hello(
            cluster_id=self._identity.cluster_id,
            daemon_run=self._identity.daemon_run,
            protocol_version=PROTOCOL_VERSION,
        )
        await stream.write(Envelope(sender=self._identity.node, receiver=peer, hello=hello))
        try:
            async with asyncio.timeout(HELLO_WAIT_MAX_S):
                answer = await stream.read()
        except TimeoutError:
            return False
        if not isinstance(answer, Envelope) or not answer.HasField("hello"):
            return False
        if answer.hello.cluster_id != self._identity.cluster_id:
            self._events.noted(note(PEER_REFUSED, peer=peer, because=f"it is of cluster {answer.hello.cluster_id}"))
            return False
        return True

    def _received(self, peer: NodeId, envelope: Envelope) -> None:
        if peer not in self.cuts.drop_from:
            self._events.received(peer, envelope)
