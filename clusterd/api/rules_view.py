"""What does the API answer about affinity rules and group sets? Pure: the database in, JSON documents out."""

from typing import Any

from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.errors import NotFound
from clusterd.model.group_sets import waits_of
from clusterd.model.ids import key_of
from clusterd.model.records import GroupSetRecord, RuleRecord
from clusterd.model.settings import group_set_settings
from clusterd.model.settings_check import nearest


def rule_view(view: DatabaseView, record: RuleRecord) -> dict[str, Any]:
    owners = {each: found.owner for each in record.groups if (found := view.assignment(each)) is not None}
    return {
        "name": record.name,
        "kind": record.kind.value,
        "enabled": record.is_enabled,
        "groups": [{"name": each, "owner": owners.get(each) or None} for each in record.groups],
        "revision": view.revision_of(keys.rule(record.name)),
    }


def group_set_view(view: DatabaseView, record: GroupSetRecord) -> dict[str, Any]:
    settings = group_set_settings(record)
    sets = {key_of(each.name): each for each in view.group_sets()}
    waits_for = waits_of(sets.values())[key_of(record.name)]
    return {
        "name": record.name,
        "groups": list(record.groups),
        "providers": list(record.providers),
        "waits_for": [sets[key].name for key in sorted(waits_for)],
        "startup_setting": settings.startup_setting,
        "startup_count": settings.startup_count,
        "startup_delay_ms": settings.startup_delay_ms,
        "is_global": settings.is_global,
        "revision": view.revision_of(keys.group_set(record.name)),
    }


def find_rule(view: DatabaseView, name: str) -> RuleRecord:
    """Raises NotFound, with the nearest name there is."""
    found = view.get(RuleRecord, keys.rule(name))
    if found is None:
        raise NotFound(f"there is no rule {name}", hint=_others(name, [each.name for each in view.rules()]))
    return found


def find_group_set(view: DatabaseView, name: str) -> GroupSetRecord:
    """Raises NotFound, with the nearest name there is."""
    found = view.get(GroupSetRecord, keys.group_set(name))
    if found is None:
        raise NotFound(f"there is no group set {name}", hint=_others(name, [each.name for each in view.group_sets()]))
    return found


def _others(name: str, names: list[str]) -> str:
    return nearest(name, names).replace("valid are", "there are") if names else "there is none yet"
