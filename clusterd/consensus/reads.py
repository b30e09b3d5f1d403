"""From which log index on does a read see everything that was acknowledged before it was asked? Pure.

The leader takes its commit index and then makes sure that it still is the leader: a majority of the voters must answer
a beat that was sent after the read came (Raft thesis, section 6.4). All reads that came since the last `ready` share
one such round. A follower asks the leader. Time is never an argument, so a leader that was frozen answers nothing stale.
"""

from clusterd.consensus.configurations import agreed_value
from clusterd.consensus.core import Core, ForwardedRead
from clusterd.consensus.outputs import ReadState, Role
from clusterd.consensus.progress import Leading, WaitingRead
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import Beat, ConsensusMessage, ReadReply, ReadRequest

# ---- the side that asks ----


def ask(core: Core, context: int) -> None:
    """Answered by a `ReadState` in a later `Ready`."""
    if core.role is Role.LEADER:
        take(core, core.node, context)
    elif core.is_held or core.leader is None or len(core.forwarded) >= core.settings.reads_pending_max:
        core.reads.append(ReadState(context, None))
    else:
        forward(core, core.leader, context)


def forward(core: Core, leader: NodeId, context: int | None) -> None:
    """Contexts on the wire are drawn at random: an answer to a read of an earlier run of this node matches none."""
    on_wire = core.random.getrandbits(63) | 1
    core.forwarded[on_wire] = ForwardedRead(context, core.now_ms + core.settings.election_timeout_ms)
    core.send(leader, ConsensusMessage(term=core.term, read_request=ReadRequest(context=on_wire)))


def on_read_reply(core: Core, reply: ReadReply) -> None:
    forwarded = core.forwarded.pop(reply.context, None)
    if forwarded is None:
        return
    if reply.refused:
        core.refuse_read(forwarded)
    elif forwarded.context is None:
        core.amnesia_index = reply.index
    else:
        core.reads.append(ReadState(forwarded.context, reply.index))


def tick(core: Core) -> None:
    """Refuse what the leader has not answered in time. Reads are kept in the order of their deadlines."""
    while core.forwarded:
        on_wire, forwarded = next(iter(core.forwarded.items()))
        if forwarded.until_ms > core.now_ms:
            return
        del core.forwarded[on_wire]
        core.refuse_read(forwarded)


# ---- the leader ----


def take(core: Core, origin: NodeId, context: int) -> None:
    """Begin to confirm a read; refuse it while the leader cannot know what its predecessors committed."""
    leading = core.leading
    if not leading or core.commit_index < leading.first_index or len(leading.reads) >= core.settings.reads_pending_max:
        core.answer_read(origin, context, None)
        return
    # The round after the last one: no beat that was sent before now carries it.
    leading.reads.append(WaitingRead(leading.round + 1, core.commit_index, origin, context))
    leading.is_round_wanted = True


def begin_round(core: Core) -> None:
    """Once per `ready`: one beat to each voter for all reads that came since the last."""
    leading = core.leading
    if not leading or not leading.is_round_wanted:
        return
    leading.is_round_wanted = False
    leading.round += 1
    for voter in core.configurations.voters:
        if voter != core.node:
            core.send(voter, beat(core, leading, voter, urgent=True))
    confirm(core)


def beat(core: Core, leading: Leading, peer: NodeId, *, urgent: bool = False) -> ConsensusMessage:
    known = min(leading.peers[peer].match_index, core.commit_index)
    return ConsensusMessage(term=core.term, beat=Beat(commit_index=known, round=leading.round, urgent=urgent))


def confirm(core: Core) -> None:
    """Answer the reads whose round a majority of the voters has answered."""
    leading = core.leading
    if not leading or not leading.reads:
        return
    reached = agreed_value(
        [
            leading.round if voter == core.node else leading.peers[voter].counted_round
            for voter in core.configurations.voters
        ]
    )
    while leading.reads and leading.reads[0].round <= reached:
        read = leading.reads.popleft()
        core.answer_read(read.origin, read.context, read.index)
