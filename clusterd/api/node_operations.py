"""What do pause, drain, resume, stop, fence and clear-quarantine change in the database? Pure. Planners about nodes.

Operators only write wishes. A pause stands in the database until somebody resumes the node, through every restart.
"""

from dataclasses import dataclass, replace

from clusterd.api.checks import refuse
from clusterd.api.finding import find_node
from clusterd.api.group_views import is_locked
from clusterd.api.maintenance import end_command, hands_off_group, node_hands_off, refuse_hands_off
from clusterd.api.node_views import current_drain, drain_text, groups_owned, is_quarantined, node_state
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView, Draft
from clusterd.leader.failback import became_active
from clusterd.leader.standing import standing_of
from clusterd.model import keys
from clusterd.model.events import (
    DRAIN_ASKED,
    NODE_FENCE_ASKED,
    PAUSE_ASKED,
    QUARANTINE_CLEARED,
    RESUME_ASKED,
    STOP_ASKED,
)
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import MembershipRecord, NodeRecord, PauseRequest, ResumeRequest
from clusterd.model.settings import cluster_settings
from clusterd.model.states import DrainState, FailbackMode, MembershipState, NodeState

EVACUATION = "evacuation-in-progress"


@dataclass(frozen=True, slots=True)
class DrainWish:
    """Where everything goes (empty: where placement says), and what to do with what cannot be moved."""

    target: str = ""
    is_forced: bool = False
    is_retried: bool = False


# ---- pause, drain, resume ----


def node_pause(name: str) -> Planner:
    """The node may gain nothing from now on; what runs there goes on."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_node(view, name)
        is_up = node_state(view.membership(record.name)) is NodeState.UP
        made = Plan(Draft(view), wait_for=[f"node {record.name} paused"] if is_up else [])
        if record.pause is not None:
            what = drain_text(view, record) if record.pause.is_drain else "it is paused"
            made.notes.append(f"{record.name} is paused already: {what}")
            return made
        request = PauseRequest(asked.request_id, asked_wall_ms=asked.wall_ms, asked_by=asked.by)
        made.draft.replace(replace(record, pause=request))
        made.add("update", "node", record.name, "paused: no → yes")
        made.event(asked, PAUSE_ASKED, f"node {record.name} is paused: it may gain nothing", node=record.name)
        made.notes += _pause_notes(view, record)
        return made

    return plan


def node_drain(name: str, wish: DrainWish) -> Planner:
    """Pause the node, and have every group leave it in order of priority."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_node(view, name)
        made = Plan(Draft(view), wait_for=[f"node {record.name} drained by {asked.request_id}"])
        if record.pause is not None and record.pause.id == asked.request_id:
            return made
        target = find_node(view, wish.target).name if wish.target else NodeId("")
        _refuse_drain(view, asked.status, record, target)
        request = PauseRequest(asked.request_id, True, target, wish.is_forced, wish.is_retried, asked.wall_ms, asked.by)
        made.draft.replace(replace(record, pause=request))
        made.draft.expect(keys.drain(record.name))
        groups = groups_owned(view, record)
        to = f" to {target}" if target else ""
        made.add("update", "node", record.name, f"drain{to}: {', '.join(groups) or 'nothing is on it'}")
        made.event(asked, DRAIN_ASKED, f"node {record.name} is to be emptied{to}", node=record.name)
        made.notes += _pause_notes(view, record) + _staying_notes(view, groups)
        return made

    return plan


def node_resume(name: str, failback: FailbackMode) -> Planner:
    """End the pause. `failback` says what of the drained groups comes back, and when."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_node(view, name)
        made = Plan(Draft(view))
        if record.pause is None:
            made.notes.append(f"{record.name} is not paused")
            return made
        is_up = node_state(view.membership(record.name)) is NodeState.UP
        made.wait_for = [f"node {record.name} resumed"] if is_up else []
        request = ResumeRequest(asked.request_id, failback, asked.wall_ms, asked.by)
        made.draft.replace(replace(record, pause=None, resume=request))
        made.add("update", "node", record.name, "paused: yes → no", f"failback: {failback}")
        made.event(
            asked, RESUME_ASKED, f"node {record.name} may gain groups again, failback {failback}", node=record.name
        )
        drain = current_drain(view, record)
        if drain is not None and drain.state is DrainState.IN_PROGRESS:
            made.notes.append("its drain ends here: what has not left stays")
        if failback is FailbackMode.NONE:
            made.notes += _own_failback_notes(view, record)
        if not is_up:
            made.notes.append(f"{record.name} is {node_state(view.membership(record.name))}: this counts when it is up")
        return made

    return plan


def _own_failback_notes(view: DatabaseView, record: NodeRecord) -> list[str]:
    """Groups that come back although nobody asked for it with this resume: by their own rule for failback."""
    found = []
    for group in view.groups():
        standing = standing_of(view, group, len(view.nodes()))
        assignment = standing.assignment
        if assignment is None or not assignment.owner or key_of(assignment.owner) == key_of(record.name):
            continue
        if standing.settings.may_fail_back and record.name in became_active(view, group, assignment):
            found.append(
                f"{group.name} goes back to {record.name} all the same, by its own rule: auto_failback_type is allow"
            )
    return found


def _refuse_drain(view: DatabaseView, status: NodeStatus, record: NodeRecord, target: NodeId) -> None:
    name = record.name
    what = f"{name} cannot be drained"
    state = node_state(view.membership(name))
    if state is not NodeState.UP:
        hint = f"to keep groups off it when it returns: clusterctl node pause {name}"
        refuse([f"it is {state}"], what, hint=hint, rule="node-not-up")
    drain = current_drain(view, record)
    is_begun = record.pause is not None and record.pause.is_drain
    if is_begun and (drain is None or drain.state is DrainState.IN_PROGRESS):
        hint = f"wait: clusterctl wait --for 'node {name} drained', or stop it: clusterctl node resume {name}"
        refuse([drain_text(view, record)], what, hint=hint, rule=EVACUATION)
    refuse_hands_off(node_hands_off(view, record), what)
    if target:
        _refuse_target(view, status, record, target, what)


def _refuse_target(view: DatabaseView, status: NodeStatus, record: NodeRecord, target: NodeId, what: str) -> None:
    what = f"{what} to {target}"
    if target == record.name:
        refuse(["that is the node itself"], what, hint="name another node, or none", rule="drain-target-is-itself")
    member, other = view.membership(target), view.node(target)
    state = node_state(member, other)
    if state is not NodeState.UP:
        refuse([f"{target} is {state}"], what, hint="name another node, or none", rule="drain-target-not-up")
    if is_quarantined(member, other, status):
        hint = f"clusterctl node clear-quarantine {target}"
        refuse([f"{target} is quarantined"], what, hint=hint, rule="drain-target-quarantined")


def _pause_notes(view: DatabaseView, record: NodeRecord) -> list[str]:
    member = view.membership(record.name)
    state = node_state(member)
    notes = [f"{record.name} is {state}: the pause counts when it returns"] if state is NodeState.DOWN else []
    others = [
        each
        for each in view.nodes()
        if each.name != record.name and node_state(view.membership(each.name), each) is NodeState.UP
    ]
    if not others:
        notes.append("no other node is up and not paused: until one is, no group can start or move anywhere")
    return notes


def _staying_notes(view: DatabaseView, groups: list[str]) -> list[str]:
    """What will keep the drain from completing, as far as it can be seen now."""
    notes = []
    for name in groups:
        record = view.group(name)
        if record is None:
            continue
        off = hands_off_group(view, record)
        if off is not None:
            notes.append(f"{name} stays: {off.text}; end it with: {end_command(off)}")
        elif is_locked(record):
            notes.append(
                f"{name} is locked from moving; to unlock it: clusterctl group set {name} locked_from_moving=false"
            )
    return notes


# ---- quarantine, and the end of a run ----


def node_clear_quarantine(name: str) -> Planner:
    """Trust the node again: somebody has looked at it."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_node(view, name)
        member = view.membership(record.name)
        made = Plan(Draft(view))
        if not is_quarantined(member, record, asked.status):
            made.notes.append(f"{record.name} is not quarantined")
            return made
        made.wait_for = [f"node {record.name} trusted"]
        made.draft.replace(replace(record, clear_quarantine_id=asked.request_id))
        made.add("update", "node", record.name, "its quarantine ends, and its losses are forgotten")
        made.event(asked, QUARANTINE_CLEARED, f"the quarantine of {record.name} is ended", node=record.name)
        return made

    return plan


def node_fence(name: str, *, is_forced: bool) -> Planner:
    """End the node's present run: it is expelled, and fenced where there is a fence agent. Everything on it stops."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_node(view, name)
        member = view.membership(record.name)
        made = Plan(Draft(view))
        if member is None or member.state is MembershipState.DOWN or not member.incarnation:
            made.notes.append(f"{record.name} runs nothing: {member.because if member else 'it has not joined yet'}")
            return made
        made.wait_for = [f"node {record.name} ended {member.incarnation}"]
        if record.fence_id == member.incarnation:
            made.notes.append(f"the end of this run of {record.name} is asked for already")
            return made
        _refuse_quorum_loss(view, asked.status, record, f"{record.name} cannot be fenced", is_forced=is_forced)
        made.draft.replace(replace(record, fence_id=member.incarnation)).expect(keys.membership(record.name))
        groups = ", ".join(groups_owned(view, record))
        made.add(
            "update", "node", record.name, f"its run {member.incarnation} ends", f"groups on it: {groups or 'none'}"
        )
        text = f"the end of the present run of {record.name} is asked for"
        made.event(asked, NODE_FENCE_ASKED, text, node=record.name)
        return made

    return plan


def node_stop(name: str, *, is_forced: bool) -> Planner:
    """Say that somebody stops the node; its daemon is told by the API. Refused where the cluster would lose its quorum."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_node(view, name)
        member = view.membership(record.name)
        made = Plan(Draft(view), wait_for=[f"node {record.name} down"])
        if member is not None and member.state is MembershipState.DOWN:
            made.notes.append(f"{record.name} is down already")
            return made
        _refuse_quorum_loss(view, asked.status, record, f"{record.name} cannot be stopped", is_forced=is_forced)
        made.add("stop", "node", record.name)
        made.event(asked, STOP_ASKED, f"node {record.name} is to stop", node=record.name)
        made.notes += _stop_notes(view, record, member)
        return made

    return plan


def _stop_notes(view: DatabaseView, record: NodeRecord, member: MembershipRecord | None) -> list[str]:
    groups = groups_owned(view, record)
    if member is None or not groups:
        return []
    if cluster_settings(view.cluster()).drain_on_shutdown:
        return [f"what is on it goes to other nodes first (drain_on_shutdown): {', '.join(groups)}"]
    how = "what is on it is not moved first (drain_on_shutdown is off): it stops with the node, and others start it"
    return [f"{how}: {', '.join(groups)}"]


def _refuse_quorum_loss(
    view: DatabaseView, status: NodeStatus, record: NodeRecord, what: str, *, is_forced: bool
) -> None:
    """Votes that are left without the node: those that are heard, of nodes that are not known to be down."""
    voters = [each for each in status.peers if each.has_vote]
    others = [each for each in voters if each.is_reachable and each.node != record.name]
    left = sum(node_state(view.membership(each.node)) is not NodeState.DOWN for each in others)
    if is_forced or not any(each.node == record.name for each in voters) or left >= status.voters_needed:
        return
    reason = f"{left} of {len(voters)} votes would be left and {status.voters_needed} are needed: everything would stop"
    refuse([reason], what, hint="start another node first, or say --force", rule="quorum")
