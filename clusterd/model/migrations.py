"""What does the cluster note of a group that goes to another node while it runs? Pure.

The leader orders it (`AssignmentRecord.migration`, its number). The destination says what it prepared (`MigrationRecord`),
the source how it goes and whether it came to pass (`MigrationReport`, in its report).
"""

from dataclasses import dataclass

from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.states import MigrationState


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """How a live migration goes, as the source sees it; and then, at the destination, what it cost."""

    number: int
    percent: int = 0
    text: str = ""
    failed: str = ""
    """Why it fell through: it still runs on the source. Final."""
    is_moved: bool = False
    """It stands still on the source and is whole at the destination. Final."""
    moved_wall_ms: int = 0
    """Since when it stands still."""
    took_ms: int = 0
    blackout_ms: int = 0
    """From the moment at which it stood still until it was online at the destination, by the two nodes' wall clocks."""


@dataclass(frozen=True, slots=True)
class PreparedResource:
    """What the source of a live migration must know to move one resource: words of its resource type."""

    name: ResourceId
    text: str


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    """How far the destination of a live migration says it has come. With a number other than the assignment's: outdated."""

    group: GroupId
    node: NodeId
    incarnation: Incarnation
    number: int
    state: MigrationState
    prepared: tuple[PreparedResource, ...] = ()
    because: str = ""
    since_wall_ms: int = 0
