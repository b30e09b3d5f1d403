"""Whole clusters of replicas in one thread: a network and disks with dials, and the invariants of Raft.

Time is virtual. Every replica has a disk that remembers what was synced and forgets the rest in a crash. The network
delivers when it is told to, in any order. After every step `check` compares what the replicas say with what was true
before: one leader per term, what is committed never changes, and a leader holds all that was committed before its term.
"""

import ast
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from clusterd.consensus import Persist, Raft, RaftSettings, ReadState, Ready, Restored, Role, Snapshot
from clusterd.model.events import Note
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import Configuration, ConsensusMessage, Entry, HardState, SnapshotMeta

SETTINGS = RaftSettings(log_tail_entries=5, snapshot_chunk_bytes=16, append_entries_max=4)


@dataclass(slots=True)
class Disk:
    hard_state: HardState
    snapshot: Snapshot
    entries: list[Entry] = field(default_factory=list)
    queued: deque[Persist] = field(default_factory=deque)

    def sync(self, count: int) -> int:
        """Make the first `count` queued writes durable; the last sequence."""
        sequence = 0
        for _ in range(min(count, len(self.queued))):
            persist = self.queued.popleft()
            sequence = persist.sequence
            self._apply(persist)
        return sequence

    def _apply(self, persist: Persist) -> None:
        if persist.snapshot:
            self.snapshot = persist.snapshot
            if persist.drops_log:
                self.entries.clear()
        for entry in persist.entries:
            while self.entries and self.entries[-1].index >= entry.index:
                self.entries.pop()
            self.entries.append(entry)
        if persist.hard_state:
            self.hard_state = persist.hard_state

    def restored(self) -> Restored:
        later = tuple(entry for entry in self.entries if entry.index > self.snapshot.meta.index)
        assert [each.index for each in later] == list(
            range(self.snapshot.meta.index + 1, self.snapshot.meta.index + 1 + len(later))
        )
        return Restored(self.hard_state, self.snapshot, later)


@dataclass(slots=True)
class Replica:
    raft: Raft
    disk: Disk
    applied: list[tuple[int, int, bytes]] = field(default_factory=list)
    reads: dict[int, int | None] = field(default_factory=dict)
    log: dict[int, int] = field(default_factory=dict)  # index → term, built from `appended` and `truncated_from`


@dataclass(slots=True)
class InFlight:
    sender: NodeId
    to: NodeId
    message: ConsensusMessage


def node(number: int) -> NodeId:
    return NodeId(f"n{number}")


class Cluster:
    def __init__(self, voters: int = 3, *, learners: int = 0, seed: int = 0, settings: RaftSettings = SETTINGS) -> None:
        self.random = random.Random(seed)
        self.settings = settings
        self.now_ms = 0
        names = [node(number) for number in range(1, voters + learners + 1)]
        self.first = Configuration(index=1, term=1, voters=names[:voters], learners=names[voters:])
        self.replicas: dict[NodeId, Replica] = {}
        self.down: dict[NodeId, Disk] = {}
        self.network: list[InFlight] = []
        self.cuts: set[frozenset[NodeId]] = set()
        self.notes: list[tuple[NodeId, Note]] = []
        self.leaders: dict[int, NodeId] = {}
        self.committed: dict[int, tuple[int, bytes]] = {}
        self.context = 0
        self.read_indexes: list[int | None] = []
        self.reads_asked: dict[int, int] = {}  # context → highest index that was committed when it was asked
        for name in names:
            self.add(name, self.first)

    # ---- nodes ----

    def add(self, name: NodeId, configuration: Configuration | None = None) -> None:
        """A new node; without a configuration it knows nothing yet."""
        known = configuration or Configuration()
        meta = SnapshotMeta(index=known.index, term=known.term, configuration=known)
        self.down[name] = Disk(HardState(term=known.term), Snapshot(meta, b"[]"))
        self.start(name)

    def start(self, name: NodeId, *, is_amnesiac: bool = False) -> None:
        disk = self.down.pop(name)
        raft = Raft(
            name,
            disk.restored(),
            self.settings,
            random.Random(self.random.random()),
            self.now_ms,
            is_amnesiac=is_amnesiac,
        )
        replica = Replica(raft, disk, _decode(disk.snapshot.data))
        replica.log = {each.index: each.term for each in disk.entries if each.index > disk.snapshot.meta.index}
        self.replicas[name] = replica
        for peer in sorted(self.replicas):
            self.replicas[peer].raft.link_opened(name, self.now_ms)

    def crash(self, name: NodeId, *, tell: bool = False) -> None:
        """What was not synced is gone. `tell`: its connections end visibly."""
        disk = self.replicas.pop(name).disk
        disk.queued.clear()
        self.down[name] = disk
        if tell:
            for peer in sorted(self.replicas):
                self.replicas[peer].raft.link_broken(name, self.now_ms)

    def wipe(self, name: NodeId) -> None:
        """Its disk is replaced by an empty one while it is down."""
        self.down[name] = Disk(HardState(), Snapshot(SnapshotMeta(), b"[]"))

    def cut(self, first: NodeId, second: NodeId) -> None:
        self.cuts.add(frozenset((first, second)))

    def isolate(self, name: NodeId) -> None:
        for peer in [*self.replicas, *self.down]:
            if peer != name:
                self.cut(name, peer)

    def heal(self) -> None:
        self.cuts.clear()

    # ---- events ----

    def drain(self, name: NodeId) -> None:
        """Carry out what a replica asks for, but leave its disk and the network to be moved by others."""
        replica = self.replicas[name]
        while ready := replica.raft.ready():
            self._carry_out(name, replica, ready)
        self.check(name)

    def _carry_out(self, name: NodeId, replica: Replica, ready: Ready) -> None:
        self.notes += [(name, each) for each in ready.notes]
        if ready.persist:
            replica.disk.queued.append(ready.persist)
        self.network += [InFlight(name, to, message) for to, message in ready.messages]
        if ready.restore:
            replica.applied = _decode(ready.restore.data)
            replica.log = {i: t for i, t in replica.log.items() if i > ready.restore.meta.index}
        if ready.truncated_from is not None:
            replica.log = {i: t for i, t in replica.log.items() if i < ready.truncated_from}
        for entry in ready.appended:
            replica.log[entry.index] = entry.term
        for entry in ready.committed:
            self._apply(name, replica, entry)
        for read in ready.reads:
            self._check_read(replica, read)

    def _apply(self, name: NodeId, replica: Replica, entry: Entry) -> None:
        last_index = replica.applied[-1][0] if replica.applied else self.first.index
        assert entry.index == last_index + 1, f"{name} applied {entry.index} after {last_index}"
        replica.applied.append((entry.index, entry.term, entry.data))
        known = self.committed.setdefault(entry.index, (entry.term, entry.data))
        assert known == (entry.term, entry.data), f"{name}: committed entry {entry.index} changed"

    def _check_read(self, replica: Replica, read: ReadState) -> None:
        acknowledged = self.reads_asked.pop(read.context, None)
        replica.reads[read.context] = read.index
        self.read_indexes.append(read.index)
        if acknowledged is not None and read.index is not None:
            assert read.index >= acknowledged, f"read {read.context} at {read.index} misses {acknowledged}"

    def deliver(self, position: int = 0, *, keep: bool = False) -> None:
        flight = self.network[position] if keep else self.network.pop(position)
        if flight.to in self.replicas and frozenset((flight.sender, flight.to)) not in self.cuts:
            self.replicas[flight.to].raft.receive(flight.sender, flight.message, self.now_ms)
            self.drain(flight.to)

    def sync(self, name: NodeId, count: int = 1_000_000) -> None:
        replica = self.replicas[name]
        sequence = replica.disk.sync(count)
        if sequence:
            replica.raft.persisted(sequence, self.now_ms)
            self.drain(name)

    def beat(self, name: NodeId) -> None:
        """One heartbeat of a node to all peers."""
        for to, message in self.replicas[name].raft.beats(self.now_ms).items():
            self.network.append(InFlight(name, to, message))
        self.drain(name)

    def tick(self, name: NodeId) -> None:
        self.replicas[name].raft.tick(self.now_ms)
        self.drain(name)

    # ---- whole runs ----

    def settle(self) -> None:
        """Deliver and sync everything until nothing moves; time stands still."""
        for name in sorted(self.replicas):
            self.drain(name)
        while self.network or any(each.disk.queued for each in self.replicas.values()):
            while self.network:
                self.deliver()
            for name in sorted(self.replicas):
                self.sync(name)

    def run(self, duration_ms: int) -> None:
        """A healthy machine: prompt network and disks, a heartbeat every 250 ms."""
        end_ms = self.now_ms + duration_ms
        self.settle()
        while self.now_ms < end_ms:
            self.now_ms += 5
            for name in sorted(self.replicas):
                if self.replicas[name].raft.next_deadline_ms() <= self.now_ms:
                    self.tick(name)
                if self.now_ms % self.settings.beat_interval_ms == 0:
                    self.beat(name)
            self.settle()

    def elect(self, duration_ms: int = 10_000) -> NodeId:
        """Run until there is a leader that may decide."""
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            leaders = [name for name in sorted(self.replicas) if self.replicas[name].raft.is_leader_ready]
            if leaders:
                return max(leaders, key=lambda name: self.replicas[name].raft.term)
            self.run(5)
        raise AssertionError(f"no leader after {duration_ms} ms: {self.describe()}")

    def raft(self, name: NodeId) -> Raft:
        return self.replicas[name].raft

    def propose(self, name: NodeId, data: bytes) -> int:
        index = self.raft(name).propose(data, self.now_ms)
        self.drain(name)
        return index

    def read(self, name: NodeId) -> int:
        """Ask for a read; what was acknowledged until now must be seen by it."""
        self.context += 1
        self.reads_asked[self.context] = max(self.committed, default=0)
        self.raft(name).read_index(self.context, self.now_ms)
        self.drain(name)
        return self.context

    def take_snapshot(self, name: NodeId) -> None:
        replica = self.replicas[name]
        replica.raft.take_snapshot(replica.raft.applied_index, repr(replica.applied).encode())
        self.drain(name)

    def change(self, leader: NodeId, voters: Iterable[int], learners: Iterable[int] = ()) -> int:
        wanted = Configuration(voters=[node(i) for i in voters], learners=[node(i) for i in learners])
        index = self.raft(leader).propose_configuration(wanted, self.now_ms)
        self.drain(leader)
        return index

    # ---- what must always hold ----

    def check(self, name: NodeId) -> None:
        replica = self.replicas[name]
        raft = replica.raft
        if raft.role is Role.LEADER:
            first = self.leaders.setdefault(raft.term, name)
            assert first == name, f"{first} and {name} both led term {raft.term}"
        assert raft.commit_index <= raft.last_index
        assert raft.applied_index <= raft.commit_index
        held = {each.index: each.term for each in raft.entries_from(raft.snapshot_index + 1)}
        told = {i: t for i, t in replica.log.items() if i > raft.snapshot_index}
        assert held == told, f"{name}: what was told about the log is not the log"

    def check_leader_complete(self, name: NodeId) -> None:
        """A leader holds every entry that was committed in an earlier term."""
        raft = self.raft(name)
        for index, (term, data) in self.committed.items():
            entry = raft.entry_at(index)
            if term < raft.term and index > raft.snapshot_index:
                assert entry is not None and (entry.term, entry.data) == (term, data), f"{name} lacks {index}"

    def check_logs_match(self) -> None:
        """Two logs with the same term at an index are the same up to there."""
        logs = [
            {each.index: (each.term, each.data) for each in self.raft(name).entries_from(0)}
            for name in sorted(self.replicas)
        ]
        for i, first in enumerate(logs):
            for second in logs[i + 1 :]:
                shared = sorted(set(first) & set(second))
                agreed = [index for index in shared if first[index][0] == second[index][0]]
                for index in shared:
                    if agreed and index <= agreed[-1]:
                        assert first[index] == second[index], f"logs differ at {index} below {agreed[-1]}"

    def describe(self) -> str:
        return "; ".join(
            f"{name} {raft.role} term {raft.term} leader {raft.leader} last {raft.last_index} "
            f"commit {raft.commit_index}"
            for name, raft in ((name, self.raft(name)) for name in sorted(self.replicas))
        )


def _decode(data: bytes) -> list[tuple[int, int, bytes]]:
    applied: list[tuple[int, int, bytes]] = ast.literal_eval(data.decode())
    return applied


def others(cluster: Cluster, name: NodeId) -> list[NodeId]:
    return [each for each in sorted(cluster.replicas) if each != name]
