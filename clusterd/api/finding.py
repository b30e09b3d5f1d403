"""Which group, resource or node does a name mean? Pure."""

from clusterd.api.observed import ObservedGroup, ObservedResource, observe_group
from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView
from clusterd.model.errors import NotFound
from clusterd.model.ids import key_of
from clusterd.model.records import GroupRecord, NodeRecord, ResourceRecord
from clusterd.model.settings_check import nearest


def find_group(view: DatabaseView, name: str) -> GroupRecord:
    """Raises NotFound, with the nearest name there is."""
    found = view.group(name)
    if found is None:
        raise NotFound(f"there is no group {name}", hint=_other_names(name, [each.name for each in view.groups()]))
    return found


def find_resource(view: DatabaseView, name: str) -> ResourceRecord:
    found = view.resource(name)
    if found is None:
        raise NotFound(
            f"there is no resource {name}", hint=_other_names(name, [each.name for each in view.resources()])
        )
    return found


def find_node(view: DatabaseView, name: str) -> NodeRecord:
    found = view.node(name)
    if found is None:
        raise NotFound(f"there is no node {name}", hint=_other_names(name, [each.name for each in view.nodes()]))
    return found


def observe(view: DatabaseView, status: NodeStatus, name: str) -> ObservedGroup:
    """The group called `name`. Raises NotFound."""
    return observe_group(view, find_group(view, name), is_quorate=status.is_quorate, unheard=status.unheard)


def found_in(group: ObservedGroup, record: ResourceRecord) -> ObservedResource:
    """A resource of this very group."""
    return next(each for each in group.resources if key_of(each.record.name) == key_of(record.name))


def _other_names(name: str, names: list[str]) -> str:
    shown = nearest(name, names[:200])
    return shown.replace("valid are", "there are") if names else "there is none yet"
