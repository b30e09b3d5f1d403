"""What does the API need from the daemon behind it? I/O (types only).

The daemon implements `ClusterPort`; tests do so over a database in memory. The API never touches the node's brain.
"""

from typing import Protocol

from clusterd.database import DatabaseView
from clusterd.model.ids import NodeId
from clusterd.node.status import NodeStatus, PeerStatus
from clusterd.wire.records_pb2 import Transaction, TransactionResult


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

    async def commit(self, transaction: Transaction, timeout_ms: int, term: int = 0) -> TransactionResult:
        """Commit from any node; on return the local view includes it. With `term`: only as the leader of that term.

        A failed compare is no exception but `succeeded` False. Raises NoQuorum, UnknownOutcome, TooLarge, Busy, NotLeader.
        """
        ...

    async def changes(self, after_revision: int) -> None:
        """Return once the local database is newer than `after_revision`. May be cancelled."""
        ...

    async def ask_owner(self, resource: str, verb: str, body: bytes, timeout_ms: int) -> bytes:
        """Ask the resource host of a resource, on whatever node owns it. Raises ClusterError."""
        ...

    async def ask_node(self, node: NodeId, verb: str, body: bytes, timeout_ms: int) -> bytes:
        """Ask a node's daemon, over the peers' links, for what only it can do or know (`stop`, `facts`). Raises
        ClusterError."""
        ...

    async def ask_type(
        self, node: NodeId, type_name: str, question: str, body: bytes, timeout_ms: int, about: str = ""
    ) -> bytes:
        """Ask a resource type what it says of a node; `about`: the resource that it is asked for. Raises ClusterError."""
        ...


__all__ = ["ClusterPort", "NodeStatus", "PeerStatus"]
