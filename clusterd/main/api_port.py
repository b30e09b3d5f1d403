"""How does the API reach the daemon? I/O. Nothing but forwarding: the daemon's parts already speak the port's language."""

from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView
from clusterd.model.ids import NodeId
from clusterd.runtime.daemon import Daemon
from clusterd.wire.records_pb2 import Transaction, TransactionResult


class DaemonPort:
    """`clusterd.api.port.ClusterPort` over a running daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @property
    def node(self) -> NodeId:
        return self._daemon.clients.node

    def view(self) -> DatabaseView:
        return self._daemon.clients.view()

    def status(self) -> NodeStatus:
        return self._daemon.status()

    async def linearizable(self, timeout_ms: int) -> None:
        await self._daemon.clients.linearizable(timeout_ms)

    async def commit(self, transaction: Transaction, timeout_ms: int, term: int = 0) -> TransactionResult:
        return await self._daemon.clients.commit(transaction, timeout_ms, term)

    async def changes(self, after_revision: int) -> None:
        await self._daemon.clients.changes(after_revision)

    async def ask_owner(self, resource: str, verb: str, body: bytes, timeout_ms: int) -> bytes:
        return await self._daemon.clients.ask_owner(resource, verb, body, timeout_ms)

    async def ask_node(self, node: NodeId, verb: str, body: bytes, timeout_ms: int) -> bytes:
        return await self._daemon.clients.ask_node(node, verb, body, timeout_ms)

    async def ask_type(
        self, node: NodeId, type_name: str, question: str, body: bytes, timeout_ms: int, about: str = ""
    ) -> bytes:
        return await self._daemon.clients.ask_type(node, type_name, question, body, timeout_ms, about)
