"""What may be asked of a node by those who only want to know? Pure.

A question changes nothing. So whoever answers one (the API, logs, `explain`, a plan) holds this, and not the node: every
answer is an immutable value or a view that only reads, and no method here calls one that has an effect. A test compares the
whole brain before and after each of them.
"""

from clusterd.database import DatabaseView
from clusterd.model.ids import NodeId
from clusterd.node.node import Node
from clusterd.node.status import NodeStatus, is_quorate, status_of


class Questions:
    """The readable side of one node."""

    __slots__ = ("__node",)

    def __init__(self, node: Node) -> None:
        self.__node = node

    @property
    def me(self) -> NodeId:
        return self.__node.me

    @property
    def revision(self) -> int:
        """Of the local database."""
        return self.__node.replica.database.revision

    @property
    def is_quorate(self) -> bool:
        return is_quorate(self.__node)

    def view(self) -> DatabaseView:
        return self.__node.replica.view

    def host_of(self, resource: str) -> str | None:
        """The host that serves a resource which this node owns; None when none does now."""
        return self.__node.owning.owner.host_of(resource)

    def status(self, now_ms: int, *, version: str, quorum_since_wall_ms: int) -> NodeStatus:
        return status_of(self.__node, now_ms, version=version, quorum_since_wall_ms=quorum_since_wall_ms)
