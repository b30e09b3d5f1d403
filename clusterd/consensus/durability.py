"""What is on disk already, what goes there next, and which messages wait for it? Pure.

Every write has a sequence number, and each covers all that changed before it. A message that promises something (a
vote, an acknowledged entry) is held until the write that makes the promise durable is reported done; messages that
promise nothing go at once, so a leader's appends travel while its own disk works.

Why a request for votes waits as well: 1. A asks for votes in term 5 with entries that are not durable; 2. A crashes,
loses the entries and the term; 3. A stands in term 5 again with the shorter log; 4. a delayed reply to the first request
elects it, without the entries that made its log good enough.
"""

from collections import deque
from dataclasses import dataclass

from clusterd.consensus.log import Log
from clusterd.consensus.outputs import Persist, Snapshot
from clusterd.model.errors import invariant
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import AppendReply, ConsensusMessage, HardState

Addressed = tuple[NodeId, ConsensusMessage]


@dataclass(slots=True)
class _Write:
    sequence: int
    last_index: int  # the log is durable up to here once this is done


@dataclass(slots=True)
class _Held:
    sequence: int
    to: NodeId
    message: ConsensusMessage
    acknowledged: tuple[int, int] | None  # term, index: a later acknowledgement makes this one superfluous


class Durability:
    def __init__(self, log: Log) -> None:
        self._log = log
        self.durable_index = log.last_index
        self.fresh_from = log.last_index + 1
        """Entries from here on are in no write yet."""
        self.truncated_from: int | None = None
        self.outbox: list[Addressed] = []
        self._snapshot: Snapshot | None = None
        self._drops_log = False
        self._is_amnesiac: bool | None = None
        self._is_hard_state_fresh = False
        self._hard_state_sequence = 0
        self._sequence = 0
        self._done = 0
        self._writes: deque[_Write] = deque()
        self._held: deque[_Held] = deque()

    @property
    def is_hard_state_durable(self) -> bool:
        return not self._is_hard_state_fresh and self._hard_state_sequence <= self._done

    @property
    def writes_outstanding(self) -> int:
        return len(self._writes)

    # ---- what changed ----

    def hard_state_changed(self) -> None:
        self._is_hard_state_fresh = True

    def amnesia_changed(self, *, is_amnesiac: bool) -> None:
        self._is_amnesiac = is_amnesiac

    def log_cut(self, index: int) -> None:
        """Entries from `index` on are gone; the write that may have held them counts for the rest only."""
        if index < self.fresh_from:
            self.truncated_from = index if self.truncated_from is None else min(index, self.truncated_from)
            self.fresh_from = index
        self._cap_durable(index - 1)

    def snapshot_taken(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def snapshot_installed(self, snapshot: Snapshot, *, drops_log: bool, agreed_index: int) -> None:
        """The log up to `agreed_index` is the same as before; all after it is replaced when the log is dropped."""
        self._snapshot = snapshot
        if drops_log:
            self._drops_log = True
            if agreed_index + 1 < self.fresh_from:
                self.truncated_from = min(agreed_index + 1, self.truncated_from or agreed_index + 1)
            self.fresh_from = snapshot.meta.index + 1
            self._cap_durable(agreed_index)
        else:
            self.fresh_from = max(self.fresh_from, snapshot.meta.index + 1)

    def _cap_durable(self, index: int) -> None:
        self.durable_index = min(self.durable_index, index)
        for write in self._writes:
            write.last_index = min(write.last_index, index)

    # ---- messages ----

    def send(self, to: NodeId, message: ConsensusMessage) -> None:
        self.outbox.append((to, message))

    def send_when_durable(self, to: NodeId, message: ConsensusMessage) -> None:
        """Send once all that has changed until now is durable. A message to oneself comes back from `written`."""
        needs = self._sequence + 1 if self._is_dirty() else self._sequence
        self._hold(_Held(needs, to, message, None))

    def acknowledge(self, to: NodeId, term: int, match_index: int, *, is_amnesiac: bool) -> None:
        """Tell the leader that the log up to `match_index` is durable, once it is. The newest one says it all."""
        needs = self._sequence + 1 if self._is_dirty() else self._sequence
        last = self._held[-1] if self._held else None
        if last and last.sequence == needs and last.to == to and last.acknowledged and last.acknowledged[0] == term:
            match_index = max(match_index, last.acknowledged[1])
            self._held.pop()
        reply = AppendReply(accepted=True, match_index=match_index, is_amnesiac=is_amnesiac)
        self._hold(_Held(needs, to, ConsensusMessage(term=term, append_reply=reply), (term, match_index)))

    def _hold(self, held: _Held) -> None:
        self._held.append(held)

    def _is_dirty(self) -> bool:
        has_news = self._snapshot is not None or self._is_amnesiac is not None
        return self._is_hard_state_fresh or self.fresh_from <= self._log.last_index or has_news

    # ---- writes ----

    def next_write(self, *, term: int, voted_for: str) -> Persist | None:
        """All that changed since the last write, as one; None when nothing did."""
        if not self._is_dirty():
            return None
        self._sequence += 1
        hard_state = None
        if self._is_hard_state_fresh:
            hard_state = HardState(term=term, voted_for=voted_for)
            self._is_hard_state_fresh, self._hard_state_sequence = False, self._sequence
        entries = tuple(self._log.entries_from(self.fresh_from))
        persist = Persist(self._sequence, hard_state, entries, self._snapshot, self._drops_log, self._is_amnesiac)
        self._snapshot, self._drops_log, self._is_amnesiac = None, False, None
        self.fresh_from = self._log.last_index + 1
        self._writes.append(_Write(self._sequence, self._log.last_index))
        return persist

    @property
    def unwritten_bytes(self) -> int:
        """The size of the entries that are in the log and not durable yet."""
        return self._log.bytes_after(self.durable_index)

    def written(self, sequence: int) -> None:
        """All writes up to `sequence` are durable."""
        invariant(sequence <= self._sequence, f"write {sequence} reported done, {self._sequence} was the last")
        self._done = max(self._done, sequence)
        while self._writes and self._writes[0].sequence <= sequence:
            self.durable_index = self._writes.popleft().last_index

    def released(self) -> list[Addressed]:
        """The held messages whose write is done, in the order in which they were given."""
        found: list[Addressed] = []
        while self._held and self._held[0].sequence <= self._done:
            held = self._held.popleft()
            found.append((held.to, held.message))
        return found
