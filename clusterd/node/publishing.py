"""What does this node tell the cluster about itself? Pure. Its resource types and what its machine has, when they differ."""

from typing import TYPE_CHECKING

from clusterd.model import keys
from clusterd.model.records import NodeFactsRecord, ResourceTypeRecord
from clusterd.node.proposals import ForTypes

if TYPE_CHECKING:
    from clusterd.node.node import Node


class Publishing:
    """Records that only this node writes, and that change rarely."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._types: dict[tuple[str, str], ResourceTypeRecord] = {}
        self._facts: NodeFactsRecord | None = None
        self._is_in_flight = False

    def know_type(self, record: ResourceTypeRecord) -> None:
        """A host of this node can run it."""
        self._types[keys.resource_type(record.name, record.node), record.version] = record

    def know_machine(self, *, memory_mib: int, cores: int) -> bool:
        """What the machine has. True when that is news."""
        facts = NodeFactsRecord(self._node.me, memory_mib, cores)
        is_news = facts != self._facts
        self._facts = facts
        return is_news

    def settled(self) -> None:
        self._is_in_flight = False

    def publish(self, now_ms: int) -> bool:
        """Tell the cluster when it knows something else. True when something was proposed."""
        if self._is_in_flight:
            return False
        view = self._node.replica.view
        news: list[ResourceTypeRecord | NodeFactsRecord] = [
            record
            for record in self._types.values()
            if view.get(ResourceTypeRecord, keys.resource_type(record.name, record.node)) != record
        ]
        if self._facts is not None and view.facts(self._node.me) != self._facts:
            news.append(self._facts)
        if not news:
            return False
        self._is_in_flight = True
        draft = self._node.draft()
        for record in news:
            draft.put(record)
        names = tuple(record.name if isinstance(record, ResourceTypeRecord) else record.node for record in news)
        self._node.submit(ForTypes(names), draft.build(self._node.next_request_id()), now_ms)
        return True
