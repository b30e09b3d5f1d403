"""Which nodes have a version of a resource type that refuses what a resource is given? Pure.

Nodes may have different versions of a plug-in for a while. A value counts only where the schema of that node's version
takes it: that is looked at before a value is stored, and before a group is sent to a node, so that nothing is stopped
for a start that must fail.
"""

from collections.abc import Iterable, Mapping

from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import Properties, ResourceRecord, ResourceTypeRecord
from clusterd.model.versions import version_rank
from clusterd.resource_api.properties import validate


class TypeVersions:
    """What the nodes said of their types."""

    def __init__(self, records: Iterable[ResourceTypeRecord] = ()) -> None:
        self._records: dict[str, list[ResourceTypeRecord]] = {}
        for record in records:
            self._records.setdefault(key_of(record.name), []).append(record)
        self._differing = {key for key, records in self._records.items() if _differ(records)}

    def refusals(self, resources: Iterable[ResourceRecord]) -> Mapping[str, str]:
        """By key of each node: why its version of some type refuses what a resource is given. Where all nodes have the same
        version, that was looked at when it was stored."""
        found: dict[str, str] = {}
        for resource in resources if self._differing else ():
            if key_of(resource.type) in self._differing:
                for record, problem in refused_by(self._records[key_of(resource.type)], resource.private):
                    found.setdefault(key_of(record.node), f"{resource.name}: {problem}")
        return found


def newest(records: Iterable[ResourceTypeRecord]) -> ResourceTypeRecord | None:
    """Of the records of one type the one of its newest version."""
    return max(records, key=lambda each: version_rank(each.version), default=None)


def variants(records: Iterable[ResourceTypeRecord]) -> Iterable[tuple[str, tuple[NodeId, ...]]]:
    """What the nodes have of one type, the newest first, each with who has it. One: they all have the same.

    Two that name one version and take other values are two, whatever their authors say.
    """
    found: list[tuple[ResourceTypeRecord, object, list[NodeId]]] = []
    for record in sorted(records, key=lambda each: (version_rank(each.version), each.node), reverse=True):
        takes = _takes(record.schema)
        same = next((who for one, taken, who in found if one.version == record.version and taken == takes), None)
        if same is None:
            found.append((record, takes, [record.node]))
        else:
            same.append(record.node)
    told: set[str] = set()
    for record, _, who in found:
        version = f"version {record.version}" if record.version else "a version without a name"
        yield f"{version} with other properties" if version in told else version, tuple(sorted(who, key=key_of))
        told.add(version)


def _takes(schema: object) -> object:
    """A schema without its texts for people."""
    if isinstance(schema, Mapping):
        return {
            key: _takes(value) for key, value in schema.items() if key != "description" or not isinstance(value, str)
        }
    return [_takes(each) for each in schema] if isinstance(schema, list | tuple) else schema


def refused_by(records: Iterable[ResourceTypeRecord], private: Properties) -> list[tuple[ResourceTypeRecord, str]]:
    """Of the records of one type those whose schema refuses these properties, and why."""
    judged: list[tuple[Properties, str]] = []
    found = []
    for record in records:
        problem = next((text for schema, text in judged if schema == record.schema), None)
        if problem is None:
            problem = "; ".join(str(each) for each in validate(dict(private), dict(record.schema)))
            judged.append((record.schema, problem))
        if problem:
            version = f"version {record.version}" if record.version else "a version without a name"
            found.append((record, f"{record.node} has {version} of {record.name}, which refuses it: {problem}"))
    return found


def _differ(records: list[ResourceTypeRecord]) -> bool:
    return any(each.schema != records[0].schema for each in records[1:])
