"""What does the cluster note of a node that is being emptied? Pure."""

from dataclasses import dataclass

from clusterd.model.ids import GroupId, NodeId
from clusterd.model.states import DrainState


@dataclass(frozen=True, slots=True)
class DrainFailure:
    """A group that could not leave."""

    group: GroupId
    reason: str


@dataclass(frozen=True, slots=True)
class DrainRecord:
    """How far the emptying of a node has come. Written by the leader."""

    node: NodeId
    pause_id: str
    state: DrainState
    groups: tuple[GroupId, ...] = ()
    """What was on it when the drain began, in the order in which it leaves."""
    failed: tuple[DrainFailure, ...] = ()
    since_wall_ms: int = 0
    resume_id: str = ""
    """The request to resume that ended it before everything had left."""
