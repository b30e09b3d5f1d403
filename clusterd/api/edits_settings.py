"""What do changes to the cluster, its nodes and its resource types put into the database? Pure. Planners."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from clusterd.api.checks import (
    cluster_property_refusals,
    known_site,
    known_type,
    refuse,
    refuse_bad,
)
from clusterd.api.finding import find_node
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.property_edits import merged, property_changes
from clusterd.api.relations import new_set_problems
from clusterd.api.waits import wait_problems
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.events import CONFIGURATION_APPLIED
from clusterd.model.ids import key_of
from clusterd.model.records import ClusterRecord, Json, NodeRecord, TypeSettingsRecord
from clusterd.model.settings import node_settings, type_settings
from clusterd.model.settings_catalogue import Scope
from clusterd.model.settings_relations import cluster_notes, node_notes, type_notes
from clusterd.model.type_times import own_times


@dataclass(frozen=True, slots=True)
class PropertyEdit:
    """What to change about something that has properties only."""

    properties: Mapping[str, Json]


def cluster_set(edit: PropertyEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        made = Plan(Draft(view))
        before = view.cluster()
        properties = merged(Scope.CLUSTER, before.properties, edit.properties)
        after = cluster_with(before, properties, view.nodes())
        put_cluster(made, asked, before, after)
        told = [each.text for each in new_set_problems(view, view.group_sets(), after)]
        refuse(told, "the cluster's times would not fit its group sets")
        return made

    return plan


def cluster_with(before: ClusterRecord, properties: Mapping[str, Json], nodes: list[NodeRecord]) -> ClusterRecord:
    """The cluster with other properties. Raises BadInput when it prefers a site that is none."""
    wished = str(properties.get("preferred_site", ""))
    if wished and wished != before.properties.get("preferred_site", ""):
        site, problems = known_site(wished, nodes)
        refuse_bad(problems, "the cluster")
        properties = {**properties, "preferred_site": site}
    return replace(before, properties=properties)


def put_cluster(plan: Plan, asked: Asked, before: ClusterRecord, after: ClusterRecord) -> None:
    refuse(cluster_property_refusals(before, after), "the cluster's times would not fit together")
    if after != before:
        plan.draft.replace(after)
        plan.add(
            "update", "cluster", before.name, *property_changes(Scope.CLUSTER, before.properties, after.properties)
        )
        plan.notes += cluster_notes(after.properties)
        plan.event(asked, CONFIGURATION_APPLIED, f"cluster: {'; '.join(plan.changes[-1].details)}")


# ---- nodes ----


def node_set(name: str, edit: PropertyEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        before = find_node(view, name)
        made = Plan(Draft(view))
        after = replace(before, properties=merged(Scope.NODE, before.properties, edit.properties))
        put_node(view, asked, made, before, after)
        made.notes += _left_site_notes(view, before, after)
        return made

    return plan


def put_node(view: DatabaseView, asked: Asked, plan: Plan, before: NodeRecord, after: NodeRecord) -> None:
    if after != before:
        plan.draft.replace(after)
        plan.add("update", "node", before.name, *property_changes(Scope.NODE, before.properties, after.properties))
        plan.notes += node_notes(before, after)
        details = "; ".join(plan.changes[-1].details)
        plan.event(asked, CONFIGURATION_APPLIED, f"node {before.name}: {details}", node=before.name)


def _left_site_notes(view: DatabaseView, before: NodeRecord, after: NodeRecord) -> list[str]:
    """Who prefers a site that has no node any more."""
    left = key_of(node_settings(before).site)
    others = [after, *(each for each in view.nodes() if each.name != before.name)]
    if not left or left in {key_of(node_settings(each).site) for each in others}:
        return []
    groups = [
        f"group {each.name}" for each in view.groups() if key_of(str(each.properties.get("preferred_site", ""))) == left
    ]
    is_cluster = key_of(str(view.cluster().properties.get("preferred_site", ""))) == left
    who = [*(["the cluster"] if is_cluster else []), *groups]
    return [f"no node is at site {node_settings(before).site} any more, which {', '.join(who)} prefer"] if who else []


# ---- resource types ----


def type_set(name: str, edit: PropertyEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        kind, problems = known_type(view, name)
        refuse_bad(problems, f"resource type {name}")
        made = Plan(Draft(view))
        own_name = kind.name if kind else name
        before = view.type_settings(own_name)
        after = TypeSettingsRecord(own_name, merged(Scope.RESOURCE_TYPE, before.properties, edit.properties))
        schema = kind.schema if kind else {}
        of_type = type_settings(after, own_times(schema))
        users = [each for each in view.resources() if key_of(each.type) == key_of(own_name)]
        told = [f"{each.name}: {found.message}" for each in users for found in wait_problems(each, schema, of_type)]
        refuse(told, f"resource type {own_name} cannot be set so")
        put_type(view, asked, made, before, after)
        return made

    return plan


def put_type(
    view: DatabaseView, asked: Asked, plan: Plan, before: TypeSettingsRecord, after: TypeSettingsRecord
) -> None:
    if dict(after.properties) == dict(before.properties):
        return
    if after.properties:
        plan.draft.replace(after)
    else:
        plan.draft.delete(keys.type_settings(after.name))
    changes = property_changes(Scope.RESOURCE_TYPE, before.properties, after.properties)
    plan.add("update", "resource type", after.name, *changes)
    schema = next((each.schema for each in view.resource_types() if key_of(each.name) == key_of(after.name)), {})
    used = sum(key_of(each.type) == key_of(after.name) for each in view.resources())
    plan.notes += [
        *type_notes(after.properties, own_times(schema)),
        *([f"{used} resources of the type go by it"] if used else []),
    ]
    plan.event(asked, CONFIGURATION_APPLIED, f"resource type {after.name}: {'; '.join(plan.changes[-1].details)}")
