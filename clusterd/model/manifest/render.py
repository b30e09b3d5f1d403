"""How is a manifest written, so that applying it again changes nothing? Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from clusterd.model.manifest.source import resolve_plain
from clusterd.model.manifest.specs import (
    ALIASES,
    GroupSetSpec,
    GroupSpec,
    Manifest,
    PropertiesSpec,
    ResourceSpec,
    RuleSpec,
)
from clusterd.model.records import Json, Properties
from clusterd.model.settings_catalogue import Scope, settings_of
from clusterd.model.settings_check import written_value
from clusterd.model.states import Wanted

_ODD_LINE_ENDS = "\r\x85\u2028\u2029\ufeff"  # line ends to YAML, text to us


def render_manifest(manifest: Manifest) -> str:
    """YAML that `parse_manifest` reads back. Empty parts are left out."""
    cluster = {"properties": _written(Scope.CLUSTER, manifest.cluster_properties)}
    document = _without_empty(
        {
            "cluster": cluster if manifest.cluster_properties else {},
            "nodes": [_of_properties(each, Scope.NODE) for each in manifest.nodes],
            "resource_types": [_of_properties(each, Scope.RESOURCE_TYPE) for each in manifest.resource_types],
        }
    )
    document["groups"] = [_group(each) for each in manifest.groups]
    sets, rules = [_group_set(each) for each in manifest.group_sets], [_rule(each) for each in manifest.rules]
    document |= _without_empty({"group_sets": sets, "rules": rules})
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)


def _of_properties(spec: PropertiesSpec, scope: Scope) -> dict[str, Any]:
    return _without_empty({"name": spec.name, "properties": _written(scope, spec.properties)})


def _group(spec: GroupSpec) -> dict[str, Any]:
    common, short = _shortened(Scope.GROUP, spec.properties)
    return _without_empty(
        {
            "name": spec.name,
            "wanted": _wish(spec.wanted),
            "preferred_owners": _Inline(spec.preferred_owners),
            **short,
            "properties": common,
            "resources": [_resource(each) for each in spec.resources],
        }
    )


def _resource(spec: ResourceSpec) -> dict[str, Any]:
    common, short = _shortened(Scope.RESOURCE, spec.properties)
    return _without_empty(
        {
            "name": spec.name,
            "type": spec.type,
            "wanted": _wish(spec.wanted),
            "depends_on": spec.depends_on,
            "possible_owners": _Inline(spec.possible_owners),
            **short,
            "properties": {**common, **spec.private},
        }
    )


def _group_set(spec: GroupSetSpec) -> dict[str, Any]:
    return _without_empty(
        {
            "name": spec.name,
            "groups": _Inline(spec.groups),
            "providers": _Inline(spec.providers),
            "properties": _written(Scope.GROUP_SET, spec.properties),
        }
    )


def _rule(spec: RuleSpec) -> dict[str, Any]:
    rule: dict[str, Any] = {"name": spec.name, "kind": spec.kind.value, "groups": _Inline(spec.groups)}
    return rule if spec.is_enabled else {**rule, "enabled": False}


def _shortened(scope: Scope, values: Properties) -> tuple[dict[str, Json], dict[str, Any]]:
    """Properties as they are written, and those that have a short form in it."""
    common = _written(scope, values)
    short: dict[str, Any] = {}
    for alias, table in ALIASES[scope].items():
        parts = {
            key: _joined([common.pop(name) for name in names])
            for key, names in table.items()
            if all(name in common for name in names)
        }
        short[alias] = _InlineMap(parts)
    return common, short


def _joined(values: Sequence[Json]) -> Json:
    return values[0] if len(values) == 1 else "-".join(str(each) for each in values)


def _wish(wanted: Wanted | None) -> str:
    """Online is what a manifest means anyway."""
    return wanted.value if wanted is Wanted.OFFLINE else ""


def _written(scope: Scope, values: Properties) -> dict[str, Json]:
    settings = settings_of(scope)
    return {name: written_value(setting, values[name]) for name, setting in settings.items() if name in values}


def _without_empty(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if value or value is False}


class _Inline(list[Any]):
    """A list on one line."""


class _InlineMap(dict[str, Any]):
    """A mapping on one line."""


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key; no anchors, which the parser refuses."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Quoted where the parser would otherwise read something else than text."""
    if any(each in text for each in _ODD_LINE_ENDS):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    is_block = "\n" in text and not any(line != line.rstrip() for line in text.splitlines())
    style = "|" if is_block else None if resolve_plain(text) == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_inline(dumper: yaml.SafeDumper, items: _Inline) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", list(items), flow_style=True)


def _represent_inline_map(dumper: yaml.SafeDumper, items: _InlineMap) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", dict(items), flow_style=True)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Inline, _represent_inline)
_Dumper.add_representer(_InlineMap, _represent_inline_map)
