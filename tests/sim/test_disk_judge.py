"""Would the judge of disks notice? A promise that is not on the disk is told, whatever kind it is."""

import pytest

from clusterd.consensus import Snapshot
from clusterd.consensus.durability import Durability
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.disk import Disk
from clusterd.sim.disk_faults import DiskJudge
from clusterd.wire.consensus_pb2 import (
    AppendReply,
    BeatReply,
    ConsensusMessage,
    Entry,
    HardState,
    SnapshotMeta,
    VoteReply,
)
from clusterd.wire.peer_pb2 import ConsensusBatch, Envelope, Heartbeat

DISK = Disk(HardState(term=3, voted_for="n2"), Snapshot(SnapshotMeta(index=4, term=1), b""), {5: Entry(index=5)})


@pytest.mark.parametrize(
    ("message", "is_kept"),
    [
        (ConsensusMessage(term=3, append_reply=AppendReply(accepted=True, match_index=5)), True),
        (ConsensusMessage(term=3, append_reply=AppendReply(accepted=True, match_index=6)), False),
        (ConsensusMessage(term=3, append_reply=AppendReply(accepted=True, match_index=5, received_index=9)), True),
        (ConsensusMessage(term=3, append_reply=AppendReply(conflict_index=9)), True),
        (ConsensusMessage(term=3, vote_reply=VoteReply(granted=True)), True),
        (ConsensusMessage(term=4, vote_reply=VoteReply(granted=True)), False),
        (ConsensusMessage(term=4, vote_reply=VoteReply(granted=True, is_pre_vote=True)), True),
        (ConsensusMessage(term=4, vote_reply=VoteReply()), True),
    ],
)
def test_each_kind_of_promise(message: ConsensusMessage, is_kept: bool) -> None:
    judge = DiskJudge()
    judge.sent("n1", Envelope(sender="n1", consensus=ConsensusBatch(messages=[message])), DISK)
    assert (not judge.breaches) == is_kept
    judge.sent("n3", Envelope(sender="n1", consensus=ConsensusBatch(messages=[message])), DISK)
    assert (not judge.breaches) == is_kept, "relayed messages are judged at their origin"


def test_what_rides_on_a_heartbeat_is_judged_too() -> None:
    judge = DiskJudge()
    beat = ConsensusMessage(term=3, beat_reply=BeatReply(match_index=7))
    judge.sent("n1", Envelope(sender="n1", heartbeat=Heartbeat(beat=beat)), DISK)
    assert judge.breaches


def test_a_node_that_acknowledges_before_the_sync_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def acknowledge_at_once(self: Durability, to: str, term: int, match_index: int, *, is_amnesiac: bool) -> None:
        reply = AppendReply(accepted=True, match_index=match_index, is_amnesiac=is_amnesiac)
        self.outbox.append((to, ConsensusMessage(term=term, append_reply=reply)))  # type: ignore[arg-type]

    monkeypatch.setattr(Durability, "acknowledge", acknowledge_at_once)
    cluster = SimCluster(SimSettings())
    cluster.start()
    cluster.run_for(3000)
    assert cluster.disk_judge.breaches
