"""What does protecting a machine change in the database? Pure. A planner: everything of it is stored, or nothing."""

from collections.abc import Mapping

from clusterd.api.checks import (
    PartProblem,
    group_dependency_problems,
    known_nodes,
    known_type,
    private_values,
    refuse,
    refuse_bad,
)
from clusterd.api.outside_names import outside_problems
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.property_edits import merged, refuse_name
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.events import CONFIGURATION_APPLIED
from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.owner_notes import owner_notes
from clusterd.model.records import GroupRecord, Json, ResourceRecord
from clusterd.model.settings_catalogue import Scope
from clusterd.model.states import Wanted
from clusterd.wizard import MachinePlan, PlannedResource


def protect_machine(plan: MachinePlan, *, wanted: Wanted) -> Planner:
    """Create the group (or join it), the configuration, the machine and the disks that were given."""

    def draft(view: DatabaseView, asked: Asked) -> Plan:
        refuse_name(plan.group)
        made = Plan(Draft(view))
        group = _group(view, made, plan, wanted, asked)
        records = [_resource(view, each, group.name, wanted) for each in plan.resources]
        made.draft.replace(group)
        for record in records:
            made.draft.replace(record)
            depends = f"depends on {record.depends_on}" if record.depends_on else ""
            made.add("create", "resource", record.name, *filter(None, (f"type {record.type}", depends)))
        together = [*view.resources_of(group.name), *records]
        told = [text for _, text in group_dependency_problems(view, together)]
        refuse(told, f"the dependencies of {plan.machine} are refused", rule="dependencies")
        made.notes += [*plan.warnings, *owner_notes(group, together)]
        if wanted is Wanted.ONLINE and group.wanted is Wanted.ONLINE:
            made.wait_for.append(f"resource {plan.machine} online")
        text = f"machine {plan.machine} is protected in group {group.name}"
        made.event(asked, CONFIGURATION_APPLIED, text, group=group.name, resource=plan.machine)
        return made

    return draft


def _group(view: DatabaseView, made: Plan, plan: MachinePlan, wanted: Wanted, asked: Asked) -> GroupRecord:
    there = view.group(plan.group)
    if there is None:
        made.add("create", "group", plan.group)
        return GroupRecord(GroupId(plan.group), wanted=wanted, id=asked.request_id)
    if not plan.joins:
        reason = f"there is a group {there.name} already"
        refuse(
            [reason], f"{plan.machine} cannot have a group of its own", hint="choose another name", rule="name-taken"
        )
    made.draft.expect(keys.assignment(there.name)).expect(keys.report(there.name))
    return there


def _resource(view: DatabaseView, planned: PlannedResource, group: str, wanted: Wanted) -> ResourceRecord:
    refuse_name(planned.name)
    there = view.resource(planned.name)
    if there is not None:
        reason = f"there is a resource {there.name} in group {there.group} already"
        refuse([reason], f"{planned.name} cannot be created", hint="choose another name", rule="name-taken")
    owners, problems = known_nodes(view, planned.possible_owners, "possible_owners")
    kind, found = known_type(view, planned.type)
    problems += found
    private: Mapping[str, Json] = {}
    if kind is not None:
        private, found = private_values(kind.schema, planned.private)
        problems += [PartProblem(each.part, each.message) for each in found]
    record = ResourceRecord(
        ResourceId(planned.name),
        GroupId(group),
        kind.name if kind else planned.type,
        wanted=wanted,
        depends_on=planned.depends_on,
        possible_owners=owners,
        properties=merged(Scope.RESOURCE, {}, planned.properties),
        private=dict(private),
    )
    if kind is not None:
        problems += outside_problems(None, record, kind.schema, view.resources(), node_count=len(view.nodes()))
    refuse_bad(problems, f"resource {planned.name}")
    return record
