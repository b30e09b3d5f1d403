"""What does each path of the API answer to a GET? Pure: from the database and the node's status, by the name in the path.

These are functions by name, so that another process can be told to make one of them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from clusterd.api import configuration_views, explain, finding, group_views, views
from clusterd.api.availability import availability_view
from clusterd.api.node_views import node_view
from clusterd.api.observed import ObservedGroup, observe_groups
from clusterd.api.port import NodeStatus
from clusterd.api.type_views import not_loaded_view, resource_types_view
from clusterd.database import DatabaseView
from clusterd.model.errors import NotFound
from clusterd.model.ids import key_of
from clusterd.model.settings import cluster_settings

Answer = Callable[[DatabaseView, NodeStatus, str], dict[str, Any]]


def status(view: DatabaseView, status: NodeStatus, _: str) -> dict[str, Any]:
    return views.status_document(view, status)


def quorum(view: DatabaseView, status: NodeStatus, _: str) -> dict[str, Any]:
    return views.document(view, status, **views.quorum_view(status))


def cluster(view: DatabaseView, status: NodeStatus, _: str) -> dict[str, Any]:
    record = view.cluster()
    times = cluster_settings(record)
    return views.document(
        view,
        status,
        name=record.name,
        id=record.id,
        version=status.version,
        properties={
            "same_subnet_delay_ms": times.same_subnet_delay_ms,
            "same_subnet_threshold": times.same_subnet_threshold,
            "run_lease_ms": times.run_lease_ms,
            "stop_budget_ms": times.stop_budget_ms,
        },
        silence_max_ms=times.silence_max_ms,
        expiry_ms=times.expiry_ms,
        fence_agents=[{"name": each.name, "agent": each.agent, "nodes": list(each.nodes)} for each in view.fences()],
        **configuration_views.cluster_parts(view),
    )


def nodes(view: DatabaseView, status: NodeStatus, _: str) -> dict[str, Any]:
    return views.document(view, status, nodes=[node_view(view, status, each) for each in view.nodes()])


def node(view: DatabaseView, status: NodeStatus, name: str) -> dict[str, Any]:
    record = finding.find_node(view, name)
    shown = {**node_view(view, status, record), **configuration_views.node_parts(view, record.name)}
    return views.document(view, status, nodes=[shown])


def groups(view: DatabaseView, status: NodeStatus, _: str) -> dict[str, Any]:
    found = observe_groups(view, is_quorate=status.is_quorate, unheard=status.unheard)
    return views.document(view, status, groups=[_group_shown(view, status, each) for each in found])


def group(view: DatabaseView, status: NodeStatus, name: str) -> dict[str, Any]:
    found = finding.observe(view, status, name)
    parts = configuration_views.group_parts(view, found.record.name)
    return views.document(view, status, groups=[{**_group_shown(view, status, found), **parts}])


def _group_shown(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> dict[str, Any]:
    return {
        **group_views.group_view(view, status, group),
        "availability": availability_view(view, status, group.record),
    }


def resources(view: DatabaseView, status: NodeStatus, _: str) -> dict[str, Any]:
    found = observe_groups(view, is_quorate=status.is_quorate, unheard=status.unheard)
    shown = [group_views.resource_view(status, group, each) for group in found for each in group.resources]
    return views.document(view, status, resources=sorted(shown, key=lambda each: key_of(each["name"])))


def resource(view: DatabaseView, status: NodeStatus, name: str) -> dict[str, Any]:
    record = finding.find_resource(view, name)
    group = finding.observe(view, status, record.group)
    found = [each for each in group.resources if key_of(each.record.name) == key_of(record.name)]
    parts = configuration_views.resource_parts(view, record.name)
    shown = [{**group_views.resource_view(status, group, each), **parts} for each in found]
    return views.document(view, status, resources=shown)


def resource_types(view: DatabaseView, status: NodeStatus, _: str) -> dict[str, Any]:
    types = resource_types_view(view.resource_types())
    return views.document(view, status, resource_types=types, not_loaded=not_loaded_view(view))


def resource_type(view: DatabaseView, status: NodeStatus, name: str) -> dict[str, Any]:
    found = [each for each in resource_types_view(view.resource_types()) if key_of(each["name"]) == key_of(name)]
    if not found:
        raise NotFound(f"there is no resource type {name}", hint="clusterctl resource-type list names those there are")
    shown = [{**each, **configuration_views.type_parts(view, each["name"])} for each in found]
    return views.document(view, status, resource_types=shown)


def explanation(view: DatabaseView, status: NodeStatus, kind: str, name: str) -> dict[str, Any]:
    match kind:
        case "group":
            return explain.explain_group(view, status, name)
        case "resource":
            return explain.explain_resource(view, status, name)
        case "node":
            return explain.explain_node(view, status, name)
        case _:
            raise NotFound(f"there is no kind {kind!r} to explain", hint="explain group, node or resource")


ANSWERS: Mapping[str, Answer] = {
    "/v1/status": status,
    "/v1/quorum": quorum,
    "/v1/cluster": cluster,
    "/v1/nodes": nodes,
    "/v1/nodes/{name}": node,
    "/v1/groups": groups,
    "/v1/groups/{name}": group,
    "/v1/resources": resources,
    "/v1/resources/{name}": resource,
    "/v1/resource-types": resource_types,
    "/v1/resource-types/{name}": resource_type,
    "/v1/rules": configuration_views.rules_document,
    "/v1/rules/{name}": configuration_views.rule_document,
    "/v1/group-sets": configuration_views.group_sets_document,
    "/v1/group-sets/{name}": configuration_views.group_set_document,
}
