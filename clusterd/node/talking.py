"""Whom does this node talk to, and over which link? Pure."""

from collections.abc import Iterable

from clusterd.membership import Detector, choose_relay
from clusterd.model.ids import NodeId

ANSWER_AT_MOST_EVERY_MS = 20


class Talking:
    """Links, as the transport reports them, and the rhythm of heartbeats."""

    def __init__(self, me: NodeId, now_ms: int) -> None:
        self._me = me
        self.next_beat_ms = now_ms
        self.peers: tuple[NodeId, ...] = ()
        self.open_links: set[NodeId] = set()
        self.broken_links: set[NodeId] = set()
        self._answered_ms: dict[NodeId, int] = {}

    def know(self, nodes: Iterable[NodeId]) -> None:
        """The members of the cluster: every one of them gets heartbeats."""
        self.peers = tuple(sorted(node for node in nodes if node != self._me))

    def opened(self, peer: NodeId) -> None:
        self.open_links.add(peer)

    def broke(self, peer: NodeId) -> None:
        self.open_links.discard(peer)
        self.broken_links.add(peer)

    def heard(self, peer: NodeId) -> None:
        """A sign of life: whatever broke is mended."""
        self.broken_links.discard(peer)

    def may_answer(self, peer: NodeId, now_ms: int) -> bool:
        """Bounds how often a heartbeat out of turn is sent, so that two nodes cannot excite each other."""
        if now_ms - self._answered_ms.get(peer, -ANSWER_AT_MOST_EVERY_MS) < ANSWER_AT_MOST_EVERY_MS:
            return False
        self._answered_ms[peer] = now_ms
        return True

    def route(self, peer: NodeId, detector: Detector, now_ms: int, quiet_max_ms: int) -> NodeId | None:
        """The link to use: the peer's own, or that of a node through which it can be reached; None: there is none."""
        is_open = peer in self.open_links
        relay = choose_relay(
            detector, peer, self.open_links, is_link_open=is_open, now_ms=now_ms, quiet_max_ms=quiet_max_ms
        )
        return relay or (peer if is_open else None)
