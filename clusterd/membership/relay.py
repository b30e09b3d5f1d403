"""Through whom does a message travel when the direct link is silent? Pure."""

from collections.abc import Collection

from clusterd.membership.detector import Detector
from clusterd.model.ids import NodeId


def choose_relay(
    detector: Detector,
    me: NodeId,
    target: NodeId,
    nodes: Collection[NodeId],
    *,
    is_link_open: bool,
    now_ms: int,
    quiet_max_ms: int,
    mute_after_ms: int,
) -> NodeId | None:
    """The first node, in name order, that both ends reach; None: send directly.

    A link counts as usable while it is open, its node was heard within `quiet_max_ms`, and its stream brought something
    within `mute_after_ms`: datagrams alone carry no messages. One hop only, so no message can circle.
    """

    def is_usable(node: NodeId) -> bool:
        is_heard = detector.direct_age_ms(node, now_ms) <= quiet_max_ms
        last = detector.last(node)
        is_carrying = detector.own_stream_age_ms(node, now_ms) <= mute_after_ms
        return is_heard and is_carrying and last is not None and me not in last.mute

    if is_link_open and is_usable(target):
        return None
    for node in sorted(nodes):
        if node != target and is_usable(node) and detector.knows_route(node, target, now_ms, quiet_max_ms):
            return node
    return None
