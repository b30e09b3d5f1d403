"""What should be done now about one owned group? Pure. Calls, and the report that the cluster should get."""

from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.model.ids import ResourceId
from clusterd.model.states import Order, ResourceState
from clusterd.owner.commands import HostCall, Verb
from clusterd.owner.consequences import apply
from clusterd.owner.desk import Desk
from clusterd.owner.group import OwnedGroup, intend, is_empty_here
from clusterd.owner.machine import Happening
from clusterd.owner.plan import Now, OwnerPlan
from clusterd.owner.policy import with_restart
from clusterd.owner.reports import propose_report, report_of


def plan_group(desk: Desk, view: DatabaseView, group: OwnedGroup, now: Now, plan: OwnerPlan) -> None:
    """Compare what is with what is wanted, act on the difference, and report it. A given-up group is only stopped."""
    _obey_operator(desk, group, now)
    intent = intend(group, is_node_stopping=desk.is_node_stopping)
    for name in sorted(intent.unwanted):
        _settle_unwanted(desk, group, name, now, plan)
    for name, reason in intent.to_take_offline.items():
        apply(desk, group, name, Happening.OFFLINE_ASKED, _REASON_TEXT[reason], now)
        _call(desk, group, name, Verb.OFFLINE, reason, now, plan)
    for name in intent.to_bring_online:
        _bring_online(desk, group, name, now, plan)
    for name, held in group.held.items():
        if held.state in (ResourceState.FAILED, ResourceState.OFFLINE) and held.may_run:
            _stop_rest(desk, group, name, now, plan)
        elif held.state is ResourceState.OFFLINE_PENDING and not desk.hosts.is_busy(name, is_terminating=True):
            _call(desk, group, name, Verb.OFFLINE, "user-requested", now, plan)
    _drop_removed(desk, group)
    if group.is_given_up:
        return
    is_leaving = desk.is_node_stopping or group.assignment.order is Order.RELEASE
    if is_leaving and is_empty_here(group):
        group.is_released = True
    _report(desk, view, group, now, plan)


def _obey_operator(desk: Desk, group: OwnedGroup, now: Now) -> None:
    """Requests that are facts in the database and are carried out once."""
    if group.reset_id != group.record.reset_id:
        group.reset_id = group.record.reset_id
        group.failed_over_by, group.failed_over_because = ResourceId(""), ""
        for name, held in group.held.items():
            group.held[name] = (
                replace(held, restarts=(), next_action="restart", next_action_cluster_ms=1)
                if held.state is ResourceState.FAILED
                else replace(held, restarts=(), next_action="", next_action_cluster_ms=0)
            )
    for name, record in group.records.items():
        held = group.held[name]
        if record.fail_id != held.fail_id:
            group.held[name] = replace(held, fail_id=record.fail_id)
            apply(desk, group, name, Happening.CHECK_FAILED, "an operator asked it to fail", now)


def _settle_unwanted(desk: Desk, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
    held = group.held[name]
    if held.state is ResourceState.ONLINE_PENDING:
        desk.hosts.supersede(held.name)
        apply(desk, group, name, Happening.OFFLINE_ASKED, "", now)
        _call(desk, group, name, Verb.TERMINATE, "wanted no more", now, plan)
    elif held.state is ResourceState.FAILED and not held.may_run:
        apply(desk, group, name, Happening.RECYCLED, "", now)
    elif held.state is ResourceState.OFFLINE and held.next_action:
        group.held[name] = replace(held, next_action="", next_action_cluster_ms=0)
    if group.failed_over_by == held.name and group.assignment.order is Order.RUN:
        group.failed_over_by, group.failed_over_because = ResourceId(""), ""


def _bring_online(desk: Desk, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
    held = group.held[name]
    if not group.is_confirmed or held.may_run or desk.hosts.is_busy(name, is_terminating=False):
        return
    if held.state is ResourceState.FAILED and not held.next_action:
        return
    if now.cluster_ms < held.next_action_cluster_ms:
        desk.look_at(group, now.now_ms + held.next_action_cluster_ms - now.cluster_ms)
        return
    host, start = desk.hosts.ensure(held.name, group.settings[name])
    if start is not None:
        plan.starts.append(start)
    if not desk.hosts.is_up(host):
        return
    if held.next_action == "restart":
        held = replace(held, restarts=with_restart(held.restarts, desk.node, now.cluster_ms))
    elif held.next_action == "retry":
        held = replace(held, restarts=())
        group.failed_over_by, group.failed_over_because = ResourceId(""), ""
    group.held[name] = replace(held, may_run=True, evidence="")
    because = group.assignment.because.text if not held.sequence else ""
    apply(desk, group, name, Happening.ONLINE_ASKED, because, now)
    desk.hosts.place(held.name, host)
    _call(desk, group, name, Verb.ONLINE, "", now, plan)


def _stop_rest(desk: Desk, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
    """What failed or ended is stopped at once, and again after a pause when that did not work."""
    again_ms = desk.stop_again_ms.get(name, 0)
    if now.now_ms < again_ms:
        desk.look_at(group, again_ms)
    else:
        _call(desk, group, name, Verb.TERMINATE, "failed", now, plan)


def _call(desk: Desk, group: OwnedGroup, name: str, verb: Verb, reason: str, now: Now, plan: OwnerPlan) -> None:
    """Send a call unless one of its kind is under way; what stops something waits between attempts."""
    held = group.held[name]
    if desk.hosts.is_busy(name, is_terminating=verb is Verb.TERMINATE):
        return
    host, start = desk.hosts.ensure(held.name, group.settings[name])
    if start is not None:
        plan.starts.append(start)
    if not desk.hosts.is_up(host):
        return
    record = group.records.get(name)
    call = HostCall(
        desk.hosts.next_call_id(),
        host,
        verb,
        held.name,
        record.type if record else "",
        group.record.name,
        group.assignment.generation,
        desk.incarnation,
        record.private if record else {},
        group.settings[name],
        reason,
    )
    desk.hosts.began(call, now.now_ms)
    plan.calls.append(call)


def _report(desk: Desk, view: DatabaseView, group: OwnedGroup, now: Now, plan: OwnerPlan) -> None:
    if group.is_reporting:
        return
    if not group.is_confirmed:
        _heed_predecessor(view, group)
    report = report_of(group, desk.node, desk.incarnation)
    if report != group.last_report or not group.is_confirmed:
        group.is_reporting = True
        plan.reports.append(propose_report(view, group, report, now.wall_ms))


def _heed_predecessor(view: DatabaseView, group: OwnedGroup) -> None:
    """A release that an earlier daemon reported counts, also when it was committed after this one started."""
    report = view.report(group.record.name)
    if report is not None and report.generation == group.assignment.generation and report.is_released:
        group.is_released = True


def _drop_removed(desk: Desk, group: OwnedGroup) -> None:
    for name in [each for each, held in group.held.items() if each not in group.records]:
        held = group.held[name]
        if not held.may_run and held.state is ResourceState.OFFLINE:
            del group.held[name], group.settings[name]
            desk.forget_resource(name, group)
            group.dependencies.pop(name, None)
            group.order = tuple(each for each in group.order if each != name)


_REASON_TEXT = {
    "shutting-down": "the node is being stopped",
    "provider-lost": "a resource that it depends on is not online",
    "moving": "the group leaves this node",
    "user-requested": "an operator asked for it",
}
