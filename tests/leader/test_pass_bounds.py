"""The work of a pass is bounded by what it looks at: counted in steps here, measured by `python -m bench.decisions`."""

import pytest

from bench.decisions import World, measure
from clusterd.leader.capacity import survives
from clusterd.leader.crowd import Crowd
from clusterd.leader.placement import PlacementCause, Request
from clusterd.model.ids import GroupId


def test_the_benchmark_runs() -> None:
    figures = measure(nodes=4, groups=80, runs=1)
    medians = [each["median"] for each in figures.values() if isinstance(each, dict)]
    assert len(medians) == 7 and all(each >= 0 for each in medians)


@pytest.fixture(scope="module")
def world() -> World:
    world = World(16, 400)
    world.settle()
    return world


def test_a_refresh_reads_only_what_changed(world: World) -> None:
    crowd = Crowd()
    crowd.refresh(world.view, world.sight)
    before = dict(crowd.seats)
    world.change_one("group00007")
    crowd.refresh(world.view, world.sight)
    assert [name for name in before if crowd.seats[name] is not before[name]] == ["group00007"]


def test_what_is_said_of_a_node_is_said_once(world: World) -> None:
    """Most nodes are merely not the best for most groups: that candidate is one object until the node's load changes."""
    crowd = Crowd()
    crowd.refresh(world.view, world.sight)
    groups = [group for group in world.view.groups() if not group.preferred_owners][:50]
    told = {
        id(each): each for group in groups for each in crowd.place(Request(group, PlacementCause.FIRST)).candidates[1:]
    }
    assert len(told) <= 4 * len(world.nodes)
    crowd.placed(GroupId(groups[0].name), world.nodes[0])
    again = crowd.place(Request(groups[1], PlacementCause.FIRST))
    counts = {each.node: crowd.load(each.node).groups for each in again.candidates}
    counted = [each for each in again.candidates if "it has" in each.reason]
    assert len(counted) > 8 and all(f"it has {counts[each.node]} group" in each.reason for each in counted)


def test_capacity_of_a_large_cluster_is_bounded(world: World) -> None:
    answer = survives(world.view, world.sight, 4)
    assert answer.looked_at < answer.possible == 1820
    assert "fullest of 1820" in answer.sentence or answer.is_enough
