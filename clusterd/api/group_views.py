"""What does the API answer about a group or a resource: its state, what stands beside it, why, and what comes next? Pure."""

from typing import Any, TypeAlias

from clusterd.api.maintenance import hands_off_group, is_in_force, maintenance_view
from clusterd.api.migrating import is_leaving_for_a_move, is_queued_move, migration_view
from clusterd.api.observed import ObservedGroup, ObservedResource
from clusterd.api.port import NodeStatus
from clusterd.api.times import time_text, wall_of
from clusterd.api.unknown_health import counts_as_failed_cluster_ms, unknown_health_text, unknown_health_view
from clusterd.database import DatabaseView
from clusterd.model.dependencies import parse_dependency
from clusterd.model.durations import until_text
from clusterd.model.maintenance import HandsOff, Level
from clusterd.model.reasons import short_text
from clusterd.model.records import GroupRecord, Properties, ResourceReport
from clusterd.model.settings import ResourceSettings, resource_settings
from clusterd.model.settings_catalogue import Kind, Scope, setting, settings_of
from clusterd.model.states import DecisionCode, GroupState, GroupStatus, NextAction, Order, ResourceState, Wanted
from clusterd.resource_api.secret_values import shown

Document: TypeAlias = dict[str, Any]


def group_view(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> Document:
    record = group.record
    return {
        "name": record.name,
        "state": group.state.value,
        "status": status_words(view, group),
        "wanted": record.wanted.value,
        "settled": group.is_settled,
        "priority": record.properties.get("priority", setting(Scope.GROUP, "priority").default),
        "owner": group.owner,
        "last_owner": group.assignment.last_owner or None if group.assignment else None,
        "generation": group.generation,
        "since": time_text(group.since_wall_ms),
        "because": because(group),
        "waits_since": _waits_since(status, group),
        "next": next_step(group, status),
        "next_action": next_action(group, status),
        "move": _move_view(group),
        "migration": migration_view(view, group),
        "maintenance": _maintenance(view, group),
        "preferred_owners": list(record.preferred_owners),
        "properties": properties_view(Scope.GROUP, record.properties),
        "resources": [resource_view(status, group, each) for each in group.resources],
    }


def status_words(view: DatabaseView, group: ObservedGroup) -> list[str]:
    """What stands beside the state: what the leader said, and what follows from records and reports."""
    words = dict.fromkeys(group.assignment.status if group.assignment else ())
    reports = [each.report for each in group.resources if each.report]
    derived = {
        GroupStatus.STUCK.value: any(is_stuck(each) for each in group.resources),
        GroupStatus.EMBEDDED_FAILURE.value: any(each.embedded_failure for each in reports),
        GroupStatus.HANDS_OFF.value: hands_off_group(view, group.record) is not None,
        GroupStatus.LOCKED.value: is_locked(group.record),
    }
    words.update(dict.fromkeys(word for word, is_true in derived.items() if is_true))
    return list(words)


def is_locked(record: GroupRecord) -> bool:
    return bool(record.properties.get("locked_from_moving", setting(Scope.GROUP, "locked_from_moving").default))


def _waits_since(status: NodeStatus, group: ObservedGroup) -> str | None:
    since_ms = group.assignment.waits_since_cluster_ms if group.assignment else 0
    return time_text(wall_of(status, since_ms)) if since_ms else None


def _move_view(group: ObservedGroup) -> Document | None:
    """The move that was asked for and is not over; None when there is none."""
    move, assignment = group.record.move, group.assignment
    if move is None or assignment is None:
        return None
    is_leaving = is_leaving_for_a_move(assignment)
    is_queued = is_queued_move(assignment)
    if move.id == assignment.move_id and not is_leaving and not is_queued:
        return None
    return {
        "target": move.target or None,
        "since": time_text(move.asked_wall_ms),
        "by": move.asked_by,
        "queued": is_queued,
        "under_way": is_leaving,
        "kind": move.kind.value or None,
    }


def _maintenance(view: DatabaseView, group: ObservedGroup) -> Document | None:
    found = hands_off_group(view, group.record)
    return maintenance_view(found, in_force=is_in_force(group), waits_for=because(group))


def because(group: ObservedGroup, *, is_brief: bool = False) -> str:
    """The sentence that best says why the group is as it is. `is_brief`: the nodes are listed beside it."""
    for each in group.resources:
        if each.state in (ResourceState.FAILED, ResourceState.UNKNOWN) and each.cause:
            return f"{each.record.name}: {each.cause}"
    if group.record.wanted is Wanted.OFFLINE and group.state is GroupState.OFFLINE:
        return "it is wanted offline"
    if group.assignment is None:
        return group.resources[0].cause if group.resources else "it has no resources"
    decision = group.assignment.because
    decided = short_text(decision.text, decision.brief) if is_brief else decision.text
    if group.state is GroupState.OFFLINE and (not group.owner or group.assignment.order is Order.HOLD):
        return decided
    for each in group.resources:
        if each.state is not each.wanted_state:
            waited = _waited_for(group, each)
            if waited:
                return f"{each.record.name} waits for {waited}"
            return f"{each.record.name}: {each.cause}" if each.cause else f"{each.record.name} is {each.state}"
    if worry := concern(group):
        return worry
    if group.assignment.because.code in (DecisionCode.LIMIT_REACHED, DecisionCode.NO_OTHER_NODE):
        return f"it came online again on {group.owner} after it had been given up"
    return decided


def concern(group: ObservedGroup) -> str:
    """What a person should know of a resource that runs; empty: nothing."""
    for each in group.resources:
        if each.report is None or each.state is not ResourceState.ONLINE:
            continue
        if doubt := unknown_health_text(group, each):
            return f"{each.record.name}: {doubt}"
        if each.report.embedded_failure:
            return f"{each.record.name}: the workload inside complains: {each.report.embedded_failure}"
        if each.report.concern:
            return f"{each.record.name}: {each.report.concern}"
    return ""


def _waited_for(group: ObservedGroup, resource: ObservedResource) -> str:
    """The providers that keep an offline resource waiting."""
    if resource.state is not ResourceState.OFFLINE:
        return ""
    return _missing(group, resource)


def _missing(group: ObservedGroup, resource: ObservedResource) -> str:
    """The providers that are not online and without which it cannot be."""
    missing = parse_dependency(resource.record.depends_on).missing(group.online)
    return " and ".join(" or ".join(term) for term in missing)


def next_step(group: ObservedGroup, status: NodeStatus) -> Document | None:
    """What happens by itself next, and when; None when nothing is planned. What waits for a provider has no time."""
    planned = [
        (each, each.report)
        for each in group.resources
        if each.report
        and each.report.next_action not in (NextAction.NONE, NextAction.REST)
        and not _missing(group, each)
    ]
    if not planned:
        return None
    resource, report = min(planned, key=lambda each: each[1].next_action_cluster_ms)
    return {
        "action": report.next_action.value,
        "resource": resource.record.name,
        **_moment(status, report.next_action_cluster_ms),
    }


def _moment(status: NodeStatus, cluster_ms: int) -> Document:
    """When that is, as a time and as what is left, or for how long it is overdue. Nothing for a time that nobody knows."""
    if not cluster_ms:
        return {"time": None, "in_ms": None, "overdue_ms": None}
    left_ms = cluster_ms - status.cluster_ms
    at_ms = wall_of(status, max(cluster_ms, status.cluster_ms))
    return {"time": time_text(at_ms), "in_ms": max(0, left_ms), "overdue_ms": max(0, -left_ms)}


def planned_text(planned: Document) -> str:
    """restart of web-server in 3.2 s."""
    if planned["in_ms"] is None:
        return str(planned["what"])
    return f"{planned['what']} {until_text(planned['in_ms'] - planned['overdue_ms'])}"


def next_action(group: ObservedGroup, status: NodeStatus) -> Document | None:
    """What the owner or the leader does by itself next: what, when, and in how long."""
    step = next_step(group, status)
    if step is not None:
        what = f"{step['action']} of {step['resource']}"
        return {"what": what, "at": step["time"], "in_ms": step["in_ms"], "overdue_ms": step["overdue_ms"]}
    assignment = group.assignment
    if assignment is None or not assignment.next_action:
        return _next_failure(group, status)
    when = _moment(status, assignment.next_action_cluster_ms)
    return {
        "what": assignment.next_action,
        "at": when["time"],
        "in_ms": when["in_ms"],
        "overdue_ms": when["overdue_ms"],
    }


def _next_failure(group: ObservedGroup, status: NodeStatus) -> Document | None:
    """The next moment at which unknown health counts as a failure."""
    due = [(at_ms, each) for each in group.resources if (at_ms := counts_as_failed_cluster_ms(each))]
    if not due:
        return None
    at_ms, resource = min(due, key=lambda each: each[0])
    when = _moment(status, at_ms)
    what = f"failure of {resource.record.name} (health unknown)"
    return {"what": what, "at": when["time"], "in_ms": when["in_ms"], "overdue_ms": when["overdue_ms"]}


def resource_view(status: NodeStatus, group: ObservedGroup, resource: ObservedResource) -> Document:
    record, report = resource.record, resource.report
    view: Document = {
        "name": record.name,
        "group": group.record.name,
        "type": record.type,
        "state": resource.state.value,
        "status": resource_words(resource),
        "wanted": record.wanted.value,
        "owner": group.owner,
        "since": time_text(resource.since_wall_ms),
        "because": resource.cause,
        "pid": resource.pid,
        "restarts": restarts_view(status, group, resource),
        "depends_on": record.depends_on,
        "possible_owners": list(record.possible_owners),
        "properties": {**properties_view(Scope.RESOURCE, record.properties), **shown(record.private)},
        "restart_needed": report.is_outdated if report else False,
        "in_force": shown(report.in_force) if report else {},
        "evidence": report.evidence if report else "",
        "concern": report.concern if report else "",
        **unknown_health_view(status, group, resource),
        "maintenance": _own_maintenance(resource),
        "ways_out": ways_out(group, resource),
    }
    if resource.last_known is not None:
        view["last_known"] = resource.last_known.value
    return view


def resource_words(resource: ObservedResource) -> list[str]:
    """What stands beside a resource's state."""
    report = resource.report
    words = {
        GroupStatus.STUCK.value: is_stuck(resource),
        GroupStatus.EMBEDDED_FAILURE.value: report is not None and bool(report.embedded_failure),
        GroupStatus.HANDS_OFF.value: resource.record.maintenance is not None
        or (report is not None and report.is_hands_off),
    }
    return [word for word, is_true in words.items() if is_true]


def is_stuck(resource: ObservedResource) -> bool:
    """It could not be stopped: something of it may still run. What is hands-off nobody tried to stop."""
    report = resource.report
    is_failed = resource.state is ResourceState.FAILED and report is not None
    return is_failed and report is not None and report.may_run and not report.is_hands_off


def ways_out(group: ObservedGroup, resource: ObservedResource) -> list[str]:
    """What an operator can do about a resource that could not be stopped, the mildest first."""
    if not is_stuck(resource):
        return []
    return [
        f"clusterctl resource offline {resource.record.name}    (try to stop it once more)",
        f"clusterctl resource kill {resource.record.name}    (kill everything that it started)",
        f"clusterctl node fence {group.owner}    (end the node's run: everything on it stops, and others take over)",
    ]


def _own_maintenance(resource: ObservedResource) -> Document | None:
    asked = resource.record.maintenance
    if asked is None:
        return None
    is_off = resource.report is None or resource.report.is_hands_off
    return maintenance_view(
        HandsOff(Level.RESOURCE, resource.record.name, asked), in_force=is_off, waits_for=resource.cause
    )


def restarts_view(status: NodeStatus, group: ObservedGroup, resource: ObservedResource) -> Document:
    """Restarts that count now, on the present owner."""
    settings: ResourceSettings = resource_settings(resource.record)
    window_ms = settings.restart_period_ms
    used = _restarts_used(resource.report, group.owner, status.cluster_ms, window_ms)
    return {"used": used, "limit": settings.restart_threshold, "window_ms": window_ms}


def _restarts_used(report: ResourceReport | None, owner: str | None, cluster_ms: int, window_ms: int) -> int:
    stamps = report.restarts if report else ()
    return sum(each.node == owner and cluster_ms - each.cluster_ms < window_ms for each in stamps)


def properties_view(scope: Scope, values: Properties) -> Document:
    """Stored common properties; lengths of time are numbers with the unit beside them in the name."""
    shown: Document = {}
    for name, found in settings_of(scope).items():
        if name in values:
            shown[f"{name}_{found.unit}" if found.kind is Kind.DURATION else name] = values[name]
    return shown
