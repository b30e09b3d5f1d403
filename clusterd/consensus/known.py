"""What does one replica know of itself, of its log and of its peers? Pure. Whoever asks changes nothing."""

from collections.abc import Sequence

from clusterd.consensus import catching_up, replication
from clusterd.consensus.core import Core
from clusterd.consensus.memory import NOWHERE, Position
from clusterd.consensus.outputs import Role
from clusterd.consensus.progress import Stage
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import Configuration, ConsensusMessage, Entry


class Known:
    """The questions to a replica."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def role(self) -> Role:
        return self._core.role

    @property
    def term(self) -> int:
        return self._core.term

    @property
    def leader(self) -> NodeId | None:
        return self._core.leader

    def leaderless_ms(self, now_ms: int) -> int:
        """Since a leader was heard last, or since the start when none was."""
        return max(0, now_ms - self._core.heard_ms)

    @property
    def is_leader_ready(self) -> bool:
        """It leads, and an entry of its own term is committed: it knows everything that its predecessors decided."""
        leading = self._core.leading
        return leading is not None and self._core.commit_index >= leading.first_index

    def quorum_silent_ms(self, now_ms: int) -> int:
        """On the leader: since a majority of the voters answered it; at the election timeout it steps down. 0 elsewhere."""
        core = self._core
        return now_ms - replication.quorum_heard_ms(core, core.leading) if core.leading else 0

    @property
    def is_amnesiac(self) -> bool:
        return self._core.is_amnesiac

    @property
    def is_disk_refusing(self) -> bool:
        return self._core.is_disk_refusing

    @property
    def takes_proposals(self) -> bool:
        """It leads, is not about to hand over, and its disk takes writes."""
        leading = self._core.leading
        return leading is not None and leading.transfer_to is None and not self._core.is_disk_refusing

    @property
    def is_held(self) -> bool:
        """What is committed here the others lack: it takes no part (see `holding`)."""
        return self._core.is_held

    @property
    def held_index(self) -> int | None:
        """The first entry that is committed here and differs in the present leader's log; None when there is none."""
        return self._core.held_index

    @property
    def durable_term(self) -> int:
        return self._core.term if self._core.durability.is_hard_state_durable else self._core.promised.term

    @property
    def voted_for(self) -> str:
        return self._core.voted_for

    @property
    def promised(self) -> Position:
        """What this replica has acknowledged, at most: see `memory`."""
        core = self._core
        if not core.is_amnesiac and core.durability.is_hard_state_durable:
            index = core.durability.durable_index
            index = index if core.leading else min(core.agreed_index, index)
            core.promised = max(core.promised, Position(core.term, index))
        return core.promised

    @property
    def committed(self) -> Position:
        """The last entry that is known to be committed, and is durable here."""
        core = self._core
        index = min(max(core.commit_index, core.known_committed), core.durability.durable_index)
        return NOWHERE if core.is_amnesiac else Position(core.log.term_at(index) or 0, index)

    def says_nothing_new(self, sender: NodeId, messages: Sequence[ConsensusMessage]) -> bool:
        """On the leader: whether these are late answers to what is committed already and told to all."""
        core, leading = self._core, self._core.leading
        progress = leading.peers.get(sender) if leading else None
        if leading is None or progress is None or progress.stage is not Stage.REPLICATE:
            return False
        is_at_rest = core.commit_index == core.log.last_index == progress.commit_sent and not leading.transfer_to
        return is_at_rest and all(
            each.term == core.term
            and each.WhichOneof("body") == "append_reply"
            and each.append_reply.accepted
            and not each.append_reply.is_amnesiac
            for each in messages
        )

    @property
    def has_committed(self) -> bool:
        """Whether anything was committed with this replica's knowledge in this run."""
        return self._core.commit_index > self._core.started_index

    @property
    def commit_index(self) -> int:
        return self._core.commit_index

    @property
    def applied_index(self) -> int:
        """Handed out in `Ready.committed` (or as a snapshot) up to here."""
        return self._core.applied_index

    @property
    def last_index(self) -> int:
        return self._core.log.last_index

    @property
    def caught_up_percent(self) -> int:
        return catching_up.percent(self._core)

    @property
    def durable_index(self) -> int:
        return self._core.durability.durable_index

    @property
    def snapshot_index(self) -> int:
        return self._core.snapshot.meta.index

    @property
    def log_entries(self) -> int:
        """Held in memory, those behind the snapshot included."""
        return len(self._core.log)

    @property
    def log_bytes(self) -> int:
        return self._core.log.size_bytes

    @property
    def configuration(self) -> Configuration:
        """The newest in the log, in effect whether committed or not. Read-only."""
        return self._core.configurations.newest

    @property
    def committed_configuration(self) -> Configuration:
        return self._core.committed_configuration

    @property
    def amnesiac_peers(self) -> tuple[NodeId, ...]:
        """On the leader: peers that lost their data. One that votes should be made a learner, then a voter again."""
        leading = self._core.leading
        return tuple(sorted(peer for peer, each in leading.peers.items() if each.is_amnesiac)) if leading else ()

    @property
    def ready_learners(self) -> tuple[NodeId, ...]:
        """On the leader: who is to vote, and holds all that is committed."""
        leading = self._core.leading
        if not leading or not self.configuration.learners:
            return ()
        known = [
            (node := NodeId(each), leading.peers[node]) for each in self.configuration.learners if each in leading.peers
        ]
        at_least = self._core.commit_index
        return tuple(node for node, each in known if not each.is_amnesiac and each.match_index >= at_least)

    @property
    def transfers_to(self) -> NodeId | None:
        """On the leader: who was offered the leadership, and has neither taken it nor let the time for it pass."""
        leading = self._core.leading
        return leading.transfer_to if leading else None

    def match_index_of(self, peer: NodeId) -> int:
        """On the leader: up to where `peer` has the log on disk, as far as known; 0 otherwise."""
        leading = self._core.leading
        return leading.peers[peer].match_index if leading and peer in leading.peers else 0

    def acknowledged_by(self, peer: NodeId) -> Position:
        """On the leader: what `peer` promised in this term, as far as known; one that lost its data promises nothing."""
        match_index = 0 if peer in self.amnesiac_peers else self.match_index_of(peer)
        return Position(self._core.term, match_index) if match_index else NOWHERE

    def entry_at(self, index: int) -> Entry | None:
        """None when it was compacted away or is not there."""
        return self._core.log.entry_at(index)

    def entries_from(self, index: int) -> list[Entry]:
        """The entries held from `index` on, committed or not."""
        return self._core.log.entries_from(index)
