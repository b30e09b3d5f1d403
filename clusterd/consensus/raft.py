"""How does a shell drive one replica of the log? Pure.

Raft (Ongaro's thesis) as a state machine without I/O: events come in by method calls with the time, and everything to
be done comes out of `ready`. Deterministic: the same calls with the same `random.Random` give the same outputs. The
core sends nothing periodic; the shell sends a heartbeat to each peer now and then, and `beats` says what rides on it.

Election is in `election`, the leader's side in `replication`, the follower's in `following`, linearizable reads in
`reads`, what waits for the disk in `durability`, and what can be asked of a replica in `known`.
"""

import random
from collections.abc import Sequence

from clusterd.consensus import amnesia, election, following, reads, replication
from clusterd.consensus.configurations import change_problem
from clusterd.consensus.core import Core
from clusterd.consensus.known import Known
from clusterd.consensus.memory import NOWHERE, Position
from clusterd.consensus.outputs import Ready, Restored, Snapshot
from clusterd.consensus.progress import Leading
from clusterd.consensus.settings import RaftSettings
from clusterd.model.errors import Busy, Conflict, NotLeader, Refused, TooLarge
from clusterd.model.events import SNAPSHOT_TAKEN, note
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import (
    ENTRY_KIND_CONFIGURATION,
    ENTRY_KIND_TRANSACTION,
    Configuration,
    ConsensusMessage,
    Entry,
    SnapshotMeta,
)

_FROM_LEADER = frozenset(("append_request", "beat", "snapshot_chunk", "timeout_now"))
_IDLE_MS = 60_000


class Raft(Known):
    """One replica. `is_amnesiac`: its data was lost, so it takes the log but no part in any decision until the cluster
    has put it out of the voters once (see `amnesia`)."""

    def __init__(
        self,
        node: NodeId,
        restored: Restored,
        settings: RaftSettings,
        random: random.Random,
        now_ms: int,
        *,
        is_amnesiac: bool = False,
        committed_index: int = 0,
        held_index: int = 0,
    ) -> None:
        """`committed_index`: up to where an earlier run knew the log to be committed. `held_index`: from where on it knew
        that the others lost that (0: nowhere)."""
        super().__init__(Core(node, restored, settings, random, now_ms))
        self._core.is_amnesiac = is_amnesiac
        self._core.promised = NOWHERE if is_amnesiac else Position(restored.hard_state.term, 0)
        self._core.known_committed = 0 if is_amnesiac else min(committed_index, self._core.log.last_index)
        self._core.held_index = held_index or None

    # ---- events ----

    def tick(self, now_ms: int) -> None:
        """Time has passed. Call it at `next_deadline_ms` at the latest; any other time is harmless."""
        core = self._at(now_ms)
        replication.tick(core)
        election.tick(core)
        reads.tick(core)

    def receive(self, sender: NodeId, message: ConsensusMessage, now_ms: int) -> None:
        """`sender` is authenticated by the shell. Late, repeated and reordered messages are harmless."""
        core = self._at(now_ms)
        kind = message.WhichOneof("body")
        if kind == "vote_request":
            election.on_vote_request(core, sender, message)
        elif kind is not None and self._is_of_this_term(sender, kind, message):
            self._dispatch(sender, kind, message)
            if core.is_amnesiac:
                amnesia.look(core)

    def _is_of_this_term(self, sender: NodeId, kind: str, message: ConsensusMessage) -> bool:
        core = self._core
        if message.term == core.term:
            return True
        if message.term < core.term:
            if kind in _FROM_LEADER and not core.is_held:
                core.refuse_append(sender)  # tells an old leader the new term
            return False
        if kind == "vote_reply" and message.vote_reply.is_pre_vote and message.vote_reply.granted:
            return True  # of the term that does not exist yet
        core.become_follower(
            message.term, sender if kind in _FROM_LEADER else None, f"{sender} is in the newer term {message.term}"
        )
        return True

    def _dispatch(self, sender: NodeId, kind: str, message: ConsensusMessage) -> None:
        core = self._core
        if core.leading:
            self._to_leader(core.leading, sender, kind, message)
        if kind == "append_request":
            following.on_append_request(core, sender, message.append_request)
        elif kind == "beat":
            following.on_beat(core, sender, message)
        elif kind == "snapshot_chunk":
            following.on_snapshot_chunk(core, sender, message.snapshot_chunk)
        elif kind == "vote_reply":
            election.on_vote_reply(core, sender, message)
        elif kind == "timeout_now":
            election.on_timeout_now(core, sender)
        elif kind == "read_request":
            reads.take(core, sender, message.read_request.context)
        elif kind == "read_reply":
            reads.on_read_reply(core, message.read_reply)

    def _to_leader(self, leading: Leading, sender: NodeId, kind: str, message: ConsensusMessage) -> None:
        progress = leading.peers.get(sender)
        if progress is None:
            return
        progress.heard_ms = self._core.now_ms
        if kind == "append_reply":
            replication.on_append_reply(self._core, sender, progress, message)
        elif kind == "beat_reply":
            replication.on_beat_reply(self._core, progress, message)
            reads.confirm(self._core)
        elif kind == "snapshot_reply":
            replication.on_snapshot_reply(self._core, sender, progress, message)

    def link_broken(self, peer: NodeId, now_ms: int) -> None:
        """Every connection to `peer` ended by a reset or an end from its side: a hint, never evidence."""
        core = self._at(now_ms)
        if core.leading and peer in core.leading.peers:
            progress = core.leading.peers[peer]
            progress.probe_from(progress.match_index + 1)
            progress.sent(progress.next_index - 1, now_ms)  # nothing more before the link opens or time has passed
        elif peer == core.leader:
            election.leader_link_broke(core)

    def link_opened(self, peer: NodeId, now_ms: int) -> None:
        """A connection to `peer` is open (again). Must be told of every new run of the peer."""
        core = self._at(now_ms)
        if core.leading and peer in core.leading.peers:
            core.leading.peers[peer].link_opened(now_ms)
        elif peer == core.leader:
            election.leader_link_opened(core)
            amnesia.link_opened(core)
        else:
            election.first_link_opened(core)

    def peer_lives(self, peer: NodeId, now_ms: int) -> None:
        """The link to `peer` broke, and it was heard in another way since: nobody need take its place."""
        core = self._at(now_ms)
        if peer == core.leader:
            election.leader_link_opened(core)

    def persisted(self, sequence: int, now_ms: int) -> None:
        """All writes up to `sequence` are durable: what was promised on their account may be said now."""
        core = self._at(now_ms)
        core.durability.written(sequence)
        for to, message in core.durability.released():
            if to != core.node:
                core.send(to, message)
            elif message.term == core.term:
                election.on_vote_reply(core, core.node, message)
        replication.advance_commit(core)
        if core.is_amnesiac:
            amnesia.look(core)

    def disk_refuses(self, is_refusing: bool) -> None:
        """Whether nothing can be made durable for now. Such a replica follows and is heard, but cannot promise anything:
        it does not stand, takes no proposals as a leader, and should hand over."""
        self._core.is_disk_refusing = is_refusing

    def asks_first(self, *, is_asking: bool) -> None:
        """Whether it is still to be found out that no other daemon is this node. A lone voter does not lead before."""
        self._core.asks_first = is_asking

    def probe_disk(self) -> None:
        """Have the term written once more, so that it is known how long a write takes."""
        self._core.durability.hard_state_changed()

    # ---- requests ----

    def propose(self, data: bytes, now_ms: int) -> int:
        """Append a transaction to the log; its index. It is committed when it comes back in `Ready.committed` with the
        present term, and it may still be replaced until then. Raises NotLeader, Busy, TooLarge: nothing changed."""
        core = self._at(now_ms)
        self._check_takes_proposals()
        settings = core.settings
        if len(data) > settings.entry_bytes_max:
            raise TooLarge(
                f"a transaction of {len(data)} bytes was proposed, {settings.entry_bytes_max} are allowed",
                hint="split it",
            )
        if core.log.last_index - core.commit_index >= settings.proposals_pending_max:
            raise Busy(
                f"{settings.proposals_pending_max} transactions wait to be committed already",
                hint="retry in a moment; see whether a majority of the voters answers",
            )
        return replication.append(core, ENTRY_KIND_TRANSACTION, data)

    def propose_configuration(self, configuration: Configuration, now_ms: int) -> int:
        """Append a configuration, in effect at once; its index. Raises NotLeader; Conflict while another change is
        under way; Refused for one that may not follow the present one."""
        core = self._at(now_ms)
        self._check_takes_proposals()
        if not self.is_leader_ready:
            raise Conflict("the first entry of this leader's term is not committed yet", hint="retry in a moment")
        if core.configurations.newest.index > core.commit_index:
            raise Conflict("another change of the voters is not committed yet", hint="retry when it is")
        problem = change_problem(core.configurations.newest, configuration)
        if problem:
            raise Refused(f"the voters cannot become {', '.join(configuration.voters) or 'nobody'}: {problem}")
        bare = Configuration(voters=sorted(configuration.voters), learners=sorted(configuration.learners))
        return replication.append(core, ENTRY_KIND_CONFIGURATION, bare.SerializeToString(deterministic=True))

    def read_index(self, context: int, now_ms: int) -> None:
        """Ask from where on a read is linearizable; `Ready.reads` answers with `context`, which must be unique."""
        reads.ask(self._at(now_ms), context)

    def transfer_leadership(self, to: NodeId, now_ms: int) -> None:
        """Hand over to `to` once it has the whole log; given up after an election timeout. Proposals are refused
        meanwhile. Raises NotLeader; Refused when `to` is not another voter."""
        core = self._at(now_ms)
        self._check_leads()
        leading = core.leading
        if to == core.node or to not in core.configurations.voters or not leading:
            raise Refused(f"leadership cannot be handed to {to}: it is not another voter")
        leading.transfer_to, leading.is_timeout_sent = to, False
        leading.transfer_until_ms = now_ms + core.settings.election_timeout_ms

    def take_snapshot(self, index: int, data: bytes) -> None:
        """`data` is the application's whole state after entry `index`, which it has applied. The log is compacted but
        for a tail. An index that is no newer than the last snapshot is ignored."""
        core = self._core
        if index <= core.snapshot.meta.index:
            return
        if index > core.applied_index:
            raise Refused(f"a snapshot at {index} was taken, but only {core.applied_index} is applied")
        term = core.log.term_at(index) or 0
        meta = SnapshotMeta(index=index, term=term, configuration=core.configurations.at(index))
        core.snapshot = Snapshot(meta, data)
        core.durability.snapshot_taken(core.snapshot)
        core.configurations.compact(index)
        core.log.compact(min(index - core.settings.log_tail_entries, core.durability.fresh_from - 1))
        core.note(note(SNAPSHOT_TAKEN, index=index, size_bytes=len(data)))

    def lose_memory(self, because: str, now_ms: int) -> None:
        """It is known now that this replica's data lacks something that it promised: it is amnesiac from here on."""
        amnesia.begin(self._at(now_ms), because)

    def rebuild(self, because: str, now_ms: int) -> None:
        """The application's state differs from that of most voters: take a snapshot, as an amnesiac."""
        amnesia.rebuild(self._at(now_ms), because)

    def outdone(self, is_outdone: bool) -> None:
        """Most voters went back behind what they promised to this node, and do not know it: it has no part in that."""
        self._core.is_outdone = is_outdone

    def adopt(self, settings: RaftSettings) -> None:
        """Be as patient as these say from the next timer on, also with a leader that is followed already."""
        core = self._core
        is_changed = settings.election_timeout_ms != core.settings.election_timeout_ms
        core.settings = settings
        if is_changed:
            core.choose_timeout()

    def beats(self, now_ms: int) -> dict[NodeId, ConsensusMessage]:
        """What rides on the heartbeats that are sent now: the leader's beat for each peer, a follower's reply to its
        leader's last one."""
        core = self._at(now_ms)
        if core.leading:
            leading = core.leading
            return {peer: reads.beat(core, leading, peer) for peer in leading.peers}
        if core.leader is None or core.beat_round is None:
            return {}
        round, core.beat_round = core.beat_round, None
        return {core.leader: following.beat_reply(core, round)}

    # ---- what is to be done ----

    def ready(self) -> Ready | None:
        """Everything that the events since the last call ask for; None when nothing does."""
        core = self._core
        reads.begin_round(core)
        replication.fan_out(core)
        durability = core.durability
        truncated_from, durability.truncated_from = durability.truncated_from, None
        persist = durability.next_write(term=core.term, voted_for=core.voted_for)
        messages = (*durability.outbox, *durability.released())
        durability.outbox = []
        committed: Sequence[Entry] = ()
        if core.commit_index > core.applied_index:
            committed = core.log.entries_from(core.applied_index + 1, core.commit_index)
            core.applied_index = core.commit_index
        restore, core.restore = core.restore, None
        answers, core.reads = tuple(core.reads), []
        notes, core.notes = tuple(core.notes), []
        if not (persist or messages or committed or restore or answers or notes or truncated_from):
            return None
        appended = persist.entries if persist else ()
        return Ready(persist, messages, tuple(committed), restore, appended, truncated_from, answers, notes)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do at the latest, as things are now."""
        core = self._core
        if core.leading:
            return replication.next_deadline_ms(core, core.leading)
        deadline_ms = core.election_at_ms if core.may_stand else core.now_ms + _IDLE_MS
        if core.early_stand_at_ms is not None:
            deadline_ms = min(deadline_ms, core.early_stand_at_ms)
        if core.forwarded:
            deadline_ms = min(deadline_ms, next(iter(core.forwarded.values())).until_ms)
        return deadline_ms

    def _at(self, now_ms: int) -> Core:
        core = self._core
        core.now_ms = max(core.now_ms, now_ms)
        return core

    def _check_leads(self) -> None:
        core = self._core
        if not core.leading:
            raise NotLeader(asked=core.node, leader=core.leader, term=core.term)
        if core.leading.transfer_to:
            raise NotLeader(asked=core.node, leader=core.leading.transfer_to, term=core.term)

    def _check_takes_proposals(self) -> None:
        self._check_leads()
        if self._core.is_disk_refusing:
            node = self._core.node
            raise Busy(f"the disk of {node}, which leads, takes no writes", hint=f"free space on the disk of {node}")
