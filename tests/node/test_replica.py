"""A node's copy of the database follows the log, and nothing but the log."""

import random

from clusterd.consensus import RaftSettings, Restored
from clusterd.consensus.outputs import Snapshot
from clusterd.database import Database, Draft
from clusterd.model import keys
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import GroupRecord
from clusterd.node.proposals import ForClient
from clusterd.node.replica import Replica
from clusterd.wire.consensus_pb2 import (
    ENTRY_KIND_EMPTY,
    ENTRY_KIND_TRANSACTION,
    Configuration,
    ConsensusMessage,
    Entry,
    HardState,
    SnapshotMeta,
    VoteReply,
)

NAMES = ("n1", "n2", "n3")


def leading_replica() -> Replica:
    """n1, leading term 1, with its first entry at index 2."""
    configuration = Configuration(index=1, term=1, voters=list(NAMES))
    snapshot = Snapshot(SnapshotMeta(index=1, term=1, configuration=configuration), Database().snapshot())
    settings = RaftSettings(election_timeout_ms=500, beat_interval_ms=100)
    replica = Replica(NodeId("n1"), Restored(HardState(term=1), snapshot), settings, random.Random(1), 0)
    replica.raft.tick(5000)
    drain(replica)
    reply = ConsensusMessage(term=2, vote_reply=VoteReply(granted=True, is_pre_vote=True))
    replica.raft.receive(NodeId("n2"), reply, 5001)
    drain(replica)
    replica.raft.receive(NodeId("n2"), ConsensusMessage(term=2, vote_reply=VoteReply(granted=True)), 5002)
    drain(replica)
    assert replica.is_leader
    return replica


def drain(replica: Replica) -> None:
    for write in replica.drain().writes:
        replica.raft.persisted(write.sequence, 5000)
    replica.drain()


def group_transaction(replica: Replica, name: str) -> bytes:
    return Draft(replica.view).put(GroupRecord(GroupId(name))).build(f"make {name}").SerializeToString()


def test_a_proposal_that_was_replaced_before_it_was_written_is_not_applied() -> None:
    replica = leading_replica()
    mine = Draft(replica.view).put(GroupRecord(GroupId("mine"))).build("mine")
    replica.propose(ForClient(1), mine, cluster_ms=1, until_ms=99_999, now_ms=5003)
    index = replica.raft.last_index
    # In the same step, before anything is drained: a new leader has other entries from there on.
    theirs = [
        Entry(index=index, term=3, kind=ENTRY_KIND_TRANSACTION, data=group_transaction(replica, "theirs")),
        Entry(index=index + 1, term=3, kind=ENTRY_KIND_EMPTY),
    ]
    append = ConsensusMessage(term=3)
    append.append_request.previous_index = index - 1
    append.append_request.previous_term = 2
    append.append_request.entries.extend(theirs)
    append.append_request.commit_index = index + 1
    replica.raft.receive(NodeId("n2"), append, 5004)
    drain(replica)
    assert replica.view.group("theirs") is not None
    assert replica.database.revision_of(keys.group("mine")) == 0
