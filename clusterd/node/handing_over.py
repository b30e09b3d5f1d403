"""To whom does a leader that leaves hand the leadership? Pure. What it owns, and what others own, waits for no election."""

from typing import TYPE_CHECKING

from clusterd.model.ids import NodeId

if TYPE_CHECKING:
    from clusterd.node.node import Node


class HandingOver:
    """A leader that is to leave offers its leadership to one voter after the other, for a bounded time."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._offered: dict[NodeId, int] = {}
        self._until_ms: int | None = None

    def is_over(self, now_ms: int) -> bool:
        """Offer it. True: another one leads, nobody can, or nobody did in time."""
        raft = self._node.replica.raft
        if not self._node.replica.is_leader:
            return True
        if self._until_ms is None:
            self._until_ms = now_ms + self._node.settings.silence_max_ms
        if raft.transfers_to is not None:
            return now_ms >= self._until_ms
        successor = self._successor(now_ms)
        if successor is None or now_ms >= self._until_ms:
            return True
        self._offered[successor] = self._offered.get(successor, 0) + 1
        raft.transfer_leadership(successor, now_ms)
        return False

    def _successor(self, now_ms: int) -> NodeId | None:
        """The voter that is heard, stays, was offered it least often, and has most of the log."""
        node = self._node
        found = [each for each in map(NodeId, node.replica.raft.configuration.voters) if self._may_lead(each, now_ms)]
        match = node.replica.raft.match_index_of
        return min(found, key=lambda each: (self._offered.get(each, 0), -match(each), each), default=None)

    def _may_lead(self, peer: NodeId, now_ms: int) -> bool:
        node = self._node
        last = node.presence.detector.last(peer)
        if peer == node.me or last is None or last.is_leaving or peer in node.talking.broken_links:
            return False
        return node.presence.detector.age_ms(peer, now_ms) <= node.presence.quiet_max_ms
