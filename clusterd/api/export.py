"""Which manifest would give this configuration again? Pure."""

from clusterd.database import DatabaseView
from clusterd.model.manifest import (
    GroupSetSpec,
    GroupSpec,
    Manifest,
    PropertiesSpec,
    ResourceSpec,
    RuleSpec,
    render_manifest,
)
from clusterd.model.manifest.specs import Places
from clusterd.model.records import GroupRecord, ResourceRecord, TypeSettingsRecord
from clusterd.resource_api.secret_values import shown

_NOWHERE = Places(0, "")


def export_manifest(view: DatabaseView) -> str:
    """YAML of everything that operators configured. Applying it to this cluster changes nothing.

    Secrets are left out: where their word stands, this cluster keeps what it has, and another one asks for them.
    Nodes and resource types with nothing but defaults are left out.
    """
    types = [record for _, record in view.items(TypeSettingsRecord) if record.properties]
    return render_manifest(
        Manifest(
            _NOWHERE,
            view.cluster().properties,
            groups=tuple(_group(view, each) for each in view.groups()),
            nodes=tuple(
                PropertiesSpec(each.name, _NOWHERE, each.properties) for each in view.nodes() if each.properties
            ),
            resource_types=tuple(PropertiesSpec(each.name, _NOWHERE, each.properties) for each in types),
            group_sets=tuple(
                GroupSetSpec(each.name, _NOWHERE, each.groups, each.providers, each.properties)
                for each in view.group_sets()
            ),
            rules=tuple(
                RuleSpec(each.name, _NOWHERE, each.kind, each.groups, each.is_enabled) for each in view.rules()
            ),
        )
    )


def _group(view: DatabaseView, record: GroupRecord) -> GroupSpec:
    return GroupSpec(
        record.name,
        _NOWHERE,
        preferred_owners=record.preferred_owners,
        wanted=record.wanted,
        properties=record.properties,
        resources=tuple(_resource(each) for each in view.resources_of(record.name)),
    )


def _resource(record: ResourceRecord) -> ResourceSpec:
    return ResourceSpec(
        record.name,
        record.type,
        _NOWHERE,
        depends_on=record.depends_on,
        possible_owners=record.possible_owners,
        wanted=record.wanted,
        properties=record.properties,
        private=shown(record.private),
    )
