"""Deciding: the same for all groups at once or one by one, and the same again when nothing has changed."""

import random

import pytest

from clusterd.leader import Sight, decide
from clusterd.leader.members import expired_at_ms
from clusterd.leader.sight import Promise
from clusterd.membership import Detector
from clusterd.model.ids import GroupId, Incarnation, NodeId
from clusterd.model.records import MembershipRecord
from clusterd.model.settings import ClusterSettings
from clusterd.model.states import MembershipState
from clusterd.sim.storm import Storm, Weather

N = NodeId("n")
SETTINGS = ClusterSettings(250, 8, 2000, 500)
EXPIRY_MS = SETTINGS.expiry_ms


@pytest.mark.parametrize(
    ("name", "promises", "learned_ms", "at_ms"),
    [
        ("nobody promised", {}, 0, None),
        ("a minority promised", {"a": (7, 100)}, 0, None),
        ("a majority: the later of the two", {"a": (7, 100), "b": (7, 300)}, 0, 300 + EXPIRY_MS),
        ("three: any majority will do", {"a": (7, 100), "b": (7, 300), "c": (7, 9000)}, 0, 300 + EXPIRY_MS),
        ("the configuration was learned later", {"a": (7, 100), "b": (7, 300)}, 500, 500 + EXPIRY_MS),
        ("a promise about another entry is none", {"a": (7, 100), "b": (6, 300)}, 0, None),
        ("a promise of a node without a vote is none", {"a": (7, 100), "x": (7, 300)}, 0, None),
    ],
)
def test_expired_at(name, promises, learned_ms, at_ms) -> None:  # type: ignore[no-untyped-def]
    voters = tuple(NodeId(each) for each in "abc")
    given = {N: {NodeId(voter): Promise(*promise) for voter, promise in promises.items()}}
    sight = Sight(voters[0], 0, 0, 0, voters, Detector(voters[0], 0), SETTINGS, learned_ms, promises=given)
    record = MembershipRecord(N, MembershipState.EXPELLING, Incarnation("i"))
    assert expired_at_ms(record, 7, sight) == at_ms, name


def test_expiry_covers_lease_stop_budget_clock_error_and_margin() -> None:
    assert EXPIRY_MS == 2625


@pytest.mark.parametrize("seed", range(3))
def test_in_the_midst_of_a_storm_parts_make_the_whole(seed: int) -> None:
    """At many moments: deciding twice is deciding once, and group by group is all at once (but for who is counted)."""
    storm = Storm(seed, Weather(duration_ms=1, mending=5))
    storm.prepare()
    looked = proposed = 0
    for _ in range(120):
        storm.one_fault()
        storm.cluster.run_for(storm.rng.uniform(20, 700))
        for machine in storm.cluster.machines.values():
            node = machine.node
            if node is None or not node.replica.raft.is_leader_ready:
                continue
            view, sight = node.replica.view, node.leading.sight(machine.clock_ms())
            whole, again = decide(view, sight), decide(view, sight)
            assert built(whole) == built(again)
            for group in view.groups():
                part = decide(view, sight, groups={GroupId(group.name)})
                alone = {key: value for key, value in built(part).items() if key == f"group/{group.name}"}
                among = {key: value for key, value in built(whole).items() if key == f"group/{group.name}"}
                assert alone.keys() == among.keys()
            looked += 1
            proposed += len(whole.proposals)
    assert looked > 20


def built(decisions: object) -> dict[str, bytes]:
    proposals = decisions.proposals  # type: ignore[attr-defined]
    return {each.subject: each.draft.build("same").SerializeToString() for each in proposals}


def test_the_leaders_short_cut_loses_nothing() -> None:
    """The dirty set: whenever a leader rests, a full decision would propose nothing either."""
    rng = random.Random(4)
    for seed in range(6):
        storm = Storm(seed, Weather(duration_ms=1, mending=3))
        storm.prepare()
        for _ in range(25):
            storm.one_fault()
            storm.cluster.run_for(rng.uniform(300, 3000))
        storm.calm()
        leader = storm.cluster.leader()
        assert leader is not None
        machine = storm.cluster.machines[NodeId(leader)]
        node = machine.node
        assert node is not None
        assert decide(node.replica.view, node.leading.sight(machine.clock_ms())).proposals == ()


def test_nothing_is_shot_before_it_is_expelled() -> None:
    """Power-off is ordered only for a node whose expelling is committed."""
    for seed in range(12):
        storm = Storm(seed, Weather(duration_ms=20_000))
        if not storm.cluster.settings.has_fence:
            continue
        asked: list[str] = []
        ask_fence = storm.cluster.ask_fence

        def checked(machine, wish, ask_fence=ask_fence, asked=asked, storm=storm) -> None:  # type: ignore[no-untyped-def]
            if wish.verb == "off":
                record = machine.node.replica.view.membership(wish.node)
                assert record.state is MembershipState.EXPELLING and record.run_id == wish.run_id
                asked.append(wish.node)
            ask_fence(machine, wish)

        storm.cluster.ask_fence = checked  # type: ignore[method-assign]
        storm.prepare()
        storm.blow()
