"""What does the API need from the daemon behind it? I/O (types only).

The daemon implements `ClusterPort`; tests do so over a database in memory. The API never touches the node's brain.
"""

from dataclasses import dataclass
from typing import Protocol

from clusterd.database import DatabaseView
from clusterd.model.ids import NodeId
from clusterd.wire.records_pb2 import Transaction, TransactionResult


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A node as the answering node sees it. `heartbeat_age_ms` is None for itself and for one never heard."""

    node: NodeId
    has_vote: bool
    is_reachable: bool
    heartbeat_age_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a daemon knows about itself and its surroundings, beside the database."""

    node: NodeId
    version: str
    term: int
    leader: NodeId | None
    is_quorate: bool
    voters_reachable: int
    voters_needed: int
    quorum_since_wall_ms: int  # since when it is, or is not, quorate
    cluster_ms: int
    wall_ms: int
    age_ms: int = 0  # how old the local database may be: time since the leader was last heard; 0 at the leader
    lease_left_ms: int | None = None  # None: this node may run nothing
    incarnation: str = ""
    containment: str = ""
    peers: tuple[PeerStatus, ...] = ()  # every node of the cluster, itself too


class ClusterPort(Protocol):
    """One node of the cluster, for the API that it serves."""

    @property
    def node(self) -> NodeId: ...

    def view(self) -> DatabaseView:
        """The local database. Two reads with an `await` between them may see different revisions."""
        ...

    def status(self) -> NodeStatus: ...

    async def linearizable(self, timeout_ms: int) -> None:
        """On return `view()` includes every commit acknowledged before the call. Raises NoQuorum, UnknownOutcome."""
        ...

    async def commit(self, transaction: Transaction, timeout_ms: int) -> TransactionResult:
        """Commit from any node; on return the local view includes it.

        A failed compare is no exception but `succeeded` False. Raises NoQuorum, UnknownOutcome, TooLarge, Busy.
        """
        ...

    async def changes(self, after_revision: int) -> None:
        """Return once the local database is newer than `after_revision`. May be cancelled."""
        ...

    async def ask_owner(self, resource: str, verb: str, body: bytes, timeout_ms: int) -> bytes:
        """Ask the resource host of a resource, on whatever node owns it. Raises ClusterError."""
        ...
