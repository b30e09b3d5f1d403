"""What does online, offline, move or fail change in the database? Pure. Planners: they check, and draft the transaction.

An operator only ever writes wishes; the leader and the owners make them come true. What is already wished is no change.
"""

from collections.abc import Iterable
from dataclasses import replace

from clusterd.api.checks import refuse
from clusterd.api.observed import ObservedGroup
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.views import find_group, find_node, find_resource, node_state, observe
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.dependencies import parse_dependency
from clusterd.model.events import FAILURE_SIMULATED, MOVE_ASKED, WANTED_CHANGED
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import GroupRecord, MoveRequest, ResourceRecord
from clusterd.model.states import PENDING_STATES, GroupState, NodeState, ResourceState, Wanted


def group_online(name: str) -> Planner:
    """Want the group and every resource of it online; forget failures, as a person has looked at it."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        group = observe(view, asked.status, name)
        made = Plan(Draft(view), wait_for=[f"group {group.record.name} online"] if group.resources else [])
        is_failed = group.state is GroupState.FAILED and group.record.reset_id != asked.request_id
        after = replace(
            group.record, wanted=Wanted.ONLINE, reset_id=asked.request_id if is_failed else group.record.reset_id
        )
        _put_group(made, asked, group.record, after, "is tried again" if is_failed else "wanted online")
        for each in group.resources:
            _want(made, asked, each.record, Wanted.ONLINE, group.record)
        if not group.resources:
            made.notes.append(f"{group.record.name} has no resources: there is nothing to bring online")
        return made

    return plan


def group_offline(name: str) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_group(view, name)
        made = Plan(Draft(view), wait_for=[f"group {record.name} offline"])
        _put_group(made, asked, record, replace(record, wanted=Wanted.OFFLINE), "wanted offline")
        return made

    return plan


def group_move(name: str, target: str) -> Planner:
    """Ask for the group to be elsewhere; an empty target means the best node. The leader carries it out."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        group = observe(view, asked.status, name)
        record = group.record
        made = Plan(Draft(view), wait_for=[f"group {record.name} moved by {asked.request_id}"])
        if record.move is not None and record.move.id == asked.request_id:
            return made
        node = find_node(view, target).name if target else NodeId("")
        if node and node == group.owner:
            made.wait_for = [f"group {record.name} settled"]
            made.notes.append(f"{record.name} is on {node} already")
            return made
        refuse(_move_refusals(view, group, node), f"{record.name} cannot move to {node or 'another node'}")
        move = MoveRequest(asked.request_id, node, asked.wall_ms, asked.by)
        made.draft.replace(replace(record, move=move))
        made.draft.expect(keys.assignment(record.name))
        to = node or "the best node"
        made.add("update", "group", record.name, f"move: {group.owner} → {to}")
        made.event(asked, MOVE_ASKED, f"move {record.name} to {to}", group=record.name)
        return made

    return plan


def resource_online(name: str) -> Planner:
    """Want the resource, and what it needs, online. In a group that is wanted offline nothing else comes along."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_resource(view, name)
        group = observe(view, asked.status, record.group)
        made = Plan(Draft(view), wait_for=[f"resource {record.name} online"])
        _refuse_pending(group, record)
        wanted = _with_providers(group, record)
        is_failed = any(
            each.state is ResourceState.FAILED for each in group.resources if key_of(each.record.name) in wanted
        )
        reset_id = asked.request_id if is_failed else group.record.reset_id
        was_offline = group.record.wanted is Wanted.OFFLINE
        _put_group(
            made,
            asked,
            group.record,
            replace(group.record, wanted=Wanted.ONLINE, reset_id=reset_id),
            "is tried again" if is_failed else "wanted online",
        )
        for each in group.resources:
            if key_of(each.record.name) in wanted:
                _want(made, asked, each.record, Wanted.ONLINE, group.record)
            elif was_offline:
                _want(made, asked, each.record, Wanted.OFFLINE, group.record)
        return made

    return plan


def resource_offline(name: str) -> Planner:
    """Want the resource offline; whatever depends on it goes offline first and comes back with it."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_resource(view, name)
        group = observe(view, asked.status, record.group)
        made = Plan(Draft(view), wait_for=[f"resource {record.name} offline"])
        if record.wanted is Wanted.ONLINE:
            _refuse_pending(group, record)
        _want(made, asked, record, Wanted.OFFLINE, group.record)
        dependents = [
            str(each.record.name)
            for each in group.resources
            if key_of(record.name) in {key_of(p) for p in parse_dependency(each.record.depends_on).providers}
        ]
        if dependents and not made.draft.is_empty:
            made.notes.append(f"{', '.join(dependents)} depends on it and may go offline with it")
        return made

    return plan


def resource_fail(name: str) -> Planner:
    """Treat the resource as failed, once, to see what its policy does."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_resource(view, name)
        group = observe(view, asked.status, record.group)
        made = Plan(Draft(view), wait_for=[f"resource {record.name} failed by {asked.request_id}"])
        if record.fail_id == asked.request_id:
            return made
        state = next(each.state for each in group.resources if key_of(each.record.name) == key_of(record.name))
        if state is not ResourceState.ONLINE:
            hint = f"bring it online first: clusterctl resource online {record.name}"
            refuse([f"it is {state}, and only what is online can fail"], f"cannot fail {record.name}", hint=hint)
        made.draft.replace(replace(record, fail_id=asked.request_id))
        made.draft.expect(keys.report(record.group))
        made.add("update", "resource", record.name, "a failure is simulated")
        text = f"a failure of {record.name} is simulated"
        made.event(asked, FAILURE_SIMULATED, text, group=record.group, resource=record.name)
        return made

    return plan


# ---- building blocks ----


def _put_group(plan: Plan, asked: Asked, before: GroupRecord, after: GroupRecord, what: str) -> None:
    if after == before:
        return
    plan.draft.replace(after)
    details = [] if after.wanted is before.wanted else [f"wanted: {before.wanted} → {after.wanted}"]
    if after.reset_id != before.reset_id:
        details.append("failures and counters are forgotten")
    plan.add("update", "group", before.name, *details)
    plan.event(asked, WANTED_CHANGED, f"group {before.name} {what}", group=before.name)


def _want(plan: Plan, asked: Asked, record: ResourceRecord, wanted: Wanted, group: GroupRecord) -> None:
    if record.wanted is wanted:
        return
    plan.draft.replace(replace(record, wanted=wanted))
    plan.draft.expect(keys.group(group.name))
    plan.add("update", "resource", record.name, f"wanted: {record.wanted} → {wanted}")
    text = f"resource {record.name} wanted {wanted}"
    plan.event(asked, WANTED_CHANGED, text, group=group.name, resource=record.name)


def _refuse_pending(group: ObservedGroup, record: ResourceRecord) -> None:
    """The reference refuses requests on a resource between two states."""
    found = next(each for each in group.resources if key_of(each.record.name) == key_of(record.name))
    if found.state in PENDING_STATES:
        hint = f"wait for it (clusterctl explain resource {record.name}), or take the whole group offline"
        refuse([f"it is {found.state}: {found.cause}"], f"{record.name} is between two states", hint=hint)


def _with_providers(group: ObservedGroup, record: ResourceRecord) -> set[str]:
    """The resource and everything below it. Of an OR set with a member that is wanted already, nothing more is needed."""
    records = {key_of(each.record.name): each.record for each in group.resources}
    needed: set[str] = set()
    waiting = [key_of(record.name)]
    while waiting:
        key = waiting.pop()
        if key in needed or key not in records:
            continue
        needed.add(key)
        for term in parse_dependency(records[key].depends_on).terms:
            waiting += _members_needed(term, records, is_group_wanted=group.record.wanted is Wanted.ONLINE)
    return needed


def _members_needed(term: Iterable[str], records: dict[str, ResourceRecord], *, is_group_wanted: bool) -> list[str]:
    members = [key_of(each) for each in term]
    wanted = [key for key in members if key in records and records[key].wanted is Wanted.ONLINE]
    return wanted if wanted and is_group_wanted else members


def _move_refusals(view: DatabaseView, group: ObservedGroup, target: NodeId) -> list[str]:
    """Why the group cannot go to `target`, or to any other node when none is named."""
    if group.assignment is None:
        return ["it has no owner yet: wait until it is placed"]
    if target:
        reason = _why_not(view, group, target)
        return [reason] if reason else []
    others = [each.name for each in view.nodes() if each.name != group.owner]
    reasons = {node: _why_not(view, group, node) for node in others}
    if any(reason is None for reason in reasons.values()):
        return []
    return [f"{node}: {reason}" for node, reason in reasons.items()] or ["there is no other node"]


def _why_not(view: DatabaseView, group: ObservedGroup, node: NodeId) -> str | None:
    """What can be seen from here; the leader looks again before it moves anything."""
    state = node_state(view.membership(node))
    if state is not NodeState.UP:
        return f"{node} is {state}"
    for each in group.resources:
        owners = {key_of(owner) for owner in each.record.possible_owners}
        if owners and key_of(node) not in owners:
            return f"{node} is no possible owner of {each.record.name}"
    return None
