"""Making room: as few as possible (against a search of every set), never an equal, and enough."""

import random
from itertools import combinations

import pytest

from clusterd.leader.crowd import Crowd
from clusterd.leader.preempt import victims
from clusterd.model.ids import NodeId
from tests.decisions.snapshot import Snapshot

CAPACITY_MIB = 8192


def world(rng: random.Random, *, cores: bool) -> Snapshot:
    """One full node, and a group that wants to run there."""
    snapshot = Snapshot()
    snapshot.tell(f"node a memory={CAPACITY_MIB} {'cores=8' if cores else ''}")
    free_mib, free_cores = CAPACITY_MIB, 8
    for number in range(rng.randrange(3, 9)):
        memory, used = min(free_mib, 256 * rng.randrange(1, 12)), min(free_cores, rng.randrange(3)) if cores else 0
        priority = rng.choice((1000, 1500, 2000, 3000))
        free_mib, free_cores = free_mib - memory, free_cores - used
        if memory:
            snapshot.tell(f"group g{number} on=a memory={memory} cores={used} priority={priority}")
    snapshot.tell(
        f"group web memory={256 * rng.randrange(8, 30)} cores={rng.randrange(5) if cores else 0} priority=2500"
    )
    return snapshot


def fewest(snapshot: Snapshot, crowd: Crowd) -> int | None:
    """How many must go at least: every set is tried, the small ones first."""
    web = crowd.seats["web"].needs
    lower = [seat.needs for seat in crowd.seats.values() if seat.needs.priority < 2500 and seat.places]
    load = crowd.load(NodeId("a"))
    for size in range(1, len(lower) + 1):
        for chosen in combinations(lower, size):
            memory = load.memory_mib - sum(each.memory_mib for each in chosen) + web.memory_mib
            cores = load.cores - sum(each.cores for each in chosen) + web.cores
            if memory <= CAPACITY_MIB and (cores <= 8 or not web.cores):
                return size
    return None


@pytest.mark.parametrize("seed", range(60))
def test_as_few_as_possible_and_enough(seed: int) -> None:
    rng = random.Random(seed)
    snapshot = world(rng, cores=seed % 2 == 1)
    crowd = Crowd()
    crowd.refresh(snapshot.view, snapshot.sight())
    web = snapshot.view.group("web")
    assert web is not None
    if crowd.why_not(web, NodeId("a")) is None:
        assert victims(crowd, snapshot.view, web) is None
        return
    found = victims(crowd, snapshot.view, web)
    least = fewest(snapshot, crowd)
    assert (found is None) == (least is None)
    if found is None or least is None:
        return
    assert len(found.groups) == least or (seed % 2 == 1 and len(found.groups) <= least + 1)
    for group in found.groups:
        assert crowd.seats[group].needs.priority < 2500
        crowd.placed(group, None)
    assert crowd.why_not(web, NodeId("a")) is None
