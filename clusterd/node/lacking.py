"""Whose data is missing, where too few voters have theirs for anything to be decided? Pure.

A voter without its data is admitted again by a majority that has its own. Where there is none, waiting helps nobody: only
the data itself does. It is told who has lost it, how many must have it back, and who has what.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterd.consensus.configurations import votes_needed
from clusterd.model.events import DATA_NEEDED, note
from clusterd.model.ids import NodeId
from clusterd.model.states import DataState

if TYPE_CHECKING:
    from clusterd.node.node import Node


@dataclass(frozen=True, slots=True)
class Lack:
    """`forgot`: the voters without their data, of which `count` must have it back."""

    voters: tuple[NodeId, ...]
    forgot: tuple[NodeId, ...]
    count: int


def lack(voters: Collection[NodeId], forgot: Collection[NodeId]) -> Lack | None:
    """None: a majority may still have its data; those that are only away can be started."""
    gone = tuple(sorted(set(forgot) & set(voters)))
    count = votes_needed(len(voters)) - (len(voters) - len(gone)) if gone else 0
    return Lack(tuple(sorted(voters)), gone, count) if count > 0 else None


class Lacking:
    """One node's view of it, and its word in the log."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._since_ms: int | None = None
        self._told: Lack | None = None
        self.present: Lack | None = None
        """As of the last look."""
        self.is_stuck = False
        """This node leads, and neither commits anything with those who are there nor can put out one that lost its data."""

    def _find(self) -> Lack | None:
        node = self._node
        raft = node.replica.raft
        voters = [NodeId(each) for each in raft.configuration.voters] or node.memories.told_voters
        forgot = [each for each in voters if node.memories.data_of(each)[0] is DataState.AMNESIAC]
        if not forgot:
            return None
        can_put_one_out = len(voters) - len(forgot) >= votes_needed(len(voters) - 1)
        return None if raft.leader is not None and can_put_one_out else lack(voters, forgot)

    def _is_stuck(self, now_ms: int) -> bool:
        node = self._node
        raft = node.replica.raft
        voters = [NodeId(each) for each in raft.configuration.voters]
        if not raft.amnesiac_peers or not set(raft.amnesiac_peers) & set(voters):
            return False
        return len(set(node.leading.sound_voters(now_ms)) & set(voters)) < votes_needed(len(voters) - 1)

    def look(self, now_ms: int) -> None:
        """With every regular heartbeat. Said once it has lasted: a leader may be about to be elected."""
        self.is_stuck = self._is_stuck(now_ms)
        found = self.present = self._find()
        if found is None:
            self._since_ms = None
            return
        if self._since_ms is None:
            self._since_ms = now_ms
        if found != self._told and now_ms - self._since_ms > self._node.settings.silence_max_ms:
            self._told = found
            restores = f"a copy of their own data folders: {found.count} of {', '.join(found.forgot)}"
            self._node.say(note(DATA_NEEDED, nodes=", ".join(found.forgot), restores=restores))
