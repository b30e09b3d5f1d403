"""When is a node that is lost again and again kept out? Pure.

Only losses without a clean stop count, within one hour. A quarantined node goes on voting but gets no groups; never more
than a quarter of the nodes are, so that capacity stays.
"""

from clusterd.database import DatabaseView
from clusterd.leader.sight import Sight
from clusterd.model.counts import is_or_are, times
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
    if _others(record, view, sight.cluster_ms) + 1 > most_quarantined(view):
        return 0
    return sight.cluster_ms + sight.settings.quarantine_duration_ms


def most_quarantined(view: DatabaseView) -> int:
    """How many nodes may be kept out at a time."""
    return len(view.nodes()) // SHARE


def why_not_quarantined(record: MembershipRecord, view: DatabaseView, *, threshold: int, cluster_ms: int) -> str:
    """Why a node that was lost often enough is not kept out; empty when it is, or was not lost so often."""
    node = view.node(record.node)
    lost = sum(cluster_ms - each < WINDOW_MS for each in record.exits)
    is_trusted = node is not None and node.clear_quarantine_id != record.clear_quarantine_id
    if lost < threshold or is_trusted or is_quarantined(record, node, cluster_ms):
        return ""
    most, nodes = most_quarantined(view), len(view.nodes())
    text = (
        f"it was lost {times(lost)} within an hour and is not quarantined: at most a quarter may be, {most} of {nodes}"
    )
    others = _others(record, view, cluster_ms)
    return f"{text}, and {others} {is_or_are(others)}" if others else text


def is_quarantined(record: MembershipRecord, node: NodeRecord | None, cluster_ms: int) -> bool:
    """Whether it is still kept out: neither is the time over nor did an operator end it."""
    if cluster_ms >= record.quarantined_until_cluster_ms:
        return False
    return node is None or node.clear_quarantine_id == record.clear_quarantine_id


def _others(record: MembershipRecord, view: DatabaseView, cluster_ms: int) -> int:
    """How many other nodes are kept out."""
    members = (view.membership(each.name) for each in view.nodes() if each.name != record.node)
    return sum(is_quarantined(each, view.node(each.node), cluster_ms) for each in members if each is not None)
