"""Which manifest would give this configuration again? Pure."""

from clusterd.database import DatabaseView
from clusterd.model.manifest import GroupSpec, Manifest, ResourceSpec, render_manifest
from clusterd.model.manifest.specs import Places
from clusterd.model.records import GroupRecord, ResourceRecord

_NOWHERE = Places(0, "")


def export_manifest(view: DatabaseView) -> str:
    """YAML of everything that operators configured. Applying it to this cluster changes nothing."""
    groups = tuple(_group(view, each) for each in view.groups())
    return render_manifest(Manifest(_NOWHERE, view.cluster().properties, groups))


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
        private=record.private,
    )
