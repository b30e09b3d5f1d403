"""Does this node take datagrams in as they come, or together with its own next heartbeat? Pure.

Most of what an idle node costs is being woken for what tells it nothing new. As long as everybody is heard and nobody waits
for an answer, datagrams wait in the socket until this node looks around anyway: each counts from when it came, and what is
news comes over the streams as well. Whoever asks, is asked or misses somebody pays attention for a while.
"""

from typing import TYPE_CHECKING

from clusterd.node.effects import Attend

if TYPE_CHECKING:
    from clusterd.node.node import Node


class Attention:
    """Whether datagrams of peers are waited for."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._until_ms: int | None = None
        self.is_paid = True

    def pay(self, now_ms: int) -> None:
        """Somebody waits, or may wait soon: for the silence limit nothing is left lying."""
        self._until_ms = now_ms + self._node.settings.silence_max_ms
        self._set(is_paid=True)

    def look(self, now_ms: int) -> None:
        """Call with every heartbeat of this node's own, once it is known whether anybody is missed."""
        if self._until_ms is None or now_ms >= self._until_ms:
            self._set(is_paid=False)

    def _set(self, *, is_paid: bool) -> None:
        if is_paid != self.is_paid:
            self.is_paid = is_paid
            self._node.do(Attend(is_paid))
