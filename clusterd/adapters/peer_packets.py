"""What goes closed between two runs, and how? I/O. Datagrams, and what a third node relays.

Both rest on the keys that two runs agreed on. Nothing that does not prove itself is answered, or even noticed. Where the
datagrams' port cannot be had, or where they do not pass, the streams suffice.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Collection, Mapping

from google.protobuf.message import DecodeError

from clusterd.adapters.acquaintances import Acquaintances
from clusterd.adapters.datagrams import Datagrams
from clusterd.adapters.introductions import Introducer, NotIntroduced
from clusterd.adapters.pair_keys import Purpose
from clusterd.model.events import DATAGRAMS_UNAVAILABLE, PEER_REFUSED, Note, note
from clusterd.model.ids import NodeId
from clusterd.wire.peer_pb2 import Envelope, Heartbeat, Introduction, Sealed

INTRODUCE_AGAIN_S = 1.0


class PeerPackets:
    """The closed packets of one node's present run."""

    def __init__(
        self,
        introducer: Introducer,
        addresses: Mapping[NodeId, str],
        listen: str,
        received: Callable[[NodeId, Heartbeat, int], None],
        noted: Callable[[Note], None],
        is_let_in: Callable[[NodeId, str], bool],
    ) -> None:
        """`received` gets each heartbeat with its time of arrival; `is_let_in`: whether a run is taken for that peer."""
        self._me = NodeId(introducer.own.node)
        self._addresses = dict(addresses)
        self._acquaintances = Acquaintances(introducer, self._addresses, is_let_in)
        self._datagrams = Datagrams(endpoint(listen), self._take_datagram)
        self._received = received
        self._noted = noted
        self._targets: dict[NodeId, tuple[str, int]] = {}
        self._introduced_s: dict[NodeId, float] = {}

    @property
    def own(self) -> Introduction:
        return self._acquaintances.own

    def start(self) -> None:
        try:
            self._datagrams.start()
        except OSError as error:
            self._noted(note(DATAGRAMS_UNAVAILABLE, because=str(error)))

    def stop(self) -> None:
        self._datagrams.stop()

    def know_members(self, members: Collection[NodeId]) -> None:
        self._acquaintances.know_members(members)

    async def met(self, peer: NodeId, introduction: Introduction) -> None:
        """The peer introduced itself on its own stream. Raises NotIntroduced."""
        self._acquaintances.meet(peer, introduction, by_own_stream=True)
        host, port = endpoint(self._addresses[peer])
        with contextlib.suppress(OSError):  # without an address there are streams only
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            address = found[0][4]
            self._targets[peer] = (str(address[0]), int(address[1]))

    # ---- datagrams ----

    def send_datagram(self, peer: NodeId, body: bytes) -> None:
        target = self._targets.get(peer)
        packet = self._acquaintances.seal(peer, Purpose.DATAGRAM, body) if target is not None else None
        if target is not None and packet is not None:
            self._datagrams.send(target, packet)

    def attend(self, *, is_attentive: bool) -> None:
        self._datagrams.attend(is_attentive=is_attentive)

    def take_datagrams(self) -> None:
        self._datagrams.take()

    def _take_datagram(self, packet: bytes, at_ms: int) -> None:
        opened = self._acquaintances.open(Purpose.DATAGRAM, packet)
        if opened is None:
            return
        source, body = opened
        with contextlib.suppress(DecodeError):
            heartbeat = Heartbeat.FromString(body)
            if heartbeat.daemon_run == source.daemon_run:
                self._received(source.node, heartbeat, at_ms)

    # ---- through a third node ----

    def closed(self, envelope: Envelope) -> Envelope | None:
        """What to hand to the node that relays it. Without keys that is an introduction, and the message is lost."""
        peer = NodeId(envelope.receiver)
        packet = self._acquaintances.seal(peer, Purpose.RELAY, envelope.SerializeToString())
        if packet is None:
            return self._introduction_to(peer)
        return Envelope(sender=self._me, receiver=peer, is_relayed=True, sealed=Sealed(packet=packet))

    def opened(self, envelope: Envelope, answer: Callable[[Envelope], None]) -> Envelope | None:
        """What its sender closed; None when nothing is proven. An introduction is answered by the own one."""
        if envelope.WhichOneof("body") == "introduction":
            self._met_through_another(NodeId(envelope.sender), envelope.introduction, answer)
            return None
        opened = self._acquaintances.open(Purpose.RELAY, envelope.sealed.packet)
        if opened is None:
            return None
        source, content = opened
        try:
            inner = Envelope.FromString(content)
        except DecodeError:
            return None
        is_honest = inner.sender == source.node and inner.receiver == self._me
        is_of_run = not inner.HasField("heartbeat") or inner.heartbeat.daemon_run == source.daemon_run
        return inner if is_honest and is_of_run else None

    def _met_through_another(
        self, peer: NodeId, introduction: Introduction, answer: Callable[[Envelope], None]
    ) -> None:
        try:
            self._acquaintances.meet(peer, introduction, by_own_stream=False)
        except NotIntroduced as refused:
            self._noted(note(PEER_REFUSED, peer=peer, because=f"relayed: {refused}"))
            return
        own = self._introduction_to(peer)
        if own is not None:
            answer(own)

    def _introduction_to(self, peer: NodeId) -> Envelope | None:
        """None: it was sent a moment ago."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._introduced_s.get(peer, -INTRODUCE_AGAIN_S) < INTRODUCE_AGAIN_S:
            return None
        self._introduced_s[peer] = now_s
        return Envelope(sender=self._me, receiver=peer, is_relayed=True, introduction=self.own)


def endpoint(address: str) -> tuple[str, int]:
    """(host, port) of an address as the configuration writes it."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
