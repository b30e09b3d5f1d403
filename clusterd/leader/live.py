"""Can a group leave its node while it runs, and how does it leave otherwise? Pure.

What others use of a group is what nothing else in it depends on: all of that must be able to migrate live, on both nodes.
Its providers (a definition, a disk) follow when it has left, unless a property of theirs says that they cannot (a disk that
is mounted, on one node at a time). What an operator asks for is done as it was asked; moves of the cluster's own go by the
priority of the group (`move_type_threshold`), or by what the resource itself says.
"""

from collections.abc import Sequence

from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import Json, ResourceRecord, ResourceTypeRecord
from clusterd.model.settings import ClusterSettings
from clusterd.model.states import MoveKind, Wanted

LIVE_MIGRATION = "live-migration"
DEFAULT_MOVE_TYPE = "default_move_type"
"""The property by which a resource that can migrate live says how the cluster's own moves are to go."""


def live_obstacle(view: DatabaseView, resources: Sequence[ResourceRecord], source: NodeId, target: NodeId) -> str:
    """Why what these resources do cannot go on while they go from one node to the other; empty: it can."""
    wanted = [each for each in resources if each.wanted is Wanted.ONLINE]
    for each in wanted:
        if by := preventing(view, each, source):
            return f"{each.name} ({each.type}) cannot migrate live, as it has a {by}"
    used = _used_by_others(wanted)
    for each in used:
        for node in (source, target):
            if node and not is_able(view, each, node):
                return f"{each.name} ({each.type}) cannot migrate live: its resource type on {node} does not offer that"
    return "" if used else "nothing of it is to be online"


def is_able(view: DatabaseView, resource: ResourceRecord, node: NodeId) -> bool:
    known = view.get(ResourceTypeRecord, keys.resource_type(resource.type, node))
    return known is not None and LIVE_MIGRATION in known.abilities and not preventing(view, resource, node)


def preventing(view: DatabaseView, resource: ResourceRecord, node: NodeId) -> str:
    """The property that takes live migration from a resource whose type has it, as the type itself says; empty: none."""
    known = view.get(ResourceTypeRecord, keys.resource_type(resource.type, node))
    declared = known.schema.get("properties") if known is not None else None
    properties = declared.items() if isinstance(declared, dict) else ()
    return next((name for name, schema in properties if resource.private.get(name) and _prevents(schema)), "")


def _prevents(schema: Json) -> bool:
    said = schema.get("x-prevents") if isinstance(schema, dict) else None
    return isinstance(said, list) and LIVE_MIGRATION in said


def kind_of_own_move(
    view: DatabaseView,
    resources: Sequence[ResourceRecord],
    settings: ClusterSettings,
    priority: int,
    source: NodeId,
    target: NodeId,
) -> MoveKind:
    """How a move goes that nobody asked for by name: a drain, a failback, evening out."""
    able = [each for each in resources if is_able(view, each, source)]
    if not able:
        return MoveKind.UNSAID
    said = {str(each.private[DEFAULT_MOVE_TYPE]) for each in able if each.private.get(DEFAULT_MOVE_TYPE)}
    kinds = [kind for kind in MoveKind if kind.value in said and kind is not MoveKind.UNSAID]
    kind = kinds[-1] if kinds else (MoveKind.LIVE if priority >= settings.move_type_threshold else MoveKind.QUICK)
    if kind is MoveKind.LIVE and live_obstacle(view, resources, source, target):
        return MoveKind.QUICK
    return kind


def _used_by_others(wanted: Sequence[ResourceRecord]) -> list[ResourceRecord]:
    providers = {key_of(name) for each in wanted for name in parse_dependency(each.depends_on).providers}
    return [each for each in wanted if key_of(each.name) not in providers]
