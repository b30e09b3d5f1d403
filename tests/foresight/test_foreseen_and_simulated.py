"""Random clusters, a random change: where every group is foreseen to be is where the simulator then has it."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from imagined import Change, add_group, commit, drain_node, foreseen, owners_after, owners_now, started_cluster

from clusterd.database import Draft
from clusterd.foresight import lose_node
from clusterd.model.ids import NodeId
from clusterd.model.records import MoveRequest
from clusterd.model.states import Wanted
from clusterd.sim import SimCluster

NODES = ("n1", "n2", "n3", "n4", "n5")


def random_cluster(rng: random.Random) -> SimCluster:
    """Groups with preferred owners, possible owners and classes that keep apart, wherever they come to rest."""
    cluster = started_cluster(NODES, seed=rng.randrange(1000))
    names = [f"g{number}" for number in range(rng.randint(3, 9))]
    for name in names:
        preferred = tuple(rng.sample(NODES, rng.randint(0, 3)))
        classes = ["red"] if rng.random() < 0.3 else []
        properties = {"anti_affinity_class_names": classes, "priority": rng.choice([1000, 2000, 3000])}
        add_group(cluster, name, preferred, properties)
        if rng.random() < 0.3:
            allowed = tuple(NodeId(node) for node in rng.sample(NODES, 2))
            record = cluster.view().resource(f"{name}-a")
            assert record is not None
            limited = replace(record, possible_owners=allowed)
            cluster.commit(lambda draft, limited=limited: draft.put(limited))
    cluster.run_for(20_000)
    return cluster


def random_change(rng: random.Random, cluster: SimCluster) -> tuple[Change, Callable[[], None]]:
    """What is imagined, and how the same then happens."""
    node = NodeId(rng.choice(NODES))
    group = cluster.view().group(rng.choice([each.name for each in cluster.view().groups()]))
    assert group is not None

    def lose(view):  # type: ignore[no-untyped-def]
        return lose_node(view, node, 1)

    kind = rng.choice(["lose", "lose", "drain", "move", "offline"])
    if kind == "lose":
        return lose, lambda: cluster.kill(node)
    changes: dict[str, Change] = {
        "drain": lambda view: drain_node(view, node),
        "move": lambda view: Draft(view).put(replace(group, move=MoveRequest("m-1", node))),
        "offline": lambda view: Draft(view).put(replace(group, wanted=Wanted.OFFLINE)),
    }
    return changes[kind], lambda: commit(cluster, changes[kind])


@pytest.mark.parametrize("seed", range(16))
def test_what_is_foreseen_is_what_happens(seed: int) -> None:
    rng = random.Random(seed)
    cluster = random_cluster(rng)
    change, happen = random_change(rng, cluster)
    found = foreseen(cluster, change)
    assert found.is_complete and found.keeps_quorum
    expected = owners_after(cluster, found)
    happen()
    cluster.run_for(25_000)
    assert owners_now(cluster) == expected
    assert {each.group for each in found.not_running} == {
        group.name for group in cluster.view().groups() if group.wanted is Wanted.ONLINE and not expected[group.name]
    }
