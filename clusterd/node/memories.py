"""What do this node and its peers remember of each other's promises, and who went back behind them? Pure.

Every heartbeat says what its sender promised and what it remembers of the receiver, and nothing else of a peer is taken
before its first heartbeat. So a node whose data is an older copy learns it before it can vote for, or acknowledge, anybody
who knows better. The memories, and what this node promised itself, go into the marker: at most once a second, and at
once with a new term or vote.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from clusterd.consensus import Raft, Restored
from clusterd.consensus.configurations import votes_needed
from clusterd.consensus.memory import (
    NOWHERE,
    Marker,
    Position,
    Reach,
    Remembered,
    behind_its_marker,
    older_than_known,
)
from clusterd.model.ids import NodeId
from clusterd.model.states import DataState
from clusterd.wire import peer_pb2 as wire
from clusterd.wire.consensus_pb2 import ConsensusMessage

MARK_EVERY_MS = 1000
EARLY_MAX = 16
FROM_LEADER = frozenset(("append_request", "beat", "snapshot_chunk"))


@dataclass(frozen=True, slots=True)
class Held:
    """A node holds committed entries that the others lost. `until_wall_ms`: they were acknowledged by then."""

    node: NodeId
    first_index: int
    last_index: int
    until_wall_ms: int
    went_back: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class _Present:
    """What a peer's present run says of itself."""

    run: str
    reach: Reach
    is_amnesiac: bool
    has_committed: bool
    caught_up_percent: int | None = None
    """None: of a version that does not say."""
    voters: tuple[NodeId, ...] = ()


class Memories:
    """One node's. `marker` as its file had it when the daemon started, with this start counted."""

    def __init__(self, me: NodeId, run: str, raft: Raft, restored: Restored, marker: Marker, now_ms: int) -> None:
        self._me, self._run, self._raft = me, run, raft
        self._log = Reach.of(restored)
        self._before = marker
        self._was_amnesiac = raft.is_amnesiac
        self._peers: dict[NodeId, Remembered] = dict(marker.peers)
        self._earlier: dict[NodeId, Position] = {}
        """What earlier runs of a peer promised: the present one must know it."""
        self._present: dict[NodeId, _Present] = {}
        self.held_elsewhere: dict[NodeId, Held] = {}
        self._heard: dict[NodeId, wire.Memory] = {}
        """The last that each peer said."""
        self._told: dict[NodeId, tuple[object, wire.Memory]] = {}
        """The last that was said to each, and what it rests on."""
        self._leads_again = -1
        """The newest term in which somebody leads whose former run knew of it already: it went back, good nodes do not."""
        self._early: dict[NodeId, deque[ConsensusMessage]] = {}
        self._marked_ms = now_ms
        self._marked = (0, "")
        self._written: Marker | None = None
        because = "" if raft.is_amnesiac else behind_its_marker(self._log, marker)
        if because:
            raft.lose_memory(because, now_ms)

    # ---- out ----

    def told_to(self, peer: NodeId, wall_ms: int) -> wire.Memory:
        """What a heartbeat to `peer` carries. Not to be changed: while nothing else is to be said it is told again."""
        raft, known, present = self._raft, self._peers.get(peer), self._present.get(peer)
        held = self.held(wall_ms)
        voters = tuple(raft.configuration.voters) if present is not None and present.is_amnesiac else ()
        standing = (raft.promised, raft.durable_term, raft.durable_index, raft.is_amnesiac, raft.has_committed)
        basis = (standing, raft.caught_up_percent, self._before.boots, known, voters, held)
        told = self._told.get(peer)
        if told is None or told[0] != basis:
            told = self._told[peer] = (basis, self._tell(known, voters, held))
        return told[1]

    def _tell(self, known: Remembered | None, voters: Sequence[str], held: Held | None) -> wire.Memory:
        raft = self._raft
        memory = wire.Memory(
            boots=self._before.boots,
            promised=_wire(raft.promised),
            reach=wire.Position(term=raft.durable_term, index=raft.durable_index),
            is_amnesiac=raft.is_amnesiac,
            has_committed=raft.has_committed,
            caught_up_percent=raft.caught_up_percent,
            voters=voters,
        )
        if known is not None:
            memory.remembered.CopyFrom(
                wire.Remembered(daemon_run=known.run, boots=known.boots, promised=_wire(known.position))
            )
        if held is not None:
            memory.held.CopyFrom(
                wire.Held(
                    first_index=held.first_index,
                    last_index=held.last_index,
                    until_wall_ms=held.until_wall_ms,
                    went_back=held.went_back,
                )
            )
        return memory

    # ---- in ----

    def let_in(self, peer: NodeId, messages: Sequence[ConsensusMessage]) -> Sequence[ConsensusMessage]:
        """What of the log's messages may be taken now: before the first heartbeat of `peer` only what nothing is promised
        upon, and all the rest with it."""
        if peer not in self._present:
            kept = [each for each in messages if _may_promise(each)]
            if kept:
                self._early.setdefault(peer, deque(maxlen=EARLY_MAX)).extend(kept)
            return [each for each in messages if not _may_promise(each)]
        taken = (*self._early.pop(peer, ()), *messages)
        earlier = self._earlier.get(peer, NOWHERE)
        for message in taken:
            if message.term <= earlier.term and message.WhichOneof("body") in FROM_LEADER:
                self._leads_again = max(self._leads_again, message.term)
                self._raft.outdone(self._is_outdone())
        return taken

    def has_kept(self, peer: NodeId) -> bool:
        """Whether something of the log's waits for the first heartbeat of `peer`."""
        return peer in self._early

    def hear(self, peer: NodeId, run: str, memory: wire.Memory | None, now_ms: int) -> None:
        """A heartbeat of the present run of `peer`. None: it remembers nothing."""
        memory = memory if memory is not None else wire.Memory()
        before = self._present.get(peer)
        if before is None or before.run != run:
            known = self._peers.get(peer)
            if known is not None and known.run != run:
                self._earlier[peer] = known.position
            if memory.HasField("remembered"):
                self._look_back(peer, memory.remembered, now_ms)
        if before is None or before.run != run or memory != self._heard.get(peer):
            self._heard[peer] = memory
            self._take_in(peer, run, memory)
        self._raft.outdone(self._is_outdone())

    def _look_back(self, peer: NodeId, told: wire.Remembered, now_ms: int) -> None:
        """Does the peer remember something that this node's data does not know?

        A node that took part in decisions already goes on, unless the one that leads them knows better: what they decided
        stands, and who holds more is held (see `consensus.holding`).
        """
        if told.daemon_run == self._run:
            return
        if self._was_amnesiac:  # it counts its starts on from what others remember of them
            self._before = replace(self._before, boots=max(self._before.boots, told.boots + 1))
            return
        remembered = Remembered(told.daemon_run, told.boots, _position(told.promised))
        because = older_than_known(self._log, boots=self._before.boots, told=remembered, by=peer)
        if because and (not self._raft.has_committed or peer == self._raft.leader):
            self._raft.lose_memory(because, now_ms)

    def _take_in(self, peer: NodeId, run: str, memory: wire.Memory) -> None:
        reach = Reach(memory.reach.term, memory.reach.index)
        caught_up = memory.caught_up_percent if memory.HasField("caught_up_percent") else None
        voters = tuple(NodeId(each) for each in memory.voters)
        self._present[peer] = _Present(run, reach, memory.is_amnesiac, memory.has_committed, caught_up, voters)
        known = self._peers.get(peer)
        promised = _position(memory.promised)
        # A run without its data promises nothing: if the data comes back, or the run that has it, nothing is missing there.
        speaker, boots = (
            (run, memory.boots) if not memory.is_amnesiac else (known.run, known.boots) if known else (run, 0)
        )
        self._peers[peer] = Remembered(speaker, boots, max(promised, known.position if known else NOWHERE))
        self.held_elsewhere.pop(peer, None)
        if memory.HasField("held"):
            held = memory.held
            went_back = tuple(NodeId(each) for each in held.went_back)
            self.held_elsewhere[peer] = Held(peer, held.first_index, held.last_index, held.until_wall_ms, went_back)

    def acknowledged(self, peer: NodeId, position: Position) -> None:
        """This leader heard a promise of `peer` in the log itself, before its heartbeat says so."""
        known = self._peers.get(peer)
        if known is not None and position > known.position:
            self._peers[peer] = known._replace(position=position)

    # ---- what follows ----

    def _is_outdone(self) -> bool:
        if self._raft.is_amnesiac:
            return False
        if self._leads_again >= self._raft.term:
            return True
        if not self._earlier:
            return False
        voters = [NodeId(each) for each in self._raft.committed_configuration.voters]
        return len(self._unaware(voters)) >= votes_needed(len(voters))

    def _unaware(self, voters: Iterable[NodeId]) -> list[NodeId]:
        """Who went back behind what it promised, and decides things all the same."""
        found = []
        for peer in voters:
            present, earlier = self._present.get(peer), self._earlier.get(peer, NOWHERE)
            if present is not None and present.has_committed and not present.is_amnesiac:
                found += [] if present.reach.holds(earlier) else [peer]
        return found

    def held(self, wall_ms: int) -> Held | None:
        """What this node holds, and the others lost; None: nothing that is known of."""
        raft = self._raft
        if not raft.is_held:
            return None
        voters = [NodeId(each) for each in raft.committed_configuration.voters if each != self._me]
        last = raft.committed
        if raft.held_index is None and not self._unaware(voters):
            return None  # it is about to be found out where the logs part
        first = raft.held_index or 1 + min(
            (self._present[each].reach.index for each in self._unaware(voters)), default=0
        )
        went_back = tuple(each for each in voters if self._earlier.get(each, NOWHERE).index >= first)
        is_from_before = last <= self._before.committed
        until_wall_ms = self._before.wall_ms if is_from_before else wall_ms
        return Held(self._me, first, max(first, last.index), until_wall_ms, went_back)

    def all_held(self, wall_ms: int) -> tuple[Held, ...]:
        """What this node or another one holds, and the others lost."""
        mine = self.held(wall_ms)
        others = sorted(self.held_elsewhere.values(), key=lambda each: each.node)
        return (*([mine] if mine is not None else []), *others)

    def data_of(self, node: NodeId) -> tuple[DataState, Reach]:
        """What a node has, as far as it said so."""
        if node == self._me:
            raft = self._raft
            state = DataState.AMNESIAC if raft.is_amnesiac else DataState.HELD if raft.is_held else DataState.SOUND
            return state, Reach(raft.durable_term, raft.durable_index)
        present = self._present.get(node)
        if present is None:
            return DataState.SOUND, Reach(0, 0)
        is_held = node in self.held_elsewhere
        state = DataState.AMNESIAC if present.is_amnesiac else DataState.HELD if is_held else DataState.SOUND
        return state, present.reach

    @property
    def boots(self) -> int:
        """How often a daemon was started on this data."""
        return self._before.boots

    def known(self, peer: NodeId) -> Remembered | None:
        """What is remembered of a peer, by this run or the ones before."""
        return self._peers.get(peer)

    def caught_up_of(self, node: NodeId) -> int | None:
        """How much of what is committed a node holds, as far as it said so."""
        if node == self._me:
            return self._raft.caught_up_percent
        present = self._present.get(node)
        return present.caught_up_percent if present is not None else None

    @property
    def told_voters(self) -> tuple[NodeId, ...]:
        """Who votes, by the word of the peer with most of the log; for a node that has none itself."""
        told = [each for each in self._present.values() if each.voters]
        return max(told, key=lambda each: (each.reach.term, each.reach.index)).voters if told else ()

    # ---- the marker ----

    def marker(self, wall_ms: int) -> Marker:
        """All that is to be remembered, as of now."""
        raft = self._raft
        if raft.is_amnesiac:  # nothing is taken back before it is durable that this node forgot
            return replace(self._before, peers=dict(self._peers))
        promised = raft.promised
        voted_for = raft.voted_for if promised.term == raft.durable_term == raft.term else ""
        peers, held_index = dict(self._peers), raft.held_index or 0
        return Marker(self._before.boots, promised, voted_for, raft.committed, wall_ms, peers, held_index)

    def due(self, now_ms: int, wall_ms: int) -> Marker | None:
        """The marker to write now; None: not yet, or it would say nothing new."""
        raft = self._raft
        vote = (raft.durable_term, raft.voted_for)
        if now_ms - self._marked_ms < MARK_EVERY_MS and vote == self._marked:
            return None
        self._marked_ms, self._marked = now_ms, vote
        marker = self.marker(wall_ms)
        if self._written is not None and replace(marker, wall_ms=self._written.wall_ms) == self._written:
            return None
        self._written = marker
        return marker


def _may_promise(message: ConsensusMessage) -> bool:
    """Whether an answer to it could be a promise. A pre-vote is none."""
    return not (message.vote_request.is_pre_vote or message.vote_reply.is_pre_vote)


def _wire(position: Position) -> wire.Position:
    return wire.Position(term=position.term, index=position.index)


def _position(position: wire.Position) -> Position:
    return Position(position.term, position.index)
