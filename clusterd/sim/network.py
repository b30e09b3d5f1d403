"""How do messages travel between simulated nodes? Pure. Delay, loss, cuts, doubles, and messages much too late.

There are two ways between any two nodes. A stream keeps its order and loses nothing by itself: a lost packet holds up
everything behind it until it is sent again, and a stream that stalls for long is replaced. A datagram is lost alone. Cuts
hit both, or one kind only.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Flag, auto
from functools import partial

from clusterd.model.ids import NodeId
from clusterd.node import events as happened
from clusterd.sim.timeline import Timeline
from clusterd.wire.peer_pb2 import Envelope, Heartbeat

RECONNECT_MS = 200
BREAK_HEARD_MS = 3
RESEND_MS = 200
"""How long a stream waits before it sends a lost packet again; twice as long each time."""
STALLED_MS = 4000
"""A stream that stood still for so long is replaced by a new one."""


class Way(Flag):
    """By which ways something travels."""

    STREAM = auto()
    DATAGRAM = auto()
    BOTH = STREAM | DATAGRAM


@dataclass(slots=True)
class NetworkDials:
    """Everything at its default is a good local network."""

    delay_ms: tuple[float, float] = (0.2, 1.0)
    lost_share: float = 0.0
    """Messages that are lost whole, whichever way they go."""
    doubled_share: float = 0.0
    replayed_share: float = 0.0
    """Messages that arrive a second time, up to `replay_ms` later, even after their sender was restarted."""
    replay_ms: int = 10_000
    packet_loss: float = 0.0
    """Packets that are lost: a datagram is one, and a message on a stream waits until one of it gets through."""
    has_datagrams: bool = True


class Network:
    """Links between all pairs. A cut link loses messages silently; a killed daemon breaks its links at once."""

    def __init__(
        self,
        timeline: Timeline,
        seed: int,
        deliver: Callable[[NodeId, happened.Event], None],
        is_up: Callable[[NodeId], bool],
        names: tuple[NodeId, ...],
        is_let_in: Callable[[NodeId, NodeId], bool],
    ) -> None:
        """`is_let_in`: whether the first, which says hello to the second, is taken for the node that it says it is."""
        self.dials = NetworkDials()
        self.members: dict[NodeId, Collection[NodeId]] = {}
        """Whose datagrams each node takes."""
        self._cut: dict[tuple[NodeId, NodeId], Way] = {}
        self._timeline = timeline
        # Of their own: another number of messages must not change what else is drawn.
        self._rng = random.Random(f"streams {seed}")
        self._datagram_rng = random.Random(f"datagrams {seed}")
        self._deliver = deliver
        self._is_up = is_up
        self._names = names
        self._is_let_in = is_let_in
        self.copies: dict[NodeId, NodeId] = {}
        """Machines that are a node which is elsewhere already, by names of their own."""
        self._streams: dict[tuple[NodeId, NodeId], NodeId] = {}
        """With which machine each has its stream to a node; by default the one of that name."""
        self._arrived_us: dict[tuple[NodeId, NodeId], int] = {}
        self._broken_us: dict[NodeId, int] = {}
        self._ended: Counter[NodeId] = Counter()
        """How many runs of each daemon are over: a stream ends with the run at either end."""
        self._agreed: set[frozenset[NodeId]] = set()
        """Pairs whose present runs have agreed on keys: they had a stream once."""
        self._replaced: dict[frozenset[NodeId], int] = {}
        """How often the stream of a pair was replaced; what was under way on an older one is lost."""
        self.messages = 0

    # ---- cuts ----

    def cut(self, source: NodeId, target: NodeId, way: Way = Way.BOTH) -> None:
        self._cut[source, target] = self._cut.get((source, target), Way(0)) | way

    def heal(self, one: NodeId | None = None, other: NodeId | None = None) -> None:
        """Mend one pair's links, or all."""
        if one is None or other is None:
            self._cut.clear()
        else:
            self._cut.pop((one, other), None)
            self._cut.pop((other, one), None)

    def is_cut(self, source: NodeId, target: NodeId, way: Way) -> bool:
        return way in self._cut.get((source, target), Way(0))

    # ---- messages ----

    def _name(self, machine: NodeId) -> NodeId:
        return self.copies.get(machine, machine)

    def _other_end(self, source: NodeId, node: NodeId) -> NodeId | None:
        """The machine to which `source` has a stream for that node; None: that one has its stream with another."""
        target = self._streams.get((source, node), node)
        name = self._name(source)
        return target if self._streams.get((target, name), name) == source else None

    def send(self, source: NodeId, link: NodeId, envelope: Envelope) -> None:
        target = self._other_end(source, link)
        if target is not None:
            self._send(source, target, envelope)

    def _send(self, source: NodeId, link: NodeId, envelope: Envelope) -> None:
        self.messages += 1
        if self.is_cut(source, link, Way.STREAM) or self._rng.random() < self.dials.lost_share:
            return
        copy = Envelope.FromString(envelope.SerializeToString()) if self._rng.random() < 0.01 else envelope
        event = happened.Received(self._name(source), copy)
        delay_ms = self._rng.uniform(*self.dials.delay_ms) + self._resent_ms()
        self._arrive(source, link, event, delay_ms, is_ordered=True)
        if self._rng.random() < self.dials.doubled_share:
            self._arrive(source, link, event, self._rng.uniform(*self.dials.delay_ms) * 3)
        if self._rng.random() < self.dials.replayed_share:
            self._arrive(source, link, event, self._rng.uniform(0, self.dials.replay_ms))

    def send_datagram(self, source: NodeId, node: NodeId, body: bytes) -> None:
        """Nobody takes one from a node that is no member, nor before the two have agreed on keys, nor a second time."""
        peer = self._other_end(source, node)
        if peer is not None:
            self._send_datagram(source, peer, body)

    def _send_datagram(self, source: NodeId, peer: NodeId, body: bytes) -> None:
        if not self.dials.has_datagrams or frozenset((source, peer)) not in self._agreed:
            return
        self.messages += 1
        is_lost = self._datagram_rng.random() < max(self.dials.packet_loss, self.dials.lost_share)
        name = self._name(source)
        if is_lost or self.is_cut(source, peer, Way.DATAGRAM) or name not in self.members.get(peer, ()):
            return
        event = happened.DatagramReceived(name, Heartbeat.FromString(body))

        def arrive() -> None:
            # Keys belong to a pair of runs: what an earlier run sent is nobody's word.
            is_agreed = frozenset((source, peer)) in self._agreed
            if is_agreed and not self.is_cut(source, peer, Way.DATAGRAM):
                self._deliver(peer, event)

        self._timeline.after_ms(self._datagram_rng.uniform(*self.dials.delay_ms), arrive)

    def _resent_ms(self) -> float:
        """How long a packet of a stream is on its way because it was lost, and lost again."""
        waited_ms, wait_ms = 0.0, float(RESEND_MS)
        while self.dials.packet_loss and self._rng.random() < self.dials.packet_loss:
            waited_ms, wait_ms = waited_ms + wait_ms, wait_ms * 2
        return waited_ms

    # ---- links ----

    def node_started(self, name: NodeId) -> None:
        for peer in (*self._names, *self.copies):
            if self._name(peer) != self._name(name) and self._is_up(peer):
                self._timeline.after_ms(self._rng.uniform(1, RECONNECT_MS), partial(self._open, name, peer))

    def node_gone(self, name: NodeId) -> None:
        self._broken_us[name] = self._timeline.now_us + BREAK_HEARD_MS * 1000
        self._ended[name] += 1
        self._agreed = {pair for pair in self._agreed if name not in pair}
        node = self._name(name)
        for peer in (*self._names, *self.copies):
            has_stream = self._streams.get((peer, node), node) == name
            if self._name(peer) != node and has_stream and not self.is_cut(name, peer, Way.STREAM):
                self._timeline.after_ms(BREAK_HEARD_MS, partial(self._deliver, peer, happened.LinkBroken(node)))

    def _open(self, one: NodeId, other: NodeId) -> None:
        """Only when both have heard that the link before it broke: nobody takes that for the end of this one."""
        broken_us = max(self._broken_us.get(each, 0) for each in (one, other))
        if broken_us >= self._timeline.now_us:
            self._timeline.at(broken_us + 1, partial(self._open, one, other))
        elif self._is_up(one) and self._is_up(other):
            # Each says hello, whatever the other thinks of it.
            is_let_in, lets_in = self._is_let_in(one, other), self._is_let_in(other, one)
            if not (is_let_in and lets_in):
                self._timeline.after_ms(self._rng.uniform(1, RECONNECT_MS), partial(self._open, one, other))
                return
            self._agreed.add(frozenset((one, other)))
            for each, peer in ((one, other), (other, one)):
                self._take_place(each, self._name(peer), peer)
            self._deliver(one, happened.LinkOpened(self._name(other)))
            self._deliver(other, happened.LinkOpened(self._name(one)))

    def _take_place(self, machine: NodeId, node: NodeId, peer: NodeId) -> None:
        """The stream of `machine` to `node` is with `peer` from now on; who had it before tries to get it back."""
        before = self._streams.get((machine, node), node)
        self._streams[machine, node] = peer
        if before != peer and self._is_up(before):
            self._agreed.discard(frozenset((machine, before)))
            self._deliver(before, happened.LinkBroken(self._name(machine)))
            self._timeline.after_ms(RECONNECT_MS, partial(self._open, before, machine))

    def _replace(self, one: NodeId, other: NodeId, replaced: int) -> None:
        pair = frozenset((one, other))
        if self._replaced.get(pair, 0) == replaced:
            self._replaced[pair] = replaced + 1
            self._arrived_us.pop((one, other), None)
            self._arrived_us.pop((other, one), None)
            self._open(one, other)

    def _arrive(
        self, source: NodeId, link: NodeId, event: happened.Received, delay_ms: float, *, is_ordered: bool = False
    ) -> None:
        pair = frozenset((source, link))
        replaced, ended = self._replaced.get(pair, 0), (self._ended[source], self._ended[link])
        now_us = self._timeline.now_us
        at_us = now_us + int(delay_ms * 1000)
        if is_ordered:
            if delay_ms > STALLED_MS:
                self._timeline.after_ms(STALLED_MS, partial(self._replace, source, link, replaced))
            at_us = max(at_us, self._arrived_us.get((source, link), 0))
            self._arrived_us[source, link] = at_us

        def arrive() -> None:
            is_behind_its_end = self._ended[source] != ended[0] and self._timeline.now_us > self._broken_us[source]
            is_lost = is_ordered and (self._replaced.get(pair, 0) != replaced or is_behind_its_end)
            is_lost |= self._ended[link] != ended[1]
            if not is_lost and not self.is_cut(source, link, Way.STREAM):
                self._deliver(link, event)

        self._timeline.at(at_us, arrive)
