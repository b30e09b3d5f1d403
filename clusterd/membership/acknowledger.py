"""Whose heartbeats does this node acknowledge, and when did it do so last? Pure.

From the moment a node has an expelling entry in its log — appended, not yet durable, not yet committed — it acknowledges
that node's heartbeats no more. Once the entry is durable and applied here (so that no new leader can replace it, and no
crash can lose it) it says how long ago the last acknowledgement was. A majority of such answers bounds every lease that can
still exist.

What the log says can be taken back: an entry is dropped when a new leader replaces it, and it changes nothing when its
compares fail. Both restore what was true before it.
"""

from dataclasses import dataclass, replace

from clusterd.model.ids import Incarnation, NodeId
from clusterd.model.states import MembershipState


@dataclass(frozen=True, slots=True)
class Standing:
    """What one log entry says about a node."""

    index: int
    state: MembershipState
    incarnation: Incarnation
    is_applied: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """This node acknowledges `incarnation` no more; the last time was `last_ack_age_ms` ago."""

    node: NodeId
    incarnation: Incarnation
    entry_index: int
    last_ack_age_ms: int


class Acknowledger:
    """One node's memory of what it acknowledged. A restarted daemon has none, and answers with the age of its start."""

    def __init__(self, started_ms: int) -> None:
        self._started_ms = started_ms
        self._standings: dict[NodeId, list[Standing]] = {}
        self._last_ack_ms: dict[NodeId, int] = {}

    def appended(self, node: NodeId, standing: Standing) -> None:
        """An entry about `node` is in this log now."""
        self._standings.setdefault(node, []).append(standing)

    def truncated(self, from_index: int) -> None:
        """The entries from `from_index` on are not in this log any more."""
        for node, standings in self._standings.items():
            self._standings[node] = [each for each in standings if each.index < from_index]

    def applied(self, node: NodeId, index: int, *, has_taken_effect: bool) -> None:
        """The entry at `index` was applied: what came before it is history, or it is itself."""
        standings = self._standings.get(node, [])
        if has_taken_effect:
            self._standings[node] = [
                replace(each, is_applied=True) if each.index == index else each
                for each in standings
                if each.index >= index
            ]
        else:
            self._standings[node] = [each for each in standings if each.index != index]

    def restore(self, standings: dict[NodeId, Standing]) -> None:
        """Start again from what the database holds (at start, and after a snapshot)."""
        self._standings = {node: [standing] for node, standing in standings.items()}

    def standing(self, node: NodeId) -> Standing | None:
        standings = self._standings.get(node)
        return standings[-1] if standings else None

    def acknowledge(self, node: NodeId, incarnation: Incarnation, now_ms: int) -> bool:
        """Decide on a heartbeat that arrived at `now_ms`, and remember a yes."""
        standing = self.standing(node)
        if standing is None or standing.state is not MembershipState.UP or standing.incarnation != incarnation:
            return False
        self._last_ack_ms[node] = now_ms
        return True

    def refusals(self, durable_index: int, now_ms: int) -> list[Refusal]:
        """What this node can promise: expelling entries that are applied and durable here, in node order."""
        found = []
        for node in sorted(self._standings):
            standing = self.standing(node)
            if standing is None or standing.state is not MembershipState.EXPELLING:
                continue
            if standing.is_applied and standing.index <= durable_index:
                last_ms = max(self._last_ack_ms.get(node, 0), self._started_ms)
                found.append(Refusal(node, standing.incarnation, standing.index, now_ms - last_ms))
        return found
