"""When is a node that is lost again and again kept out? Pure.

Only losses without a clean stop count, within one hour. A quarantined node goes on voting but gets no groups; never more
than a quarter of the nodes are, so that capacity stays.
"""

from clusterd.database import DatabaseView
from clusterd.leader.sight import Sight
from clusterd.model.records import MembershipRecord, NodeRecord

WINDOW_MS = 3_600_000
SHARE = 4


def with_exit(record: MembershipRecord, sight: Sight) -> tuple[int, ...]:
    """The unclean losses that still count, with the one that has just been proven."""
    recent = tuple(each for each in record.exits if sight.cluster_ms - each < WINDOW_MS)
    return (*recent, sight.cluster_ms)[-sight.settings.quarantine_threshold :]


def quarantine_until(record: MembershipRecord, exits: tuple[int, ...], view: DatabaseView, sight: Sight) -> int:
    """When a node with these losses may come back, by the cluster's own clock; 0: it is not quarantined."""
    if len(exits) < sight.settings.quarantine_threshold:
        return 0
    nodes = view.nodes()
    others = sum(
        is_quarantined(member, view.node(member.node), sight)
        for each in nodes
        if each.name != record.node and (member := view.membership(each.name)) is not None
    )
    if others + 1 > len(nodes) // SHARE:
        return 0
    return sight.cluster_ms + sight.settings.quarantine_duration_ms


def is_quarantined(record: MembershipRecord, node: NodeRecord | None, sight: Sight) -> bool:
    """Whether it is still kept out: neither is the time over nor did an operator end it."""
    if sight.cluster_ms >= record.quarantined_until_cluster_ms:
        return False
    return node is None or node.clear_quarantine_id == record.clear_quarantine_id
