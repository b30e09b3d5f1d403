"""The chain of causes is in the order in which things came about, whatever the clocks of the nodes say."""

from dataclasses import replace

import pytest

from clusterd.api.explain import _chain
from clusterd.api.observed import ObservedGroup, observe_group
from clusterd.model.ids import GroupId, Incarnation, NodeId
from clusterd.model.records import AssignmentRecord, Decision, GroupRecord, MoveRequest, ReportRecord, Step
from clusterd.model.states import GroupState, Order, Wanted
from clusterd.sim import SimCluster, SimSettings

HOUR_MS = 3_600_000


def observed(decided: tuple[Step, ...], done: tuple[Step, ...]) -> ObservedGroup:
    web, n1, run = GroupId("web"), NodeId("n1"), Incarnation("i")
    assignment = AssignmentRecord(web, n1, run, 1, Order.RUN, because=Decision("r", "t", decided))
    report = ReportRecord(web, n1, run, 1, (), steps=done)
    return ObservedGroup(GroupRecord(web, Wanted.ONLINE), assignment, report, GroupState.ONLINE, ())


A, B, C, D = (Step(9 - at, text, known) for at, (text, known) in enumerate([("a", 3), ("b", 5), ("c", 7), ("d", 7)]))


@pytest.mark.parametrize(
    ("decided", "done", "told"),
    [
        pytest.param((A,), (B, C, D), "abcd", id="the decision, then what was done"),
        pytest.param((C,), (A, B), "abc", id="what was done, then a decision about it"),
        pytest.param((B, A), (C,), "bac", id="a story of its own is in order, whatever it looked at"),
        pytest.param((A, B), (B, C), "abc", id="what both tell is told once"),
        pytest.param((Step(5, "x"),), (Step(4, "y"), C), "yxc", id="an earlier version knew wall clocks only"),
    ],
)
def test_two_stories_become_one(decided: tuple[Step, ...], done: tuple[Step, ...], told: str) -> None:
    assert "".join(each.text for each in _chain(observed(decided, done))) == told


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, HOUR_MS])
def test_clocks_that_differ_or_jump_turn_no_cause_around(jump_ms: int) -> None:
    cluster = SimCluster(SimSettings(seed=5))
    cluster.start()
    cluster.run_for(3000)
    leader = cluster.leader()
    other, victim = (each for each in cluster.names if each != leader)
    cluster.add_group("web", {"server": ""}, preferred=(victim, other))
    assert cluster.run_until(lambda: cluster.is_online("web", victim))
    cluster.machines[other].jump_wall_clock(jump_ms)
    cluster.kill(victim)
    assert cluster.run_until(lambda: cluster.is_online("web", other), patience_ms=60_000)
    cluster.run_for(100)
    in_order(cluster, "last heartbeat", "evidence", "gave it to", "brings server online", "server online after")
    cluster.machines[other].jump_wall_clock(-2 * jump_ms)
    move = MoveRequest("m", NodeId(leader or ""), cluster.wall_ms(), "ann")
    cluster.change_group_soon(GroupId("web"), other, lambda group: replace(group, move=move))
    assert cluster.run_until(lambda: "takes server offline" in " ".join(chain(cluster)), patience_ms=10_000)
    in_order(cluster, "server online after", "ann asked to move", "takes server offline")


def chain(cluster: SimCluster) -> list[str]:
    group = cluster.view().group("web")
    assert group is not None
    return [each.text for each in _chain(observe_group(cluster.view(), group, is_quorate=True))]


def in_order(cluster: SimCluster, *parts: str) -> None:
    told = chain(cluster)
    places = [next((at for at, text in enumerate(told) if part in text), -1) for part in parts]
    assert -1 not in places and places == sorted(places), told
