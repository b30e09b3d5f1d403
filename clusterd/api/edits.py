"""What do create, set, depend and delete of groups and resources change in the database? Pure. Planners, one object each.

A value of None in given properties means "back to the default". New groups and resources are wanted offline, as in the
reference: nothing starts before it is complete and somebody says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from clusterd.api.checks import (
    PartProblem,
    changed_parts,
    delete_refusals,
    group_dependency_problems,
    known_nodes,
    known_site,
    known_type,
    private_values,
    refuse,
    refuse_bad,
    running_refusals,
)
from clusterd.api.edits_rules import forget_group
from clusterd.api.finding import find_group, find_resource, observe
from clusterd.api.observed import observe_group
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.property_edits import merged, property_changes, refuse_name, refuse_other_revision
from clusterd.api.settings_view import type_times
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.dependencies import BadDependency, parse_dependency
from clusterd.model.errors import Refused
from clusterd.model.events import CONFIGURATION_APPLIED
from clusterd.model.ids import GroupId, ResourceId, key_of
from clusterd.model.owner_notes import owner_notes
from clusterd.model.records import GroupRecord, Json, NodeRecord, ResourceRecord
from clusterd.model.settings_catalogue import Scope
from clusterd.model.settings_check import find_setting
from clusterd.model.settings_relations import group_notes, resource_notes
from clusterd.model.states import GroupState, Wanted


@dataclass(frozen=True, slots=True)
class GroupEdit:
    """What to change about a group; None leaves a part alone. `revision`: only if it is still that one."""

    properties: Mapping[str, Json] | None = None
    preferred_owners: tuple[str, ...] | None = None
    wanted: Wanted | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class ResourceEdit:
    """What to change about a resource. `properties` holds common and private ones alike."""

    properties: Mapping[str, Json] | None = None
    possible_owners: tuple[str, ...] | None = None
    depends_on: str | None = None
    wanted: Wanted | None = None
    revision: int | None = None


def group_create(name: str, edit: GroupEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        refuse_name(name)
        if view.group(name) is not None:
            raise Refused(f"there is a group {name} already", hint=f"to change it: clusterctl group set {name} …")
        made = Plan(Draft(view))
        after = _edited_group(view, GroupRecord(GroupId(name), wanted=Wanted.OFFLINE), edit)
        put_group(view, made, None, after)
        made.add("create", "group", name)
        made.event(asked, CONFIGURATION_APPLIED, f"group {name} created", group=name)
        return made

    return plan


def group_set(name: str, edit: GroupEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        before = find_group(view, name)
        refuse_other_revision(view, keys.group(name), edit.revision)
        made = Plan(Draft(view))
        after = _edited_group(view, before, edit)
        if after != before:
            put_group(view, made, before, after)
            if after.preferred_owners != before.preferred_owners:
                made.notes += owner_notes(after, view.resources_of(after.name))
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
        refuse(["it is wanted online"], f"group {record.name} cannot be deleted", hint=hint)
    if group.state not in (GroupState.OFFLINE, GroupState.FAILED):
        refuse([f"it is {group.state}"], f"group {record.name} cannot be deleted", hint=hint)
    names = [each.record.name for each in group.resources]
    refuse(delete_refusals(group, names), f"group {record.name} cannot be deleted", hint=hint)
    plan.draft.delete(keys.group(record.name))
    plan.draft.expect(keys.assignment(record.name)).expect(keys.report(record.name))
    plan.draft.expect(keys.CLUSTER)  # whoever names the group in a rule or set puts the cluster's record
    for each in names:
        plan.draft.delete(keys.resource(each))
    plan.add("delete", "group", record.name, *([f"with {', '.join(names)}"] if names else []))
    plan.event(asked, CONFIGURATION_APPLIED, f"group {record.name} deleted", group=record.name)


def resource_create(name: str, group_name: str, type_name: str, edit: ResourceEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        refuse_name(name)
        group = find_group(view, group_name)
        there = view.resource(name)
        if there is not None:
            hint = f"to change it: clusterctl resource set {there.name} …"
            raise Refused(f"there is a resource {there.name} in group {there.group} already", hint=hint)
        made = Plan(Draft(view))
        new = ResourceRecord(ResourceId(name), group.name, type_name, wanted=Wanted.OFFLINE)
        after = _edited_resource(view, asked, new, edit)
        made.draft.replace(after).replace(group)
        made.add("create", "resource", name, f"in group {group.name}", f"type {after.type}")
        made.notes += resource_notes(after.properties, type_times(view, after.type))
        made.notes += owner_notes(group, _with(view, after))
        text = f"resource {name} created in group {group.name}"
        made.event(asked, CONFIGURATION_APPLIED, text, group=group.name, resource=name)
        return made

    return plan


def resource_set(name: str, edit: ResourceEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        before = find_resource(view, name)
        refuse_other_revision(view, keys.resource(name), edit.revision)
        made = Plan(Draft(view))
        after = _edited_resource(view, asked, before, edit)
        if after != before:
            put_resource(view, asked, made, before, after)
            if after.possible_owners != before.possible_owners:
                made.notes += owner_notes(find_group(view, before.group), _with(view, after))
            made.draft.replace(find_group(view, before.group))
            details = "; ".join(made.changes[-1].details)
            text = f"resource {before.name}: {details}"
            made.event(asked, CONFIGURATION_APPLIED, text, group=before.group, resource=before.name)
        return made

    return plan


def put_resource(view: DatabaseView, asked: Asked, plan: Plan, before: ResourceRecord, after: ResourceRecord) -> None:
    """Store a changed resource and say when the change is felt."""
    plan.draft.replace(after)
    for each in after.possible_owners:
        plan.draft.expect(keys.node(each))
    plan.add("update", "resource", before.name, *resource_differences(before, after))
    plan.notes += resource_notes(after.properties, type_times(view, after.type))
    if after.depends_on != before.depends_on:
        # What may change depends on what is online, and that is in the owner's report.
        plan.draft.expect(keys.assignment(before.group)).expect(keys.report(before.group))
    group = observe(view, asked.status, before.group)
    is_running = any(key_of(each.record.name) == key_of(before.name) and each.pid for each in group.resources)
    if is_running and after.private != before.private:
        plan.notes.append(f"{before.name} is running: its new properties take effect the next time it comes online")


def resource_delete(name: str) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_resource(view, name)
        made = Plan(Draft(view))
        delete_resource(view, asked, made, record, also=())
        made.draft.replace(find_group(view, record.group))
        text = f"resource {record.name} deleted"
        made.event(asked, CONFIGURATION_APPLIED, text, group=record.group, resource=record.name)
        return made

    return plan


def delete_resource(
    view: DatabaseView, asked: Asked, plan: Plan, record: ResourceRecord, *, also: tuple[str, ...]
) -> None:
    """Delete a resource that runs nothing; `also` names resources that go with it."""
    group = observe(view, asked.status, record.group)
    refusals = delete_refusals(group, [record.name, *also])
    is_wanted = record.wanted is Wanted.ONLINE and group.record.wanted is Wanted.ONLINE
    if not refusals and is_wanted:
        refusals = [f"it is wanted online; first: clusterctl resource offline {record.name}"]
    refuse(refusals, f"resource {record.name} cannot be deleted")
    plan.draft.delete(keys.resource(record.name))
    plan.draft.expect(keys.assignment(record.group)).expect(keys.report(record.group))
    plan.add("delete", "resource", record.name)


# ---- records before and after ----


def group_differences(before: GroupRecord, after: GroupRecord) -> list[str]:
    parts = changed_parts(_group_parts(before), _group_parts(after))
    return parts + property_changes(Scope.GROUP, before.properties, after.properties)


def resource_differences(before: ResourceRecord, after: ResourceRecord) -> list[str]:
    parts = changed_parts(_resource_parts(before), _resource_parts(after))
    common = property_changes(Scope.RESOURCE, before.properties, after.properties)
    return parts + common + changed_parts(before.private, after.private)


def _group_parts(record: GroupRecord) -> dict[str, object]:
    return {"wanted": record.wanted.value, "preferred_owners": record.preferred_owners}


def _resource_parts(record: ResourceRecord) -> dict[str, object]:
    return {
        "type": record.type,
        "wanted": record.wanted.value,
        "depends_on": record.depends_on,
        "possible_owners": record.possible_owners,
    }


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


def _edited_resource(view: DatabaseView, asked: Asked, before: ResourceRecord, edit: ResourceEdit) -> ResourceRecord:
    after = before
    problems: list[PartProblem] = []
    if edit.possible_owners is not None:
        owners, problems = known_nodes(view, edit.possible_owners, "possible_owners")
        after = replace(after, possible_owners=owners)
    if edit.depends_on is not None:
        after = replace(after, depends_on=_dependency_text(edit.depends_on, problems))
    if edit.wanted is not None:
        after = replace(after, wanted=edit.wanted)
    given = edit.properties or {}
    common = {name: value for name, value in given.items() if find_setting(Scope.RESOURCE, name)}
    private = {name: value for name, value in given.items() if name not in common}
    after = replace(after, properties=merged(Scope.RESOURCE, before.properties, common))
    kind, type_problems = known_type(view, before.type)
    problems += type_problems
    if kind is not None:
        without = {name for name, value in private.items() if value is None}
        wished = {**before.private, **private}
        values, found = private_values(kind.schema, {k: v for k, v in wished.items() if k not in without})
        problems += found
        after = replace(after, type=kind.name, private=values)
    refuse_bad(problems, f"resource {before.name}")
    _refuse_relations(view, asked, before, after)
    return after


def _with(view: DatabaseView, after: ResourceRecord) -> list[ResourceRecord]:
    """The resources of a group with this one as it will be."""
    others = [each for each in view.resources_of(after.group) if key_of(each.name) != key_of(after.name)]
    return [*others, after]


def _dependency_text(text: str, problems: list[PartProblem]) -> str:
    try:
        return str(parse_dependency(text))
    except BadDependency as error:
        problems.append(PartProblem("depends_on", f"{error.message}; {error.hint}"))
        return ""


def _refuse_relations(view: DatabaseView, asked: Asked, before: ResourceRecord, after: ResourceRecord) -> None:
    told = [text for _, text in group_dependency_problems(view, _with(view, after))]
    refuse(told, f"the dependencies of {before.name} are refused")
    group = observe_group(view, find_group(view, before.group), is_quorate=asked.status.is_quorate)
    refuse([each.message for each in running_refusals(group, before, after)], f"resource {before.name} cannot change")
