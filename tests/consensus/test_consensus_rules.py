"""Do the single rules hold that whole runs rarely put to the test? One replica, hand-made messages."""

import random

import pytest

from clusterd.consensus import Raft, RaftSettings, Ready, Restored, Role, Snapshot
from clusterd.consensus.configurations import agreed_value, change_problem
from clusterd.consensus.durability import Durability
from clusterd.consensus.log import Log
from clusterd.model.errors import BadInput
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import (
    ENTRY_KIND_CONFIGURATION,
    ENTRY_KIND_TRANSACTION,
    AppendReply,
    AppendRequest,
    Beat,
    Configuration,
    ConsensusMessage,
    Entry,
    HardState,
    SnapshotMeta,
    VoteReply,
    VoteRequest,
)

N1, N2, N3 = NodeId("n1"), NodeId("n2"), NodeId("n3")
FIRST = Configuration(index=1, term=1, voters=[N1, N2, N3])
SNAPSHOT = Snapshot(SnapshotMeta(index=1, term=1, configuration=FIRST), b"")


def entry(index: int, term: int, data: bytes = b"x") -> Entry:
    return Entry(index=index, term=term, kind=ENTRY_KIND_TRANSACTION, data=data)


def replica(*entries: Entry, term: int = 1, voted_for: str = "") -> Raft:
    restored = Restored(HardState(term=term, voted_for=voted_for), SNAPSHOT, entries)
    return Raft(N1, restored, RaftSettings(), random.Random(1), 0)


def append(term: int, previous: tuple[int, int], *entries: Entry, commit: int = 1) -> ConsensusMessage:
    request = AppendRequest(previous_index=previous[0], previous_term=previous[1], commit_index=commit, entries=entries)
    return ConsensusMessage(term=term, append_request=request)


def drained(raft: Raft) -> Ready:
    ready = raft.ready()
    assert ready
    return ready


def replies(ready: Ready | None, body: str) -> list[object]:
    return (
        [getattr(message, body) for _, message in ready.messages if message.WhichOneof("body") == body] if ready else []
    )


def leading(*entries: Entry, term: int = 1) -> Raft:
    """n1 as leader of term + 1 with the vote of n2; its own disk is up to date."""
    raft = replica(*entries, term=term)
    raft.tick(3_000)
    raft.receive(N2, ConsensusMessage(term=term + 1, vote_reply=VoteReply(is_pre_vote=True, granted=True)), 3_000)
    persist = drained(raft).persist
    assert persist
    raft.persisted(persist.sequence, 3_000)
    raft.receive(N2, ConsensusMessage(term=term + 1, vote_reply=VoteReply(granted=True)), 3_000)
    assert raft.role is Role.LEADER
    persist = drained(raft).persist
    assert persist
    raft.persisted(persist.sequence, 3_000)
    return raft


# ---- committing ----


def test_an_entry_of_an_older_term_is_not_committed_by_counting() -> None:
    """Figure 8 of the Raft paper: a majority has it, and yet another leader may replace it."""
    raft = leading(entry(2, 1))
    raft.receive(N2, ConsensusMessage(term=2, append_reply=AppendReply(accepted=True, match_index=2)), 3_000)
    assert raft.commit_index == 1
    raft.receive(N2, ConsensusMessage(term=2, append_reply=AppendReply(accepted=True, match_index=3)), 3_000)
    assert raft.commit_index == 3


def test_an_amnesiac_acknowledgement_commits_nothing() -> None:
    raft = leading()
    reply = AppendReply(accepted=True, match_index=2, is_amnesiac=True)
    raft.receive(N2, ConsensusMessage(term=2, append_reply=reply), 3_000)
    assert raft.commit_index == 1
    assert raft.amnesiac_peers == (N2,)


def test_a_beat_commits_only_what_is_known_to_agree() -> None:
    raft = replica(entry(2, 1), entry(3, 1))
    raft.receive(N2, ConsensusMessage(term=2, beat=Beat(commit_index=3)), 0)
    assert raft.commit_index == 1
    raft.receive(N2, append(2, (2, 1)), 0)
    raft.receive(N2, ConsensusMessage(term=2, beat=Beat(commit_index=3)), 0)
    assert raft.commit_index == 2


def test_a_beat_of_a_new_term_is_answered_without_a_match_until_that_term_is_durable() -> None:
    raft = replica(entry(2, 1))
    raft.receive(N2, append(2, (2, 1)), 0)
    persist = drained(raft).persist
    assert persist
    for expected in (0, 2):
        raft.receive(N2, ConsensusMessage(term=2, beat=Beat(round=1)), 0)
        assert raft.beats(0)[N2].beat_reply.match_index == expected
        raft.persisted(persist.sequence, 0)
    assert raft.beats(0) == {}


def test_an_urgent_beat_is_answered_at_once() -> None:
    raft = replica()
    raft.receive(N2, ConsensusMessage(term=1, beat=Beat(round=4, urgent=True)), 0)
    assert [each.round for each in replies(raft.ready(), "beat_reply")] == [4]  # type: ignore[attr-defined]


# ---- the disk ----


def accepted(term: int, match_index: int) -> ConsensusMessage:
    return ConsensusMessage(term=term, append_reply=AppendReply(accepted=True, match_index=match_index))


def to(ready: Ready | None, peer: NodeId) -> list[ConsensusMessage]:
    return [message for node, message in ready.messages if node == peer] if ready else []


def replicating() -> Raft:
    """n1 leads with everything of its term committed, told to all and answered by all."""
    raft = leading()
    for peer in (N2, N3):
        raft.receive(peer, accepted(2, 2), 3_000)
        raft.ready()
    return raft


def test_what_is_committed_is_told_to_all_at_once_and_nobody_answers() -> None:
    raft = replicating()
    raft.propose(b"y", 3_000)
    persist = drained(raft).persist
    assert persist
    raft.persisted(persist.sequence, 3_000)
    raft.receive(N2, accepted(2, 3), 3_000)
    ready = drained(raft)
    for peer in (N2, N3):
        (note,) = to(ready, peer)
        assert (note.append_request.commit_index, note.append_request.is_note) == (3, True), "n3 has it under way"
    follower = replica(entry(2, 2), entry(3, 2), term=2)
    follower.receive(N2, note, 10)
    assert follower.commit_index == 3
    assert not replies(follower.ready(), "append_reply")


def test_a_note_that_does_not_fit_is_refused_as_any_append() -> None:
    follower = replica(entry(2, 2), term=2)
    note = append(2, (3, 2), commit=3)
    note.append_request.is_note = True
    follower.receive(N2, note, 10)
    (reply,) = replies(follower.ready(), "append_reply")
    assert isinstance(reply, AppendReply) and not reply.accepted


def test_a_late_answer_says_nothing_new_once_all_is_committed_and_told() -> None:
    raft = replicating()
    raft.propose(b"y", 3_000)
    persist = drained(raft).persist
    assert persist
    raft.persisted(persist.sequence, 3_000)
    late = accepted(2, 3)
    assert not raft.says_nothing_new(N3, [late]), "it makes the majority"
    raft.receive(N2, late, 3_000)
    assert not raft.says_nothing_new(N3, [late]), "n3 is not told yet"
    raft.ready()
    assert raft.says_nothing_new(N3, [late])
    refused = ConsensusMessage(term=2, append_reply=AppendReply(conflict_index=2))
    newer = accepted(3, 3)
    forgetful = accepted(2, 3)
    forgetful.append_reply.is_amnesiac = True
    for other in (refused, newer, forgetful, append(3, (1, 1))):
        assert not raft.says_nothing_new(N3, [late, other])


def test_an_old_write_does_not_make_what_replaced_it_durable() -> None:
    log = Log(1, 1)
    durability = Durability(log)
    log.extend([entry(2, 1), entry(3, 1)])
    first = durability.next_write(term=1, voted_for="")
    log.cut(3)
    durability.log_cut(3)
    log.extend([entry(3, 2), entry(4, 2)])
    second = durability.next_write(term=2, voted_for="")
    assert first and second
    durability.written(first.sequence)
    assert durability.durable_index == 2
    durability.written(second.sequence)
    assert durability.durable_index == 4


def test_acknowledgements_that_wait_for_one_write_are_one() -> None:
    raft = replica()
    for index in range(2, 6):
        raft.receive(N2, append(1, (index - 1, 1), entry(index, 1)), 0)
    ready = drained(raft)
    assert ready.persist and not replies(ready, "append_reply")
    raft.persisted(ready.persist.sequence, 0)
    assert [each.match_index for each in replies(raft.ready(), "append_reply")] == [5]  # type: ignore[attr-defined]


def test_a_replaced_entry_is_told_before_what_replaced_it() -> None:
    raft = replica()
    raft.receive(N2, append(1, (1, 1), entry(2, 1), entry(3, 1)), 0)
    assert drained(raft).truncated_from is None
    raft.receive(N3, append(2, (2, 1), entry(3, 2)), 0)
    ready = drained(raft)
    assert ready.truncated_from == 3
    assert ready.appended == (entry(3, 2),)


# ---- configurations ----


def test_a_configuration_that_is_cut_with_the_log_is_forgotten() -> None:
    change = Entry(
        index=2,
        term=1,
        kind=ENTRY_KIND_CONFIGURATION,
        data=Configuration(voters=[N2, N3]).SerializeToString(),
    )
    raft = replica()
    raft.receive(N2, append(1, (1, 1), change), 0)
    assert list(raft.configuration.voters) == [N2, N3]
    assert (raft.configuration.index, raft.configuration.term) == (2, 1)
    raft.receive(N3, append(2, (1, 1), entry(2, 2)), 0)
    assert raft.configuration == FIRST


@pytest.mark.parametrize(
    ("voters", "learners", "is_allowed"),
    [
        (["n1", "n2", "n3"], ["n4"], True),
        (["n1", "n2"], [], True),
        (["n1", "n2", "n3", "n4"], [], True),
        (["n1", "n2", "n4"], [], False),
        (["n1"], [], False),
        ([], [], False),
        (["n1", "n2", "n3"], ["n3"], False),
        (["n1", "n2", "n3", "n3"], [], False),
    ],
)
def test_which_configuration_may_follow(voters: list[str], learners: list[str], is_allowed: bool) -> None:
    problem = change_problem(FIRST, Configuration(voters=voters, learners=learners))
    assert (problem is None) is is_allowed


@pytest.mark.parametrize("count", range(1, 8))
def test_the_agreed_value_is_the_highest_that_a_majority_reached(count: int) -> None:
    values = [random.Random(count * 31 + i).randrange(5) for i in range(count)]
    slow = max(v for v in range(6) if sum(each >= v for each in values) * 2 > count)
    assert agreed_value(values) == slow


# ---- votes ----


def vote(term: int, *, last: tuple[int, int] = (9, 1), **how: bool) -> ConsensusMessage:
    return ConsensusMessage(term=term, vote_request=VoteRequest(last_index=last[0], last_term=last[1], **how))


@pytest.mark.parametrize(
    ("hears_leader", "link_broke", "message", "granted", "term_after"),
    [
        (False, False, vote(2), True, 2),
        (False, False, vote(2, last=(1, 1)), False, 2),
        (False, False, vote(2, is_pre_vote=True), True, 1),
        (False, False, vote(1, is_pre_vote=True), False, 1),
        (True, False, vote(2), None, 1),
        (True, False, vote(2, is_pre_vote=True), False, 1),
        (True, False, vote(2, is_transfer=True), True, 2),
        (True, False, vote(2, leader_link_broke=True), None, 1),
        (True, True, vote(2, leader_link_broke=True), True, 2),
        (True, True, vote(2, is_pre_vote=True, leader_link_broke=True), True, 1),
        (True, True, vote(2, is_pre_vote=True), False, 1),
        (True, False, vote(2, is_pre_vote=True, is_transfer=True), False, 1),
    ],
)
def test_who_gets_the_vote(
    hears_leader: bool, link_broke: bool, message: ConsensusMessage, granted: bool | None, term_after: int
) -> None:
    raft = replica(entry(2, 1))
    if hears_leader:
        raft.receive(N2, ConsensusMessage(term=1, beat=Beat()), 0)
    if link_broke:
        raft.link_broken(N2, 0)
    raft.receive(N3, message, 10)
    ready = raft.ready()
    answers = replies(ready, "vote_reply")
    if ready and ready.persist:
        raft.persisted(ready.persist.sequence, 10)
        answers += replies(raft.ready(), "vote_reply")
    assert [each.granted for each in answers] == ([] if granted is None else [granted])  # type: ignore[attr-defined]
    assert raft.term == term_after


def test_the_vote_of_a_term_is_given_once() -> None:
    raft = replica(term=2, voted_for="n2")
    raft.receive(N3, vote(2), 0)
    raft.receive(N2, vote(2), 0)
    assert [each.granted for each in replies(raft.ready(), "vote_reply")] == [False, True]  # type: ignore[attr-defined]


def test_a_vote_is_held_until_it_is_durable() -> None:
    raft = replica()
    raft.receive(N3, vote(2), 0)
    ready = drained(raft)
    assert ready.persist and ready.persist.hard_state == HardState(term=2, voted_for="n3")
    assert not ready.messages
    raft.persisted(ready.persist.sequence, 0)
    assert len(replies(raft.ready(), "vote_reply")) == 1


def test_an_old_leader_is_told_the_newer_term() -> None:
    raft = replica(term=5)
    raft.receive(N2, ConsensusMessage(term=3, beat=Beat()), 0)
    [(to, message)] = drained(raft).messages
    assert (to, message.term) == (N2, 5)


# ---- settings ----


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(BadInput, match="twice beat_interval_ms"):
        RaftSettings(election_timeout_ms=300, beat_interval_ms=200)
    with pytest.raises(BadInput, match="append_entries_max"):
        RaftSettings(append_entries_max=0)
