"""Why is this group, resource or node as it is, and what happens next? Pure: renders the causes that were stored."""

from collections.abc import Sequence
from typing import Any

from clusterd.api.observed import ObservedGroup, ObservedResource, observe_group
from clusterd.api.port import NodeStatus
from clusterd.api.times import time_text
from clusterd.api.views import (
    Document,
    because,
    document,
    evidence_view,
    find_node,
    find_resource,
    next_step,
    node_view,
    observe,
    restarts_view,
    wall_of,
)
from clusterd.database import DatabaseView
from clusterd.model.dependencies import parse_dependency
from clusterd.model.durations import rough_text
from clusterd.model.ids import key_of
from clusterd.model.records import Decision, Step
from clusterd.model.settings import group_settings, resource_settings
from clusterd.model.states import MembershipState, Order, ResourceState, RestartAction, Wanted


def explain_group(view: DatabaseView, status: NodeStatus, name: str) -> Document:
    """The stored decision behind the group's place, its resources' causes, and what comes next."""
    group = observe(view, status, name)
    assignment = group.assignment
    return document(
        view,
        status,
        kind="group",
        name=group.record.name,
        state=group.state.value,
        wanted=group.record.wanted.value,
        settled=group.is_settled,
        owner=group.owner,
        generation=group.generation,
        since=time_text(group.since_wall_ms),
        summary=_summary(group),
        why_not=_why_not_settled(view, status, group),
        decision=_decision(assignment.because) if assignment else None,
        failovers=_failovers(view, status, group),
        next=next_step(group, status),
        next_text=_next_text(status, group),
        resources=[_explain_part(status, group, each) for each in group.resources],
        nodes=_nodes_involved(view, group),
    )


def explain_resource(view: DatabaseView, status: NodeStatus, name: str) -> Document:
    record = find_resource(view, name)
    group = observe(view, status, record.group)
    found = next(each for each in group.resources if key_of(each.record.name) == key_of(name))
    return document(
        view,
        status,
        kind="resource",
        group_state=group.state.value,
        owner=group.owner,
        generation=group.generation,
        summary=f"{record.name} is {found.state} on {group.owner or 'no node'}"
        + (f": {found.cause}" if found.cause else ""),
        why_not=_why_resource(view, group, found),
        group_because=because(group),
        **_explain_part(status, group, found),
    )


def explain_node(view: DatabaseView, status: NodeStatus, name: str) -> Document:
    record = find_node(view, name)
    member = view.membership(record.name)
    shown = node_view(view, status, record)
    words = ", ".join([shown["state"], *shown["status"]])
    return document(
        view,
        status,
        kind="node",
        summary=f"{record.name} is {words}" + (f": {shown['because']}" if shown["because"] else ""),
        **shown,
        run_id=member.run_id if member else "",
        steps=_steps(member.steps if member else ()),
        next_text=_node_next(view, status, member is not None and member.state is MembershipState.EXPELLING, shown),
        lease_left_ms=status.lease_left_ms if record.name == status.node else None,
    )


# ---- groups ----


def _summary(group: ObservedGroup) -> str:
    where = f" on {group.owner} (generation {group.generation})" if group.owner else ""
    if group.is_settled and group.assignment and group.record.wanted is Wanted.ONLINE:
        return f"{group.record.name} is {group.state}{where}: {group.assignment.because.text}"
    return f"{group.record.name} is {group.state}{where}, wanted {group.record.wanted}: {because(group)}"


def _decision(decision: Decision) -> Document:
    return {
        "rule": decision.rule,
        "text": decision.text,
        "steps": _steps(decision.steps),
        "candidates": [
            {"node": each.node, "is_chosen": each.is_chosen, "reason": each.reason} for each in decision.candidates
        ],
    }


def _steps(steps: Sequence[Step]) -> list[Document]:
    """In order, each with the time since the one before."""
    shown: list[Document] = []
    before_ms = 0
    for step in steps:
        after_ms = max(0, step.wall_ms - before_ms) if before_ms and step.wall_ms else None
        shown.append({"time": time_text(step.wall_ms), "text": step.text, "after_ms": after_ms})
        before_ms = step.wall_ms or before_ms
    return shown


def _failovers(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> Document:
    settings = group_settings(group.record, len(view.nodes()))
    stamps = group.assignment.failovers if group.assignment else ()
    window_ms = settings.failover_period_ms
    counted = [each for each in stamps if status.cluster_ms - each.cluster_ms < window_ms]
    return {
        "used": len(counted),
        "limit": settings.failover_threshold,
        "window_ms": window_ms,
        "stamps": [
            {"time": time_text(wall_of(status, each.cluster_ms)), "resource": each.resource, "source": each.source}
            for each in counted
        ],
    }


def _next_text(status: NodeStatus, group: ObservedGroup) -> str:
    if not status.is_quorate:
        return f"nothing, until {status.node} reaches {status.voters_needed} votes again"
    step = next_step(group, status)
    if step is not None:
        return f"{step['action']} of {step['resource']} in {rough_text(step['in_ms'])}"
    if group.is_settled:
        return "nothing: it is as wanted"
    if group.assignment and group.assignment.order is Order.RELEASE:
        return f"{group.owner} takes it offline, then {group.assignment.target or 'the best node'} gets it"
    if any(each.state is ResourceState.FAILED for each in group.resources):
        return f"nothing by itself; mend the cause, then: clusterctl group online {group.record.name}"
    return "the present step goes on"


def _why_not_settled(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> list[str]:
    """Why it is not running as wanted; empty when it is."""
    reasons: list[str] = []
    if not status.is_quorate:
        reasons.append("this node has no quorum: it may run nothing, and knows nothing new about the others")
    if group.record.wanted is Wanted.OFFLINE:
        reasons.append(f"it is wanted offline; to start it: clusterctl group online {group.record.name}")
    if not group.resources:
        reasons.append("it has no resources")
    if group.record.wanted is Wanted.ONLINE:
        for each in group.resources:
            reasons += _why_resource(view, group, each)
    decision = group.assignment.because if group.assignment else None
    if decision is not None and not group.is_settled and not any(each.is_chosen for each in decision.candidates):
        reasons += [f"not on {each.node}: {each.reason}" for each in decision.candidates]
    return reasons


def _nodes_involved(view: DatabaseView, group: ObservedGroup) -> list[Document]:
    """Nodes with evidence that bears on this group: its owner when lost, and those that it failed over from."""
    names = {each.source for each in group.assignment.failovers} if group.assignment else set()
    for record in view.nodes():
        member = view.membership(record.name)
        if member and member.state in (MembershipState.DOWN, MembershipState.EXPELLING):
            names.add(record.name)
    shown = []
    for name in sorted(names):
        member = view.membership(name)
        if member is not None:
            shown.append(
                {
                    "name": name,
                    "state": member.state.value,
                    "because": member.because,
                    "evidence": evidence_view(member),
                    "steps": _steps(member.steps),
                }
            )
    return shown


# ---- resources ----


def _explain_part(status: NodeStatus, group: ObservedGroup, resource: ObservedResource) -> dict[str, Any]:
    report = resource.report
    return {
        "name": resource.record.name,
        "group": group.record.name,
        "type": resource.record.type,
        "state": resource.state.value,
        "wanted": resource.record.wanted.value,
        "cause": resource.cause,
        "since": time_text(resource.since_wall_ms),
        "pid": resource.pid,
        "restarts": restarts_view(status, group, resource),
        "depends_on": resource.record.depends_on,
        "next_action": report.next_action if report else "",
        "next_action_time": time_text(wall_of(status, report.next_action_cluster_ms))
        if report and report.next_action
        else None,
        "evidence": report.evidence if report else "",
        "policy": _policy(resource),
    }


def _policy(resource: ObservedResource) -> str:
    """What would follow the next failure, in a sentence."""
    settings = resource_settings(resource.record)
    if settings.restart_action is RestartAction.NOTHING:
        return "after a failure it stays failed"
    end = "stays failed" if settings.restart_action is RestartAction.RESTART else "moves its group to another node"
    limit, window = settings.restart_threshold, rough_text(settings.restart_period_ms)
    return f"after a failure it is restarted up to {limit} times within {window}, then it {end}"


def _why_resource(view: DatabaseView, group: ObservedGroup, resource: ObservedResource) -> list[str]:
    record = resource.record
    if resource.state is ResourceState.ONLINE:
        return []
    name = record.name
    if group.record.wanted is Wanted.OFFLINE:
        return [f"{name}: its group {group.record.name} is wanted offline"]
    if resource.state is ResourceState.UNKNOWN:
        return [f"{name} is {resource.state}: {resource.cause}"]
    if record.wanted is Wanted.OFFLINE:
        return [f"{name} is wanted offline; to start it: clusterctl resource online {name}"]
    online = {each.record.name for each in group.resources if each.state is ResourceState.ONLINE}
    missing = parse_dependency(record.depends_on).missing(online)
    reasons = [f"{name} waits for {' or '.join(term)}" for term in missing]
    if resource.cause or not reasons:
        reasons.insert(0, f"{name} is {resource.state}" + (f": {resource.cause}" if resource.cause else ""))
    if resource.report and resource.report.evidence:
        reasons.append(f"{name} could not be stopped: {resource.report.evidence}")
    return reasons


# ---- nodes ----


def _node_next(view: DatabaseView, status: NodeStatus, is_expelling: bool, shown: Document) -> str:
    if is_expelling:
        return "its groups move as soon as it is proven that it runs nothing: by its guard, a fence agent, or its lease"
    if shown["state"] == "down":
        left = [each for each in shown["groups"] if not _is_wanted_offline(view, status, each)]
        if left:
            return f"{', '.join(left)} still count as its own: no other node can take them now"
        return "nothing: when it starts again it rejoins; nothing moves back by itself"
    return "nothing: it is as it should be"


def _is_wanted_offline(view: DatabaseView, status: NodeStatus, name: str) -> bool:
    record = view.group(name)
    if record is None:
        return True
    group = observe_group(view, record, is_quorate=status.is_quorate)
    return all(each.wanted_state is ResourceState.OFFLINE for each in group.resources)
