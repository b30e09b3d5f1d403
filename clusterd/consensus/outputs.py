"""What does the core ask of its shell, and what does it start from? Pure.

The shell takes a `Ready` after each batch of events and carries it out: queues `persist` for the disk (and calls
`persisted` once it is durable), sends `messages`, restores and applies, answers reads. Messages that depend on a write
are not in it before that write is durable, so the shell may do these things in any order but one: `restore` comes
before `committed`.
"""

from dataclasses import dataclass
from enum import StrEnum

from clusterd.model.events import Note
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import Configuration, ConsensusMessage, Entry, HardState, SnapshotMeta


class Role(StrEnum):
    """A learner is a FOLLOWER that is no voter of the newest configuration."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The application's whole state after entry `meta.index`."""

    meta: SnapshotMeta
    data: bytes


@dataclass(frozen=True, slots=True)
class Restored:
    """What the disk holds at start. `entries` follow the snapshot without a gap; the application starts from the
    snapshot. A new cluster starts from a snapshot at index 1, term 1 that carries the first configuration; a node that
    joins, or lost its data, starts from `nothing` and learns the rest from the leader."""

    hard_state: HardState
    snapshot: Snapshot
    entries: tuple[Entry, ...] = ()

    @classmethod
    def nothing(cls) -> "Restored":
        """At index 0 with an empty configuration: no guess that the leader's log could be put on top of."""
        return cls(HardState(), Snapshot(SnapshotMeta(configuration=Configuration()), b""))


@dataclass(frozen=True, slots=True)
class Persist:
    """One durable write, in this order: the snapshot, then the entries, then the hard state."""

    sequence: int
    hard_state: HardState | None
    entries: tuple[Entry, ...]
    """The log is cut at the first one's index before they are appended."""
    snapshot: Snapshot | None
    """Replaces everything up to its index."""
    drops_log: bool = False
    """The entries after the snapshot disagree with it (it was installed from a leader) and are dropped as well."""
    is_amnesiac: bool | None = None
    """The replica became amnesiac (remembered before everything else of this write) or has been re-admitted (forgotten
    after it); None: as before."""


@dataclass(frozen=True, slots=True)
class ReadState:
    """The answer to `read_index(context)`: serve the read once `index` is applied; None: refused or lost, ask again."""

    context: int
    index: int | None


@dataclass(frozen=True, slots=True)
class Ready:
    persist: Persist | None
    messages: tuple[tuple[NodeId, ConsensusMessage], ...]
    """May be sent now. One message object may go to several peers: treat it as read-only."""
    committed: tuple[Entry, ...]
    """To apply, in order, each exactly once in this run."""
    restore: Snapshot | None
    """Replace the application's state by this, before `committed`."""
    appended: tuple[Entry, ...]
    """New in this log; neither durable nor committed yet."""
    truncated_from: int | None
    """Entries from this index on that an earlier `appended` (or the restored log) had are gone; before `appended`."""
    reads: tuple[ReadState, ...]
    notes: tuple[Note, ...]
