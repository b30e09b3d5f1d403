"""Where are hands kept off, since when and by whom, and how is that asked for? Pure. Planners and what is shown.

A request is a wish. It is in force once the owner says so: during a recovery it waits for its end. Nothing else may be asked
of what is hands-off, for nothing would come of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from clusterd.api.checks import refuse
from clusterd.api.finding import find_group, find_node, find_resource
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.times import time_text
from clusterd.database import DatabaseView, Draft
from clusterd.model.events import MAINTENANCE_BEGUN, MAINTENANCE_ENDED
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.maintenance import HandsOff, Level, group_hands_off, group_pinned_by, resource_hands_off
from clusterd.model.records import ClusterRecord, GroupRecord, Maintenance, NodeRecord, ResourceRecord
from clusterd.model.states import GroupStatus

if TYPE_CHECKING:
    from clusterd.api.observed import ObservedGroup

RULE = "hands-off"
R = TypeVar("R", ClusterRecord, NodeRecord, GroupRecord, ResourceRecord)


# ---- asking for it ----


def maintenance(kind: str, name: str, *, is_on: bool, reason: str = "", notes: tuple[str, ...] = ()) -> Planner:
    """Keep hands off the cluster (`name` is empty), a node with every group on it, a group or a resource; or no more.
    `notes`: what was found out before, for who asked."""
    match kind:
        case "cluster":
            return _planner(lambda view: view.cluster(), kind, is_on=is_on, reason=reason, notes=notes)
        case "node":
            return _planner(lambda view: find_node(view, name), kind, is_on=is_on, reason=reason, notes=notes)
        case "group":
            return _planner(lambda view: find_group(view, name), kind, is_on=is_on, reason=reason, notes=notes)
        case _:
            return _planner(lambda view: find_resource(view, name), kind, is_on=is_on, reason=reason, notes=notes)


def _planner(
    find: Callable[[DatabaseView], R], kind: str, *, is_on: bool, reason: str, notes: tuple[str, ...]
) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find(view)
        what = "the cluster" if kind == "cluster" else f"{kind} {record.name}"
        subject = kind if kind == "cluster" else what
        made = Plan(Draft(view), wait_for=[f"{subject} {'hands-off' if is_on else 'hands-on'}"])
        before = record.maintenance
        if (before is not None) == is_on and (before is None or not reason or before.reason == reason):
            made.notes.append(f"{what} is {'' if is_on else 'not '}in maintenance already")
            return made
        after = Maintenance(asked.request_id, reason, asked.wall_ms, asked.by) if is_on else None
        made.draft.replace(replace(record, maintenance=after))
        detail = "maintenance: on" + (f" ({reason})" if reason else "") if is_on else "maintenance: off"
        made.add("update", kind, record.name, detail)
        _say(made, asked, record, kind, what, is_on=is_on)
        covered = _still_covered(view, record, is_on=is_on)
        if covered:
            made.wait_for = []  # hands stay off as long as that lasts
        made.notes += covered
        made.notes += notes
        return made

    return plan


def _say(plan: Plan, asked: Asked, record: R, kind: str, what: str, *, is_on: bool) -> None:
    text = f"hands off: {what} is in maintenance" if is_on else f"maintenance of {what} ends: failures are judged again"
    group = record.group if isinstance(record, ResourceRecord) else record.name if kind == "group" else ""
    resource = record.name if kind == "resource" else ""
    plan.event(asked, MAINTENANCE_BEGUN if is_on else MAINTENANCE_ENDED, text, group=group, resource=resource)


def _still_covered(view: DatabaseView, record: R, *, is_on: bool) -> list[str]:
    """Maintenance of something larger goes on when that of the part ends."""
    if is_on or isinstance(record, ClusterRecord):
        return []
    wider: HandsOff | None = None
    if isinstance(record, NodeRecord):
        whole = view.cluster().maintenance
        wider = HandsOff(Level.CLUSTER, "", whole) if whole is not None else None
    elif isinstance(record, GroupRecord):
        wider = hands_off_group(view, replace(record, maintenance=None))
    else:
        group = view.group(record.group)
        wider = hands_off_group(view, group) if group is not None else None
    return [f"hands stay off: {wider.scope} is in maintenance"] if wider is not None else []


# ---- what it means for other requests ----


def hands_off_group(view: DatabaseView, group: GroupRecord) -> HandsOff | None:
    """Maintenance that covers the group where it is now."""
    return group_hands_off(view.cluster(), _owner_node(view, group), group)


def pinned_group(view: DatabaseView, group: GroupRecord) -> HandsOff | None:
    """Maintenance of the group, or of one resource of it: with that, all of it can neither stop nor move."""
    return group_pinned_by(hands_off_group(view, group), view.resources_of(group.name))


def hands_off_resource(view: DatabaseView, resource: ResourceRecord) -> HandsOff | None:
    group = view.group(resource.group)
    if group is None:
        return None
    return resource_hands_off(view.cluster(), _owner_node(view, group), group, resource)


def node_hands_off(view: DatabaseView, record: NodeRecord) -> HandsOff | None:
    """Maintenance of a node, or of the whole cluster."""
    return group_hands_off(view.cluster(), record, GroupRecord(GroupId("")))


def refuse_hands_off(found: HandsOff | None, what: str) -> None:
    """Raise Refused when maintenance forbids `what`, with the command that ends it."""
    if found is not None:
        refuse([found.text], what, hint=f"end it first: {end_command(found)}", rule=RULE)


def end_command(found: HandsOff) -> str:
    """clusterctl group maintenance web off."""
    if found.level is Level.CLUSTER:
        return "clusterctl cluster maintenance off"
    return f"clusterctl {found.level} maintenance {found.name} off"


def _owner_node(view: DatabaseView, group: GroupRecord) -> NodeRecord | None:
    assignment = view.assignment_of(group)
    return view.node(assignment.owner) if assignment is not None and assignment.owner else None


# ---- how far it has come ----


def is_in_force(group: "ObservedGroup") -> bool:
    """Whether the owner keeps its hands off. Where nothing runs it needs no owner for that."""
    if group.owner is None or group.assignment is None or GroupStatus.HANDS_OFF in group.assignment.status:
        return True
    return group.report is not None and group.report.is_hands_off


def waiting_groups(groups: Iterable["ObservedGroup"], *, is_on: bool) -> list[str]:
    """Groups whose owner has not taken the beginning (or the end) of maintenance over yet."""
    return [
        str(each.record.name)
        for each in groups
        if (not is_in_force(each) if is_on else each.report is not None and each.report.is_hands_off)
    ]


def groups_on(groups: Iterable["ObservedGroup"], node: NodeId) -> list["ObservedGroup"]:
    return [each for each in groups if each.owner == node]


def maintenance_view(found: HandsOff | None, *, in_force: bool, waits_for: str = "") -> dict[str, Any] | None:
    """Since when, by whom and why; and whether it is in force or waits for the end of something."""
    if found is None:
        return None
    return {
        "scope": found.scope,
        "since": time_text(found.maintenance.asked_wall_ms),
        "by": found.maintenance.asked_by,
        "reason": found.maintenance.reason,
        "in_force": in_force,
        "waits_for": "" if in_force else waits_for,
    }
