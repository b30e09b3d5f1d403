"""Does the cluster do the right thing in the situations that have names?"""

import pytest

from clusterd.consensus import RaftSettings, Role
from clusterd.model.errors import Busy, NotLeader, TooLarge
from clusterd.model.events import ELECTION_STARTED, LEADER_LOST, SNAPSHOT_INSTALLED
from tests.consensus.cluster import Cluster, node, others

N1, N2, N3 = node(1), node(2), node(3)


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
