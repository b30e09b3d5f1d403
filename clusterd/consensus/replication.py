"""What does a leader send to whom, and what is committed? Pure.

`fan_out` runs once per `ready`: everything proposed since the last one goes to each peer as one message, built once
for all peers that are equally far. A peer that is too far behind for the log gets the snapshot in chunks. An entry is
committed when a majority of the voters has it on disk and it is of the leader's own term (Raft, section 5.4.2).
"""

import zlib
from collections.abc import Sequence

from clusterd.consensus.configurations import agreed_value
from clusterd.consensus.core import Core
from clusterd.consensus.outputs import Role
from clusterd.consensus.progress import Leading, Progress, SnapshotTransfer, Stage
from clusterd.model.errors import invariant
from clusterd.model.events import LEADER_ELECTED, note
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import (
    ENTRY_KIND_CONFIGURATION,
    ENTRY_KIND_EMPTY,
    ConsensusMessage,
    Entry,
    EntryKind,
    SnapshotChunk,
    TimeoutNow,
)


def begin(core: Core, *, votes: Sequence[NodeId]) -> None:
    """This node won the election: its first entry commits all that came before."""
    core.forget_leader()
    core.role, core.leader, core.votes = Role.LEADER, core.node, {}
    core.leading = Leading(first_index=core.log.last_index + 1)
    match_peers(core, core.leading)
    core.note(note(LEADER_ELECTED, term=core.term, votes=",".join(votes)))
    append(core, ENTRY_KIND_EMPTY, b"")


def append(core: Core, kind: EntryKind.ValueType, data: bytes) -> int:
    """Put a new entry into the leader's log; `fan_out` sends it and the next write makes it durable."""
    index = core.log.last_index + 1
    entry = Entry(index=index, term=core.term, kind=kind, data=data)
    core.log.append(entry)
    if kind == ENTRY_KIND_CONFIGURATION:
        core.configurations.add(entry)
        if core.leading:
            match_peers(core, core.leading)
    return index


def match_peers(core: Core, leading: Leading) -> None:
    """One `Progress` for each other node of the newest configuration."""
    peers = [peer for peer in core.configurations.peers if peer != core.node]
    for gone in sorted(set(leading.peers) - set(peers)):
        del leading.peers[gone]
        if leading.transfer_to == gone:
            leading.transfer_to = None
    for peer in peers:
        if peer not in leading.peers:
            leading.peers[peer] = Progress(next_index=core.log.last_index + 1, heard_ms=core.now_ms)


# ---- sending ----


def fan_out(core: Core) -> None:
    """Send each peer what it lacks, as far as the flow control allows."""
    leading = core.leading
    if not leading:
        return
    built: dict[int, ConsensusMessage] = {}
    for peer, progress in leading.peers.items():
        _send_all(core, peer, progress, built)
    if leading.transfer_to and not leading.is_timeout_sent:
        progress = leading.peers[leading.transfer_to]
        if progress.match_index == core.log.last_index:
            leading.is_timeout_sent = True
            core.send(leading.transfer_to, ConsensusMessage(term=core.term, timeout_now=TimeoutNow()))


def _send_all(core: Core, peer: NodeId, progress: Progress, built: dict[int, ConsensusMessage]) -> None:
    last_index = core.log.last_index
    while progress.has_room(core.settings.inflight_appends_max):
        if progress.next_index > last_index and progress.stage is not Stage.PROBE:
            break
        message = built.get(progress.next_index)
        if message is None:
            message = _append_message(core, progress.next_index)
            if message is None:
                _send_snapshot(core, peer, progress)
                return
            built[progress.next_index] = message
        progress.sent(progress.next_index - 1 + len(message.append_request.entries), core.now_ms)
        progress.commit_sent = core.commit_index
        core.send(peer, message)
    # What was sent and is not answered yet comes before it, so that it may be about that too.
    has_all = progress.stage is Stage.REPLICATE and progress.next_index > last_index
    if has_all and len(progress.inflight) < 2 and progress.commit_sent < core.commit_index:
        message = _append_message(core, progress.next_index)
        invariant(message is not None, f"{peer} is replicated to, but its place in the log is gone")
        if message:
            progress.commit_sent = core.commit_index
            message.append_request.is_note = True
            core.send(peer, message)


def _append_message(core: Core, next_index: int) -> ConsensusMessage | None:
    """None when the log does not reach back that far."""
    settings = core.settings
    previous_term = core.log.term_at(next_index - 1)
    if previous_term is None:
        return None
    message = ConsensusMessage(term=core.term)
    request = message.append_request
    request.SetInParent()
    request.previous_index = next_index - 1
    request.previous_term = previous_term
    request.commit_index = core.commit_index
    if next_index <= core.log.last_index:
        request.entries.extend(
            core.log.batch(next_index, bytes_max=settings.append_bytes_max, entries_max=settings.append_entries_max)
        )
    return message


def _send_snapshot(core: Core, peer: NodeId, progress: Progress) -> None:
    """The first chunk of the newest snapshot; the peer's replies ask for the others."""
    snapshot = core.snapshot
    progress.stage = Stage.SNAPSHOT
    progress.inflight.clear()
    progress.transfer = SnapshotTransfer(snapshot, zlib.crc32(snapshot.data))
    _send_chunk(core, peer, progress.transfer)
    progress.moved_ms = core.now_ms


def _send_chunk(core: Core, peer: NodeId, transfer: SnapshotTransfer) -> None:
    data, offset = transfer.snapshot.data, transfer.offset
    piece = data[offset : offset + core.settings.snapshot_chunk_bytes]
    chunk = SnapshotChunk(
        meta=transfer.snapshot.meta,
        offset=offset,
        data=piece,
        is_last=offset + len(piece) == len(data),
        crc32=transfer.crc32,
        total_size_bytes=len(data),
    )
    core.send(peer, ConsensusMessage(term=core.term, snapshot_chunk=chunk))


# ---- answers ----


def on_append_reply(core: Core, peer: NodeId, progress: Progress, message: ConsensusMessage) -> None:
    reply = message.append_reply
    progress.is_amnesiac = reply.is_amnesiac
    if reply.wants_snapshot:
        if progress.stage is not Stage.SNAPSHOT:
            progress.match_index = 0
            _send_snapshot(core, peer, progress)
        return
    if reply.accepted:
        _matched(core, progress, reply.match_index)
        if reply.received_index and progress.stage is Stage.REPLICATE:
            progress.received(min(reply.received_index, core.log.last_index), core.now_ms)
        return
    if progress.stage is Stage.SNAPSHOT or reply.conflict_index <= progress.match_index:
        return  # late: it is known by now that they agree so far
    retry_index = reply.conflict_index
    if reply.conflict_term:
        # Everything after our last entry of a term that is not above the peer's differs there.
        ours = core.log.last_up_to_term(reply.conflict_index, reply.conflict_term)
        retry_index = min(retry_index, ours + 1) if ours > core.log.base_index else retry_index
    progress.probe_from(max(1, min(retry_index, progress.next_index)))


def _matched(core: Core, progress: Progress, match_index: int) -> None:
    if match_index > core.log.last_index:
        return  # it has committed more than this leader has ever heard of: it will find out, and hold (see `holding`)
    if progress.accepted(match_index, core.now_ms):
        advance_commit(core)


def on_beat_reply(core: Core, progress: Progress, message: ConsensusMessage) -> None:
    reply = message.beat_reply
    progress.is_amnesiac = reply.is_amnesiac
    progress.round_heard = max(progress.round_heard, reply.round)
    if reply.match_index > progress.match_index:
        _matched(core, progress, reply.match_index)


def on_snapshot_reply(core: Core, peer: NodeId, progress: Progress, message: ConsensusMessage) -> None:
    reply = message.snapshot_reply
    progress.is_amnesiac = reply.is_amnesiac
    if reply.installed:
        _matched(core, progress, reply.index)
        return
    transfer = progress.transfer
    if transfer is None or reply.index != transfer.snapshot.meta.index:
        return
    if reply.next_offset != transfer.offset and reply.next_offset <= len(transfer.snapshot.data):
        transfer.offset = reply.next_offset
        progress.moved_ms = core.now_ms
        _send_chunk(core, peer, transfer)


# ---- committing ----


def advance_commit(core: Core) -> None:
    """Commit what a majority of the voters has on disk."""
    leading = core.leading
    if not leading:
        return
    reached = agreed_value(
        [
            core.durability.durable_index if voter == core.node else leading.peers[voter].counted_match
            for voter in core.configurations.voters
        ]
    )
    if reached > core.commit_index and core.log.term_at(reached) == core.term:
        set_commit(core, reached)
        if not core.is_voter and core.committed_configuration.index == core.configurations.newest.index:
            core.become_follower(core.term, None, "the committed configuration gives it no vote")


def set_commit(core: Core, index: int) -> None:
    """Everything up to `index` is committed."""
    core.commit_index = index
    if core.configurations.newest.index != core.committed_configuration.index:
        core.committed_configuration = core.configurations.at(index)


# ---- time ----


def quorum_heard_ms(core: Core, leading: Leading) -> int:
    """The latest moment at which a majority of the voters had been heard since."""
    return agreed_value(
        [core.now_ms if voter == core.node else leading.peers[voter].heard_ms for voter in core.configurations.voters]
    )


def tick(core: Core) -> None:
    """Step down when cut off from the majority; send again what seems lost; give up a handing over that hangs."""
    leading = core.leading
    if not leading:
        return
    silent_ms = core.now_ms - quorum_heard_ms(core, leading)
    if silent_ms > core.settings.election_timeout_ms:
        core.become_follower(core.term, None, f"no majority of the voters was heard for {silent_ms} ms")
        return
    if leading.transfer_to and core.now_ms >= leading.transfer_until_ms:
        leading.transfer_to = None
    for peer, progress in leading.peers.items():
        if progress.is_waiting() and core.now_ms - progress.moved_ms >= core.settings.resend_after_ms:
            _resend(core, peer, progress)


def _resend(core: Core, peer: NodeId, progress: Progress) -> None:
    if progress.transfer:
        progress.moved_ms = core.now_ms
        _send_chunk(core, peer, progress.transfer)
    else:
        progress.probe_from(progress.match_index + 1)


def next_deadline_ms(core: Core, leading: Leading) -> int:
    deadline_ms = quorum_heard_ms(core, leading) + core.settings.election_timeout_ms + 1
    for progress in leading.peers.values():
        if progress.is_waiting():
            deadline_ms = min(deadline_ms, progress.moved_ms + core.settings.resend_after_ms)
    if leading.transfer_to:
        deadline_ms = min(deadline_ms, leading.transfer_until_ms)
    return deadline_ms
