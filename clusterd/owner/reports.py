"""What does an owner tell the cluster about a group? Pure."""

from dataclasses import dataclass, replace

from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.ids import GroupId, Incarnation, NodeId
from clusterd.model.records import EventRecord, ReportRecord, ResourceRecord, ResourceReport
from clusterd.owner.bounds import REPORT_BYTES_MAX, Bounds
from clusterd.owner.group import OwnedGroup
from clusterd.owner.journeys import migration_report
from clusterd.owner.machine import Held
from clusterd.owner.renewal import outdated
from clusterd.owner.report_events import report_events


@dataclass(frozen=True, slots=True)
class ReportProposal:
    """A report to commit. It holds only while the assignment that it is about stands."""

    group: GroupId
    report: ReportRecord
    draft: Draft
    warnings: tuple[tuple[str, str], ...] = ()
    """What hosts warned of, told with it."""


def report_of(group: OwnedGroup, node: NodeId, incarnation: Incarnation) -> ReportRecord:
    """The group as this node sees it now, within the group's bounds."""
    bounds = group.bounds
    return ReportRecord(
        group.record.name,
        node,
        incarnation,
        group.assignment.generation,
        tuple(_resource_report(group.held[name], group.records.get(name), bounds) for name in group.order),
        is_released=group.is_released,
        failed_over_by=group.failed_over_by,
        failed_over_because=bounds.text(group.failed_over_because),
        reset_id=group.reset_id,
        was_online=group.was_online,
        is_hands_off=group.is_hands_off,
        steps=tuple(replace(each, text=bounds.text(each.text)) for each in group.steps),
        waits_for_node=group.waits_for_node,
        migration=migration_report(group),
    )


def says_the_same(report: ReportRecord, before: ReportRecord | None) -> bool:
    """Whether a report would be no news. Steps ride on reports that are made anyway."""
    return before is not None and replace(report, steps=before.steps) == before


def propose_report(view: DatabaseView, group: OwnedGroup, report: ReportRecord, wall_ms: int) -> ReportProposal:
    """The transaction for `report`, with the events that explain what changed since the last one."""
    draft = Draft(view).replace(report).expect(keys.assignment(group.record.name))
    for event in _bounded(report_events(group, group.last_report, report, wall_ms), group.bounds):
        draft.event(event)
    return ReportProposal(group.record.name, report, draft, tuple(group.warnings))


def fitted_report(
    view: DatabaseView, group: OwnedGroup, node: NodeId, incarnation: Incarnation, wall_ms: int
) -> ReportProposal | None:
    """The report to make now, small enough to be taken; None: it would be no news. The group's bounds stay what it took."""
    while True:
        report = report_of(group, node, incarnation)
        if says_the_same(report, group.last_report) and group.is_confirmed and not group.warnings:
            return None
        proposal = propose_report(view, group, report, wall_ms)
        tighter = group.bounds.tighter()
        if proposal.draft.size_bytes <= REPORT_BYTES_MAX or tighter is None:
            return proposal
        group.bounds = tighter


def _bounded(events: list[EventRecord], bounds: Bounds) -> list[EventRecord]:
    """The first ones; of the rest only how many there are."""
    told = [replace(each, because=bounds.text(each.because)) for each in events]
    if len(told) <= bounds.events:
        return told
    left = len(told) - bounds.events + 1
    last = replace(told[-1], resource="", message=f"{left} more changes, the last: {told[-1].message}")
    return [*told[: bounds.events - 1], last]


def _resource_report(held: Held, record: ResourceRecord | None, bounds: Bounds) -> ResourceReport:
    in_force, is_outdated = outdated(held, record)
    return ResourceReport(
        held.name,
        held.state,
        sequence=held.sequence,
        since_wall_ms=held.since_wall_ms,
        cause=bounds.text(held.cause),
        restarts=held.restarts[-bounds.restarts :],
        pid=held.pid,
        next_action=held.next_action,
        next_action_cluster_ms=held.next_action_cluster_ms,
        fail_id=held.fail_id,
        evidence=bounds.text(held.evidence),
        may_run=held.may_run,
        embedded_failure=bounds.text(held.embedded_failure),
        concern=bounds.text(held.concern),
        doubt=bounds.text(held.doubt),
        doubt_since_wall_ms=held.doubt_since_wall_ms,
        doubt_since_cluster_ms=held.doubt_since_cluster_ms,
        is_hands_off=held.is_hands_off,
        kill_id=held.kill_id,
        ran_as=held.ran_as,
        is_apart=held.is_apart,
        left_alone=bounds.text(held.left_alone),
        restart_id=held.restart_id,
        is_outdated=is_outdated,
        in_force={name: bounds.value(value, name) for name, value in in_force.items()},
    )
