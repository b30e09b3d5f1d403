"""Whom does this node talk to, and over which link? Pure."""

from collections.abc import Collection, Iterable

from clusterd.membership import Detector, choose_relay
from clusterd.model.ids import NodeId

ANSWER_AT_MOST_EVERY_MS = 20


class Talking:
    """Links, as the transport reports them, and whose datagrams pass."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self.peers: tuple[NodeId, ...] = ()
        self.open_links: set[NodeId] = set()
        self._broken: dict[NodeId, int] = {}
        """Links that broke and were not mended, each with the first sending after that."""
        self._answered_ms: dict[NodeId, int] = {}
        self._datagram_ms: dict[NodeId, int] = {}
        self._hears_datagrams: dict[NodeId, bool] = {}

    @property
    def broken_links(self) -> Collection[NodeId]:
        return self._broken.keys()

    def know(self, nodes: Iterable[NodeId]) -> None:
        """The members of the cluster: every one of them gets heartbeats."""
        self.peers = tuple(sorted(node for node in nodes if node != self._me))

    def opened(self, peer: NodeId) -> None:
        self.open_links.add(peer)

    def broke(self, peer: NodeId, next_sequence: int) -> None:
        self.open_links.discard(peer)
        self._broken[peer] = next_sequence

    def heard(self, peer: NodeId) -> None:
        """A sign of life over a stream: whatever broke is mended."""
        self._broken.pop(peer, None)

    def heard_datagram(self, peer: NodeId, now_ms: int, *, hears_datagrams: bool, acknowledges: int) -> bool:
        """A datagram came. True when it proves that the peer outlived the break of its link: it acknowledges what was
        sent since. One that was under way when the peer died proves nothing."""
        self._datagram_ms[peer] = now_ms
        self._hears_datagrams[peer] = hears_datagrams
        is_alive = acknowledges >= self._broken.get(peer, acknowledges + 1)
        if is_alive:
            del self._broken[peer]
        return is_alive

    def hears_datagrams_of(self, peer: NodeId, now_ms: int, quiet_max_ms: int) -> bool:
        """Whether the peer's datagrams arrive here."""
        at_ms = self._datagram_ms.get(peer)
        return at_ms is not None and now_ms - at_ms <= quiet_max_ms

    def do_datagrams_pass(self, peer: NodeId, now_ms: int, quiet_max_ms: int) -> bool:
        """Whether they do in both directions: then the stream need not carry every heartbeat."""
        return self._hears_datagrams.get(peer, False) and self.hears_datagrams_of(peer, now_ms, quiet_max_ms)

    def may_answer(self, peer: NodeId, now_ms: int) -> bool:
        """Bounds how often a heartbeat out of turn is sent, so that two nodes cannot excite each other."""
        if now_ms - self._answered_ms.get(peer, -ANSWER_AT_MOST_EVERY_MS) < ANSWER_AT_MOST_EVERY_MS:
            return False
        self._answered_ms[peer] = now_ms
        return True

    def route(
        self, peer: NodeId, detector: Detector, now_ms: int, *, quiet_max_ms: int, mute_after_ms: int
    ) -> NodeId | None:
        """The link to use: the peer's own, or that of a node through which it can be reached; None: there is none."""
        is_open = peer in self.open_links
        relay = choose_relay(
            detector,
            self._me,
            peer,
            self.open_links,
            is_link_open=is_open,
            now_ms=now_ms,
            quiet_max_ms=quiet_max_ms,
            mute_after_ms=mute_after_ms,
        )
        return relay or (peer if is_open else None)
