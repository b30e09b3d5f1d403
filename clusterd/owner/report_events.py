"""Which lines of the timeline explain what changed between two reports of an owner? Pure."""

from collections.abc import Iterator

from clusterd.model.events import (
    CONCERN_ENDED,
    CONCERN_RAISED,
    EMBEDDED_FAILURE_ENDED,
    EMBEDDED_FAILURE_REPORTED,
    GROUP_RELEASED,
    GROUP_STATE_CHANGED,
    HANDS_OFF_ENTERED,
    HANDS_OFF_LEFT,
    HEALTH_KNOWN,
    HEALTH_UNKNOWN,
    MIGRATION_FAILED,
    MIGRATION_MOVED,
    RESOURCE_RESTARTED,
    RESOURCE_SET_APART,
    RESOURCE_STATE_CHANGED,
    RESOURCE_STUCK,
    RESOURCE_WARNED,
    Event,
)
from clusterd.model.reasons import why_text
from clusterd.model.records import EventRecord, ReportRecord, ResourceReport
from clusterd.model.states import PENDING_STATES, GroupState, Order, ResourceState, group_state
from clusterd.owner.group import OwnedGroup

_Line = tuple[Event, str, str, str, str]
"""Kind, message, because, resource, level (empty: the kind's own)."""


def report_events(
    group: OwnedGroup, before: ReportRecord | None, after: ReportRecord, wall_ms: int
) -> list[EventRecord]:
    """In the order in which they are read: resources, then the group."""
    known = {each.name: each for each in before.resources} if before else {}
    lines: list[_Line] = []
    for each in after.resources:
        lines.extend(_of_resource(known.get(each.name), each, after))
        if not after.is_hands_off:
            lines.extend(_of_hands_off(group, known.get(each.name), each))
    for name, text in group.warnings:
        shown = group.held[name].name if name in group.held else name
        lines.append((RESOURCE_WARNED, f"{shown} warns", text, shown, ""))
    lines.extend(_of_group(group, before, after))
    return [
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
        for kind, message, because, resource, level in lines
    ]


def _of_resource(was: ResourceReport | None, now: ResourceReport, report: ReportRecord) -> Iterator[_Line]:
    was_state = was.state if was else ResourceState.OFFLINE
    name, why = now.name, why_text(now.cause, now.left_alone)
    if now.state is not was_state and now.state not in PENDING_STATES:
        level = "error" if now.state is ResourceState.FAILED else "info"
        yield RESOURCE_STATE_CHANGED, f"{name} is {now.state}", why, name, level
    if was is not None and now.restarts and now.restarts[-1:] != was.restarts[-1:]:
        yield RESOURCE_RESTARTED, f"{name} is restarted on {report.node}", why, name, ""
    if now.is_apart and was is not None and not was.is_apart:
        yield RESOURCE_SET_APART, f"{name} has a resource host of its own from now on", why, name, ""
    said, says = was.embedded_failure if was else "", now.embedded_failure
    if says and says != said:
        yield EMBEDDED_FAILURE_REPORTED, f"the workload inside {name} complains", says, name, ""
    elif said and not says and now.state is ResourceState.ONLINE:
        yield EMBEDDED_FAILURE_ENDED, f"the workload inside {name} complains no more", "", name, ""
    knew, knows = was.concern if was else "", now.concern
    if knows and knows != knew:
        yield CONCERN_RAISED, f"{name} runs, and needs to be looked at", knows, name, ""
    elif knew and not knows and now.state is ResourceState.ONLINE:
        yield CONCERN_ENDED, f"{name} needs not be looked at any more", "", name, ""
    yield from _of_doubt(was, now)
    if now.evidence and (was is None or was.evidence != now.evidence):
        yield RESOURCE_STUCK, f"{name} could not be stopped", now.evidence, name, ""


def _of_doubt(was: ResourceReport | None, now: ResourceReport) -> Iterator[_Line]:
    doubted = was.doubt if was else ""
    if now.doubt and not doubted:
        yield HEALTH_UNKNOWN, f"nobody can tell whether {now.name} is well", now.doubt, now.name, ""
    elif doubted and not now.doubt and now.state is ResourceState.ONLINE:
        yield HEALTH_KNOWN, f"the checks of {now.name} can tell again", "", now.name, ""


def _of_hands_off(group: OwnedGroup, was: ResourceReport | None, now: ResourceReport) -> Iterator[_Line]:
    """For single resources; what holds for the whole group is said once."""
    if was is None or was.is_hands_off == now.is_hands_off or (group.last_report and group.last_report.is_hands_off):
        return
    if now.is_hands_off:
        because = group.hands_off_resources.get(now.name.casefold(), "")
        yield HANDS_OFF_ENTERED, f"{now.name} is left alone from now on", because, now.name, ""
    else:
        yield HANDS_OFF_LEFT, f"{now.name} is looked after again", "its maintenance was ended", now.name, ""


def _of_group(group: OwnedGroup, before: ReportRecord | None, after: ReportRecord) -> Iterator[_Line]:
    name = group.record.name
    was_state = group_state(each.state for each in before.resources) if before else GroupState.OFFLINE
    now_state = group_state(each.state for each in after.resources)
    if now_state is not was_state and now_state is not GroupState.PENDING:
        yield GROUP_STATE_CHANGED, f"{name} is {now_state} on {after.node}", "", "", ""
    was_hands_off = before is not None and before.is_hands_off
    if after.is_hands_off and not was_hands_off:
        yield HANDS_OFF_ENTERED, f"{name} is left alone from now on", group.hands_off, "", ""
    elif was_hands_off and not after.is_hands_off:
        yield HANDS_OFF_LEFT, f"{name} is looked after again", _why_left(group), "", ""
    is_release = group.assignment.order in (Order.RELEASE, Order.MIGRATE)
    yield from _of_migration(before, after)
    because = group.assignment.because.text if is_release else "the node is being stopped"
    because = "it was deleted" if group.is_deleted else because
    if after.is_released and not (before and before.is_released):
        yield GROUP_RELEASED, f"{after.node} runs nothing of {name} any more", because, "", ""
    elif after.waits_for_node and not (before and before.waits_for_node):
        yield (
            GROUP_STATE_CHANGED,
            f"{name} is stopped with {after.node}",
            "others take it over once that has left",
            "",
            "",
        )


def _of_migration(before: ReportRecord | None, after: ReportRecord) -> Iterator[_Line]:
    was, now = before.migration if before else None, after.migration
    if now is None:
        return
    if now.failed and not (was and was.number == now.number and was.failed):
        yield MIGRATION_FAILED, f"{after.group} still runs on {after.node}", now.failed, "", ""
    if now.blackout_ms and not (was and was.blackout_ms):
        text = f"{after.group} goes on at {after.node}, {now.blackout_ms} ms after it stood still"
        yield MIGRATION_MOVED, text, "", "", ""


def _why_left(group: OwnedGroup) -> str:
    if group.hands_off:
        return "nothing can run here without the node's guard: maintenance does not outlast a stop of the node"
    return "its maintenance was ended"
