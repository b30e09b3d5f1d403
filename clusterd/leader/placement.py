"""Which node should a group go to, and why not to each of the others? Pure, and deterministic.

The node list of a group is its preferred owners in their order, then every other node in join order. Where a group goes
follows from why it moves: after a failure the *next* node of the list, for an operator the *first*. Where the reference
says "random", the fewest groups and then the join order decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clusterd.database import DatabaseView
from clusterd.leader.sight import Sight
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import Candidate, GroupRecord, ResourceRecord
from clusterd.model.states import MembershipState


class PlacementCause(StrEnum):
    FIRST = "first placement"
    NODE_LOST = "its node was lost"
    RESOURCE_FAILED = "a resource failed"
    MOVE = "an operator asked for a move"


@dataclass(frozen=True, slots=True)
class Placement:
    """The chosen node, if any, and what was said about each node."""

    chosen: NodeId | None
    candidates: tuple[Candidate, ...]

    @property
    def refusal(self) -> str:
        """Why no node was chosen, in one sentence."""
        return "no node can take it: " + "; ".join(f"{each.node}: {each.reason}" for each in self.candidates)


def place(
    view: DatabaseView,
    sight: Sight,
    group: GroupRecord,
    cause: PlacementCause,
    *,
    loads: Mapping[NodeId, int],
    current: NodeId | None = None,
    target: NodeId | None = None,
) -> Placement:
    """Choose among the nodes that may run `group`. `loads` counts the groups that each node has now."""
    nodes = [node.name for node in view.nodes()]
    resources = view.resources_of(group.name)
    excluded = {node: _why_not(view, sight, node, resources) for node in nodes}
    ranked = [node for node in _ranking(group, nodes, cause, current, loads) if excluded[node] is None]
    if target is not None:
        ranked = [node for node in ranked if node == target] + [node for node in ranked if node != target]
    if current is not None and cause is not PlacementCause.FIRST:
        # Where it failed, or is to leave, comes last: only when there is no other node.
        ranked = [node for node in ranked if node != current] + [node for node in ranked if node == current]
    chosen = ranked[0] if ranked else None
    return Placement(chosen, tuple(_candidate(node, chosen, ranked, excluded[node], loads) for node in nodes))


def why_not(view: DatabaseView, sight: Sight, group: GroupRecord, node: NodeId) -> str | None:
    """Why `node` cannot take `group` now; None when it can."""
    if view.node(node) is None:
        return "there is no such node"
    return _why_not(view, sight, node, view.resources_of(group.name))


def _why_not(view: DatabaseView, sight: Sight, node: NodeId, resources: Sequence[ResourceRecord]) -> str | None:
    member = view.membership(node)
    if member is None or member.state is not MembershipState.UP:
        return f"it is {member.state if member else 'not joined yet'}"
    heartbeat = sight.detector.last(node)
    if heartbeat is not None and heartbeat.is_leaving:
        return "it is being stopped"
    if heartbeat is not None and heartbeat.incarnation != member.incarnation:
        return "its guard ended and the new run is not admitted yet"
    for resource in resources:
        if resource.possible_owners and key_of(node) not in {key_of(each) for each in resource.possible_owners}:
            return f"{resource.name} may not run there (possible owners: {', '.join(resource.possible_owners)})"
    return _missing_type(view, node, resources)


def _missing_type(view: DatabaseView, node: NodeId, resources: Sequence[ResourceRecord]) -> str | None:
    installed = {record.name for record in view.resource_types() if record.node == node}
    if not installed:
        return None
    for resource in resources:
        if resource.type not in installed:
            return f"resource type {resource.type} is not installed there"
    return None


def node_list(group: GroupRecord, nodes: Sequence[NodeId]) -> list[NodeId]:
    """Preferred owners in their order, then every other node in join order."""
    by_key = {key_of(node): node for node in nodes}
    preferred = [by_key[key_of(node)] for node in group.preferred_owners if key_of(node) in by_key]
    return preferred + [node for node in nodes if node not in preferred]


def _ranking(
    group: GroupRecord,
    nodes: Sequence[NodeId],
    cause: PlacementCause,
    current: NodeId | None,
    loads: Mapping[NodeId, int],
) -> list[NodeId]:
    ordered = node_list(group, nodes)
    follows = cause is PlacementCause.RESOURCE_FAILED or (cause is PlacementCause.NODE_LOST and group.preferred_owners)
    if follows and current in ordered:
        at = ordered.index(current) + 1
        return ordered[at:] + ordered[:at]
    if group.preferred_owners:
        return ordered
    return sorted(ordered, key=lambda node: (loads.get(node, 0), nodes.index(node)))


def _candidate(
    node: NodeId,
    chosen: NodeId | None,
    ranked: Sequence[NodeId],
    excluded: str | None,
    loads: Mapping[NodeId, int],
) -> Candidate:
    if excluded is not None:
        return Candidate(node, False, excluded)
    has = f"it has {loads.get(node, 0)} groups"
    if node == chosen:
        return Candidate(node, True, f"first of {len(ranked)} that can take it; {has}")
    return Candidate(node, False, f"number {ranked.index(node) + 1} of {len(ranked)} that can take it; {has}")
