"""What does online, offline, fail or kill change in the database? Pure. Planners: they check, and draft the transaction.

An operator only ever writes wishes; the leader and the owners make them come true. What is already wished is no change. A
request to start what does not run carries an id, so that what is never started by itself may start then.
"""

from collections.abc import Iterable
from dataclasses import replace

from clusterd.api.checks import refuse
from clusterd.api.finding import find_group, find_resource, observe
from clusterd.api.maintenance import hands_off_group, hands_off_resource, pinned_group, refuse_hands_off
from clusterd.api.observed import ObservedGroup, ObservedResource
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.dependencies import parse_dependency
from clusterd.model.events import FAILURE_SIMULATED, KILL_ASKED, RESTART_ASKED, WANTED_CHANGED
from clusterd.model.ids import key_of
from clusterd.model.records import GroupRecord, ResourceRecord
from clusterd.model.states import PENDING_STATES, GroupState, NextAction, ResourceState, Wanted


def group_online(name: str) -> Planner:
    """Want the group and every resource of it online; forget failures, as a person has looked at it."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        group = observe(view, asked.status, name)
        made = Plan(Draft(view), wait_for=[f"group {group.record.name} online"] if group.resources else [])
        refuse_hands_off(hands_off_group(view, group.record), f"{group.record.name} cannot be brought online")
        is_failed = group.state is GroupState.FAILED or any(_rests(each) for each in group.resources)
        after = replace(
            group.record,
            wanted=Wanted.ONLINE,
            reset_id=asked.request_id if is_failed else group.record.reset_id,
            start_id=group.record.start_id if group.state is GroupState.ONLINE else asked.request_id,
        )
        if group.record.start_id != asked.request_id:
            _put_group(made, asked, group.record, after, "is tried again" if is_failed else "wanted online")
        for each in group.resources:
            _want(made, asked, each.record, Wanted.ONLINE, group.record)
        if not group.resources:
            made.notes.append(f"{group.record.name} has no resources: there is nothing to bring online")
        made.notes += _waiting_notes(group)
        return made

    return plan


def group_offline(name: str) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_group(view, name)
        made = Plan(Draft(view), wait_for=[f"group {record.name} offline"])
        refuse_hands_off(pinned_group(view, record), f"{record.name} cannot be taken offline")
        _put_group(made, asked, record, replace(record, wanted=Wanted.OFFLINE), "wanted offline")
        return made

    return plan


def resource_online(name: str) -> Planner:
    """Want the resource, and what it needs, online. In a group that is wanted offline nothing else comes along."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_resource(view, name)
        group = observe(view, asked.status, record.group)
        made = Plan(Draft(view), wait_for=[f"resource {record.name} online"])
        refuse_hands_off(hands_off_resource(view, record), f"{record.name} cannot be brought online")
        _refuse_pending(group, record)
        wanted = _with_providers(group, record)
        is_failed = any(
            each.state is ResourceState.FAILED or _rests(each)
            for each in group.resources
            if key_of(each.record.name) in wanted
        )
        reset_id = asked.request_id if is_failed else group.record.reset_id
        was_offline = group.record.wanted is Wanted.OFFLINE
        _put_group(
            made,
            asked,
            group.record,
            replace(group.record, wanted=Wanted.ONLINE, reset_id=reset_id, start_id=_start_id(group, wanted, asked)),
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
        refuse_hands_off(hands_off_resource(view, record), f"{record.name} cannot be taken offline")
        if record.wanted is Wanted.ONLINE:
            _refuse_pending(group, record)
        _want(made, asked, record, Wanted.OFFLINE, group.record)
        if not made.draft.is_empty:
            _note_dependents(made, group, record)
        return made

    return plan


def resource_fail(name: str) -> Planner:
    """Treat the resource as failed, once, to see what its policy does."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record, group, made = _request(view, asked, name, done="failed")
        if record.fail_id == asked.request_id:
            return made
        refuse_hands_off(hands_off_resource(view, record), f"cannot fail {record.name}")
        state = _found(group, record).state
        if state is not ResourceState.ONLINE:
            hint = f"bring it online first: clusterctl resource online {record.name}"
            reason = f"it is {state}, and only what is online can fail"
            refuse([reason], f"cannot fail {record.name}", hint=hint, rule="not-online")
        made.draft.replace(replace(record, fail_id=asked.request_id))
        made.draft.expect(keys.report(record.group))
        made.add("update", "resource", record.name, "a failure is simulated")
        text = f"a failure of {record.name} is simulated"
        made.event(asked, FAILURE_SIMULATED, text, group=record.group, resource=record.name)
        return made

    return plan


def resource_restart(name: str) -> Planner:
    """Stop the resource in good order and bring it online again; whatever depends on it goes offline first."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record, group, made = _request(view, asked, name, done="restarted")
        if record.restart_id == asked.request_id:
            return made
        refuse_hands_off(hands_off_resource(view, record), f"cannot restart {record.name}")
        state = _found(group, record).state
        if record.wanted is Wanted.OFFLINE or group.record.wanted is Wanted.OFFLINE:
            hint = f"bring it online: clusterctl resource online {record.name}"
            refuse(
                [f"it is wanted offline, and is {state}"], f"cannot restart {record.name}", hint=hint, rule="not-wanted"
            )
        _refuse_pending(group, record)
        made.draft.replace(replace(record, restart_id=asked.request_id))
        made.draft.expect(keys.report(record.group))
        made.add("update", "resource", record.name, "it is stopped in good order and comes online again")
        _note_dependents(made, group, record)
        text = f"{record.name} is to be restarted"
        made.event(asked, RESTART_ASKED, text, group=record.group, resource=record.name)
        return made

    return plan


def resource_kill(name: str) -> Planner:
    """Have its owner kill everything that is left of a resource that could not be stopped."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record, group, made = _request(view, asked, name, done="killed")
        if record.kill_id == asked.request_id:
            return made
        refuse_hands_off(hands_off_resource(view, record), f"cannot kill {record.name}")
        found = _found(group, record)
        is_stuck = found.state is ResourceState.FAILED and found.report is not None and found.report.may_run
        if not is_stuck and found.state is not ResourceState.OFFLINE_PENDING:
            hint = f"to stop it in order: clusterctl resource offline {record.name}"
            reason = f"it is {found.state}, and nothing of it is stuck"
            refuse([reason], f"cannot kill {record.name}", hint=hint, rule="nothing-stuck")
        made.draft.replace(replace(record, kill_id=asked.request_id)).expect(keys.report(record.group))
        made.add("update", "resource", record.name, "everything of it is killed")
        evidence = found.report.evidence if found.report else ""
        text = f"what is left of {record.name} is to be killed" + (f": {evidence}" if evidence else "")
        made.event(asked, KILL_ASKED, text, group=record.group, resource=record.name)
        return made

    return plan


# ---- building blocks ----


def _request(view: DatabaseView, asked: Asked, name: str, *, done: str) -> tuple[ResourceRecord, ObservedGroup, Plan]:
    """What a request about one resource begins with: it is carried out once, and waited for by its id."""
    record = find_resource(view, name)
    wait_for = [f"resource {record.name} {done} by {asked.request_id}"]
    return record, observe(view, asked.status, record.group), Plan(Draft(view), wait_for=wait_for)


def _note_dependents(made: Plan, group: ObservedGroup, record: ResourceRecord) -> None:
    if dependents := _dependents(group, record):
        made.notes.append(f"{', '.join(dependents)} depends on it and may go offline with it")


def _dependents(group: ObservedGroup, record: ResourceRecord) -> list[str]:
    return [
        str(each.record.name)
        for each in group.resources
        if key_of(record.name) in {key_of(p) for p in parse_dependency(each.record.depends_on).providers}
    ]


def _found(group: ObservedGroup, record: ResourceRecord) -> ObservedResource:
    return next(each for each in group.resources if key_of(each.record.name) == key_of(record.name))


def _start_id(group: ObservedGroup, wanted: set[str], asked: Asked) -> str:
    """A new one, unless everything that was asked for runs already."""
    states = [each.state for each in group.resources if key_of(each.record.name) in wanted]
    is_online = all(state is ResourceState.ONLINE for state in states)
    return group.record.start_id if is_online else asked.request_id


def _waiting_notes(group: ObservedGroup) -> list[str]:
    """Why it may not come online at once, as far as it is known."""
    assignment = group.assignment
    if group.state is GroupState.PENDING and group.record.wanted is Wanted.OFFLINE:
        return [f"{group.record.name} is still going offline: it comes online after that"]
    if assignment is None or group.state is not GroupState.OFFLINE or group.record.wanted is Wanted.OFFLINE:
        return []
    return [f"{group.record.name} waits: {assignment.because.text}"] if assignment.status else []


def _rests(resource: ObservedResource) -> bool:
    """It ended by itself and waits for somebody to start it, or no node could run it and it waits for a late retry."""
    return resource.report is not None and resource.report.next_action in (NextAction.REST, NextAction.RETRY)


def _put_group(plan: Plan, asked: Asked, before: GroupRecord, after: GroupRecord, what: str) -> None:
    if after == before:
        return
    plan.draft.replace(after)
    details = [] if after.wanted is before.wanted else [f"wanted: {before.wanted} → {after.wanted}"]
    if after.reset_id != before.reset_id:
        details.append("failures and counters are forgotten")
    if after.start_id != before.start_id and not details:
        details.append("its start is asked for")
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
    found = _found(group, record)
    if found.state in PENDING_STATES:
        hint = f"wait for it (clusterctl explain resource {record.name}), or take the whole group offline"
        reason = f"it is {found.state}: {found.cause}"
        refuse([reason], f"{record.name} is between two states", hint=hint, rule="pending")


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
