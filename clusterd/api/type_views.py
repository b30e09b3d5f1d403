"""What does the API say of resource types: who has which version of each, and what is wrong with that? Pure."""

from collections.abc import Iterable

from clusterd.api.group_views import Document
from clusterd.database import DatabaseView
from clusterd.leader.type_versions import variants
from clusterd.model.ids import key_of
from clusterd.model.records import ResourceTypeRecord
from clusterd.model.versions import version_rank


def type_warnings(view: DatabaseView) -> list[str]:
    """What a person should look at although everything may run: nodes that have different versions of one type."""
    by_type: dict[str, list[ResourceTypeRecord]] = {}
    for record in view.resource_types():
        by_type.setdefault(key_of(record.name), []).append(record)
    found = []
    for key in sorted(by_type):
        there = list(variants(by_type[key]))
        if len(there) > 1:
            who = "; ".join(f"{text} on {', '.join(nodes)}" for text, nodes in there)
            found.append(f"resource type {by_type[key][0].name} differs: {who}: install one version on every node")
    return found


def resource_types_view(records: Iterable[ResourceTypeRecord]) -> list[Document]:
    """Each type once, as its newest version says, with the nodes that have it and the version of each."""
    found: dict[str, Document] = {}
    for record in sorted(records, key=lambda each: version_rank(each.version), reverse=True):
        entry = found.setdefault(
            key_of(record.name),
            {
                "name": record.name,
                "version": record.version,
                "nodes": [],
                "versions": {},
                "abilities": list(record.abilities),
                "schema": dict(record.schema),
            },
        )
        entry["nodes"].append(record.node)
        entry["versions"][record.node] = record.version
    for entry in found.values():
        entry["nodes"].sort(key=key_of)
    return [found[key] for key in sorted(found)]
