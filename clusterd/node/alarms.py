"""What must everybody be told of data that is not whole? Pure.

The leader commits it once, and `status` shows it as long as it lasts.
"""

from typing import TYPE_CHECKING

from clusterd.model.events import DATA_WENT_BACK
from clusterd.model.records import EventRecord
from clusterd.node.memories import Held
from clusterd.node.proposals import ForAlarm

if TYPE_CHECKING:
    from clusterd.node.node import Node


class Alarms:
    """The leader's half. Another leader tells it again: better twice than never."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._told: set[Held] = set()

    def look(self, now_ms: int) -> None:
        """Tell what was not told yet."""
        node = self._node
        for held in sorted(node.memories.held_elsewhere.values(), key=lambda each: each.node):
            if held in self._told:
                continue
            self._told.add(held)
            draft = node.draft().event(
                EventRecord(
                    node.now(now_ms).wall_ms,
                    DATA_WENT_BACK.name,
                    DATA_WENT_BACK.level,
                    node=held.node,
                    message=f"{held.node} holds changes {held.first_index} to {held.last_index}, which the others lost",
                    because=f"{', '.join(held.went_back) or 'a majority'} acknowledged them and went back to older data",
                )
            )
            node.submit(ForAlarm(), draft.build(node.next_request_id()), now_ms)
