"""Which nodes are heard and cannot be commanded? Pure.

Datagrams keep a node's lease and show that it lives, but everything else goes over streams: its own, or that of a third node
which both ends reach. Where none of them carries anything, the node runs what it runs, and nobody can tell it anything.
"""

from collections.abc import Collection, Mapping

from clusterd.membership.detector import Detector
from clusterd.model.ids import NodeId


class Commanding:
    """Since when each node is heard without a stream, as far as this node knows."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self.mute_since: Mapping[NodeId, int] = {}

    def look(
        self,
        detector: Detector,
        peers: Collection[NodeId],
        *,
        now_ms: int,
        heard_within_ms: int,
        carried_within_ms: int,
    ) -> None:
        """Call with every heartbeat of this node's own; the silence limits of nodes and of streams."""
        self.mute_since = {
            peer: self.mute_since.get(peer, now_ms)
            for peer in peers
            if self._is_heard(detector, peer, now_ms, heard_within_ms)
            and not self._carries(detector, peer, now_ms, carried_within_ms)
            and not any(
                self._carries(detector, via, now_ms, carried_within_ms) and _relays(detector, via, peer)
                for via in peers
                if via != peer
            )
        }

    def _is_heard(self, detector: Detector, peer: NodeId, now_ms: int, limit_ms: int) -> bool:
        return detector.last(peer) is not None and detector.age_ms(peer, now_ms) <= limit_ms

    def _carries(self, detector: Detector, peer: NodeId, now_ms: int, limit_ms: int) -> bool:
        """Whether the stream to that node carries something, in both directions."""
        last = detector.last(peer)
        is_read = detector.own_stream_age_ms(peer, now_ms) <= limit_ms
        return is_read and last is not None and self._me not in last.mute


def _relays(detector: Detector, via: NodeId, to: NodeId) -> bool:
    last, there = detector.last(via), detector.last(to)
    return (
        last is not None
        and there is not None
        and to in last.heard_age_ms
        and to not in last.mute
        and via not in there.mute
    )
