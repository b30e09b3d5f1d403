"""Which log can be the one on which that was promised, and what does a replica do that knows of more than its leader?"""

import random

import pytest

from clusterd.consensus import Raft, RaftSettings, Restored, Snapshot
from clusterd.consensus.memory import Marker, Position, Reach, Remembered, behind_its_marker, older_than_known
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import (
    ENTRY_KIND_TRANSACTION,
    AppendRequest,
    Beat,
    Configuration,
    ConsensusMessage,
    Entry,
    HardState,
    SnapshotMeta,
    VoteRequest,
)

N1, N2, N3 = NodeId("n1"), NodeId("n2"), NodeId("n3")
LOG = Reach(term=5, index=40, voted_for="n2")

PROMISES = {
    "the same": (Position(5, 40), True),
    "less": (Position(5, 39), True),
    "more of the same term": (Position(5, 41), False),
    "a later term, however little of it": (Position(6, 0), False),
    "an earlier term, however much of it": (Position(4, 99), True),
}


@pytest.mark.parametrize("name", PROMISES)
def test_a_log_holds(name: str) -> None:
    promised, holds = PROMISES[name]
    assert LOG.holds(promised) == holds
    assert bool(behind_its_marker(LOG, Marker(promised=promised))) != holds
    assert bool(older_than_known(LOG, boots=3, told=Remembered("r", 2, promised), by=N3)) != holds


def test_a_log_without_what_was_committed_or_voted_is_older() -> None:
    assert "41 was committed" in behind_its_marker(LOG, Marker(committed=Position(4, 41)))
    assert not behind_its_marker(LOG, Marker(promised=Position(5, 40), voted_for="n2"))
    assert "voted for n3" in behind_its_marker(LOG, Marker(promised=Position(5, 40), voted_for="n3"))
    assert not behind_its_marker(LOG, Marker(promised=Position(4, 40), voted_for="n3")), "of a term that is over"


def test_data_that_was_started_as_often_before_is_older() -> None:
    """It was copied, and started again since: the copy is started now."""
    promised = Position(5, 40)
    assert not older_than_known(LOG, boots=3, told=Remembered("r", 2, promised), by=N3)
    assert "start 3" in older_than_known(LOG, boots=3, told=Remembered("r", 3, promised), by=N3)
    assert not older_than_known(LOG, boots=0, told=Remembered("r", 3, promised), by=N3), (
        "from before starts were counted"
    )


def entry(index: int, term: int) -> Entry:
    return Entry(index=index, term=term, kind=ENTRY_KIND_TRANSACTION, data=b"x")


def replica(*, committed_index: int) -> Raft:
    """n1, with entries 2 to 9 of term 1."""
    meta = SnapshotMeta(index=1, term=1, configuration=Configuration(index=1, term=1, voters=[N1, N2, N3]))
    restored = Restored(HardState(term=1), Snapshot(meta, b""), tuple(entry(index, 1) for index in range(2, 10)))
    settings = RaftSettings(election_timeout_ms=1000)
    return Raft(N1, restored, settings, random.Random(1), 0, committed_index=committed_index)


def append(term: int, previous: tuple[int, int], *entries: Entry) -> ConsensusMessage:
    index, of = previous
    return ConsensusMessage(
        term=term, append_request=AppendRequest(previous_index=index, previous_term=of, entries=entries)
    )


def answers(raft: Raft) -> list[ConsensusMessage]:
    found: list[ConsensusMessage] = []
    while (ready := raft.ready()) is not None:
        found += [message for _, message in ready.messages]
        if ready.persist is not None:
            raft.persisted(ready.persist.sequence, 0)
    return found


def test_what_is_not_known_to_be_committed_is_replaced() -> None:
    raft = replica(committed_index=6)
    raft.receive(N2, append(2, (6, 1), entry(7, 2)), 0)
    assert [each.append_reply.accepted for each in answers(raft)] == [True]
    assert (raft.last_index, raft.is_held) == (7, False)


def test_what_was_committed_is_kept_and_the_replica_is_held() -> None:
    raft = replica(committed_index=6)
    raft.receive(N2, append(2, (9, 2)), 0)
    assert not raft.is_held, "that may be: the leader has another entry than one that was not committed"
    answers(raft)
    raft.receive(N2, append(2, (6, 2), entry(7, 2)), 0)
    (reply,) = answers(raft)
    assert not reply.append_reply.accepted and reply.append_reply.conflict_index == 6, "where do the logs part?"
    raft.receive(N2, append(2, (4, 1), entry(5, 2), entry(6, 2)), 0)
    assert answers(raft) == [], "it has nothing to say to that leader"
    assert (raft.held_index, raft.last_index, raft.commit_index) == (5, 9, 1)


def held() -> Raft:
    raft = replica(committed_index=6)
    raft.receive(N2, append(2, (4, 1), entry(5, 2), entry(6, 2)), 0)
    answers(raft)
    assert raft.held_index == 5
    return raft


def test_a_held_replica_votes_for_nobody_and_confirms_nothing() -> None:
    raft = held()
    request = VoteRequest(is_pre_vote=True, last_index=99, last_term=9)
    raft.receive(N3, ConsensusMessage(term=9, vote_request=request), 5000)
    assert [each.vote_reply.granted for each in answers(raft)] == [False]
    raft.receive(N2, ConsensusMessage(term=2, beat=Beat(round=4, urgent=True)), 5000)
    raft.tick(90_000)
    assert answers(raft) == []


def test_a_held_replica_is_not_taken_in_by_an_entry_of_the_same_term_further_up() -> None:
    """Those who went back count terms once more: entry 9 of term 1 may be another one."""
    raft = held()
    raft.receive(N2, append(2, (9, 1), entry(10, 2)), 0)
    (reply,) = answers(raft)
    assert (reply.append_reply.accepted, reply.append_reply.conflict_index) == (False, 6)
    assert raft.last_index == 9


def test_a_held_replica_goes_on_under_a_leader_that_has_the_same() -> None:
    raft = held()
    raft.receive(N3, append(3, (4, 1), *(entry(index, 1) for index in range(5, 10)), entry(10, 3)), 0)
    assert [each.append_reply.accepted for each in answers(raft)] == [True]
    assert (raft.is_held, raft.last_index) == (False, 10)
