"""What should be done now about one owned group? Pure. Calls, and the report that the cluster should get."""

from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.model.ids import ResourceId
from clusterd.model.states import NextAction, Order, ResourceState
from clusterd.owner import arriving, departing
from clusterd.owner.calling import ask, call_of
from clusterd.owner.commands import CallReason, Verb, host_times
from clusterd.owner.consequences import apply, rejoin
from clusterd.owner.departing import depart, is_moved
from clusterd.owner.desk import Desk
from clusterd.owner.doubts import adopt_doubt, doubt_ends_cluster_ms
from clusterd.owner.group import OwnedGroup, intend, is_empty_here
from clusterd.owner.hands_off import begin_hands_off, end_hands_off
from clusterd.owner.journeys import went_on
from clusterd.owner.machine import Happening
from clusterd.owner.now import Now
from clusterd.owner.plan import OwnerPlan
from clusterd.owner.policy import with_restart
from clusterd.owner.renewal import without_restart
from clusterd.owner.reports import fitted_report
from clusterd.owner.telling import heed, is_known, note_definitions


def plan_group(desk: Desk, view: DatabaseView, group: OwnedGroup, now: Now, plan: OwnerPlan) -> None:
    """Compare what is with what is wanted, act on the difference, and report it. A given-up group is only stopped."""
    for name, held in list(group.held.items()):
        if held.failed_meanwhile:
            apply(desk, group, name, Happening.CHECK_FAILED, "while this node's daemon restarted", now)
    end_hands_off(desk, group, now)
    _obey_operator(desk, group, now, plan)
    if depart(desk, view, group, now, plan):
        _report(desk, view, group, now, plan)
        return
    note_definitions(group)
    intent = intend(group, is_node_stopping=desk.is_node_stopping)
    if begin_hands_off(desk, group, intent):
        intent = intend(group, is_node_stopping=desk.is_node_stopping)
    for name in sorted(intent.unwanted):
        _settle_unwanted(desk, group, name, now, plan)
    for name, reason in intent.to_take_offline.items():
        apply(desk, group, name, Happening.OFFLINE_ASKED, _REASON_TEXT[reason], now)
        # What has moved has nothing left to end in good order, and its clients wait.
        verb = Verb.TERMINATE if is_moved(group, name) else Verb.OFFLINE
        ask(desk, group, name, verb, reason, now, plan)
    for name in intent.to_cancel:
        _cancel_online(desk, group, name, _REASON_TEXT[CallReason.PROVIDER_LOST], now, plan)
    for name in intent.to_bring_online:
        _bring_online(desk, group, name, now, plan)
    for name, held in group.held.items():
        if held.is_hands_off:
            continue
        if held.state in (ResourceState.FAILED, ResourceState.OFFLINE) and held.may_run:
            _stop_rest(desk, group, name, now, plan)
        elif held.state is ResourceState.OFFLINE_PENDING and held.stop_trouble:
            ask(desk, group, name, Verb.TERMINATE, CallReason.FAILED, now, plan)
        elif held.state is ResourceState.OFFLINE_PENDING and not desk.hosts.is_busy(name, is_terminating=True):
            ask(desk, group, name, Verb.OFFLINE, CallReason.USER_REQUESTED, now, plan)
        elif held.state is ResourceState.ONLINE:
            _keep_times(desk, group, name, plan)
            _bound_doubt(desk, group, name, now)
    _drop_removed(desk, group)
    if group.is_given_up:
        return
    _conclude(desk, group, now)
    _report(desk, view, group, now, plan)


def _conclude(desk: Desk, group: OwnedGroup, now: Now) -> None:
    """What is true of the group as a whole from now on, under this generation."""
    wanted = group.wanted
    if wanted and wanted <= group.online:
        group.was_online = True
        went_on(group, now)
    if not is_empty_here(group):
        return
    is_leaving = desk.is_node_stopping and not desk.keeps_groups
    if group.has_moved or group.is_deleted or group.assignment.order is Order.RELEASE or is_leaving:
        group.is_released = True
    elif desk.is_node_stopping:
        group.waits_for_node = True


def _obey_operator(desk: Desk, group: OwnedGroup, now: Now, plan: OwnerPlan) -> None:
    """Requests that are facts in the database and are carried out once; during maintenance they wait for its end."""
    if group.reset_id != group.record.reset_id and not any(held.is_hands_off for held in group.held.values()):
        group.reset_id = group.record.reset_id
        rejoin(desk, group)
        group.failed_over_by, group.failed_over_because = ResourceId(""), ""
        for name, held in group.held.items():
            group.held[name] = (
                replace(held, restarts=(), next_action=NextAction.RESUME, next_action_cluster_ms=1)
                if held.state is ResourceState.FAILED
                else replace(held, restarts=(), next_action=NextAction.NONE, next_action_cluster_ms=0)
            )
    for name, record in group.records.items():
        held = group.held[name]
        if held.is_hands_off:
            continue
        if record.fail_id != held.fail_id:
            group.held[name] = replace(held, fail_id=record.fail_id)
            apply(desk, group, name, Happening.CHECK_FAILED, "an operator asked it to fail", now)
        group.held[name] = without_restart(group.held[name], record)
        if record.kill_id != held.kill_id:
            group.held[name] = replace(group.held[name], kill_id=record.kill_id)
            _kill(desk, group, name, now, plan)


def _kill(desk: Desk, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
    """Kill everything of it, beside whatever is under way. What was online has failed then."""
    if not group.held[name].may_run:
        return
    desk.hosts.supersede(group.held[name].name)
    apply(desk, group, name, Happening.CHECK_FAILED, "an operator had everything of it killed", now)
    ask(desk, group, name, Verb.TERMINATE, CallReason.KILLED, now, plan, is_urgent=True)


def _settle_unwanted(desk: Desk, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
    held = group.held[name]
    if held.is_prepared:  # whatever arrived will not go on: it is stopped like anything that may run
        group.held[name] = held = replace(held, is_prepared=False, may_run=True)
    if held.state is ResourceState.ONLINE_PENDING:
        _cancel_online(desk, group, name, "it is wanted no more", now, plan)
    elif held.state is ResourceState.FAILED and not held.may_run:
        apply(desk, group, name, Happening.RECYCLED, "", now)
    elif held.state is ResourceState.OFFLINE and held.next_action:
        group.held[name] = replace(held, next_action=NextAction.NONE, next_action_cluster_ms=0)
    if group.failed_over_by == held.name and group.assignment.order is not Order.RELEASE:
        group.failed_over_by, group.failed_over_because = ResourceId(""), ""


def _cancel_online(desk: Desk, group: OwnedGroup, name: str, because: str, now: Now, plan: OwnerPlan) -> None:
    desk.hosts.supersede(group.held[name].name)
    apply(desk, group, name, Happening.OFFLINE_ASKED, because, now)
    ask(desk, group, name, Verb.TERMINATE, CallReason.PROVIDER_LOST, now, plan)


def _bring_online(desk: Desk, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
    held = group.held[name]
    if not group.is_confirmed or held.may_run or desk.hosts.is_busy(name, is_terminating=False):
        return
    if held.state is ResourceState.FAILED and not held.next_action:
        return
    if now.cluster_ms < held.next_action_cluster_ms:
        desk.look_at(group, now.now_ms + held.next_action_cluster_ms - now.cluster_ms)
        return
    if not is_known(group, held):
        return
    host = desk.hosts.ensure(held.name, group.settings[name])
    if trouble := desk.hosts.trouble(host):
        apply(desk, group, name, Happening.ONLINE_ASKED, "", now)
        apply(desk, group, name, Happening.ONLINE_FAILED, f"its resource host {host} does not start: {trouble}", now)
        return
    if not desk.hosts.is_up(host):
        return
    if held.next_action is NextAction.RESTART:
        period_ms = group.settings[name].restart_period_ms
        held = replace(held, restarts=with_restart(held.restarts, desk.node, now.cluster_ms, period_ms))
    elif held.next_action is NextAction.RETRY:
        held = replace(held, restarts=())
        group.failed_over_by, group.failed_over_because = ResourceId(""), ""
    group.held[name] = replace(held, may_run=True, is_prepared=False, evidence="")
    because = group.assignment.because.text if not held.sequence else ""
    apply(desk, group, name, Happening.ONLINE_ASKED, because, now)
    record = group.records.get(name)
    if record is not None:
        group.held[name] = replace(group.held[name], told=record.private, restart_id=record.restart_id)
    desk.hosts.place(held.name, host)
    ask(desk, group, name, Verb.ONLINE, CallReason.NONE, now, plan)


def _stop_rest(desk: Desk, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
    """What failed or ended is stopped at once, and again after a pause when that did not work."""
    again_ms = desk.stop_again_ms.get(name, 0)
    if now.now_ms < again_ms:
        desk.look_at(group, again_ms)
    else:
        ask(desk, group, name, Verb.TERMINATE, CallReason.FAILED, now, plan)


def _keep_times(desk: Desk, group: OwnedGroup, name: str, plan: OwnerPlan) -> None:
    """A host that checks by other times than those in force is told. Nobody waits for its answer."""
    times = host_times(group.settings[name])
    if desk.told.get(name) == times:
        return
    held = group.held[name]
    host = desk.hosts.ensure(held.name, group.settings[name])
    if desk.hosts.is_up(host):
        desk.told[name] = times
        plan.calls.append(call_of(desk, group, name, host, Verb.TIMES, CallReason.NONE))


def _bound_doubt(desk: Desk, group: OwnedGroup, name: str, now: Now) -> None:
    """What nobody can tell for too long has failed."""
    adopt_doubt(group, name, now)
    ends_cluster_ms = doubt_ends_cluster_ms(group, name)
    if ends_cluster_ms is None:
        return
    if now.cluster_ms < ends_cluster_ms:
        desk.look_at(group, now.now_ms + ends_cluster_ms - now.cluster_ms)
        return
    limit_ms, doubt = group.settings[name].health_unknown_timeout_ms, group.held[name].doubt
    because = f"its health was unknown for {limit_ms} ms (health_unknown_timeout): {doubt}"
    apply(desk, group, name, Happening.CHECK_FAILED, because, now)


def _report(desk: Desk, view: DatabaseView, group: OwnedGroup, now: Now, plan: OwnerPlan) -> None:
    if group.is_reporting or departing.is_quiet(desk, group, now) or arriving.is_quiet(desk, group, now):
        return
    if not group.is_confirmed:
        _heed_predecessor(view, group)
    if now.now_ms < group.report_not_before_ms:
        desk.look_at(group, group.report_not_before_ms)
        return
    proposal = fitted_report(view, group, desk.node, desk.incarnation, now.wall_ms)
    if proposal is not None:
        group.is_reporting, group.warnings = True, []
        plan.reports.append(proposal)


def _heed_predecessor(view: DatabaseView, group: OwnedGroup) -> None:
    """A release that an earlier daemon reported counts, also when it was committed after this one started; and what it said
    of what runs."""
    report = view.report(group.record.name)
    if report is not None and report.generation == group.assignment.generation:
        group.is_released = group.is_released or report.is_released
        heed(group, report)


def _drop_removed(desk: Desk, group: OwnedGroup) -> None:
    for name in [each for each, held in group.held.items() if each not in group.records]:
        held = group.held[name]
        if not held.may_run and held.state is ResourceState.OFFLINE:
            del group.held[name], group.settings[name]
            desk.forget_resource(name, group)
            group.dependencies.pop(name, None)
            group.order = tuple(each for each in group.order if each != name)


_REASON_TEXT = {
    CallReason.SHUTTING_DOWN: "the node is being stopped",
    CallReason.RESTARTING: "an operator asked for a restart",
    CallReason.PROVIDER_LOST: "a resource that it depends on is not online",
    CallReason.MOVING: "the group leaves this node",
    CallReason.MIGRATED: "it is at the destination of its live migration",
    CallReason.USER_REQUESTED: "an operator asked for it",
    CallReason.DELETING: "it was deleted",
    CallReason.PREEMPTED: "it made room for a group of higher priority",
}
