"""What did a replica promise, who remembers it, and does its log still hold it? Pure.

A promise is a *position*: in `term`, this replica holds its leader's log up to `index`, durably. Positions only grow: a
later term outweighs every index, and within a term an acknowledged entry is never replaced. So a log that does not reach a
position that somebody remembers (its own marker, or a peer) is an older copy: it went back.

A *marker* is the replica's own memory, in a file beside the log, written after the log was synced. It also names the last
entry that was known to be committed, which no leader may ever contradict, and what every peer promised last.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from clusterd.consensus.outputs import Restored
from clusterd.model.ids import NodeId


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Compared by term, then by index."""

    term: int
    index: int


NOWHERE = Position(0, 0)


class Remembered(NamedTuple):
    """What is known of a peer: its daemon's last run, how often a daemon was started on its data, and what it promised."""

    run: str
    boots: int
    position: Position


@dataclass(frozen=True, slots=True)
class Marker:
    """`boots`: how often a daemon was started on this data. `voted_for`: in the term of `promised`. `wall_ms`: when it was
    written, for people."""

    boots: int = 0
    promised: Position = NOWHERE
    voted_for: str = ""
    committed: Position = NOWHERE
    wall_ms: int = 0
    peers: Mapping[NodeId, Remembered] = field(default_factory=dict)
    held_index: int = 0
    """From here on the others lost what is committed here; 0: nothing of the kind is known."""


FRESH = Marker()


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a log goes: its term, the vote in it, and its last entry."""

    term: int
    index: int
    voted_for: str = ""

    @classmethod
    def of(cls, restored: Restored) -> "Reach":
        last = restored.entries[-1].index if restored.entries else restored.snapshot.meta.index
        return cls(restored.hard_state.term, last, restored.hard_state.voted_for)

    def holds(self, promised: Position) -> bool:
        """Whether a log that goes so far can be one on which that was promised."""
        return (self.term, self.index) >= (promised.term, promised.index)

    def __str__(self) -> str:
        return f"its log ends at {self.index} in term {self.term}"


def behind_its_marker(log: Reach, marker: Marker) -> str:
    """Why the log cannot be what this node had, by its own marker; empty when it can."""
    promised = marker.promised
    if not log.holds(promised):
        what = f"it acknowledged {promised.index} in term {promised.term}"
    elif marker.committed.index > log.index:
        what = f"{marker.committed.index} was committed"
    elif marker.voted_for and log.term == promised.term and log.voted_for != marker.voted_for:
        what = f"it voted for {marker.voted_for} in term {promised.term}"
    else:
        return ""
    return f"{log}, but by its marker {what}: the data is an older copy"


def older_than_known(log: Reach, *, boots: int, told: Remembered, by: NodeId) -> str:
    """Why the data cannot be what this node had, by what a peer remembers of an earlier run of it; empty when it can."""
    promised = told.position
    if not log.holds(promised):
        what = f"it acknowledged {promised.index} in term {promised.term}, and {log} at its start"
    elif boots and told.boots >= boots:
        what = f"there was start {told.boots} on its data, and this is start {boots}"
    else:
        return ""
    return f"{by} remembers that {what}: the data is an older copy"
