"""What can a node want done? Pure. Each is a plain value that the shell, or the simulator, performs."""

from dataclasses import dataclass
from typing import TypeAlias

from clusterd.consensus import Persist
from clusterd.consensus.memory import Marker
from clusterd.leader import FenceWish
from clusterd.model.errors import ClusterError
from clusterd.model.events import Note
from clusterd.model.ids import Incarnation, NodeId
from clusterd.owner import HostCall, KillHost, StartHost
from clusterd.wire.peer_pb2 import Envelope
from clusterd.wire.records_pb2 import TransactionResult


@dataclass(frozen=True, slots=True)
class Send:
    """Send over the link to `link`; the envelope names the receiver. May be lost, like every message."""

    link: NodeId
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send a heartbeat (serialized) straight to a peer. Lost without a word when the two have agreed on no key."""

    peer: NodeId
    body: bytes


@dataclass(frozen=True, slots=True)
class KnowMembers:
    """These are the nodes of the cluster: whoever is none any more loses its keys at once."""

    nodes: frozenset[NodeId]


@dataclass(frozen=True, slots=True)
class Attend:
    """Post datagrams as they come (at first they are), or let them wait until the next heartbeat of this node is due."""

    is_attentive: bool


@dataclass(frozen=True, slots=True)
class Write:
    """Make durable, and say so with `LogWritten`. Writes are made in order."""

    persist: Persist


@dataclass(frozen=True, slots=True)
class Mark:
    """Keep this beside the log, once all writes before it are durable. One that is not kept is made up for by the next."""

    marker: Marker


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Tell the guard that this incarnation may run workloads until `deadline_ms` (this node's own clock)."""

    incarnation: Incarnation
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class EndIncarnation:
    """Have the guard stop everything, prove it, and begin a new incarnation."""

    incarnation: Incarnation
    because: str


@dataclass(frozen=True, slots=True)
class AskFence:
    wish: FenceWish


@dataclass(frozen=True, slots=True)
class CommitDone:
    """The answer to `CommitAsked`: a result, or an error that says whether it may have taken effect."""

    context: int
    result: TransactionResult | None
    error: ClusterError | None


@dataclass(frozen=True, slots=True)
class ReadDone:
    context: int
    error: ClusterError | None


@dataclass(frozen=True, slots=True)
class Applied:
    """The database is at `revision` now."""

    revision: int


@dataclass(frozen=True, slots=True)
class Noted:
    note: Note


@dataclass(frozen=True, slots=True)
class Left:
    """Everything is offline and handed over (or the time for it ran out): the guard and the daemon may end."""

    because: str


Effect: TypeAlias = (
    Send
    | SendDatagram
    | KnowMembers
    | Attend
    | Write
    | Mark
    | RenewLease
    | EndIncarnation
    | StartHost
    | KillHost
    | HostCall
    | AskFence
    | CommitDone
    | ReadDone
    | Applied
    | Noted
    | Left
)
