"""Why is a group not where it would rather be, and will it go back by itself? Pure. The rule for failback, aloud."""

from clusterd.api.foreseeing import outlook_of
from clusterd.api.observed import ObservedGroup
from clusterd.api.port import NodeStatus
from clusterd.api.times import zone_text
from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.failback import is_in_window, minutes_until, reason_to_stay
from clusterd.leader.standing import Standing, standing_of
from clusterd.model.durations import rough_text
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import NodeRun
from clusterd.model.states import FailbackMode, MembershipState, Order, Wanted

MINUTE_MS = 60_000


def why_not_back(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> str | None:
    """None for a group that is where it would rather be, that prefers no node, or that is not wanted online."""
    assignment = group.assignment
    if assignment is None or not assignment.owner or group.record.wanted is Wanted.OFFLINE:
        return None
    if assignment.order in (Order.RELEASE, Order.MIGRATE):
        return None
    if assignment.drained_from and assignment.drained_from != assignment.owner:
        return _drained(view, assignment.drained_from)
    preferred = _more_preferred(view, group)
    if not preferred:
        return None
    standing = standing_of(view, group.record, len(view.nodes()))
    home, owner = preferred[0], assignment.owner
    if not standing.settings.may_fail_back:
        by_hand = f"clusterctl group move {group.record.name} {home}"
        return f"it prefers {home} to {owner}, and stays: auto_failback_type is prevent. By hand: {by_hand}"
    return f"it prefers {' and '.join(preferred)} to {owner}; {_by_rule(view, status, standing, preferred)}"


def _drained(view: DatabaseView, home: NodeId) -> str:
    record = view.node(home)
    was = f"it was drained from {home}"
    if record is None:
        return f"{was}, which is no node of the cluster any more"
    if record.pause is not None:
        return f"{was}, which is paused; it goes back with: clusterctl node resume {home} --failback immediate"
    mode = record.resume.failback if record.resume is not None else FailbackMode.NONE
    return f"{was}, which was resumed with failback {mode}; it goes back as soon as {home} can take it"


def _more_preferred(view: DatabaseView, group: ObservedGroup) -> list[NodeId]:
    """Preferred owners that exist and come before the present one."""
    found: list[NodeId] = []
    for name in group.record.preferred_owners:
        if key_of(name) == key_of(group.owner or ""):
            break
        node = view.node(name)
        if node is not None:
            found.append(node.name)
    return found


def _by_rule(view: DatabaseView, status: NodeStatus, standing: Standing, preferred: list[NodeId]) -> str:
    """The rule for failback, node by node as the leader would look at them."""
    reasons = [f"{node}: {reason}" for node in preferred if (reason := _passed_over(view, standing, node))]
    if len(reasons) == len(preferred):
        return f"it does not go back now: {'; '.join(reasons)}"
    sight = outlook_of(status).sight(view, 0)
    crowd = Crowd()
    crowd.refresh(view, sight)
    able = [node for node in preferred if not _passed_over(view, standing, node)]
    for node in able:
        exclusion = crowd.why_not(standing.group, node)
        if exclusion is None:
            return _when(standing, node, status)
        reasons.append(f"{node}: {exclusion.reason}")
    return f"it does not go back now: {'; '.join(reasons)}"


def _passed_over(view: DatabaseView, standing: Standing, node: NodeId) -> str:
    """Why the node does not count as one that has become active since; empty when it does."""
    member = view.membership(node)
    if member is None or member.state is not MembershipState.UP:
        return f"it is {member.state if member is not None else 'not joined yet'}"
    passed_over = standing.assignment.passed_over if standing.assignment is not None else ()
    if NodeRun(node, member.incarnation) in passed_over:
        return "it was active already when the group was placed, so it goes back only after the node's next start"
    return ""


def _when(standing: Standing, node: NodeId, status: NodeStatus) -> str:
    stays = reason_to_stay(standing)
    if stays is not None:
        return f"it does not go back to {node} now: {stays}"
    window, minute = standing.settings.failback_window, status.local_minute
    if window is not None and not is_in_window(window, minute):
        opens = rough_text(minutes_until(window, minute) * MINUTE_MS)
        zone = f"{zone_text(status.local_offset_ms)}, the local time of the leader"
        return f"it goes back to {node} between {window[0]}:00 and {window[1]}:00 ({zone}), which begins in {opens}"
    return f"it goes back to {node} now"
