"""Which common properties does an object have, with which value in force, and what do they mean? Pure. JSON documents.

Every property of the object's scope is told, set or not: a caller needs no table of its own.
"""

from collections.abc import Mapping
from typing import Any

from clusterd.database import DatabaseView
from clusterd.model.ids import key_of
from clusterd.model.records import (
    ClusterRecord,
    GroupRecord,
    GroupSetRecord,
    Json,
    NodeRecord,
    Properties,
    ResourceRecord,
)
from clusterd.model.settings import TypeSettings, cluster_settings, group_settings, resource_settings, type_settings
from clusterd.model.settings_catalogue import ALL_ONES, Kind, Scope, Setting, settings_of
from clusterd.model.settings_check import value_text
from clusterd.model.type_times import own_times


def cluster_settings_view(record: ClusterRecord) -> list[dict[str, Any]]:
    return _settings_view(Scope.CLUSTER, record.properties)


def node_settings_view(view: DatabaseView, record: NodeRecord) -> list[dict[str, Any]]:
    facts, overcommit = view.facts(record.name), cluster_settings(view.cluster()).core_overcommit
    detected = {"memory_capacity": facts.memory_mib, "core_capacity": facts.cores * overcommit} if facts else {}
    return _settings_view(Scope.NODE, record.properties, {name: found for name, found in detected.items() if found})


def group_settings_view(view: DatabaseView, record: GroupRecord) -> list[dict[str, Any]]:
    threshold = group_settings(record, len(view.nodes())).failover_threshold
    return _settings_view(Scope.GROUP, record.properties, {"failover_threshold": threshold})


def resource_settings_view(view: DatabaseView, record: ResourceRecord) -> list[dict[str, Any]]:
    settings = resource_settings(record, type_times(view, record.type))
    resolved = {
        "pending_timeout": settings.pending_timeout_ms,
        "deadlock_timeout": settings.deadlock_timeout_ms,
        "looks_alive_poll_interval": settings.looks_alive_poll_interval_ms,
        "is_alive_poll_interval": settings.is_alive_poll_interval_ms,
    }
    return _settings_view(Scope.RESOURCE, record.properties, resolved)


def type_settings_view(view: DatabaseView, name: str) -> list[dict[str, Any]]:
    own = own_times(_schema(view, name))
    resolved = {
        "looks_alive_poll_interval": own.looks_alive_poll_interval_ms,
        "is_alive_poll_interval": own.is_alive_poll_interval_ms,
    }
    return _settings_view(Scope.RESOURCE_TYPE, view.type_settings(name).properties, resolved)


def type_times(view: DatabaseView, name: str) -> TypeSettings:
    """What holds for a resource of this type that says nothing itself."""
    return type_settings(view.type_settings(name), own_times(_schema(view, name)))


def _schema(view: DatabaseView, type_name: str) -> Properties:
    known = (each.schema for each in view.resource_types() if key_of(each.name) == key_of(type_name))
    return next(known, {})


def group_set_settings_view(record: GroupSetRecord) -> list[dict[str, Any]]:
    count = {"startup_count": len(record.groups)}
    return _settings_view(Scope.GROUP_SET, record.properties, count)


def _settings_view(scope: Scope, values: Properties, resolved: Mapping[str, int] | None = None) -> list[dict[str, Any]]:
    """`resolved`: the number that a word such as `type` or `detected` stands for here."""
    return [_setting_view(each, values, resolved or {}) for each in settings_of(scope).values()]


def _setting_view(setting: Setting, values: Properties, resolved: Mapping[str, int]) -> dict[str, Any]:
    default: Json = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    value = values.get(setting.name, default)
    in_force = resolved.get(setting.name, value) if value == ALL_ONES else value
    shown: dict[str, Any] = {
        "name": setting.name,
        "reference_name": setting.reference_name,
        "kind": setting.kind.value,
        "value": value,
        "text": value_text(setting, value),
        "in_force": in_force,
        "in_force_text": value_text(setting, in_force),
        "is_default": value == default,
        "default": default,
        "default_text": value_text(setting, default),
        "unit": setting.unit,
        "says": setting.says,
    }
    if setting.kind in (Kind.COUNT, Kind.DURATION):
        shown |= {"least": setting.least, "most": setting.most, "words": dict(setting.words)}
    if setting.kind in (Kind.TEXT, Kind.NAMES):
        shown["most"] = setting.most
    if setting.choices:
        shown["choices"] = list(setting.choices)
    return shown
