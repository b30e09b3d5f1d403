"""Which node should a group go to, and why not to each of the others? Pure, and deterministic.

The node list of a group is its preferred owners in their order, then every other node in join order. Where a group goes
follows from why it moves: after a failure the *next* node of the list, for an operator the *first*. Where the reference
says "random", the fewest groups, then the fewest memory demanded, and then the join order decide. `Crowd` knows who is
where; here is what is asked of it, what it answers, and the order in which nodes are tried.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clusterd.database import DatabaseView
from clusterd.leader.sight import Sight
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import Candidate, GroupRecord, ResourceRecord
from clusterd.model.states import GroupStatus, MembershipState

NODES_NAMED_MAX = 3
KEPT_MAX = 16


class PlacementCause(StrEnum):
    FIRST = "first placement"
    NODE_LOST = "its node was lost"
    RESOURCE_FAILED = "a resource failed"
    MOVE = "an operator asked for a move"
    FAILBACK = "it goes back to a preferred owner"
    DRAIN = "its node is drained"
    RETURN = "it goes back to where it came from"
    BALANCE = "the load is evened out"
    RETRY = "it is tried again"
    COLD_START = "the cluster starts"
    RULE = "a rule or a capacity forbids it where it is"


LEAVING = frozenset({PlacementCause.MOVE, PlacementCause.DRAIN, PlacementCause.FAILBACK, PlacementCause.BALANCE})
"""What leaves on purpose does not come back to where it is."""
ENDED_THERE = frozenset(
    {PlacementCause.NODE_LOST, PlacementCause.RESOURCE_FAILED, PlacementCause.RETURN, PlacementCause.RULE}
)
"""Where it failed or may not stay comes last: only when there is no other node."""


@dataclass(frozen=True, slots=True)
class Request:
    """A group that needs a node. `current` is where it is or was; `target` is tried first."""

    group: GroupRecord
    cause: PlacementCause
    current: NodeId | None = None
    target: NodeId | None = None
    ignores_rules: bool = False


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Why a node cannot take a group: nobody could, its capacity is used up, or a rule keeps them apart."""

    status: GroupStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Placement:
    """The chosen node, if any, and what was said about each node: those that can take it in order, then the others."""

    chosen: NodeId | None
    candidates: tuple[Candidate, ...]
    status: GroupStatus = GroupStatus.NO_NODE
    """Why there is none: of all reasons, the one that is nearest to success."""
    able: int = 0
    """How many of the candidates, from the first on, can take it."""

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """What is worth storing with a decision: all of a small cluster; of a large one the best, and each reason once."""
        if len(self.candidates) <= KEPT_MAX:
            return self.candidates
        able = self.candidates[: min(self.able, KEPT_MAX // 2)]
        nodes: dict[str, list[NodeId]] = {}
        for each in self.candidates[self.able :]:
            nodes.setdefault(each.reason, []).append(each.node)
        return (*able, *(_once(nodes[reason], reason) for reason in list(nodes)[: KEPT_MAX - len(able)]))

    @property
    def refusal(self) -> str:
        """Why no node was chosen, in one sentence."""
        nodes: dict[str, list[NodeId]] = {}
        for each in self.candidates:
            nodes.setdefault(each.reason, []).append(each.node)
        return "no node can take it: " + "; ".join(f"{named(nodes[reason])}: {reason}" for reason in nodes)


def _once(nodes: Sequence[NodeId], reason: str) -> Candidate:
    others = f" (the same holds for {named(nodes[1:])})" if len(nodes) > 1 else ""
    return Candidate(nodes[0], False, reason + others)


def nearest(exclusions: Collection[Exclusion]) -> GroupStatus:
    """What a group waits for that found no node: room, then the end of a conflict, then a node."""
    found = {each.status for each in exclusions}
    order = (GroupStatus.PHYSICAL_RESOURCES_LACKING, GroupStatus.ANTI_AFFINITY_CONFLICT)
    return next((status for status in order if status in found), GroupStatus.NO_NODE)


def named(names: Sequence[str]) -> str:
    """Names for a sentence, not too many of them: 'a, b, c and 4 others'."""
    if len(names) <= NODES_NAMED_MAX + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NODES_NAMED_MAX])} and {len(names) - NODES_NAMED_MAX} others"


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
