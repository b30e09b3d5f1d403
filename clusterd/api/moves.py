"""What does an operator's wish to move a group, or to take that back, change in the database? Pure. Planners.

What can be seen from here is refused at once, with the rule's name; the leader looks again before it moves anything. A move
that may wait (`--queue`) is refused only for what no waiting can change.
"""

from dataclasses import dataclass, replace

from clusterd.api.checks import refuse
from clusterd.api.finding import find_node, observe
from clusterd.api.group_views import is_locked
from clusterd.api.maintenance import pinned_group, refuse_hands_off
from clusterd.api.migrating import is_leaving_for_a_move, is_queued_move
from clusterd.api.node_views import is_quarantined, node_state
from clusterd.api.observed import ObservedGroup
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView, Draft
from clusterd.leader.live import live_obstacle
from clusterd.leader.rules import rules_by_group, sets_by_group
from clusterd.model import keys
from clusterd.model.events import MOVE_ASKED, MOVE_CANCELLED
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import MoveRequest
from clusterd.model.states import GroupState, MoveKind, NodeState

LOCKED = "locked-from-moving"
SAME_NODE = "same-node"


@dataclass(frozen=True, slots=True)
class MoveWish:
    """Where to, and what may be overridden. An empty target means the best node."""

    target: str = ""
    is_queued: bool = False
    ignores_lock: bool = False
    ignores_rules: bool = False
    kind: MoveKind = MoveKind.UNSAID
    is_of_set: bool = False
    """All groups that rules want on one node with it go with it."""


def group_move(name: str, wish: MoveWish) -> Planner:
    """Ask for the group to be elsewhere. The leader carries it out."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        group = observe(view, asked.status, name)
        record = group.record
        made = Plan(Draft(view), wait_for=[f"group {record.name} moved by {asked.request_id}"])
        if record.move is not None and record.move.id == asked.request_id:
            return made
        node = find_node(view, wish.target).name if wish.target else NodeId("")
        if node and node == group.owner and not is_leaving(group):
            made.wait_for = [f"group {record.name} settled"]
            made.notes.append(f"{record.name} is on {node} already")
            return made
        _refuse(view, asked.status, group, node, wish)
        _refuse_alone(view, asked.status, group, node, wish)
        if wish.kind is MoveKind.LIVE:
            _refuse_live(view, group, node)
        move = MoveRequest(
            asked.request_id,
            node,
            asked.wall_ms,
            asked.by,
            wish.is_queued,
            wish.ignores_lock,
            wish.ignores_rules,
            wish.kind,
        )
        made.draft.replace(replace(record, move=move)).expect(keys.assignment(record.name))
        for mate in _mates(view, asked.status, group) if wish.is_of_set else ():
            made.draft.replace(replace(mate.record, move=move)).expect(keys.assignment(mate.record.name))
            made.add("update", "group", mate.record.name, f"move: it goes with {record.name}")
            made.wait_for.append(f"group {mate.record.name} moved by {asked.request_id}")
        to = node or "the best node"
        how = f", {wish.kind.value}" if wish.kind else ""
        made.add("update", "group", record.name, f"move: {group.owner or 'no node'} → {to}{how}")
        made.event(asked, MOVE_ASKED, f"move {record.name} to {to}", group=record.name)
        if is_leaving(group):
            made.notes.append(f"{record.name} is leaving {group.owner} already: that is finished first")
        return made

    return plan


def cancel_move(name: str) -> Planner:
    """Take back a move: one that waits in the queue, or one whose group has not left its node yet."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        group = observe(view, asked.status, name)
        record, assignment = group.record, group.assignment
        made = Plan(Draft(view))
        move = record.move
        is_queued = is_queued_move(assignment)
        is_heeded = assignment is not None and move is not None and assignment.move_id == move.id
        if move is None or (is_heeded and not is_queued and not is_leaving(group)):
            made.notes.append(f"no move of {record.name} is waiting")
            return made
        made.draft.replace(replace(record, move=None)).expect(keys.assignment(record.name))
        made.add("update", "group", record.name, f"move to {move.target or 'the best node'}: cancelled")
        made.event(asked, MOVE_CANCELLED, f"the move of {record.name} is taken back", group=record.name)
        if is_leaving(group):
            made.notes.append(
                f"it is leaving {group.owner} already: it stays only if it has not been given up there yet"
            )
        return made

    return plan


def is_leaving(group: ObservedGroup) -> bool:
    """Told to leave its node for a move."""
    return is_leaving_for_a_move(group.assignment)


def _mates(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> list[ObservedGroup]:
    """The groups that rules want on one node with it, and that are on its node now."""
    keys_of_set = sets_by_group(rules_by_group(view.rules())).get(key_of(group.record.name), frozenset())
    found = (observe(view, status, each) for each in sorted(keys_of_set) if view.group(each) is not None)
    return [each for each in found if group.owner is not None and each.owner == group.owner]


# ---- refusals ----


def _refuse_alone(view: DatabaseView, status: NodeStatus, group: ObservedGroup, target: NodeId, wish: MoveWish) -> None:
    """What belongs with others that run where it is cannot go alone. All of them can."""
    name = group.record.name
    mates = [each for each in _mates(view, status, group) if each.state is not GroupState.OFFLINE]
    if wish.is_of_set or wish.is_queued or wish.ignores_rules or not mates:
        return
    names = ", ".join(str(each.record.name) for each in mates)
    hint = f"move all of them: clusterctl group move {name} {target} --with-set".replace("  ", " ")
    refuse([f"a rule wants it with {names}, on {group.owner}"], f"{name} cannot move alone", hint=hint, rule=SAME_NODE)


LIVE_MIGRATION = "live-migration"


def _refuse_live(view: DatabaseView, group: ObservedGroup, target: NodeId) -> None:
    """What cannot go on while it goes from one node to the other."""
    name = group.record.name
    reason = ""
    if group.state is not GroupState.ONLINE:
        reason = f"it is {group.state}, and only what is online can migrate live"
    elif group.assignment is not None:
        reason = live_obstacle(view, view.resources_of(name), group.assignment.owner, target)
    if reason:
        hint = f"with an interruption: clusterctl group move {name} {target} --kind quick".replace("  ", " ")
        refuse([reason], f"{name} cannot migrate live", hint=hint, rule=LIVE_MIGRATION)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a group cannot go to a node. `is_lasting`: waiting in a queue would not help."""

    rule: str
    text: str
    is_lasting: bool = False


def _refuse(view: DatabaseView, status: NodeStatus, group: ObservedGroup, target: NodeId, wish: MoveWish) -> None:
    name = group.record.name
    what = f"{name} cannot move to {target or 'another node'}"
    if group.assignment is None or (group.owner is None and not wish.ignores_rules):
        # What keeps it from every node may be a rule, and that an operator may ignore; otherwise it waits already.
        reason = f"no node has it: {group.assignment.because.text}" if group.assignment else "it has no owner yet"
        hint = f"it gets a node as soon as one can take it (clusterctl explain group {name}); --ignore-rules overrides rules"
        refuse([reason], what, hint=hint, rule="no-owner")
    refuse_hands_off(pinned_group(view, group.record), what)
    if is_locked(group.record) and not wish.ignores_lock:
        again = f"clusterctl group move {name}" + (f" {target}" if target else "")
        hint = f"{again} --ignore-lock, or: clusterctl group set {name} locked_from_moving=false"
        refuse(["it is locked where it is"], what, hint=hint, rule=LOCKED)
    nodes = [target] if target else [each.name for each in view.nodes() if each.name != group.owner]
    found = {node: obstacle(view, status, group, node) for node in nodes}
    if not nodes:
        refuse(["there is no other node"], what, rule="no-other-node")
    in_the_way = [each for each in found.values() if each is not None and (each.is_lasting or not wish.is_queued)]
    if len(in_the_way) < len(nodes):
        return
    reasons = [each.text if target else f"{node}: {each.text}" for node, each in found.items() if each is not None]
    rule = in_the_way[0].rule if len({each.rule for each in in_the_way}) == 1 else "no-node-fits"
    can_wait = not all(each.is_lasting for each in in_the_way)
    hint = f"wait for it: clusterctl group move {name} {target} --queue".replace("  ", " ") if can_wait else ""
    refuse(reasons, what, hint=hint, rule=rule)


def obstacle(view: DatabaseView, status: NodeStatus, group: ObservedGroup, node: NodeId) -> Obstacle | None:
    """What can be seen from here. Rules about several groups and room are the leader's to judge."""
    record, member = view.node(node), view.membership(node)
    for each in group.resources:
        owners = {key_of(owner) for owner in each.record.possible_owners}
        if owners and key_of(node) not in owners:
            text = f"{node} is no possible owner of {each.record.name}"
            return Obstacle("possible-owners", text, is_lasting=True)
    state = node_state(member, record)
    if state is NodeState.PAUSED:
        return Obstacle("node-paused", f"{node} is paused: it may gain nothing; clusterctl node resume {node}")
    if state is not NodeState.UP:
        return Obstacle("node-not-up", f"{node} is {state}")
    if is_quarantined(member, record, status):
        return Obstacle("node-quarantined", f"{node} is quarantined; clusterctl node clear-quarantine {node}")
    return None
