"""Whether every group would still find a node: bounded, told, and as the loss itself would go."""

import random
from itertools import combinations

import pytest

from clusterd.leader.capacity import LOSSES_MAX, loss_of, survives
from clusterd.model.ids import NodeId
from tests.decisions.snapshot import Snapshot


def world(rng: random.Random, nodes: int, groups: int) -> Snapshot:
    snapshot = Snapshot()
    for number in range(nodes):
        snapshot.tell(f"node n{number} memory=8192")
    for number in range(groups):
        priority = rng.choice((1000, 2000, 3000))
        on = f"n{rng.randrange(nodes)}"
        snapshot.tell(f"group g{number} on={on} memory={512 * rng.randrange(6)} priority={priority}")
    return snapshot


@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_each_loss_would_do(seed: int) -> None:
    snapshot = world(random.Random(seed), 5, 14)
    sight = snapshot.sight()
    for failures in (1, 2):
        answer = survives(snapshot.view, sight, failures)
        nodes = [each.name for each in snapshot.view.nodes()]
        each_loss = [loss_of(snapshot.view, sight, chosen) for chosen in combinations(nodes, failures)]
        stranding = {loss.nodes: loss for loss in each_loss if loss.stranded}
        assert {loss.nodes: loss for loss in answer.losses} == stranding
        assert answer.is_complete and answer.possible == len(each_loss)
        assert answer.is_enough == (not stranding)


def test_of_very_many_combinations_the_fullest_are_looked_at() -> None:
    snapshot = world(random.Random(1), 20, 10)
    snapshot.tell("node n19 memory=65536")
    snapshot.tell("group huge on=n19 memory=65536")
    answer = survives(snapshot.view, snapshot.sight(), 3)
    assert (answer.looked_at, answer.possible) == (LOSSES_MAX, 1140)
    assert not answer.is_complete and not answer.is_enough
    assert "128 fullest of 1140" in answer.sentence
    assert all("n19" in loss.nodes for loss in answer.losses)


def test_a_loss_changes_nothing() -> None:
    snapshot = world(random.Random(2), 4, 9)
    before = snapshot.database.digest
    first = loss_of(snapshot.view, snapshot.sight(), [NodeId("N1")])
    assert first == loss_of(snapshot.view, snapshot.sight(), [NodeId("n1")])
    assert snapshot.database.digest == before


def test_it_works_without_a_detector_that_heard_anybody() -> None:
    """Any node answers, not only the leader."""
    snapshot = world(random.Random(3), 3, 6)
    snapshot.tell("sight now_ms=5")
    assert survives(snapshot.view, snapshot.sight(), 1).nodes
