"""What does an owner tell the cluster about a group? Pure."""

from dataclasses import dataclass

from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.events import (
    GROUP_RELEASED,
    GROUP_STATE_CHANGED,
    RESOURCE_RESTARTED,
    RESOURCE_STATE_CHANGED,
    RESOURCE_STUCK,
    Event,
)
from clusterd.model.ids import GroupId, Incarnation, NodeId
from clusterd.model.records import EventRecord, ReportRecord, ResourceReport
from clusterd.model.states import PENDING_STATES, Order, ResourceState, group_state
from clusterd.owner.group import OwnedGroup
from clusterd.owner.machine import Held


@dataclass(frozen=True, slots=True)
class ReportProposal:
    """A report to commit. It holds only while the assignment that it is about stands."""

    group: GroupId
    report: ReportRecord
    draft: Draft


def report_of(group: OwnedGroup, node: NodeId, incarnation: Incarnation) -> ReportRecord:
    """The group as this node sees it now."""
    return ReportRecord(
        group.record.name,
        node,
        incarnation,
        group.assignment.generation,
        tuple(_resource_report(group.held[name]) for name in group.order),
        is_released=group.is_released,
        failed_over_by=group.failed_over_by,
        failed_over_because=group.failed_over_because,
        reset_id=group.reset_id,
    )


def propose_report(view: DatabaseView, group: OwnedGroup, report: ReportRecord, wall_ms: int) -> ReportProposal:
    """The transaction for `report`, with the events that explain what changed since the last one."""
    draft = Draft(view).replace(report).expect(keys.assignment(group.record.name))
    for event in _events(group, group.last_report, report, wall_ms):
        draft.event(event)
    return ReportProposal(group.record.name, report, draft)


def _resource_report(held: Held) -> ResourceReport:
    return ResourceReport(
        held.name,
        held.state,
        sequence=held.sequence,
        since_wall_ms=held.since_wall_ms,
        cause=held.cause,
        restarts=held.restarts,
        pid=held.pid,
        next_action=held.next_action,
        next_action_cluster_ms=held.next_action_cluster_ms,
        fail_id=held.fail_id,
        evidence=held.evidence,
        may_run=held.may_run,
    )


def _events(group: OwnedGroup, before: ReportRecord | None, after: ReportRecord, wall_ms: int) -> list[EventRecord]:
    known = {each.name: each for each in before.resources} if before else {}
    events: list[EventRecord] = []

    def add(kind: Event, message: str, because: str = "", resource: str = "", level: str = "") -> None:
        events.append(
            EventRecord(
                wall_ms,
                kind.name,
                level or kind.level,
                node=after.node,
                group=after.group,
                resource=resource,
                message=message,
                because=because,
            )
        )

    for each in after.resources:
        was = known.get(each.name)
        was_state = was.state if was else ResourceState.OFFLINE
        if each.state is not was_state and each.state not in PENDING_STATES:
            level = "error" if each.state is ResourceState.FAILED else "info"
            add(RESOURCE_STATE_CHANGED, f"{each.name} is {each.state}", each.cause, each.name, level)
        if was is not None and len(each.restarts) > len(was.restarts):
            add(RESOURCE_RESTARTED, f"{each.name} is restarted on {after.node}", each.cause, each.name)
        if each.evidence and (was is None or was.evidence != each.evidence):
            add(RESOURCE_STUCK, f"{each.name} could not be stopped", each.evidence, each.name)
    was_group = group_state(each.state for each in before.resources) if before else group_state(())
    now_group = group_state(each.state for each in after.resources)
    if now_group is not was_group and now_group not in ("pending",):
        add(GROUP_STATE_CHANGED, f"{group.record.name} is {now_group} on {after.node}")
    if after.is_released and not (before and before.is_released):
        because = (
            group.assignment.because.text if group.assignment.order is Order.RELEASE else "the node is being stopped"
        )
        add(GROUP_RELEASED, f"{after.node} runs nothing of {group.record.name} any more", because)
    return events
