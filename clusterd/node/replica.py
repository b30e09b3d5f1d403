"""How does this node's copy of the database follow the log? Pure.

Wraps the consensus core, the database and the transactions under way. `drain` carries everything that the core is ready to
do into effects and reports which keys changed.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from clusterd.consensus import Persist, Raft, RaftSettings, ReadState, Restored, Role
from clusterd.consensus.memory import FRESH, Marker
from clusterd.database import Database, DatabaseView
from clusterd.membership import Acknowledger
from clusterd.membership.acknowledger import Standing
from clusterd.model import codec, keys
from clusterd.model.events import Note
from clusterd.model.ids import NodeId
from clusterd.model.records import MembershipRecord
from clusterd.node.proposals import Proposals, Purpose
from clusterd.wire.consensus_pb2 import ENTRY_KIND_TRANSACTION, ConsensusMessage, Entry
from clusterd.wire.records_pb2 import Transaction

SNAPSHOT_ENTRIES_MAX = 5000
SNAPSHOT_BYTES_MAX = 8 * 1024 * 1024
DIGESTS_KEPT = 64


@dataclass(slots=True)
class Drained:
    """What came out of the core."""

    writes: list[Persist] = field(default_factory=list)
    messages: dict[NodeId, list[ConsensusMessage]] = field(default_factory=dict)
    reads: list[ReadState] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    is_restored: bool = False
    has_applied: bool = False


class _Parsed(NamedTuple):
    term: int
    transaction: Transaction
    is_about_members: bool
    """It changes a membership: seldom, and both as it is appended and as it is applied."""


def _parsed(term: int, transaction: Transaction) -> _Parsed:
    return _Parsed(term, transaction, any(put.key.startswith(keys.MEMBERSHIP) for put in transaction.puts))


class Replica:
    """One node's consensus core with the database that it feeds."""

    def __init__(
        self,
        node: NodeId,
        restored: Restored,
        settings: RaftSettings,
        rng: random.Random,
        now_ms: int,
        *,
        is_amnesiac: bool = False,
        marker: Marker = FRESH,
    ) -> None:
        self.raft = Raft(
            node,
            restored,
            settings,
            rng,
            now_ms,
            is_amnesiac=is_amnesiac,
            committed_index=marker.committed.index,
            held_index=marker.held_index,
        )
        self.database = Database.restore(restored.snapshot.data, restored.snapshot.meta.index)
        self.view = DatabaseView(self.database)
        self.acknowledger = Acknowledger(now_ms)
        self.proposals = Proposals()
        self._parsed: dict[int, _Parsed] = {}
        """By index, with the term: an entry that never left this node can be replaced without a word."""
        self._digests: deque[tuple[int, int]] = deque(maxlen=DIGESTS_KEPT)
        self._bytes_since_snapshot = 0
        self._restore_standings()
        for entry in restored.entries:
            self._scan(entry)

    # ---- writing ----

    @property
    def is_leader(self) -> bool:
        return self.raft.role is Role.LEADER

    def propose(
        self, purpose: Purpose, transaction: Transaction, *, cluster_ms: int, until_ms: int, now_ms: int
    ) -> None:
        """Append at the leader. Raises NotLeader, TooLarge, or what else the core refuses with."""
        transaction.cluster_ms = max(cluster_ms, self.database.cluster_ms)
        index = self.raft.propose(transaction.SerializeToString(), now_ms)
        self._parsed[index] = _parsed(self.raft.term, transaction)
        self.proposals.in_log(index, self.raft.term, purpose, transaction, until_ms)

    def term_at(self, index: int) -> int | None:
        """The term of an entry in this node's log; None when it is not there (compacted, or not arrived)."""
        entry = self.raft.entry_at(index)
        return entry.term if entry is not None else None

    # ---- following the log ----

    def drain(self) -> Drained:
        """Everything that the core has become ready to do."""
        drained = Drained()
        while (ready := self.raft.ready()) is not None:
            if ready.truncated_from is not None:
                self.acknowledger.truncated(ready.truncated_from)
                self.proposals.truncated(ready.truncated_from)
                for index in [each for each in self._parsed if each >= ready.truncated_from]:
                    del self._parsed[index]
            for entry in ready.appended:
                self._scan(entry)
            if ready.persist is not None:
                drained.writes.append(ready.persist)
            for peer, message in ready.messages:
                drained.messages.setdefault(peer, []).append(message)
            if ready.restore is not None:
                self._restore(ready.restore.data, ready.restore.meta.index)
                drained.is_restored = True
            for entry in ready.committed:
                self._apply(entry, drained)
            drained.reads.extend(ready.reads)
            drained.notes.extend(ready.notes)
        return drained

    def compact(self) -> int | None:
        """Take a snapshot when enough was applied since the last one. Returns its size in bytes."""
        if self.raft.is_disk_refusing:
            return None  # there is no room for it
        grown = self.database.revision - self.raft.snapshot_index
        if grown < SNAPSHOT_ENTRIES_MAX and self._bytes_since_snapshot < SNAPSHOT_BYTES_MAX:
            return None
        data = self.database.snapshot()
        self.raft.take_snapshot(self.database.revision, data)
        self._bytes_since_snapshot = 0
        return len(data)

    def digest(self) -> tuple[int, int]:
        """(revision, digest) to compare with the other replicas."""
        return self._digests[-1] if self._digests else (0, 0)

    def digest_at(self, revision: int) -> int | None:
        return next((digest for at, digest in reversed(self._digests) if at == revision), None)

    def _apply(self, entry: Entry, drained: Drained) -> None:
        if entry.kind != ENTRY_KIND_TRANSACTION:
            self.database.skip(entry.index)
            return
        _, transaction, is_about_members = self._parsed_of(entry)
        del self._parsed[entry.index]
        result = self.database.apply(transaction, entry.index)
        self._bytes_since_snapshot += len(entry.data)
        has_taken_effect = result.succeeded and not result.is_repeat
        for put in transaction.puts if is_about_members else ():
            if put.key.startswith(keys.MEMBERSHIP):
                node = codec.decode(MembershipRecord, put.value).node
                self.acknowledger.applied(node, entry.index, has_taken_effect=has_taken_effect)
        if has_taken_effect:
            drained.changed.update([put.key for put in transaction.puts], transaction.deletes)
            drained.has_applied = True
            self._digests.append((entry.index, self.database.digest))
        self.proposals.applied(entry.index, entry.term, result)

    def _restore(self, data: bytes, index: int) -> None:
        self.database = Database.restore(data, index)
        self.view.replace(self.database)
        self._parsed = {each: parsed for each, parsed in self._parsed.items() if each > index}
        self._digests.clear()
        self._restore_standings()
        for entry in self.raft.entries_from(index + 1):
            self._scan(entry)
        self.proposals.snapshot_restored()

    def _restore_standings(self) -> None:
        standings: dict[NodeId, Standing] = {}
        for key, record in self.view.items(MembershipRecord):
            standings[record.node] = Standing(
                self.view.revision_of(key), record.state, record.incarnation, is_applied=True
            )
        self.acknowledger.restore(standings)

    def _parsed_of(self, entry: Entry) -> "_Parsed":
        found = self._parsed.get(entry.index)
        if found is None or found.term != entry.term:
            found = self._parsed[entry.index] = _parsed(entry.term, Transaction.FromString(entry.data))
        return found

    def _scan(self, entry: Entry) -> None:
        """What an entry says about membership counts from the moment it is in the log."""
        if entry.kind != ENTRY_KIND_TRANSACTION:
            return
        _, transaction, is_about_members = self._parsed_of(entry)
        for put in transaction.puts if is_about_members else ():
            if put.key.startswith(keys.MEMBERSHIP):
                record = codec.decode(MembershipRecord, put.value)
                self.acknowledger.appended(record.node, Standing(entry.index, record.state, record.incarnation))
