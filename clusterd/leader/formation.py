"""Does the cluster come up with nothing running? Pure. A cold start is noticed when the first node is admitted.

A node that is still in the run of its machine that was admitted last has not been down, even if its guard began anew (it
lost its lease, say). When there is no such node, everything was down.
"""

from clusterd.database import DatabaseView, Draft
from clusterd.leader.sight import Sight
from clusterd.model import keys
from clusterd.model.events import CLUSTER_FORMED
from clusterd.model.ids import NodeId
from clusterd.model.records import EventRecord, FormationRecord


def is_cold_start(view: DatabaseView, sight: Sight) -> bool:
    """Whether no node that was a member is still in the run in which it was admitted."""
    return not any(_has_stayed_up(view, sight, node.name) for node in view.nodes())


def is_forming(view: DatabaseView, sight: Sight) -> bool:
    """Whether the cluster comes up again and nobody is admitted yet.

    Nothing is decided about groups then: what was decided before the formation, and committed after it, would pass for
    decided since, and with that the node that had a group would be forgotten.
    """
    return bool(view.formation().number) and is_cold_start(view, sight)


def form(draft: Draft, view: DatabaseView, sight: Sight, first: NodeId) -> None:
    """Write down that the cluster forms, together with the admission of its first node."""
    number = view.formation().number + 1
    because = f"{first} is the first node to come up, and no other was up"
    draft.replace(FormationRecord(number, max(1, sight.cluster_ms), sight.wall_ms, because))
    message = "the cluster comes up with nothing running" if number > 1 else "the cluster comes up for the first time"
    draft.event(
        EventRecord(
            sight.wall_ms, CLUSTER_FORMED.name, CLUSTER_FORMED.level, node=first, message=message, because=because
        )
    )


def expect_formation(draft: Draft) -> None:
    """Only one admission forms the cluster; the others that were decided in the same pass are decided again."""
    draft.expect(keys.FORMATION)


def _has_stayed_up(view: DatabaseView, sight: Sight, node: NodeId) -> bool:
    record, heartbeat = view.membership(node), sight.detector.last(node)
    if record is None or not record.run_id or heartbeat is None:
        return False
    return heartbeat.run_id == record.run_id
