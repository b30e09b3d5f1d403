"""To whom does a leader hand the leadership, because it leaves or reaches fewer nodes? Pure.

What it owns, and what others own, waits for no election.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clusterd.membership import better_connected
from clusterd.model.events import LEADER_GIVES_WAY, note
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
        successor = most_advanced(self._node, now_ms, self._offered)
        if successor is None or now_ms >= self._until_ms:
            return True
        self._offered[successor] = self._offered.get(successor, 0) + 1
        raft.transfer_leadership(successor, now_ms)
        return False


class GivingWay:
    """A leader to which some node's link is broken gives way to a voter that reaches more.

    What goes between that node and its leader takes no detour then. Only what lasts counts: links come and go with daemons.
    """

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._since_ms: int | None = None
        self._offered: dict[NodeId, int] = {}

    def look(self, now_ms: int) -> None:
        """Call with every heartbeat of a leader's own."""
        node, raft = self._node, self._node.replica.raft
        if node.presence.disk.takes_nothing:
            self._for_want_of_a_disk(now_ms)
            return
        self._offered.clear()
        detector, age_max_ms = node.presence.detector, node.presence.quiet_max_ms
        alive = [each for each in node.talking.peers if detector.age_ms(each, now_ms) <= age_max_ms]
        best = better_connected(
            detector, node.me, heirs(node, now_ms), (node.me, *alive), now_ms=now_ms, age_max_ms=age_max_ms
        )
        if best is None or raft.transfers_to is not None or node.presence.is_leaving:
            self._since_ms = None
        elif self._since_ms is None:
            self._since_ms = now_ms
        elif now_ms - self._since_ms >= node.settings.silence_max_ms:
            self._since_ms = None
            node.say(note(LEADER_GIVES_WAY, to=best, because=f"{best} reaches more nodes over links of its own"))
            raft.transfer_leadership(best, now_ms)

    def _for_want_of_a_disk(self, now_ms: int) -> None:
        """Nothing can be decided here as long as nothing can be written: at once to one after the other."""
        node, raft = self._node, self._node.replica.raft
        self._since_ms = None
        best = most_advanced(node, now_ms, self._offered)
        if best is None or raft.transfers_to is not None:
            return
        self._offered[best] = self._offered.get(best, 0) + 1
        node.say(note(LEADER_GIVES_WAY, to=best, because=f"the disk of {node.me} takes no writes"))
        raft.transfer_leadership(best, now_ms)


def most_advanced(node: "Node", now_ms: int, offered: Mapping[NodeId, int]) -> NodeId | None:
    """Of the voters that may lead the one that it was offered least often, and of those the one with most of the log."""
    match = node.replica.raft.match_index_of
    return min(heirs(node, now_ms), key=lambda each: (offered.get(each, 0), -match(each), each), default=None)


def heirs(node: "Node", now_ms: int) -> list[NodeId]:
    """The voters that are heard, stay and can write."""
    return [each for each in map(NodeId, node.replica.raft.configuration.voters) if _may_lead(node, each, now_ms)]


def _may_lead(node: "Node", peer: NodeId, now_ms: int) -> bool:
    last = node.presence.detector.last(peer)
    if peer == node.me or last is None or last.is_leaving or peer in node.talking.broken_links:
        return False
    if last.disk.takes_nothing:
        return False
    return node.presence.detector.age_ms(peer, now_ms) <= node.presence.quiet_max_ms
