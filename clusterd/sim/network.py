"""How do messages travel between simulated nodes? Pure. Delay, loss, cuts, doubles, and messages much too late."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from clusterd.model.ids import NodeId
from clusterd.node import events as happened
from clusterd.sim.timeline import Timeline
from clusterd.wire.peer_pb2 import Envelope

RECONNECT_MS = 200
BREAK_HEARD_MS = 3


@dataclass(slots=True)
class NetworkDials:
    """Everything at its default is a good local network."""

    delay_ms: tuple[float, float] = (0.2, 1.0)
    lost_share: float = 0.0
    doubled_share: float = 0.0
    replayed_share: float = 0.0
    """Messages that arrive a second time, up to `replay_ms` later, even after their sender was restarted."""
    replay_ms: int = 10_000


class Network:
    """Links between all pairs. A cut link loses messages silently; a killed daemon breaks its links at once."""

    def __init__(
        self,
        timeline: Timeline,
        rng: random.Random,
        deliver: Callable[[NodeId, happened.Event], None],
        is_up: Callable[[NodeId], bool],
        names: tuple[NodeId, ...],
    ) -> None:
        self.dials = NetworkDials()
        self.cut: set[tuple[NodeId, NodeId]] = set()
        self._timeline = timeline
        self._rng = rng
        self._deliver = deliver
        self._is_up = is_up
        self._names = names
        self._arrived_us: dict[tuple[NodeId, NodeId], int] = {}
        self._broken_us: dict[NodeId, int] = {}
        self.messages = 0

    def send(self, source: NodeId, link: NodeId, envelope: Envelope) -> None:
        self.messages += 1
        if (source, link) in self.cut or self._rng.random() < self.dials.lost_share:
            return
        copy = Envelope.FromString(envelope.SerializeToString()) if self._rng.random() < 0.01 else envelope
        self._arrive(source, link, copy, self._rng.uniform(*self.dials.delay_ms), is_ordered=True)
        if self._rng.random() < self.dials.doubled_share:
            self._arrive(source, link, copy, self._rng.uniform(*self.dials.delay_ms) * 3, is_ordered=False)
        if self._rng.random() < self.dials.replayed_share:
            self._arrive(source, link, copy, self._rng.uniform(0, self.dials.replay_ms), is_ordered=False)

    def node_started(self, name: NodeId) -> None:
        for peer in self._names:
            if peer != name and self._is_up(peer):
                self._timeline.after_ms(self._rng.uniform(1, RECONNECT_MS), partial(self._open, name, peer))

    def node_gone(self, name: NodeId) -> None:
        self._broken_us[name] = self._timeline.now_us + BREAK_HEARD_MS * 1000
        for peer in self._names:
            if peer != name and (name, peer) not in self.cut:
                self._timeline.after_ms(BREAK_HEARD_MS, partial(self._deliver, peer, happened.LinkBroken(name)))

    def _open(self, one: NodeId, other: NodeId) -> None:
        """Only when both have heard that the link before it broke: nobody takes that for the end of this one."""
        broken_us = max(self._broken_us.get(each, 0) for each in (one, other))
        if broken_us >= self._timeline.now_us:
            self._timeline.at(broken_us + 1, partial(self._open, one, other))
        elif self._is_up(one) and self._is_up(other):
            self._deliver(one, happened.LinkOpened(other))
            self._deliver(other, happened.LinkOpened(one))

    def _arrive(self, source: NodeId, link: NodeId, envelope: Envelope, delay_ms: float, *, is_ordered: bool) -> None:
        at_us = self._timeline.now_us + int(delay_ms * 1000)
        if is_ordered:
            at_us = max(at_us, self._arrived_us.get((source, link), 0))
            self._arrived_us[source, link] = at_us

        def arrive() -> None:
            if (source, link) not in self.cut:
                self._deliver(link, happened.Received(source, envelope))

        self._timeline.at(at_us, arrive)
