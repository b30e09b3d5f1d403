"""Why is this group, resource or node as it is, and what happens next? Pure: renders the causes that were stored.

Everything comes from records, so an explanation survives a change of leader and the restart of every daemon.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from heapq import merge
from typing import Any

from clusterd.api.causes import Reason, why_group_is_not_running, why_resource_is_not_running
from clusterd.api.finding import find_node, find_resource, observe
from clusterd.api.group_views import Document, because, group_view, next_action, planned_text, restarts_view
from clusterd.api.node_views import evidence_view, is_without_guard, node_view
from clusterd.api.observed import ObservedGroup, ObservedResource, observe_group
from clusterd.api.port import NodeStatus
from clusterd.api.returning import why_not_back
from clusterd.api.times import time_text, wall_of
from clusterd.api.unknown_health import unknown_health_view
from clusterd.api.views import document
from clusterd.database import DatabaseView
from clusterd.model.counts import counted, times
from clusterd.model.durations import rough_text
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import Decision, Step
from clusterd.model.settings import group_settings, resource_settings
from clusterd.model.states import DrainState, MembershipState, NextAction, Order, ResourceState, RestartAction, Wanted
from clusterd.owner.policy import counter_text, restart_limit, window_text

_SHOWN = (
    "state",
    "status",
    "wanted",
    "settled",
    "owner",
    "generation",
    "since",
    "move",
    "maintenance",
    "next",
    "next_action",
)
_NEXT_OF_RULE = {
    "ended-by-itself": "nothing by itself: it rests",
    "hands-off": "nothing, until the maintenance ends",
    "stuck": "nothing, until it can be stopped or somebody takes another way out",
    "no-node": "it starts as soon as a node can take it; the leader looks again at every change",
    "held": "it starts as soon as what it waits for is there",
    "owner-unproven": "another node gets it as soon as it is proven that its owner runs nothing",
}


def explain_group(view: DatabaseView, status: NodeStatus, name: str) -> Document:
    """The stored decision behind the group's place, its resources' causes, and what comes next."""
    group = observe(view, status, name)
    assignment = group.assignment
    reason = why_group_is_not_running(view, status, group)
    shown = group_view(view, status, group)
    return document(
        view,
        status,
        kind="group",
        name=group.record.name,
        **{part: shown[part] for part in _SHOWN},
        summary=_summary(group),
        not_running=_reason(reason),
        why_not=_lines(reason),
        why_not_back=why_not_back(view, status, group),
        decision=_decision(assignment.because) if assignment else None,
        chain=_steps(_chain(group)),
        failovers=_failovers(view, status, group),
        next_text=_next_text(status, group, reason),
        resources=[_explain_part(view, status, group, each) for each in group.resources],
        nodes=_nodes_involved(view),
    )


def explain_resource(view: DatabaseView, status: NodeStatus, name: str) -> Document:
    record = find_resource(view, name)
    group = observe(view, status, record.group)
    found = next(each for each in group.resources if key_of(each.record.name) == key_of(name))
    reason = why_resource_is_not_running(view, status, group, found)
    steps = [step for step in _chain(group) if key_of(step.resource) in ("", key_of(record.name))]
    return document(
        view,
        status,
        kind="resource",
        group_state=group.state.value,
        owner=group.owner,
        generation=group.generation,
        summary=f"{record.name} is {found.state} on {group.owner or 'no node'}"
        + (f": {found.cause}" if found.cause else ""),
        not_running=_reason(reason),
        why_not=_lines(reason),
        chain=_steps(steps),
        group_because=because(group),
        **_explain_part(view, status, group, found),
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
        exits=_exits(view, status, record.name),
        next_text=_node_next(view, status, member is not None and member.state is MembershipState.EXPELLING, shown),
        lease_left_ms=status.lease_left_ms if record.name == status.node else None,
    )


# ---- groups ----


def _summary(group: ObservedGroup) -> str:
    where = f" on {group.owner} (generation {group.generation})" if group.owner else ""
    if group.is_settled and group.assignment and group.record.wanted is Wanted.ONLINE:
        return f"{group.record.name} is {group.state}{where}: {because(group)}"
    return f"{group.record.name} is {group.state}{where}, wanted {group.record.wanted}: {because(group, is_brief=True)}"


def _decision(decision: Decision) -> Document:
    return {
        "rule": decision.rule,
        "code": decision.code.value,
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


def _chain(group: ObservedGroup) -> list[Step]:
    """What led to the decision, what its owner did and what came of it, in the order in which it came about.

    Each of the two stories is in order. Wall clocks differ and jump, so one is put between the other by what was committed.
    """
    decided = group.assignment.because.steps if group.assignment else ()
    done = group.report.steps if group.report else ()
    known = set(decided)
    if any(not each.revision for each in (*decided, *done)):
        # An earlier version wrote of it: there is nothing but wall clocks to go by.
        return sorted([*decided, *(each for each in done if each not in known)], key=lambda step: step.wall_ms)
    stories = [_placed(decided), _placed([each for each in done if each not in known])]
    return [step for _, step in merge(*stories, key=lambda each: each[0])]


def _placed(story: Iterable[Step]) -> list[tuple[int, Step]]:
    """Each with its place: nothing comes before what it follows."""
    placed: list[tuple[int, Step]] = []
    for step in story:
        placed.append((max(step.revision, placed[-1][0] if placed else 0), step))
    return placed


def _reason(reason: Reason | None) -> Document | None:
    return asdict(reason) if reason is not None else None


def _lines(reason: Reason | None) -> list[str]:
    return [reason.text, *reason.details] if reason is not None else []


def _failovers(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> Document:
    settings = group_settings(group.record, len(view.nodes()))
    assignment = group.assignment
    # A request to start that succeeded forgets them.
    is_present = assignment is not None and assignment.reset_id == group.record.reset_id
    stamps = assignment.failovers if assignment is not None and is_present else ()
    window_ms = settings.failover_period_ms
    counted = [each for each in stamps if status.cluster_ms - each.cluster_ms < window_ms]
    return {
        "used": len(counted),
        "limit": settings.failover_threshold,
        "window_ms": window_ms,
        "text": window_text(
            (each.cluster_ms for each in stamps),
            limit=settings.failover_threshold,
            period_ms=window_ms,
            cluster_ms=status.cluster_ms,
        ),
        "stamps": [
            {"time": time_text(wall_of(status, each.cluster_ms)), "resource": each.resource, "source": each.source}
            for each in counted
        ],
    }


def _next_text(status: NodeStatus, group: ObservedGroup, reason: Reason | None) -> str:
    if not status.is_quorate:
        if status.voters_reachable >= status.voters_needed:
            return "nothing, until a leader is elected"
        return f"nothing, until {status.node} reaches {counted(status.voters_needed, 'vote')} again"
    planned = next_action(group, status)
    if planned is not None:
        return planned_text(planned)
    rule = reason.rule if reason is not None else ""
    if rule in _NEXT_OF_RULE:
        return _NEXT_OF_RULE[rule]
    if group.is_settled:
        return "nothing: it is as wanted"
    if group.assignment and group.assignment.order is Order.MIGRATE:
        return f"{group.owner} hands it over to {group.assignment.target} while it runs; on any error it runs on where it is"
    if group.assignment and group.assignment.order is Order.RELEASE:
        return f"{group.owner} takes it offline, then {group.assignment.target or 'the best node'} gets it"
    if any(each.state is ResourceState.FAILED for each in group.resources):
        return f"nothing by itself; mend the cause, then: clusterctl group online {group.record.name}"
    return "the present step goes on"


def _nodes_involved(view: DatabaseView) -> list[Document]:
    """Lost nodes, with the evidence: they bear on where any group can be."""
    return [
        {
            "name": member.node,
            "state": member.state.value,
            "because": member.because,
            "evidence": evidence_view(member),
            "steps": _steps(member.steps),
        }
        for record in view.nodes()
        if (member := view.membership(record.name)) is not None
        and member.state in (MembershipState.DOWN, MembershipState.EXPELLING)
    ]


# ---- resources ----


def _explain_part(
    view: DatabaseView, status: NodeStatus, group: ObservedGroup, resource: ObservedResource
) -> dict[str, Any]:
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
        "restarts": {**restarts_view(status, group, resource), "text": _restarts_text(status, group, resource)},
        "depends_on": resource.record.depends_on,
        "next_action": report.next_action if report and report.next_action is not NextAction.REST else "",
        "next_action_time": time_text(wall_of(status, report.next_action_cluster_ms))
        if report and report.next_action
        else None,
        "evidence": report.evidence if report else "",
        "embedded_failure": report.embedded_failure if report else "",
        "concern": report.concern if report else "",
        **unknown_health_view(status, group, resource),
        "policy": _policy(resource),
    }


def _restarts_text(status: NodeStatus, group: ObservedGroup, resource: ObservedResource) -> str:
    """As in '2 of 3 in the last 15 min, oldest expires in 4:10', on the present owner."""
    stamps = resource.report.restarts if resource.report else ()
    settings = resource_settings(resource.record)
    return counter_text(stamps, NodeId(group.owner or ""), settings, status.cluster_ms)


def _policy(resource: ObservedResource) -> str:
    """What would follow the next failure, in a sentence."""
    settings = resource_settings(resource.record)
    if settings.restart_action is RestartAction.NOTHING:
        return "after a failure it stays failed"
    end = "stays failed" if settings.restart_action is RestartAction.RESTART else "moves its group to another node"
    limit, window = restart_limit(settings), rough_text(settings.restart_period_ms)
    if not limit:
        return f"after a failure it is not restarted where it is: it {end}"
    return f"after a failure it is restarted at most {times(limit)} within {window}, then it {end}"


# ---- nodes ----


def _exits(view: DatabaseView, status: NodeStatus, name: NodeId) -> list[str | None]:
    """When the node was lost without a clean stop, which is what quarantine goes by."""
    member = view.membership(name)
    return [time_text(wall_of(status, each)) for each in (member.exits if member else ())]


def _node_next(view: DatabaseView, status: NodeStatus, is_expelling: bool, shown: Document) -> str:
    if is_expelling:
        what = "its groups move" if shown["groups"] else "it counts as down"
        return f"{what} as soon as it is proven that it runs nothing: by its guard, a fence agent, or its lease"
    if is_without_guard(status, view.membership(NodeId(shown["name"]))):
        return "it runs groups again as soon as its guard is back: start the node again"
    if shown["state"] == "down":
        left = [each for each in shown["groups"] if not _is_wanted_offline(view, status, each)]
        if left:
            what = (
                "still counts as its own: no other node can take it"
                if len(left) == 1
                else ("still count as its own: no other node can take them")
            )
            return f"{', '.join(left)} {what} now"
        if shown["quarantined_until"]:
            return (
                f"nothing: it stays out until {shown['quarantined_until']}, also when it starts again, or until: clusterctl "
                f"node clear-quarantine {shown['name']}"
            )
        return "nothing: when it starts again it rejoins; what may go back goes by the rules for failback"
    resume = f"until: clusterctl node resume {shown['name']}"
    if shown["drain"] and shown["drain"]["state"] == DrainState.IN_PROGRESS.value:
        return f"its groups leave, the most important first; then it may gain nothing {resume}"
    if shown["paused"]:
        return f"it may gain nothing {resume}"
    if shown["quarantined_until"]:
        return f"it may gain nothing before the quarantine ends, or until: clusterctl node clear-quarantine {shown['name']}"
    return "nothing: it is as it should be"


def _is_wanted_offline(view: DatabaseView, status: NodeStatus, name: str) -> bool:
    record = view.group(name)
    if record is None:
        return True
    group = observe_group(view, record, is_quorate=status.is_quorate, unheard=status.unheard)
    return all(each.wanted_state is ResourceState.OFFLINE for each in group.resources)
