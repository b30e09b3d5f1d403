"""Who exchanges heartbeats with more nodes than another, over links of its own? Pure."""

from collections.abc import Collection

from clusterd.membership.detector import Detector
from clusterd.model.ids import NodeId


def reach(detector: Detector, node: NodeId, members: Collection[NodeId], *, now_ms: int, age_max_ms: int) -> int:
    """With how many of `members` that node talks directly, in both directions, as far as is known here."""
    return sum(
        detector.hears_directly(node, each, now_ms, age_max_ms)
        and detector.hears_directly(each, node, now_ms, age_max_ms)
        for each in members
        if each != node
    )


def better_connected(
    detector: Detector,
    me: NodeId,
    candidates: Collection[NodeId],
    members: Collection[NodeId],
    *,
    now_ms: int,
    age_max_ms: int,
) -> NodeId | None:
    """The candidate that reaches most, if that is more than this node does; of several the first in name order."""
    own = reach(detector, me, members, now_ms=now_ms, age_max_ms=age_max_ms)
    if own >= len(set(members) - {me}) or not candidates:
        return None
    reached = {each: reach(detector, each, members, now_ms=now_ms, age_max_ms=age_max_ms) for each in candidates}
    best = min(reached, key=lambda each: (-reached[each], each))
    return best if reached[best] > own else None
