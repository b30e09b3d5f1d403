"""Through whom does a message travel when the direct link is silent? Pure."""

from collections.abc import Collection

from clusterd.membership.detector import Detector
from clusterd.model.ids import NodeId


def choose_relay(
    detector: Detector,
    target: NodeId,
    nodes: Collection[NodeId],
    *,
    is_link_open: bool,
    now_ms: int,
    quiet_max_ms: int,
) -> NodeId | None:
    """The first node, in name order, that both ends reach; None: send directly.

    A link counts as usable while it is open and was heard within `quiet_max_ms`. One hop only, so no message can circle.
    """
    if is_link_open and detector.direct_age_ms(target, now_ms) <= quiet_max_ms:
        return None
    for node in sorted(nodes):
        if node != target and detector.knows_route(node, target, now_ms, quiet_max_ms):
            return node
    return None
