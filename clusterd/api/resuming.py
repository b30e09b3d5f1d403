"""What of the groups that were drained from a node has still to come back to it? Pure. What a resume is waited for."""

from clusterd.api.finding import find_node, observe
from clusterd.api.foreseeing import outlook_of
from clusterd.api.observed import ObservedGroup
from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.failback import failback_target, is_in_window, reason_to_stay
from clusterd.leader.standing import standing_of
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import NodeRecord
from clusterd.model.states import GroupState, Order, ReleaseCause, Wanted


def still_to_come(view: DatabaseView, status: NodeStatus, name: str) -> list[str]:
    """A sentence about each group of the last drain that is on its way back to the node, or is to be.

    Nothing of what nobody asked back, of what its failback rule keeps away now, and of what failed after it came.
    """
    record = find_node(view, name)
    drain = view.drain(record.name)
    found = [_to_come(view, status, record, each) for each in (drain.groups if drain is not None else ())]
    return [text for text in found if text]


def _to_come(view: DatabaseView, status: NodeStatus, record: NodeRecord, name: str) -> str:
    if view.group(name) is None:
        return ""
    group = observe(view, status, name)
    assignment = group.assignment
    if assignment is None:
        return ""
    home = key_of(record.name)
    is_here = key_of(assignment.owner) == home
    if key_of(assignment.drained_from) == home and not is_here:
        return f"{group.record.name} has not begun to leave {assignment.owner or 'nowhere'} yet{_held_up(view, group)}"
    is_leaving = assignment.order in (Order.RELEASE, Order.MIGRATE)
    if is_leaving and assignment.release_cause is ReleaseCause.FAILBACK and key_of(assignment.target) == home:
        return f"{group.record.name} is leaving {assignment.owner}"
    if is_here and group.record.wanted is Wanted.ONLINE and group.state is GroupState.PENDING:
        return f"{group.record.name} is {group.state} on {assignment.owner}"
    if not is_here and _is_due_by_rule(view, status, group, record.name):
        return f"{group.record.name} is to go back by its failback rule"
    return ""


def _held_up(view: DatabaseView, group: ObservedGroup) -> str:
    reason = reason_to_stay(standing_of(view, group.record, len(view.nodes())), needs_online=False)
    return f": {reason}" if reason else ""


def _is_due_by_rule(view: DatabaseView, status: NodeStatus, group: ObservedGroup, home: NodeId) -> bool:
    standing = standing_of(view, group.record, len(view.nodes()))
    if not standing.settings.may_fail_back or reason_to_stay(standing) is not None:
        return False
    sight = outlook_of(status).sight(view, 0)
    crowd = Crowd()
    crowd.refresh(view, sight)
    is_bound = failback_target(standing, view, crowd) == home
    return is_bound and is_in_window(standing.settings.failback_window, sight.local_minute)
