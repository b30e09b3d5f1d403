"""What does the cluster note of a storage fence, by which a group is taken from an owner that nobody can reach? Pure.

The leader orders it (`StorageFenceRecord`), one node carries it out and says what came of it (`StorageFenceReport`). Both
are about one generation of the group, and one number: the generation under which the storage is claimed meanwhile.
"""

from dataclasses import dataclass
from typing import TypeAlias

from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.states import StorageFenceState


@dataclass(frozen=True, slots=True)
class StorageFenceRecord:
    """A node is to make the storage of a group refuse its owner. Written by the leader.

    It stands until the group is assigned anew, whatever comes of it: no later generation may be below its number.
    """

    group: GroupId
    generation: int
    """Of the assignment that is to end."""
    owner: NodeId
    incarnation: Incarnation
    number: int
    """The generation of the claim: above every one that anything of the group was ever started or prepared under."""
    node: NodeId
    """Who is to do it; empty: it was given up."""
    node_incarnation: Incarnation = Incarnation("")
    tried: tuple[NodeId, ...] = ()
    """Every node that was told to, in order, this one included."""
    ordered_cluster_ms: int = 0
    since_wall_ms: int = 0
    because: str = ""


@dataclass(frozen=True, slots=True)
class FencedDisk:
    """A disk that refuses the old owner, in the words of its resource type."""

    name: ResourceId
    text: str


@dataclass(frozen=True, slots=True)
class StorageFenceReport:
    """What came of a storage fence. Written by the node that was told to carry it out."""

    group: GroupId
    node: NodeId
    incarnation: Incarnation
    number: int
    state: StorageFenceState
    disks: tuple[FencedDisk, ...] = ()
    because: str = ""
    since_wall_ms: int = 0


StorageFenceEntry: TypeAlias = StorageFenceRecord | StorageFenceReport
