"""Which node should a group go to, and why not to each of the others? Pure, and deterministic.

The node list of a group is its preferred owners in their order, then every other node in join order. Where a group goes
follows from why it moves: after a failure the *next* node of the list, for an operator the *first*. Where the reference
says "random", the fewest groups, then the fewest memory demanded, and then the join order decide. `Crowd` knows who is
where; here is what is asked of it, what it answers, and the order in which nodes are tried.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clusterd.model.ids import NodeId
from clusterd.model.records import Candidate, GroupRecord
from clusterd.model.states import GroupStatus

NODES_NAMED_MAX = 3
TOLD_MAX = 16
BEST_TOLD = 5


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
    together: Collection[str] = ()
    """Keys of the groups that go where it goes."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Why a node cannot take a group: nobody could, its capacity is used up, or a rule keeps them apart."""

    status: GroupStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Placement:
    """The chosen node, if any, and what was said about the nodes: those that can take it in order, then the others.

    Decisions are stored with their candidates, so of many nodes only the best are told one by one, and every reason to leave
    nodes out once, with all of them.
    """

    chosen: NodeId | None
    candidates: tuple[Candidate, ...]
    status: GroupStatus = GroupStatus.NO_NODE
    """Why there is none: of all reasons, the one that is nearest to success."""
    ranked: tuple[str, ...] = ()
    """The key of every node that can take it, best first."""

    @property
    def refusal(self) -> str:
        """Why no node was chosen, in one sentence."""
        nodes: dict[str, list[NodeId]] = {}
        for each in self.candidates:
            nodes.setdefault(each.reason, []).append(each.node)
        return f"{NOWHERE}: " + "; ".join(f"{named(nodes[reason])}: {reason}" for reason in nodes)


NOWHERE = "no node can take it"


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
