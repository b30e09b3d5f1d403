"""What would an owner report once it has done as it was told? Pure.

A plain model: what it is told succeeds, what is being tried again comes online, and what failed for good stays failed.
"""

from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import ResourceId, key_of
from clusterd.model.maintenance import group_hands_off
from clusterd.model.migrations import MigrationReport
from clusterd.model.records import AssignmentRecord, GroupRecord, ReportRecord, ResourceRecord, ResourceReport
from clusterd.model.states import MembershipState, NextAction, Order, ResourceState
from clusterd.model.wanted import online_wanted


def obvious_report(view: DatabaseView, assignment: AssignmentRecord, wall_ms: int) -> ReportRecord | None:
    """The report that follows; None when it stays as it is, or when nobody is there to report."""
    group = view.group_of(assignment)
    before = view.report_under(assignment)
    if not _is_owner_up(view, assignment):
        return None
    if group is None:
        return _given_up(assignment, before)
    if before is not None and (before.is_hands_off or _is_hands_off(view, assignment, group)):
        return None
    after = _obeyed(view, assignment, group, before, wall_ms)
    return None if after == before else after


def _given_up(assignment: AssignmentRecord, before: ReportRecord | None) -> ReportRecord | None:
    """The group was deleted: it is stopped and released, unless it is stuck."""
    if stuck_resources(before) or (before is not None and before.is_released):
        return None
    blank = ReportRecord(assignment.group, assignment.owner, assignment.incarnation, assignment.generation)
    return replace(before or blank, resources=(), is_released=True)


def stuck_resources(report: ReportRecord | None) -> list[ResourceReport]:
    """What could not be stopped, so that the group cannot leave its owner."""
    return [each for each in report.resources if each.evidence and each.may_run] if report else []


def _is_owner_up(view: DatabaseView, assignment: AssignmentRecord) -> bool:
    member = view.membership(assignment.owner) if assignment.owner else None
    is_up = member is not None and member.state is MembershipState.UP
    return is_up and member is not None and member.incarnation == assignment.incarnation


def _is_hands_off(view: DatabaseView, assignment: AssignmentRecord, group: GroupRecord) -> bool:
    return group_hands_off(view.cluster(), view.node(assignment.owner), group) is not None


def _obeyed(
    view: DatabaseView,
    assignment: AssignmentRecord,
    group: GroupRecord,
    before: ReportRecord | None,
    wall_ms: int,
) -> ReportRecord:
    is_forgiven = before is None or before.reset_id != group.reset_id
    said = {key_of(each.name): each for each in before.resources} if before else {}
    runs = _running(view, assignment, group, {} if is_forgiven else said)
    stuck = {key_of(each.name) for each in stuck_resources(before)}
    resources = []
    for record in view.resources_of(group.name):
        key = key_of(record.name)
        last = said.get(key) or ResourceReport(record.name, ResourceState.OFFLINE)
        resources.append(last if key in stuck else _done(record, last, runs.get(key), wall_ms))
    is_released = assignment.order in (Order.RELEASE, Order.MIGRATE) and not stuck
    is_migrated = is_released and assignment.order is Order.MIGRATE
    is_all_online = assignment.order is Order.RUN and all(
        each.state is ResourceState.ONLINE
        for each in resources
        if key_of(each.name) in online_wanted(group, view.resources_of(group.name))
    )
    blank = ReportRecord(group.name, assignment.owner, assignment.incarnation, assignment.generation)
    return replace(
        before or blank,
        resources=tuple(resources),
        is_released=is_released,
        migration=MigrationReport(assignment.migration, 100, is_moved=True) if is_migrated else None,
        failed_over_by=ResourceId("") if is_forgiven or before is None else before.failed_over_by,
        failed_over_because="" if is_forgiven or before is None else before.failed_over_because,
        reset_id=group.reset_id,
        was_online=is_all_online or (before is not None and before.was_online),
    )


def _running(
    view: DatabaseView, assignment: AssignmentRecord, group: GroupRecord, said: dict[str, ResourceReport]
) -> dict[str, ResourceState]:
    """What is online (or stays failed), in order of dependency; everything else is offline."""
    if assignment.order is not Order.RUN:
        return {}
    records = {key_of(each.name): each for each in view.resources_of(group.name)}
    failed = {key for key, each in said.items() if each.state is ResourceState.FAILED and not each.next_action}
    found = {key: ResourceState.FAILED for key in failed if key in records}
    waiting = sorted(online_wanted(group, records.values()) - failed)
    online: set[str] = set()
    while waiting:
        ready = [key for key in waiting if parse_dependency(records[key].depends_on).is_satisfied(online)]
        if not ready:
            break
        online.update(ready)
        waiting = [key for key in waiting if key not in online]
    return {**found, **dict.fromkeys(sorted(online), ResourceState.ONLINE)}


def _done(record: ResourceRecord, last: ResourceReport, state: ResourceState | None, wall_ms: int) -> ResourceReport:
    now = state or ResourceState.OFFLINE
    if last.state is now and last.fail_id == record.fail_id:
        return last
    return replace(
        last,
        state=now,
        sequence=last.sequence + 1,
        since_wall_ms=wall_ms,
        cause="",
        next_action=NextAction.NONE,
        next_action_cluster_ms=0,
        fail_id=record.fail_id,
        may_run=now is ResourceState.ONLINE,
    )
