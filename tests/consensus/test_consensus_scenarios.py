"""Does the cluster do the right thing in the situations that have names?"""

import pytest

from clusterd.consensus import RaftSettings, Role
from clusterd.model.errors import Busy, Conflict, NotLeader, Refused, TooLarge
from clusterd.model.events import ELECTION_STARTED, LEADER_LOST, SNAPSHOT_INSTALLED
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import ENTRY_KIND_CONFIGURATION
from tests.consensus.cluster import Cluster, node

N1, N2, N3 = node(1), node(2), node(3)


def others(cluster: Cluster, name: NodeId) -> list[NodeId]:
    return [each for each in sorted(cluster.replicas) if each != name]


# ---- election ----


@pytest.mark.parametrize("voters", [1, 2, 3, 5])
def test_a_new_cluster_finds_one_leader(voters: int) -> None:
    cluster = Cluster(voters)
    leader = cluster.elect()
    cluster.run(300)
    assert {cluster.raft(name).leader for name in cluster.replicas} == {leader}
    assert cluster.raft(leader).is_leader_ready


def test_a_single_voter_leads_at_once_and_commits_with_its_own_disk() -> None:
    cluster = Cluster(1)
    cluster.tick(N1)
    cluster.settle()
    assert cluster.raft(N1).is_leader_ready
    assert cluster.now_ms == 0
    index = cluster.propose(N1, b"x")
    assert cluster.raft(N1).commit_index < index
    cluster.sync(N1)
    assert cluster.raft(N1).commit_index == index


def test_a_single_voter_waits_for_its_disk_instead_of_standing_again() -> None:
    cluster = Cluster(1)
    for _ in range(5):
        cluster.tick(N1)
    assert cluster.raft(N1).term == 2


def test_a_quiet_leader_with_heartbeats_is_never_replaced() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    term = cluster.raft(leader).term
    cluster.run(20_000)
    assert cluster.raft(leader).role is Role.LEADER
    assert cluster.raft(leader).term == term


def test_a_node_that_comes_back_from_isolation_disturbs_nobody() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    away = others(cluster, leader)[0]
    term = cluster.raft(leader).term
    cluster.isolate(away)
    cluster.run(10_000)
    cluster.heal()
    cluster.run(3_000)
    assert cluster.raft(leader).role is Role.LEADER
    assert {cluster.raft(name).term for name in cluster.replicas} == {term}


def test_a_learner_never_stands_and_counts_for_nothing() -> None:
    cluster = Cluster(2, learners=1)
    leader = cluster.elect()
    cluster.crash(others(cluster, leader)[0])
    index = cluster.propose(leader, b"x")
    cluster.settle()
    assert cluster.raft(leader).commit_index < index
    assert cluster.raft(N3).last_index == index
    cluster.run(20_000)
    assert cluster.raft(N3).role is Role.FOLLOWER


def test_no_vote_leaves_before_it_is_durable() -> None:
    cluster = Cluster(3)
    cluster.now_ms = 5_000
    cluster.tick(N1)
    while cluster.network:
        cluster.deliver()
    assert cluster.raft(N1).role is Role.CANDIDATE
    cluster.sync(N1)
    while cluster.network:
        cluster.deliver()
    assert cluster.raft(N1).role is Role.CANDIDATE, "the others' disks have not answered"
    cluster.sync(N2)
    cluster.settle()
    assert cluster.raft(N1).role is Role.LEADER


def test_nobody_is_asked_for_a_vote_before_the_new_term_is_durable() -> None:
    cluster = Cluster(3)
    cluster.now_ms = 5_000
    cluster.tick(N1)
    while cluster.network:
        cluster.deliver()
    assert cluster.raft(N1).role is Role.CANDIDATE
    assert cluster.raft(N2).term == 1


# ---- a leader that is gone ----


def test_a_killed_leader_is_replaced_within_tens_of_milliseconds() -> None:
    for seed in range(20):
        cluster = Cluster(3, seed=seed)
        leader = cluster.elect()
        cluster.run(1_000)
        at_ms = cluster.now_ms
        cluster.crash(leader, tell=True)
        cluster.elect()
        assert cluster.now_ms - at_ms <= 50


def test_a_broken_link_to_a_leader_that_others_hear_elects_nobody() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    away = others(cluster, leader)[0]
    cluster.cut(away, leader)
    cluster.raft(away).link_broken(leader, cluster.now_ms)
    cluster.run(5_000)
    assert cluster.raft(leader).role is Role.LEADER
    early = [each for name, each in cluster.notes if name == away and each.event is ELECTION_STARTED]
    assert any("link to the leader" in each.get("because") for each in early)


def test_a_link_that_opens_again_cancels_the_early_stand() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    cluster.notes.clear()
    for name in others(cluster, leader):
        cluster.raft(name).link_broken(leader, cluster.now_ms)
        cluster.raft(name).link_opened(leader, cluster.now_ms)
    cluster.run(500)
    assert not cluster.notes


def test_the_early_stand_is_made_once_a_term() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    away = others(cluster, leader)[0]
    cluster.run(500)
    cluster.notes.clear()
    for _ in range(3):
        cluster.raft(away).link_broken(leader, cluster.now_ms)
        cluster.run(600)
    early = [each for _, each in cluster.notes if each.event is ELECTION_STARTED]
    assert len([each for each in early if "link to the leader" in each.get("because")]) == 1


def test_a_leader_without_a_majority_steps_down_and_says_why() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.isolate(leader)
    cluster.run(2_000)
    assert cluster.raft(leader).role is not Role.LEADER
    lost = [each for name, each in cluster.notes if name == leader and each.event is LEADER_LOST]
    assert "no majority" in lost[0].get("because")


# ---- the log ----


def test_what_an_old_leader_could_not_commit_is_replaced() -> None:
    cluster = Cluster(3)
    old = cluster.elect()
    cluster.isolate(old)
    for number in range(10):
        cluster.propose(old, b"lost %d" % number)
    cluster.sync(old)
    cluster.run(4_000)
    new = next(name for name in others(cluster, old) if cluster.raft(name).is_leader_ready)
    for number in range(3):
        cluster.propose(new, b"kept %d" % number)
    cluster.run(500)
    cluster.heal()
    cluster.run(3_000)
    cluster.check_logs_match()
    assert cluster.replicas[old].applied == cluster.replicas[new].applied
    assert not any(data.startswith(b"lost") for _, _, data in cluster.replicas[old].applied)


def test_nothing_is_acknowledged_before_it_is_durable() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    index = cluster.propose(leader, b"x")
    while cluster.network:
        cluster.deliver()
    cluster.sync(leader)
    assert cluster.raft(leader).commit_index < index
    cluster.sync(others(cluster, leader)[0])
    while cluster.network:
        cluster.deliver()
    assert cluster.raft(leader).commit_index == index


def test_followers_may_commit_without_the_leaders_disk() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    index = cluster.propose(leader, b"x")
    while cluster.network:
        cluster.deliver()
    for name in others(cluster, leader):
        cluster.sync(name)
    while cluster.network:
        cluster.deliver()
    assert cluster.raft(leader).durable_index < index
    assert cluster.raft(leader).commit_index == index


def test_followers_apply_within_one_hop_of_the_commit() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    index = cluster.propose(leader, b"x")
    cluster.settle()
    assert {cluster.raft(name).applied_index for name in cluster.replicas} == {index}


def test_many_proposals_between_two_readies_are_one_message_and_one_write() -> None:
    cluster = Cluster(3, settings=RaftSettings())
    leader = cluster.elect()
    cluster.run(500)
    for number in range(64):
        cluster.raft(leader).propose(b"%d" % number, cluster.now_ms)
    ready = cluster.raft(leader).ready()
    assert ready and ready.persist
    assert len(ready.persist.entries) == len(ready.appended) == 64
    assert [len(message.append_request.entries) for _, message in ready.messages] == [64, 64]


def test_what_is_in_flight_to_a_silent_peer_is_bounded() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    silent = others(cluster, leader)[0]
    for number in range(200):
        cluster.propose(leader, b"%d" % number)
    to_silent = [each for each in cluster.network if each.to == silent and each.message.append_request.entries]
    assert len(to_silent) == cluster.settings.inflight_appends_max
    cluster.settle()
    assert cluster.raft(silent).applied_index == cluster.raft(leader).last_index


def test_lost_appends_are_sent_again() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    for number in range(30):
        cluster.propose(leader, b"%d" % number)
    cluster.network.clear()
    cluster.run(1_500)
    assert {cluster.raft(name).applied_index for name in cluster.replicas} == {cluster.raft(leader).last_index}


def test_proposals_are_bounded() -> None:
    cluster = Cluster(3, settings=RaftSettings(proposals_pending_max=5, entry_bytes_max=100))
    leader = cluster.elect()
    with pytest.raises(TooLarge):
        cluster.propose(leader, b"x" * 101)
    for _ in range(5):
        cluster.propose(leader, b"x")
    with pytest.raises(Busy):
        cluster.propose(leader, b"x")
    with pytest.raises(NotLeader) as raised:
        cluster.propose(others(cluster, leader)[0], b"x")
    assert raised.value.leader == leader


# ---- snapshots ----


def test_a_follower_that_was_away_catches_up_by_snapshot() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    away = others(cluster, leader)[0]
    cluster.crash(away)
    for number in range(100):
        cluster.propose(leader, b"%d" % number)
        cluster.settle()
    cluster.take_snapshot(leader)
    cluster.propose(leader, b"after the snapshot")
    cluster.start(away)
    cluster.run(2_000)
    assert cluster.replicas[away].applied == cluster.replicas[leader].applied
    assert any(each.event is SNAPSHOT_INSTALLED for name, each in cluster.notes if name == away)
    cluster.crash(away)
    cluster.start(away)
    cluster.run(1_000)
    assert cluster.replicas[away].applied == cluster.replicas[leader].applied


def test_a_follower_a_little_behind_catches_up_from_the_tail_of_the_log() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    away = others(cluster, leader)[0]
    cluster.isolate(away)
    for number in range(3):
        cluster.propose(leader, b"%d" % number)
    cluster.settle()
    cluster.take_snapshot(leader)
    cluster.heal()
    cluster.run(1_500)
    assert cluster.replicas[away].applied == cluster.replicas[leader].applied
    assert not any(each.event is SNAPSHOT_INSTALLED for _, each in cluster.notes)


def test_chunks_that_are_lost_or_repeated_do_no_harm() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    away = others(cluster, leader)[0]
    cluster.crash(away)
    for number in range(50):
        cluster.propose(leader, b"%d" % number)
    cluster.settle()
    cluster.take_snapshot(leader)
    cluster.start(away)
    for round in range(2_000):
        cluster.now_ms += 10
        cluster.tick(leader)
        if round % 25 == 0:
            cluster.beat(leader)
            for name in others(cluster, leader):
                cluster.beat(name)
        if round % 7 == 0 and cluster.network:
            cluster.network.pop()
        if round % 5 == 0 and cluster.network:
            cluster.deliver(cluster.random.randrange(len(cluster.network)), keep=True)
        while cluster.network:
            cluster.deliver()
            for name in sorted(cluster.replicas):
                cluster.sync(name)
        if cluster.raft(away).applied_index == cluster.raft(leader).applied_index:
            break
    assert cluster.replicas[away].applied == cluster.replicas[leader].applied


# ---- reads ----


@pytest.mark.parametrize("asked", ["leader", "follower"])
def test_a_read_is_answered_with_what_was_committed_before_it(asked: str) -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    index = cluster.propose(leader, b"x")
    cluster.settle()
    name = leader if asked == "leader" else others(cluster, leader)[0]
    context = cluster.read(name)
    assert context not in cluster.replicas[name].reads
    cluster.settle()
    assert cluster.replicas[name].reads[context] == index


def test_a_deposed_leader_answers_no_read() -> None:
    cluster = Cluster(3)
    old = cluster.elect()
    cluster.run(500)
    cluster.isolate(old)
    context = cluster.read(old)
    cluster.settle()
    assert context not in cluster.replicas[old].reads
    cluster.run(4_000)
    assert cluster.replicas[old].reads[context] is None


def test_a_read_that_the_leader_does_not_answer_is_refused_in_time() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    asker = others(cluster, leader)[0]
    cluster.isolate(asker)
    context = cluster.read(asker)
    cluster.run(cluster.settings.election_timeout_ms + 50)
    assert cluster.replicas[asker].reads[context] is None


def test_a_new_leader_refuses_reads_until_its_own_entry_is_committed() -> None:
    cluster = Cluster(3)
    while not any(cluster.raft(name).role is Role.LEADER for name in cluster.replicas):
        cluster.now_ms += 2_000 if not cluster.network else 0
        cluster.tick(N1)
        for _ in range(4):
            while cluster.network and cluster.raft(N1).role is not Role.LEADER:
                cluster.deliver()
            for name in sorted(cluster.replicas):
                if cluster.raft(N1).role is not Role.LEADER:
                    cluster.sync(name)
    assert not cluster.raft(N1).is_leader_ready
    context = cluster.read(N1)
    assert cluster.replicas[N1].reads[context] is None
    with pytest.raises(Conflict):
        cluster.change(N1, [1, 2])


# ---- leadership transfer ----


def test_leadership_is_handed_over_without_a_pause() -> None:
    cluster = Cluster(3)
    old = cluster.elect()
    cluster.run(500)
    new = others(cluster, old)[1]
    cluster.raft(old).transfer_leadership(new, cluster.now_ms)
    with pytest.raises(NotLeader) as raised:
        cluster.propose(old, b"x")
    assert raised.value.leader == new
    cluster.settle()
    assert cluster.raft(new).is_leader_ready


def test_a_handing_over_that_hangs_is_given_up() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    gone = others(cluster, leader)[0]
    cluster.isolate(gone)
    cluster.propose(leader, b"it has not got this")
    cluster.raft(leader).transfer_leadership(gone, cluster.now_ms)
    cluster.run(1_500)
    cluster.propose(leader, b"x")
    with pytest.raises(Refused):
        cluster.raft(leader).transfer_leadership(leader, cluster.now_ms)


# ---- members ----


def test_a_node_joins_as_learner_and_becomes_a_voter() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.add(node(4))
    cluster.change(leader, [1, 2, 3], [4])
    cluster.run(1_500)
    assert cluster.raft(node(4)).applied_index == cluster.raft(leader).applied_index
    assert cluster.raft(node(4)).role is Role.FOLLOWER
    index = cluster.change(leader, [1, 2, 3, 4])
    assert list(cluster.raft(leader).configuration.voters) == ["n1", "n2", "n3", "n4"]
    cluster.run(500)
    committed = cluster.raft(node(4)).committed_configuration
    assert (committed.index, list(committed.voters)) == (index, ["n1", "n2", "n3", "n4"])


def test_a_second_change_waits_for_the_first() -> None:
    cluster = Cluster(3, learners=1)
    leader = cluster.elect()
    cluster.run(500)
    cluster.change(leader, [1, 2, 3, 4])
    with pytest.raises(Conflict):
        cluster.change(leader, [1, 2, 4], [3])
    cluster.settle()
    with pytest.raises(Refused, match="only one voter"):
        cluster.change(leader, [1, 2])
    with pytest.raises(Refused, match="needs a voter"):
        cluster.change(leader, [], [1])


def test_a_leader_that_is_removed_leads_until_that_is_committed() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    remaining = [int(name[1:]) for name in others(cluster, leader)]
    cluster.change(leader, remaining)
    assert cluster.raft(leader).role is Role.LEADER
    cluster.settle()
    assert cluster.raft(leader).role is Role.FOLLOWER
    assert cluster.elect() != leader
    cluster.run(5_000)
    assert cluster.raft(leader).role is Role.FOLLOWER


def test_a_configuration_that_is_replaced_in_the_log_is_forgotten() -> None:
    cluster = Cluster(3)
    old = cluster.elect()
    cluster.run(500)
    cluster.isolate(old)
    cluster.change(old, [int(name[1:]) for name in others(cluster, old)], [int(old[1:])])
    cluster.sync(old)
    assert old not in cluster.raft(old).configuration.voters
    cluster.run(4_000)
    cluster.heal()
    cluster.run(3_000)
    assert sorted(cluster.raft(old).configuration.voters) == ["n1", "n2", "n3"]
    entries = cluster.raft(old).entries_from(0)
    assert not any(entry.kind == ENTRY_KIND_CONFIGURATION for entry in entries)


def test_a_voter_on_its_way_out_still_stands_when_only_its_log_is_complete() -> None:
    """n1 removes itself from {n1, n2}; n2 has not got that, but cannot win against n1's longer log."""
    cluster = Cluster(2)
    cluster.now_ms = 5_000
    cluster.tick(N1)
    cluster.settle()
    assert cluster.raft(N1).is_leader_ready
    cluster.change(N1, [2])
    cluster.sync(N1)
    cluster.network.clear()
    cluster.crash(N1)
    cluster.start(N1)
    cluster.run(10_000)
    assert cluster.raft(N2).is_leader_ready
    assert list(cluster.raft(N2).committed_configuration.voters) == ["n2"]


# ---- lost data ----


def test_a_wiped_voter_neither_votes_nor_counts_until_it_is_readmitted() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    wiped, other = others(cluster, leader)
    cluster.crash(wiped)
    cluster.wipe(wiped)
    cluster.start(wiped, is_amnesiac=True)
    cluster.run(1_500)
    assert cluster.raft(wiped).applied_index == cluster.raft(leader).applied_index, "it has the data"
    assert cluster.raft(leader).amnesiac_peers == (wiped,)
    cluster.isolate(other)
    index = cluster.propose(leader, b"x")
    cluster.settle()
    assert cluster.raft(wiped).last_index == index
    assert cluster.raft(leader).commit_index < index, "its acknowledgement counts for nothing"
    cluster.heal()
    cluster.run(1_000)
    voters = [int(name[1:]) for name in (leader, other)]
    cluster.change(leader, voters, [int(wiped[1:])])
    cluster.run(1_000)
    assert not cluster.raft(wiped).is_amnesiac
    assert cluster.raft(leader).amnesiac_peers == ()
    cluster.change(leader, [1, 2, 3])
    cluster.run(1_000)
    cluster.crash(leader, tell=True)
    cluster.elect()


def test_a_wiped_voter_elects_nobody() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    cluster.run(500)
    wiped = others(cluster, leader)[0]
    cluster.crash(leader)
    cluster.crash(wiped)
    cluster.wipe(wiped)
    cluster.start(wiped, is_amnesiac=True)
    cluster.run(10_000)
    assert not any(cluster.raft(name).role is Role.LEADER for name in cluster.replicas)
