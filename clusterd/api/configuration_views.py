"""What is told about the configuration: rules, group sets, and what `show` adds to every object? Pure."""

from typing import Any

from clusterd.api import settings_view, views
from clusterd.api.guarantees import guarantee_view
from clusterd.api.port import NodeStatus
from clusterd.api.rules_view import find_group_set, find_rule, group_set_view, rule_view
from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.ids import key_of


def rules_document(view: DatabaseView, status: NodeStatus, _: str) -> Any:
    return views.document(view, status, rules=[rule_view(view, each) for each in view.rules()])


def rule_document(view: DatabaseView, status: NodeStatus, name: str) -> Any:
    record = find_rule(view, name)
    return views.document(view, status, rules=[rule_view(view, record)])


def group_sets_document(view: DatabaseView, status: NodeStatus, _: str) -> Any:
    return views.document(view, status, group_sets=[group_set_view(view, each) for each in view.group_sets()])


def group_set_document(view: DatabaseView, status: NodeStatus, name: str) -> Any:
    record = find_group_set(view, name)
    shown = {**group_set_view(view, record), "settings": settings_view.group_set_settings_view(record)}
    return views.document(view, status, group_sets=[shown])


def cluster_parts(view: DatabaseView) -> dict[str, Any]:
    """What `show` adds to the cluster: every property, and the revision that a change may insist on."""
    record = view.cluster()
    return {"settings": settings_view.cluster_settings_view(record), "revision": view.revision_of(keys.CLUSTER)}


def node_parts(view: DatabaseView, name: str) -> dict[str, Any]:
    record = view.node(name)
    shown = settings_view.node_settings_view(view, record) if record else []
    return {"settings": shown, "revision": view.revision_of(keys.node(name))}


def group_parts(view: DatabaseView, name: str) -> dict[str, Any]:
    record = view.group(name)
    shown = settings_view.group_settings_view(view, record) if record else []
    sets = [each.name for each in view.group_sets() if key_of(name) in {key_of(group) for group in each.groups}]
    rules = [each.name for each in view.rules() if key_of(name) in {key_of(group) for group in each.groups}]
    return {
        "settings": shown,
        "revision": view.revision_of(keys.group(name)),
        "group_sets": sets,
        "rules": rules,
        "guarantee": guarantee_view(view, record) if record else None,
    }


def resource_parts(view: DatabaseView, name: str) -> dict[str, Any]:
    record = view.resource(name)
    shown = settings_view.resource_settings_view(view, record) if record else []
    return {"settings": shown, "revision": view.revision_of(keys.resource(name))}


def type_parts(view: DatabaseView, name: str) -> dict[str, Any]:
    return {
        "settings": settings_view.type_settings_view(view, name),
        "revision": view.revision_of(keys.type_settings(name)),
    }
