"""Who has fallen silent, and is there a quorum, as far as this node can tell? Pure. For people to read; decides nothing."""

from collections.abc import Collection

from clusterd.membership import Detector
from clusterd.model.events import NODE_SUSPECTED, QUORUM_GAINED, QUORUM_LOST, Note, note
from clusterd.model.ids import NodeId


class Watching:
    """Says each change once."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._silent: set[NodeId] = set()
        self._had_quorum: bool | None = None

    def look(
        self,
        detector: Detector,
        peers: Collection[NodeId],
        voters: Collection[NodeId],
        *,
        now_ms: int,
        silence_max_ms: int,
    ) -> list[Note]:
        """What has changed since the last look."""
        ages_ms = {peer: detector.age_ms(peer, now_ms) for peer in peers}
        silent = {peer for peer, age_ms in ages_ms.items() if age_ms > silence_max_ms}
        notes = [
            note(NODE_SUSPECTED, peer=peer, silent_ms=ages_ms[peer], silence_max_ms=silence_max_ms)
            for peer in sorted(silent - self._silent)
        ]
        self._silent = silent
        heard = {peer for peer in peers if detector.last(peer) is not None} - silent
        reachable = sum(voter == self._me or voter in heard for voter in voters)
        needed = len(voters) // 2 + 1
        has_quorum = reachable >= needed
        if has_quorum != self._had_quorum and (has_quorum or self._had_quorum is not None):
            kind = QUORUM_GAINED if has_quorum else QUORUM_LOST
            notes.append(note(kind, reachable=reachable, needed=needed))
            self._had_quorum = has_quorum
        return notes
