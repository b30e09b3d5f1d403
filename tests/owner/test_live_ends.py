"""Who waits for whom at the two ends of a live migration: the guest stands still meanwhile."""

from dataclasses import replace

import pytest

from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.migrations import MigrationReport
from clusterd.model.records import AssignmentRecord, Decision, GroupRecord, ResourceRecord
from clusterd.model.states import Order, ResourceState, Wanted
from clusterd.owner import CallAnswer, CallOutcome
from clusterd.owner.consequences import online_answered
from clusterd.owner.desk import Desk
from clusterd.owner.group import Departure, OwnedGroup, intend, provider_order
from clusterd.owner.journeys import went_on
from clusterd.owner.machine import Held
from clusterd.owner.now import Now

NEEDS = {"base": "", "proof": "", "disk": "", "vm": "[base] and [proof] and [disk]"}
OFFLINE, PENDING, ONLINE = ResourceState.OFFLINE, ResourceState.ONLINE_PENDING, ResourceState.ONLINE
MIGRATION = 9


def group(order: Order, state: ResourceState, **states: ResourceState) -> OwnedGroup:
    """A service, a proof for which nothing runs, a disk that can be moved, and a machine that needs all of them."""
    assignment = AssignmentRecord(
        GroupId("g"), NodeId("n1"), Incarnation("i"), 2, order, Decision("", ""), migration=MIGRATION
    )
    made = OwnedGroup(assignment, GroupRecord(GroupId("g")), idle=frozenset({"proof"}))
    for name, needs in NEEDS.items():
        made.records[name] = ResourceRecord(ResourceId(name), GroupId("g"), "t", depends_on=needs)
        made.dependencies[name] = parse_dependency(needs)
        held = Held(ResourceId(name), states.get(name, state))
        made.held[name] = replace(held, may_run=held.state is not OFFLINE)
    made.order = provider_order(made.dependencies)
    return made


@pytest.mark.parametrize(
    ("is_moved", "vm", "goes_offline"),
    [
        pytest.param(False, ONLINE, set(), id="before everything has moved nothing ends"),
        pytest.param(True, ONLINE, {"vm", "disk", "proof"}, id="what has moved and what runs nothing end together"),
        pytest.param(True, ResourceState.OFFLINE_PENDING, {"disk", "proof"}, id="a service waits for who used it"),
        pytest.param(True, OFFLINE, {"base", "disk", "proof"}, id="and ends when that has ended"),
    ],
)
def test_at_the_source(is_moved: bool, vm: ResourceState, goes_offline: set[str]) -> None:
    leaving = group(Order.MIGRATE, ONLINE, vm=vm)
    leaving.departure = Departure(MIGRATION, moved={"vm", "disk"}, is_moved=is_moved)
    if not is_moved:
        leaving.departure.moved.clear()
    assert set(intend(leaving, is_node_stopping=False).to_take_offline) == goes_offline


@pytest.mark.parametrize(
    ("leaving", "goes_offline"),
    [
        pytest.param(Departure(MIGRATION), {"vm"}, id="before it is its turn it simply ends"),
        pytest.param(Departure(MIGRATION, under_way="vm"), set(), id="while it is moved that is stopped first"),
        pytest.param(Departure(MIGRATION, moved={"vm"}), set(), id="when it stands still it goes on first"),
        pytest.param(Departure(MIGRATION, moved={"disk"}), {"vm"}, id="what else has moved is nothing to it"),
    ],
)
def test_what_is_wanted_no_more_ends_in_good_order(leaving: Departure, goes_offline: set[str]) -> None:
    source = group(Order.MIGRATE, ONLINE)
    source.records["vm"] = replace(source.records["vm"], wanted=Wanted.OFFLINE)
    source.departure = leaving
    assert set(intend(source, is_node_stopping=False).to_take_offline) == goes_offline
    source.is_deleted = True
    source.departure = Departure(MIGRATION, moved={"vm"})
    assert "vm" in intend(source, is_node_stopping=False).to_take_offline, "nobody would let it go on"


@pytest.mark.parametrize(("service", "goes_offline"), [(ONLINE, {"base"}), (OFFLINE, {"proof", "disk"})])
def test_what_a_service_uses_waits_for_it(service: ResourceState, goes_offline: set[str]) -> None:
    """Whatever has moved: it runs here until it has ended, and may still write."""
    leaving = group(Order.MIGRATE, ONLINE, vm=OFFLINE, base=service)
    leaving.dependencies["base"] = parse_dependency("[proof] and [disk]")
    leaving.departure = Departure(MIGRATION, moved={"vm", "disk"}, is_moved=True)
    assert set(intend(leaving, is_node_stopping=False).to_take_offline) == goes_offline


@pytest.mark.parametrize(
    ("came_live", "states", "comes_online"),
    [
        pytest.param(True, {"proof": OFFLINE}, {"proof", "vm"}, id="what was proven here is not waited for"),
        pytest.param(True, {"proof": PENDING}, {"vm"}, id="nor while it comes online"),
        pytest.param(True, {"disk": OFFLINE}, {"disk"}, id="a disk is waited for"),
        pytest.param(True, {"disk": PENDING}, set(), id="also while it comes online"),
        pytest.param(True, {"proof": ResourceState.OFFLINE_PENDING}, set(), id="and so is a proof that goes"),
        pytest.param(False, {"proof": OFFLINE}, {"proof"}, id="what starts afresh waits for its proof"),
        pytest.param(False, {"proof": PENDING}, set(), id="until it is there"),
    ],
)
def test_at_the_destination(came_live: bool, states: dict[str, ResourceState], comes_online: set[str]) -> None:
    arriving = group(Order.RUN, ONLINE, vm=OFFLINE, **states)
    if came_live:
        arriving.arrived = MigrationReport(MIGRATION, is_moved=True, moved_wall_ms=1)
        for name, held in arriving.held.items():
            arriving.held[name] = replace(held, is_prepared=held.state is OFFLINE)
    assert set(intend(arriving, is_node_stopping=False).to_bring_online) == comes_online


def test_it_stood_still_until_the_machine_runs_whoever_answers_last() -> None:
    """The machine says since when it runs. That its proof answers later is nobody's blackout."""
    arriving = group(Order.RUN, ONLINE, vm=PENDING, proof=PENDING)
    arriving.arrived = MigrationReport(MIGRATION, is_moved=True, moved_wall_ms=1000)
    answers = [("vm", 1030, 10), ("proof", 1050, 0)]
    for name, wall_ms, since_ms in answers:
        answer = CallAnswer(CallOutcome.DONE, since_ms=since_ms)
        online_answered(Desk(NodeId("n1")), arriving, name, answer, Now(1, 1, wall_ms))
    went_on(arriving, Now(0, 0, 1050))
    assert arriving.arrived.blackout_ms == 20
