"""Which node's disk is full, slow or broken? Pure. The leader says it once when it begins and once when it is over.

The node itself could not: what it says in the database has to be written, too.
"""

from collections.abc import Iterator

from clusterd.database import DatabaseView, Draft
from clusterd.leader.proposal import Proposal
from clusterd.leader.sight import Sight
from clusterd.model.disk import DiskCondition, DiskRecord, DiskState, disk_text
from clusterd.model.durations import rough_text
from clusterd.model.events import DISK_FAILED, DISK_FILLED, DISK_RECOVERED, DISK_REFUSED, DISK_SLOWED, Event
from clusterd.model.ids import NodeId
from clusterd.model.records import EventRecord

_EVENTS: dict[DiskState, Event] = {
    DiskState.OK: DISK_RECOVERED,
    DiskState.SLOW: DISK_SLOWED,
    DiskState.FULL: DISK_FILLED,
    DiskState.REFUSES: DISK_REFUSED,
    DiskState.FAILED: DISK_FAILED,
}
_WAS = {
    DiskState.OK: "well",
    DiskState.SLOW: "slow",
    DiskState.FULL: "full",
    DiskState.REFUSES: "refusing writes",
    DiskState.FAILED: "broken",
}


def decide_disks(view: DatabaseView, sight: Sight) -> Iterator[Proposal]:
    """What a node's last heartbeat said, where it differs from what was told."""
    for node in view.nodes():
        heartbeat = sight.detector.last(node.name)
        if heartbeat is None:
            continue
        before = view.disk(node.name) or DiskRecord(node.name, DiskState.OK)
        if heartbeat.disk.state not in (before.state, DiskState.UNTRIED):
            yield Proposal(f"disk/{node.name}", _told(view, sight, node.name, before, heartbeat.disk))


def _told(view: DatabaseView, sight: Sight, node: NodeId, before: DiskRecord, now: DiskCondition) -> Draft:
    event = _EVENTS[now.state]
    record = DiskRecord(node, now.state, now.took_ms, now.text, sight.wall_ms, sight.cluster_ms)
    if now.state is DiskState.OK:
        lasted = rough_text(max(0, sight.cluster_ms - before.since_cluster_ms))
        message = f"the disk of {node} is well again, after it was {_WAS[before.state]} for {lasted}"
    else:
        message = f"{node}: {disk_text(now.state, now.took_ms, now.text)}"
    return (
        Draft(view)
        .replace(record)
        .event(EventRecord(sight.wall_ms, event.name, event.level, node=node, message=message))
    )
