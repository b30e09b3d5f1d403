"""What do create, set and delete of a group change in the database? Pure. Planners.

A value of None in given properties means "back to the default". A new group is wanted offline, as in the reference: nothing
starts before it is complete and somebody says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from clusterd.api.checks import (
    PartProblem,
    changed_parts,
    delete_refusals,
    known_nodes,
    known_site,
    refuse,
    refuse_bad,
)
from clusterd.api.edits_rules import forget_group
from clusterd.api.finding import find_group, observe
from clusterd.api.guarantees import sole_effect_notes
from clusterd.api.left_behind import left_behind
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.property_edits import merged, property_changes, refuse_name
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.errors import Refused
from clusterd.model.events import CONFIGURATION_APPLIED
from clusterd.model.ids import GroupId
from clusterd.model.owner_notes import owner_notes
from clusterd.model.records import GroupRecord, Json, NodeRecord
from clusterd.model.settings_catalogue import Scope
from clusterd.model.settings_relations import group_notes
from clusterd.model.states import GroupState, Wanted


@dataclass(frozen=True, slots=True)
class GroupEdit:
    """What to change about a group; None leaves a part alone."""

    properties: Mapping[str, Json] | None = None
    preferred_owners: tuple[str, ...] | None = None
    wanted: Wanted | None = None


def group_create(name: str, edit: GroupEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        refuse_name(name)
        if view.group(name) is not None:
            raise Refused(f"there is a group {name} already", hint=f"to change it: clusterctl group set {name} …")
        made = Plan(Draft(view))
        after = _edited_group(view, GroupRecord(GroupId(name), wanted=Wanted.OFFLINE, id=asked.request_id), edit)
        put_group(view, made, None, after)
        made.add("create", "group", name)
        made.event(asked, CONFIGURATION_APPLIED, f"group {name} created", group=name)
        return made

    return plan


def group_set(name: str, edit: GroupEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        before = find_group(view, name)
        made = Plan(Draft(view))
        after = _edited_group(view, before, edit)
        if after != before:
            put_group(view, made, before, after)
            if after.preferred_owners != before.preferred_owners:
                made.notes += owner_notes(after, view.resources_of(after.name))
            if after.properties != before.properties:
                made.notes += sole_effect_notes(view, after)
            made.add("update", "group", before.name, *group_differences(before, after))
            details = "; ".join(made.changes[-1].details)
            made.event(asked, CONFIGURATION_APPLIED, f"group {before.name}: {details}", group=before.name)
        return made

    return plan


def put_group(view: DatabaseView, plan: Plan, before: GroupRecord | None, after: GroupRecord) -> None:
    """Store a group, if what it names is still there, and say which of its settings have no effect."""
    plan.draft.replace(after)
    for each in after.preferred_owners:
        plan.draft.expect(keys.node(each))
    if before is None or (after.properties, after.preferred_owners) != (before.properties, before.preferred_owners):
        plan.notes += group_notes(after.properties, after.preferred_owners)


def group_delete(name: str) -> Planner:
    """Delete a group with its resources, also from rules and sets; it must be offline, and wanted so."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_group(view, name)
        made = Plan(Draft(view), wait_for=[f"group {record.name} deleted"])
        delete_group(view, asked, made, record.name)
        forget_group(view, asked, made, record.name)
        return made

    return plan


def delete_group(view: DatabaseView, asked: Asked, plan: Plan, name: str) -> None:
    group = observe(view, asked.status, name)
    record = group.record
    hint = f"first: clusterctl group offline {record.name}"
    if group.resources and record.wanted is not Wanted.OFFLINE:
        refuse(["it is wanted online"], f"group {record.name} cannot be deleted", hint=hint, rule="offline-first")
    if group.state not in (GroupState.OFFLINE, GroupState.FAILED):
        refuse([f"it is {group.state}"], f"group {record.name} cannot be deleted", hint=hint, rule="offline-first")
    names = [each.record.name for each in group.resources]
    refusals = [each.text for each in delete_refusals(group, names)]
    refuse(refusals, f"group {record.name} cannot be deleted", hint=hint, rule="offline-first")
    plan.draft.delete(keys.group(record.name))
    plan.draft.expect(keys.assignment(record.name)).expect(keys.report(record.name))
    plan.draft.expect(keys.CLUSTER)  # whoever names the group in a rule or set puts the cluster's record
    for each in names:
        plan.draft.delete(keys.resource(each))
    plan.notes += left_behind(each.record for each in group.resources)
    plan.add("delete", "group", record.name, *([f"with {', '.join(names)}"] if names else []))
    plan.event(asked, CONFIGURATION_APPLIED, f"group {record.name} deleted", group=record.name)


def group_differences(before: GroupRecord, after: GroupRecord) -> list[str]:
    parts = changed_parts(_group_parts(before), _group_parts(after))
    return parts + property_changes(Scope.GROUP, before.properties, after.properties)


def _group_parts(record: GroupRecord) -> dict[str, object]:
    return {"wanted": record.wanted.value, "preferred_owners": record.preferred_owners}


def _edited_group(view: DatabaseView, before: GroupRecord, edit: GroupEdit) -> GroupRecord:
    after = before
    if edit.preferred_owners is not None:
        owners, problems = known_nodes(view, edit.preferred_owners, "preferred_owners")
        refuse_bad(problems, f"group {before.name}")
        after = replace(after, preferred_owners=owners)
    if edit.properties is not None:
        after = replace(after, properties=merged(Scope.GROUP, before.properties, edit.properties))
        after, problems = with_known_site(view.nodes(), before, after)
        refuse_bad(problems, f"group {before.name}")
    return replace(after, wanted=edit.wanted) if edit.wanted is not None else after


def with_known_site(
    nodes: Iterable[NodeRecord], before: GroupRecord | None, after: GroupRecord
) -> tuple[GroupRecord, list[PartProblem]]:
    """The group with its preferred site in the nodes' spelling; one that it had before is not asked about again."""
    wished = str(after.properties.get("preferred_site", ""))
    if before is not None and wished == before.properties.get("preferred_site", ""):
        return after, []
    site, problems = known_site(wished, nodes)
    return (replace(after, properties={**after.properties, "preferred_site": site}) if wished else after), problems
