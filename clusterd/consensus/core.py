"""What does a replica know at any moment, and how does it become a follower? Pure.

The state that election, replication, following and reads share. They are functions on a `Core`; `Raft` is its door.
"""

import random
from dataclasses import dataclass

from clusterd.consensus.configurations import Configurations
from clusterd.consensus.durability import Durability
from clusterd.consensus.log import Log
from clusterd.consensus.memory import NOWHERE
from clusterd.consensus.outputs import ReadState, Restored, Role, Snapshot
from clusterd.consensus.progress import Leading
from clusterd.consensus.settings import RaftSettings
from clusterd.model.errors import invariant
from clusterd.model.events import LEADER_FOLLOWED, LEADER_LOST, Note, note
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import AppendReply, Configuration, ConsensusMessage, ReadReply, SnapshotMeta


@dataclass(slots=True)
class IncomingSnapshot:
    """A snapshot of which some chunks have arrived."""

    meta: SnapshotMeta
    crc32: int
    total_size_bytes: int
    data: bytearray


@dataclass(slots=True)
class ForwardedRead:
    """A read that the leader was asked to confirm. `context` None: our own question while amnesiac."""

    context: int | None
    until_ms: int


class Core:
    def __init__(
        self, node: NodeId, restored: Restored, settings: RaftSettings, random: random.Random, now_ms: int
    ) -> None:
        meta = restored.snapshot.meta
        self.node, self.settings, self.random, self.now_ms = node, settings, random, now_ms
        self.term = restored.hard_state.term
        self.voted_for = NodeId(restored.hard_state.voted_for)
        self.snapshot: Snapshot = restored.snapshot
        self.log = Log(meta.index, meta.term)
        self.log.extend(restored.entries)
        self.configurations = Configurations(meta.configuration)
        self.configurations.add_from(restored.entries)
        self.durability = Durability(self.log)
        self.commit_index = self.applied_index = self.started_index = meta.index
        self.committed_configuration: Configuration = self.configurations.at(meta.index)

        self.role = Role.FOLLOWER
        self.leader: NodeId | None = None
        self.leading: Leading | None = None
        self.votes: dict[NodeId, bool] = {}
        self.is_early = False  # the candidacy claims a broken link to the leader
        self.is_handed_over = False  # the candidacy was asked for by the leader

        self.heard_ms = now_ms
        self.timeout_ms = 0
        self.election_at_ms = 0
        self.leader_link_broke = False
        self.early_stand_at_ms: int | None = None
        self.early_stand_term = 0  # the term in which that was used up
        self.has_known_leader = False  # in this run

        self.agreed_index = 0  # known to agree with the present leader's log up to here
        self.beat_round: int | None = None  # of a beat that `beats` has not answered yet
        self.incoming: IncomingSnapshot | None = None
        self.leader_index = 0  # what a leader said is committed
        self.forwarded: dict[int, ForwardedRead] = {}

        self.is_amnesiac = False
        self.asks_first = False  # whether another one is this node; a vote that suffices alone waits for that
        self.is_disk_refusing = False  # nothing can be made durable for now
        self.amnesia_index: int | None = None
        self.wants_snapshot = False  # the application's state is wrong
        self.promised = NOWHERE
        self.known_committed = 0
        """The last entry that an earlier run knew to be committed."""
        self.held_index: int | None = None
        """From here on the leader's log differs from what is committed here (see `holding`)."""
        self.is_outdone = False
        """Most voters went back behind what this node remembers of them, and do not know it."""

        self.restore: Snapshot | None = None
        self.reads: list[ReadState] = []
        self.notes: list[Note] = []
        self.restart_election_timer()

    # ---- what follows from it ----

    @property
    def is_voter(self) -> bool:
        return self.node in self.configurations.voters

    @property
    def is_held(self) -> bool:
        return self.held_index is not None or self.is_outdone

    @property
    def may_stand(self) -> bool:
        """A voter that is being removed still stands until that is committed: it may be the only one whose log has all
        that the others need, its own removal included (Raft thesis, section 4.2.2)."""
        can_promise = not (self.is_amnesiac or self.is_held or self.is_disk_refusing)
        if self.asks_first and self.configurations.voters == (self.node,):
            return False
        return can_promise and (self.is_voter or self.node in self.committed_configuration.voters)

    def send(self, to: NodeId, message: ConsensusMessage) -> None:
        self.durability.send(to, message)

    def note(self, what: Note) -> None:
        self.notes.append(what)

    # ---- transitions ----

    def restart_election_timer(self) -> None:
        """Silence counts from now. A cluster of one need not wait for anybody."""
        self.choose_timeout()
        is_alone = self.role is Role.FOLLOWER and self.configurations.voters == (self.node,)
        self.election_at_ms = self.now_ms if is_alone else self.now_ms + self.timeout_ms

    def choose_timeout(self) -> None:
        """For how long a leader may be silent: each node waits another time, so that they do not all stand at once."""
        base_ms = self.settings.election_timeout_ms
        self.timeout_ms = base_ms + self.random.randrange(base_ms)

    def become_follower(self, term: int, leader: NodeId | None, because: str) -> None:
        """Follow `leader` in `term`, or wait for one. Everything that belonged to the former role ends."""
        invariant(term >= self.term, f"{self.node} went back from term {self.term} to {term}")
        was, was_leader = self.role, self.leader
        if self.leading:
            self._stop_leading(because)
        is_new_term = term > self.term
        if is_new_term:
            self.term, self.voted_for = term, NodeId("")
            self.durability.hard_state_changed()
        self.role = Role.FOLLOWER
        self.votes = {}
        if is_new_term or leader != was_leader:
            self.forget_leader()
        self.leader = leader
        self.has_known_leader |= leader is not None
        if was is not Role.FOLLOWER or leader:
            self.restart_election_timer()
        if leader and (leader != was_leader or is_new_term):
            self.note(note(LEADER_FOLLOWED, leader=leader, term=term))

    def forget_leader(self) -> None:
        """Nothing that was known about the leader's log or asked of it holds for another one."""
        self.leader = None
        self.agreed_index = 0
        self.beat_round = None
        self.incoming = None
        self.leader_link_broke = False
        self.early_stand_at_ms = None
        for forwarded in self.forwarded.values():
            self.refuse_read(forwarded)
        self.forwarded.clear()

    def _stop_leading(self, because: str) -> None:
        leading, self.leading = self.leading, None
        invariant(leading is not None, "only a leader stops leading")
        self.note(note(LEADER_LOST, term=self.term, because=because))
        for read in leading.reads if leading else ():
            self.answer_read(read.origin, read.context, None)

    def follow(self, leader: NodeId) -> None:
        """`leader` was heard in the present term."""
        invariant(self.role is not Role.LEADER, f"{leader} and {self.node} both lead term {self.term}")
        invariant(self.leader in (None, leader), f"{leader} and {self.leader} both lead term {self.term}")
        if self.role is not Role.FOLLOWER or self.leader != leader:
            self.become_follower(self.term, leader, "another node won the election")
        self.heard_ms = self.now_ms
        self.election_at_ms = self.now_ms + self.timeout_ms

    # ---- answers ----

    def refuse_append(self, to: NodeId, *, conflict_index: int = 0, conflict_term: int = 0) -> None:
        reply = AppendReply(conflict_index=conflict_index, conflict_term=conflict_term, is_amnesiac=self.is_amnesiac)
        self.send(to, ConsensusMessage(term=self.term, append_reply=reply))

    def answer_read(self, origin: NodeId, context: int, index: int | None) -> None:
        """To whoever asked: the application here, or another node."""
        if origin == self.node:
            self.reads.append(ReadState(context, index))
        else:
            reply = ReadReply(context=context, index=index or 0, refused=index is None)
            self.send(origin, ConsensusMessage(term=self.term, read_reply=reply))

    def refuse_read(self, forwarded: ForwardedRead) -> None:
        if forwarded.context is not None:
            self.reads.append(ReadState(forwarded.context, None))
