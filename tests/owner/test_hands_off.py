"""For what maintenance is in force: only where nothing is under way."""

import pytest

from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId, key_of
from clusterd.model.records import AssignmentRecord, Decision, GroupRecord, ReportRecord, ResourceRecord
from clusterd.model.settings import resource_settings
from clusterd.model.states import Order, ResourceState
from clusterd.owner.desk import Desk
from clusterd.owner.group import OwnedGroup, intend, provider_order, under_way
from clusterd.owner.hands_off import begin_hands_off, end_hands_off
from clusterd.owner.machine import Held
from clusterd.owner.now import Now

ONLINE, OFFLINE, FAILED = ResourceState.ONLINE, ResourceState.OFFLINE, ResourceState.FAILED
N1 = NodeId("n1")


def group(order: Order = Order.RUN, **held: Held) -> OwnedGroup:
    """`web`, in which b depends on a."""
    assignment = AssignmentRecord(GroupId("web"), N1, Incarnation("i"), 1, order, Decision("", ""))
    found = OwnedGroup(assignment, GroupRecord(GroupId("web")))
    for name, each in held.items():
        depends_on = "[a]" if name == "b" else ""
        found.records[name] = ResourceRecord(each.name, GroupId("web"), "t", depends_on=depends_on)
        found.settings[name] = resource_settings(found.records[name])
        found.dependencies[name] = parse_dependency(depends_on)
        found.held[name] = each
    found.order = provider_order(found.dependencies)
    return found


def held(name: str, state: ResourceState, action: str = "", *, may_run: bool | None = None, evidence: str = "") -> Held:
    runs = state is ONLINE if may_run is None else may_run
    return Held(ResourceId(name), state, may_run=runs, next_action=action, evidence=evidence)


@pytest.mark.parametrize(
    ("name", "a", "b", "moving"),
    [
        ("all is well", held("a", ONLINE), held("b", ONLINE), set()),
        ("a restart is to come", held("a", FAILED, "restart"), held("b", OFFLINE), {"a", "b"}),
        ("it rests until its retry", held("a", FAILED, "retry"), held("b", OFFLINE), set()),
        ("it is not restarted", held("a", FAILED), held("b", OFFLINE), set()),
        ("it ended by itself", held("a", ONLINE), held("b", OFFLINE, "rest"), set()),
        ("it comes online", held("a", ResourceState.ONLINE_PENDING), held("b", OFFLINE), {"a", "b"}),
        ("what is left of it is stopped", held("a", FAILED, "retry", may_run=True), held("b", OFFLINE), {"a", "b"}),
        ("it cannot be stopped", held("a", FAILED, "retry", may_run=True, evidence="pid 1"), held("b", OFFLINE), set()),
        ("its provider was lost", held("a", FAILED), held("b", ONLINE), {"b"}),
    ],
)
def test_under_way(name: str, a: Held, b: Held, moving: set[str]) -> None:
    found = group(a=a, b=b)
    assert under_way(found, intend(found, is_node_stopping=False)) == moving, name


def begin(found: OwnedGroup) -> set[str]:
    begin_hands_off(Desk(N1), found, intend(found, is_node_stopping=False))
    return {name for name, each in found.held.items() if each.is_hands_off}


def test_a_group_is_left_alone_as_a_whole_or_not_at_all() -> None:
    found = group(a=held("a", ONLINE), c=held("c", ResourceState.ONLINE_PENDING))
    found.hands_off = "hands off: group web is in maintenance"
    assert begin(found) == set()
    found.held["c"] = held("c", ONLINE)
    assert begin(found) == {"a", "c"}
    assert found.is_hands_off


def test_a_resource_is_left_alone_by_itself() -> None:
    found = group(a=held("a", ONLINE), c=held("c", ResourceState.ONLINE_PENDING))
    found.hands_off_resources["a"] = "hands off: resource a is in maintenance"
    assert begin(found) == {"a"}
    assert not found.is_hands_off


def test_a_group_that_leaves_leaves_first() -> None:
    found = group(Order.RELEASE, a=held("a", ONLINE))
    found.hands_off = "hands off: group web is in maintenance"
    assert begin(found) == set()


@pytest.mark.parametrize("was_said", [False, True])
def test_an_order_that_crossed_the_beginning_wins_until_the_cluster_knows(was_said: bool) -> None:
    found = group(a=held("a", ONLINE))
    found.hands_off = "hands off: group web is in maintenance"
    begin(found)
    found.assignment = AssignmentRecord(GroupId("web"), N1, Incarnation("i"), 1, Order.RELEASE, Decision("", ""))
    found.last_report = ReportRecord(GroupId("web"), N1, Incarnation("i"), 1, is_hands_off=was_said)
    end_hands_off(Desk(N1), found, Now(0, 0, 0))
    assert found.held[key_of("a")].is_hands_off is was_said
