"""Which guards does a change put, so that decisions that rest on what it changes cannot commit beside it? Pure.

A draft asks this for every record that it stores or deletes, so no writer can forget it. `guard/limits` stands for all that
placements rest on: rules, what nodes offer and refuse, what groups demand, and which of them are kept apart. Operators'
changes put `guard/placement`, too.
"""

from clusterd.database.view import DatabaseView
from clusterd.model import keys
from clusterd.model.records import (
    ClusterRecord,
    GroupRecord,
    NodeFactsRecord,
    NodeRecord,
    Record,
    ResourceRecord,
    RuleRecord,
)

_GUARDS = (keys.GUARD_LIMITS, keys.GUARD_PLACEMENT)
_DEMANDS = ("memory_demand", "core_demand")
_CLASSES = "anti_affinity_class_names"


def guards_of(view: DatabaseView, key: str, after: Record | None) -> tuple[str, ...]:
    """The guards to put with `after` in the place of what is there; None: it is deleted."""
    match keys.prefix_of(key):
        case keys.RULE:
            return _if(view.get(RuleRecord, key) != after)
        case keys.CLUSTER:
            return _if(view.get(ClusterRecord, key) != after)
        case keys.NODE:
            return _if(view.get(NodeRecord, key) != after)
        case keys.FACTS:
            before = view.get(NodeFactsRecord, key)
            return _if(_offer(before) != _offer(after if isinstance(after, NodeFactsRecord) else None))
        case keys.GROUP:
            group = view.get(GroupRecord, key)
            return _if(_classes(group) != _classes(after if isinstance(after, GroupRecord) else None))
        case keys.RESOURCE:
            resource = view.get(ResourceRecord, key)
            return _if(_demand(resource) != _demand(after if isinstance(after, ResourceRecord) else None))
        case _:
            return ()


def _if(is_changed: bool) -> tuple[str, ...]:
    return _GUARDS if is_changed else ()


def _offer(facts: NodeFactsRecord | None) -> tuple[object, ...]:
    return (facts.memory_mib, facts.cores) if facts is not None else ()


def _classes(group: GroupRecord | None) -> object:
    return (group.properties.get(_CLASSES) or None) if group is not None else None


def _demand(resource: ResourceRecord | None) -> tuple[object, ...]:
    """What placement asks about a resource. One that demands nothing, and may run anywhere, asks nothing."""
    if resource is None:
        return ()
    demands = tuple(resource.properties.get(name) for name in _DEMANDS)
    if not any(demands) and not resource.possible_owners:
        return ()
    return (*demands, resource.possible_owners, resource.group)
