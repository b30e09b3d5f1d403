"""What must everybody be told of data that is not whole? Pure.

The leader commits it once, and `status` shows it as long as it lasts.
"""

from typing import TYPE_CHECKING

from clusterd.model.events import DATA_WENT_BACK, DIGEST_DIFFERED
from clusterd.model.ids import NodeId
from clusterd.model.records import EventRecord
from clusterd.node.digests import Verdict
from clusterd.node.memories import Held
from clusterd.node.proposals import ForAlarm

if TYPE_CHECKING:
    from clusterd.node.node import Node


class Alarms:
    """The leader's half. Another leader tells it again: better twice than never."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._told: set[Held] = set()
        self._differing: dict[NodeId, int] = {}

    def look(self, now_ms: int) -> None:
        """Tell what was not told yet."""
        self._look_at_digests(now_ms)
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

    def _look_at_digests(self, now_ms: int) -> None:
        node = self._node
        differing = dict(node.digests.differing)
        for peer in sorted(differing.keys() - self._differing.keys()):
            is_split = node.digests.verdict is Verdict.SPLIT
            because = (
                "nobody knows which is right: nothing is decided any more"
                if is_split
                else "it takes that of most voters"
            )
            draft = node.draft().event(
                EventRecord(
                    node.now(now_ms).wall_ms,
                    DIGEST_DIFFERED.name,
                    DIGEST_DIFFERED.level,
                    node=peer,
                    message=f"the databases of {peer} and {node.me} differ at change {differing[peer]}",
                    because=because,
                )
            )
            node.submit(ForAlarm(), draft.build(node.next_request_id()), now_ms)
        self._differing = differing
