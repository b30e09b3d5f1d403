"""What does the API say of resource types: who has which version of each, and what is wrong with that? Pure."""

from collections.abc import Iterable

from clusterd.api.group_views import Document
from clusterd.database import DatabaseView
from clusterd.leader.type_versions import variants
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import ResourceTypeRecord
from clusterd.model.versions import version_rank


def type_warnings(view: DatabaseView) -> list[str]:
    """What a person should look at although everything may run: nodes that have different versions of one type, and plug-ins
    that are not loaded."""
    by_type: dict[str, list[ResourceTypeRecord]] = {}
    for record in view.resource_types():
        by_type.setdefault(key_of(record.name), []).append(record)
    not_loaded: dict[str, list[NodeId]] = {}
    for node, because in _not_loaded(view):
        not_loaded.setdefault(because, []).append(node)
    found = [f"a plug-in is not loaded on {', '.join(nodes)}: {because}" for because, nodes in not_loaded.items()]
    for key in sorted(by_type):
        there = list(variants(by_type[key]))
        if len(there) > 1:
            who = "; ".join(f"{text} on {', '.join(nodes)}" for text, nodes in there)
            found.append(f"resource type {by_type[key][0].name} differs: {who}: install one version on every node")
    return found


def not_loaded_view(view: DatabaseView) -> list[Document]:
    return [{"node": node, "because": because} for node, because in _not_loaded(view)]


def _not_loaded(view: DatabaseView) -> Iterable[tuple[NodeId, str]]:
    for record in view.nodes():
        facts = view.facts(record.name)
        for trouble in facts.plugin_troubles if facts is not None else ():
            yield record.name, trouble


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
