"""Evening out: every move helps, and it comes to an end."""

import random

import pytest

from clusterd.leader.balance import MOVES_MAX, balancing_moves
from clusterd.leader.crowd import Crowd
from clusterd.model.ids import NodeId
from tests.decisions.snapshot import Snapshot

NODES = "abcdef"


def crowded(rng: random.Random) -> Snapshot:
    snapshot = Snapshot()
    for name in NODES:
        snapshot.tell(f"node {name} memory={rng.choice((8192, 16384))} processor={rng.randrange(100)}")
    for number in range(40):
        on = rng.choice("aabc" if number < 30 else NODES)
        memory = rng.choice((0, 256, 1024, 2048))
        snapshot.tell(f"group g{number} on={on} memory={memory} cores={rng.randrange(3)} balancing=always")
    return snapshot


def worst(crowd: Crowd) -> list[float]:
    """How full each node is by memory, the fullest first."""
    fills = []
    for room in crowd.rooms.values():
        fills.append(crowd.load(room.name).memory_mib / (room.settings.memory_mib or 1))
    return sorted(fills, reverse=True)


@pytest.mark.parametrize("seed", range(15))
def test_by_memory_it_gets_better_and_ends(seed: int) -> None:
    rng = random.Random(seed)
    snapshot = crowded(rng)
    for name in NODES:
        snapshot.tell(f"node {name} processor=1")
    for _ in range(60):
        crowd = Crowd()
        crowd.refresh(snapshot.view, snapshot.sight())
        before = worst(crowd)
        sight = snapshot.sight()
        moves = balancing_moves(crowd, snapshot.view, sight, sight.loads)
        if not moves:
            return
        assert len(moves) <= MOVES_MAX
        sources = [snapshot.view.assignment(group) for group, _, _ in moves]
        assert len({each.owner for each in sources if each}) == len(moves)
        for group, target, reason in moves:
            assert reason
            snapshot.tell(f"group {group} on={target}")
        crowd = Crowd()
        crowd.refresh(snapshot.view, snapshot.sight())
        assert worst(crowd) < before
    pytest.fail("it never ends")


@pytest.mark.parametrize("seed", range(15))
def test_a_target_is_no_worse_off_than_the_source(seed: int) -> None:
    snapshot = crowded(random.Random(seed))
    sight = snapshot.sight()
    crowd = Crowd()
    crowd.refresh(snapshot.view, sight)
    fresh = Crowd()
    fresh.refresh(snapshot.view, sight)
    for group, target, _ in balancing_moves(crowd, snapshot.view, sight, sight.loads):
        assignment = snapshot.view.assignment(group)
        record = snapshot.view.group(group)
        assert assignment is not None and record is not None
        assert target != assignment.owner
        assert fresh.why_not(record, target) is None
        needs, source = fresh.seats[group].needs, assignment.owner
        assert share(fresh, target, needs.memory_mib) <= max(
            share(fresh, source, -needs.memory_mib), sight.loads[NodeId(source)].processor_percent / 100
        )


def share(crowd: Crowd, node: str, change_mib: int) -> float:
    return (crowd.load(NodeId(node)).memory_mib + change_mib) / (crowd.rooms[node].settings.memory_mib or 1)
