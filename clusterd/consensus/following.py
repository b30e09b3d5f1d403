"""How does a replica's log become that of the leader? Pure.

An append is taken when the entry before it agrees; what disagrees after it is cut first (Raft, section 5.3). What was
taken is acknowledged once it is durable. A snapshot arrives in chunks, in order, and replaces the state when its
checksum is right.
"""

import zlib

from clusterd.consensus import holding, replication
from clusterd.consensus.core import Core, IncomingSnapshot
from clusterd.consensus.outputs import Snapshot
from clusterd.model.errors import invariant
from clusterd.model.events import SNAPSHOT_INSTALLED, note
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import (
    AppendReply,
    AppendRequest,
    BeatReply,
    ConsensusMessage,
    Entry,
    SnapshotChunk,
    SnapshotReply,
)

# ---- entries ----


def on_append_request(core: Core, leader: NodeId, request: AppendRequest) -> None:
    core.follow(leader)
    previous_index, previous_term = request.previous_index, request.previous_term
    entries = list(request.entries)
    core.leader_index = max(core.leader_index, request.commit_index)
    if core.wants_snapshot:
        reply = AppendReply(is_amnesiac=core.is_amnesiac, wants_snapshot=True)
        core.send(leader, ConsensusMessage(term=core.term, append_reply=reply))
        return
    if holding.is_refused(core, leader, previous_index, previous_term, entries):
        return
    if previous_index < core.commit_index:
        # What is committed agrees with every leader: begin after it.
        entries = entries[core.commit_index - previous_index :]
        previous_index = core.commit_index
    elif core.log.term_at(previous_index) != previous_term:
        _refuse(core, leader, previous_index)
        return
    last_index = previous_index + len(entries)
    if entries:
        _take(core, entries)
    core.agreed_index = max(core.agreed_index, last_index)
    if not request.is_note:
        core.durability.acknowledge(leader, core.term, last_index, is_amnesiac=core.is_amnesiac)
    if core.is_disk_refusing and core.durability.unwritten_bytes <= core.settings.unwritten_bytes_max:
        _say_received(core, leader, last_index)
    learn_commit(core, min(request.commit_index, last_index))


def _say_received(core: Core, leader: NodeId, last_index: int) -> None:
    """Ask for more although nothing of it can be durable now: a node whose disk is full follows what is decided about it.

    What is committed is on the disks of a majority without it, so it may be applied here; it counts towards nothing.
    """
    match_index = min(last_index, core.durability.durable_index) if core.durability.is_hard_state_durable else 0
    reply = AppendReply(accepted=True, match_index=match_index, received_index=last_index, is_amnesiac=core.is_amnesiac)
    core.send(leader, ConsensusMessage(term=core.term, append_reply=reply))


def _refuse(core: Core, leader: NodeId, previous_index: int) -> None:
    """Say where to try next, so that a whole term is skipped at once."""
    last_index = core.log.last_index
    if previous_index > last_index:
        core.refuse_append(leader, conflict_index=last_index + 1)
        return
    first = core.log.first_of_term(previous_index, floor=core.commit_index + 1)
    core.refuse_append(leader, conflict_index=first, conflict_term=core.log.term_at(previous_index) or 0)


def _take(core: Core, entries: list[Entry]) -> None:
    """Append those that are new, after cutting what disagrees with them."""
    log = core.log
    if entries[0].index <= log.last_index:
        known = 0
        while known < len(entries) and log.term_at(entries[known].index) == entries[known].term:
            known += 1
        entries = entries[known:]
        if not entries:
            return
        first = entries[0].index
        if first <= log.last_index:
            invariant(first > core.commit_index, f"{core.node}: committed entry {first} would be replaced")
            log.cut(first)
            core.configurations.cut(first)
            core.durability.log_cut(first)
    log.extend(entries)
    core.configurations.add_from(entries)


def learn_commit(core: Core, index: int) -> None:
    if index > core.commit_index:
        replication.set_commit(core, index)


# ---- signs of life ----


def on_beat(core: Core, leader: NodeId, message: ConsensusMessage) -> None:
    beat = message.beat
    core.follow(leader)
    learn_commit(core, min(beat.commit_index, core.agreed_index))
    if core.is_held:
        return
    if beat.urgent:
        core.send(leader, beat_reply(core, beat.round))
    else:
        core.beat_round = beat.round


def beat_reply(core: Core, round: int) -> ConsensusMessage:
    """Without a match while the term itself is not durable: a crash could take back the promise of this term."""
    match_index = 0
    if core.durability.is_hard_state_durable:
        match_index = min(core.agreed_index, core.durability.durable_index)
    reply = BeatReply(round=round, match_index=match_index, is_amnesiac=core.is_amnesiac)
    return ConsensusMessage(term=core.term, beat_reply=reply)


# ---- snapshots ----


def on_snapshot_chunk(core: Core, leader: NodeId, chunk: SnapshotChunk) -> None:
    core.follow(leader)
    if holding.contradicts_snapshot(core, chunk.meta):
        return
    if chunk.meta.index <= core.commit_index and not core.wants_snapshot:
        core.incoming = None
        _reply_installed(core, leader, chunk.meta.index)
        return
    core.leader_index = max(core.leader_index, chunk.meta.index)
    incoming = _incoming(core, chunk) if not core.is_held else None
    if incoming is None:
        return
    if chunk.offset == len(incoming.data):
        incoming.data += chunk.data
    if len(incoming.data) < incoming.total_size_bytes:
        _ask_for(core, leader, chunk, len(incoming.data))
        return
    core.incoming = None
    if len(incoming.data) != incoming.total_size_bytes or zlib.crc32(incoming.data) != incoming.crc32:
        _ask_for(core, leader, chunk, 0)
        return
    install(core, Snapshot(incoming.meta, bytes(incoming.data)))
    _reply_installed(core, leader, chunk.meta.index)


def _incoming(core: Core, chunk: SnapshotChunk) -> IncomingSnapshot | None:
    """The buffer that this chunk belongs to; a new one for another snapshot, None for one that is too large."""
    if chunk.total_size_bytes > core.settings.snapshot_bytes_max:
        return None
    known = core.incoming
    if (
        known
        and known.meta.index == chunk.meta.index
        and known.crc32 == chunk.crc32
        and known.total_size_bytes == chunk.total_size_bytes
    ):
        return known
    core.incoming = IncomingSnapshot(chunk.meta, chunk.crc32, chunk.total_size_bytes, bytearray())
    return core.incoming


def _ask_for(core: Core, leader: NodeId, chunk: SnapshotChunk, offset: int) -> None:
    reply = SnapshotReply(index=chunk.meta.index, next_offset=offset, is_amnesiac=core.is_amnesiac)
    core.send(leader, ConsensusMessage(term=core.term, snapshot_reply=reply))


def _reply_installed(core: Core, leader: NodeId, index: int) -> None:
    reply = SnapshotReply(index=index, installed=True, is_amnesiac=core.is_amnesiac)
    core.durability.send_when_durable(leader, ConsensusMessage(term=core.term, snapshot_reply=reply))


def install(core: Core, snapshot: Snapshot) -> None:
    """Replace the state by the leader's; keep the log behind it only if it agrees."""
    meta = snapshot.meta
    agrees = core.log.term_at(meta.index) == meta.term
    agreed_index = core.commit_index
    later: list[Entry] = core.log.entries_from(meta.index + 1) if agrees else []
    core.log.reset(meta.index, meta.term)
    core.log.extend(later)
    core.configurations.reset(meta.configuration)
    core.configurations.add_from(later)
    core.durability.snapshot_installed(snapshot, drops_log=not agrees, agreed_index=agreed_index)
    core.wants_snapshot = False
    core.snapshot = core.restore = snapshot
    core.commit_index = core.applied_index = meta.index
    core.committed_configuration = core.configurations.at(meta.index)
    core.agreed_index = max(core.agreed_index, meta.index)
    core.note(note(SNAPSHOT_INSTALLED, index=meta.index))
