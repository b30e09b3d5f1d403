"""Who lost the data without which nothing can be decided, and how far is a node that catches up?"""

from dataclasses import replace

import pytest

from clusterd.api.data_view import member_state, progress_percent, what_restores
from clusterd.api.votes import no_quorum_text
from clusterd.model.events import DATA_NEEDED
from clusterd.model.ids import NodeId
from clusterd.node.lacking import Lack, lack
from clusterd.node.status import NodeStatus, status_of
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.forgetting import Forgetting

A, B, C, D = (NodeId(each) for each in "abcd")


@pytest.mark.parametrize(
    ("voters", "forgot", "count"),
    [
        ((A,), (A,), 1),
        ((A, B), (A,), 1),
        ((A, B), (A, B), 2),
        ((A, B, C), (A,), 0),
        ((A, B, C), (A, B), 1),
        ((A, B, C), (A, B, C), 2),
        ((A, B, C), (D,), 0),
        ((A, B, C), (), 0),
        ((), (), 0),
    ],
)
def test_how_many_must_have_it_back(voters: tuple[NodeId, ...], forgot: tuple[NodeId, ...], count: int) -> None:
    assert lack(voters, forgot) == (Lack(voters, forgot, count) if count else None)


def status(cluster: SimCluster, name: str) -> NodeStatus:
    machine = cluster.machines[NodeId(name)]
    assert machine.node is not None
    return status_of(machine.node, machine.clock_ms(), version="1", quorum_since_wall_ms=0)


def with_one_voter() -> tuple[SimCluster, Forgetting]:
    """n1 alone votes; the disks of the others are full, so that they stay learners."""
    cluster = SimCluster(SimSettings(nodes=("n1", "n2"), voters=("n1",), seed=4))
    cluster.disks.fill("n2")
    cluster.start()
    cluster.run_for(3000)
    cluster.mark_soon("n1")
    cluster.run_for(3000)
    return cluster, Forgetting(cluster)


def test_the_last_voter_is_told_that_its_own_data_restores_it() -> None:
    cluster, forgetting = with_one_voter()
    forgetting.mark("n1", "own")
    cluster.kill("n1")
    forgetting.wipe("n1")
    cluster.start("n1")
    cluster.run_for(10_000)
    for name in ("n1", "n2"):
        told = no_quorum_text(status(cluster, name))
        assert "n1, the last voter, lost its data: nobody can admit it" in told
        assert "Only a copy of its own data folder restores it: stop n1" in told
    notes = [each for each in cluster.trace if each.note.event is DATA_NEEDED]
    assert {each.node for each in notes} == {"n1", "n2"} and len(notes) == 2, "each says it once"
    cluster.kill("n1")
    forgetting.rollback("n1", "own")
    cluster.start("n1")
    assert cluster.run_until(lambda: cluster.leader() == "n1")
    assert what_restores(status(cluster, "n1")) == "" and len(cluster.acknowledged) == 1


def test_how_far_a_node_has_caught_up_is_known_everywhere() -> None:
    cluster = SimCluster(SimSettings(seed=4))
    forgetting = Forgetting(cluster)
    cluster.start()
    cluster.run_for(3000)
    for _ in range(60):
        cluster.mark_soon("n1")
        cluster.run_for(20)
    cluster.kill("n3")
    forgetting.wipe("n3")
    cluster.disks.slow("n3", 200)
    cluster.network.dials.delay_ms = (40.0, 60.0)
    cluster.start("n3")
    seen: dict[str, list[int]] = {"n1": [], "n3": []}
    for _ in range(400):
        cluster.run_for(25)
        for name, percents in seen.items():
            peer = next(each for each in status(cluster, name).peers if each.node == "n3")
            percent = progress_percent(peer)
            if percent is not None and percent not in percents[-1:]:
                percents.append(percent)
    for name, percents in seen.items():
        assert percents == sorted(percents) and percents[0] == 0 and percents[-1] == 100, (name, percents)
        peer = next(each for each in status(cluster, name).peers if each.node == "n3")
        assert member_state(peer) == "voter" and progress_percent(peer) is None


def test_a_peer_of_a_version_that_does_not_say_has_no_figure() -> None:
    cluster = SimCluster(SimSettings(seed=4))
    cluster.start()
    cluster.run_for(3000)
    peer = next(each for each in status(cluster, "n1").peers if each.node == "n2")
    assert progress_percent(replace(peer, has_vote=False, caught_up_percent=None)) is None
    assert progress_percent(replace(peer, has_vote=False, caught_up_percent=42)) == 42
