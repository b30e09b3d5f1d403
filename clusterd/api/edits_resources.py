"""What do create, set, depend and delete of a resource change in the database? Pure. Planners.

A value of None in given properties means "back to the default". A new resource is wanted offline, as in the reference. Every
change puts the group's record too, which guards checks that span its resources.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from clusterd.api.checks import (
    AWAIT_FREE,
    PartProblem,
    changed_parts,
    delete_refusals,
    group_dependency_problems,
    known_nodes,
    known_type,
    name_refusals,
    private_values,
    refuse,
    refuse_bad,
    running_refusals,
    version_problems,
)
from clusterd.api.finding import find_group, find_resource, observe
from clusterd.api.left_behind import left_behind
from clusterd.api.outside_names import outside_problems
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.property_edits import merged, property_changes, refuse_name
from clusterd.api.secrets_shown import kept, secret_changes
from clusterd.api.settings_view import type_times
from clusterd.api.waits import wait_problems
from clusterd.database import DatabaseView, Draft
from clusterd.leader.namesakes import held_names
from clusterd.model import keys
from clusterd.model.clients import client_note
from clusterd.model.dependencies import BadDependency, parse_dependency
from clusterd.model.errors import Refused
from clusterd.model.events import CONFIGURATION_APPLIED
from clusterd.model.ids import ResourceId, key_of
from clusterd.model.owner_notes import owner_notes
from clusterd.model.records import Json, ResourceRecord
from clusterd.model.settings_catalogue import Scope
from clusterd.model.settings_check import find_setting
from clusterd.model.settings_relations import resource_notes
from clusterd.model.states import Wanted
from clusterd.resource_api.secret_values import shown


@dataclass(frozen=True, slots=True)
class ResourceEdit:
    """What to change about a resource. `properties` holds common and private ones alike."""

    properties: Mapping[str, Json] | None = None
    possible_owners: tuple[str, ...] | None = None
    depends_on: str | None = None
    wanted: Wanted | None = None


def resource_create(name: str, group_name: str, type_name: str, edit: ResourceEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        refuse_name(name)
        group = find_group(view, group_name)
        there = view.resource(name)
        if there is not None:
            hint = f"to change it: clusterctl resource set {there.name} …"
            raise Refused(f"there is a resource {there.name} in group {there.group} already", hint=hint)
        refusals = name_refusals(held_names(view), name, group.name)
        refuse(refusals, f"resource {name} cannot be created in group {group.name}", hint=AWAIT_FREE, rule="name-free")
        made = Plan(Draft(view))
        new = ResourceRecord(ResourceId(name), group.name, type_name, wanted=Wanted.OFFLINE)
        after = _edited_resource(view, asked, new, edit)
        made.draft.replace(after).replace(group)
        made.add("create", "resource", name, f"in group {group.name}", f"type {after.type}")
        made.notes += resource_notes(after.properties, type_times(view, after.type))
        made.notes += client_note(after.private, after.name)
        made.notes += owner_notes(group, _with(view, after))
        text = f"resource {name} created in group {group.name}"
        made.event(asked, CONFIGURATION_APPLIED, text, group=group.name, resource=name)
        return made

    return plan


def resource_set(name: str, edit: ResourceEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        before = find_resource(view, name)
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
    if after.private != before.private:
        plan.notes += client_note(after.private, after.name)
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
        made = Plan(Draft(view), wait_for=[f"resource {record.name} deleted"])
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
    refusals = [each.text for each in delete_refusals(group, [record.name, *also])]
    is_wanted = record.wanted is Wanted.ONLINE and group.record.wanted is Wanted.ONLINE
    if not refusals and is_wanted:
        refusals = [f"it is wanted online; first: clusterctl resource offline {record.name}"]
    refuse(refusals, f"resource {record.name} cannot be deleted", rule="offline-first")
    plan.draft.delete(keys.resource(record.name))
    plan.notes += left_behind([record])
    plan.draft.expect(keys.assignment(record.group)).expect(keys.report(record.group))
    plan.add("delete", "resource", record.name)


def resource_differences(before: ResourceRecord, after: ResourceRecord) -> list[str]:
    parts = changed_parts(_resource_parts(before), _resource_parts(after))
    common = property_changes(Scope.RESOURCE, before.properties, after.properties)
    told = changed_parts(shown(before.private), shown(after.private))
    return parts + common + told + secret_changes(before.private, after.private)


def _resource_parts(record: ResourceRecord) -> dict[str, object]:
    return {
        "type": record.type,
        "wanted": record.wanted.value,
        "depends_on": record.depends_on,
        "possible_owners": record.possible_owners,
    }


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
        given_private, found = kept(
            {name: value for name, value in private.items() if value is not None}, before.private
        )
        problems += found
        wished = {**before.private, **given_private}
        values, found = private_values(kind.schema, {k: v for k, v in wished.items() if k not in without})
        problems += found
        after = replace(after, type=kind.name, private=values)
        problems += version_problems(view, after) if not found else []
        problems += wait_problems(after, kind.schema, type_times(view, kind.name))
        known = view.resource(before.name)
        problems += outside_problems(known, after, kind.schema, view.resources(), node_count=len(view.nodes()))
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
    refuse(told, f"the dependencies of {before.name} are refused", rule="dependencies")
    group = observe(view, asked.status, before.group)
    refuse([each.message for each in running_refusals(group, before, after)], f"resource {before.name} cannot change")
