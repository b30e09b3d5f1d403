"""Reads, handing over, changing voters and lost data: a cluster whose members come and go."""

import pytest

from clusterd.consensus import Role
from clusterd.model.errors import Conflict, NotLeader, Refused
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import ENTRY_KIND_CONFIGURATION
from tests.consensus.cluster import Cluster, node, others

N1, N2, N3 = node(1), node(2), node(3)


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


def test_the_voters_are_not_changed_while_the_leadership_is_handed_over() -> None:
    """The successor was chosen for its log and its vote as they are: it would not have the change."""
    cluster = Cluster(3)
    leader, gone = with_a_handing_over_that_hangs(cluster)
    last = cluster.raft(leader).last_index
    with pytest.raises(NotLeader) as raised:
        cluster.change(leader, [1, 2, 3], learners=[4])
    assert raised.value.leader == gone and cluster.raft(leader).last_index == last
    cluster.run(1_500)
    cluster.change(leader, [1, 2, 3], learners=[4])


def with_a_handing_over_that_hangs(cluster: Cluster) -> tuple[NodeId, NodeId]:
    """The leader, and the cut-off node to which it hands over."""
    leader = cluster.elect()
    cluster.run(500)
    gone = others(cluster, leader)[0]
    cluster.isolate(gone)
    cluster.propose(leader, b"it has not got this")
    cluster.raft(leader).transfer_leadership(gone, cluster.now_ms)
    return leader, gone


def test_a_handing_over_that_hangs_is_given_up() -> None:
    cluster = Cluster(3)
    leader, _ = with_a_handing_over_that_hangs(cluster)
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


def test_a_wiped_voter_asks_again_when_its_link_to_the_leader_opens() -> None:
    """A leader's link may open before the one to it: what was asked then went nowhere, and a second is long."""
    cluster = Cluster(3)
    leader, wiped = with_a_wiped_voter(cluster)
    cluster.beat(leader)
    while not is_asked(cluster, wiped):
        cluster.deliver()
    cluster.network = [each for each in cluster.network if each.sender != wiped]
    cluster.settle()
    assert not is_asked(cluster, wiped)
    cluster.replicas[wiped].raft.link_opened(leader, cluster.now_ms)
    cluster.drain(wiped)
    assert is_asked(cluster, wiped)


def test_the_end_of_amnesia_is_told_at_once() -> None:
    """Without a beat in between: whoever waits for the vote need not wait for the next one."""
    cluster = Cluster(3)
    leader, wiped = with_a_wiped_voter(cluster)
    cluster.run(1_500)
    rest = sorted(int(name[1:]) for name in cluster.replicas if name != wiped)
    assert cluster.raft(leader).ready_learners == ()
    cluster.change(leader, rest, [int(wiped[1:])])
    cluster.settle()
    assert not cluster.raft(wiped).is_amnesiac
    assert cluster.raft(leader).ready_learners == (wiped,)


def with_a_wiped_voter(cluster: Cluster) -> tuple[NodeId, NodeId]:
    """The leader, and a voter that has just started without its data."""
    leader = cluster.elect()
    cluster.run(500)
    wiped = others(cluster, leader)[0]
    cluster.crash(wiped)
    cluster.wipe(wiped)
    cluster.start(wiped, is_amnesiac=True)
    return leader, wiped


def is_asked(cluster: Cluster, wiped: NodeId) -> bool:
    return any(each.sender == wiped and each.message.HasField("read_request") for each in cluster.network)


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
