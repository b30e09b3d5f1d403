"""What a destination lets go on: what it prepared for this very migration, in this run, and has not begun to abandon."""

import pytest

from clusterd.database import Database, DatabaseView, Draft
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.migrations import MigrationRecord
from clusterd.model.records import AssignmentRecord, Decision, GroupRecord, ResourceRecord
from clusterd.model.states import MigrationState, Order
from clusterd.owner.adoption import Adoption, take_group
from clusterd.owner.arrival import Arrival
from clusterd.owner.arriving import is_awaited, is_bound_here
from clusterd.owner.desk import Desk

WEB, N1, N2, I1, I2 = GroupId("web"), NodeId("n1"), NodeId("n2"), Incarnation("i1"), Incarnation("i2")
NUMBER = 9
NO_REASON = Decision("", "")
READY, FAILED = MigrationState.READY, MigrationState.FAILED


def ordered(number: int = NUMBER, target: NodeId = N2, incarnation: Incarnation = I2) -> AssignmentRecord:
    return AssignmentRecord(
        WEB, N1, I1, 4, Order.MIGRATE, NO_REASON, target=target, target_incarnation=incarnation, migration=number
    )


def given(number: int = NUMBER, generation: int = 5) -> AssignmentRecord:
    return AssignmentRecord(WEB, N2, I2, generation, Order.RUN, NO_REASON, migration=number)


def desk() -> Desk:
    made = Desk(N2)
    made.begin(I2)
    return made


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        pytest.param(ordered(), True, id="to this run"),
        pytest.param(ordered(incarnation=I1), False, id="to an earlier run of this node"),
        pytest.param(ordered(target=N1), False, id="to another node"),
        pytest.param(given(), False, id="it has come"),
        pytest.param(None, False, id="nothing is assigned"),
    ],
)
def test_is_bound_here(assignment: AssignmentRecord | None, expected: bool) -> None:
    assert is_bound_here(desk(), assignment) is expected


@pytest.mark.parametrize(
    ("number", "texts", "is_over", "expected"),
    [
        pytest.param(NUMBER, ("vm",), False, True, id="as it was prepared for"),
        pytest.param(NUMBER + 1, ("vm",), False, False, id="by another migration"),
        pytest.param(0, ("vm",), False, False, id="by none"),
        pytest.param(NUMBER, (), False, False, id="before it was prepared"),
        pytest.param(NUMBER, ("vm",), True, False, id="while it is abandoned"),
    ],
)
def test_is_awaited(number: int, texts: tuple[str, ...], is_over: bool, expected: bool) -> None:
    found = desk()
    record = ResourceRecord(ResourceId("vm"), WEB, "machine")
    found.arrivals["web"] = Arrival(ordered(), {"vm": record}, texts=dict.fromkeys(texts, "there"), is_over=is_over)
    assert is_awaited(found, "web", given(number)) is expected
    assert not is_awaited(found, "web", given(number, generation=6)), "it was prepared under another generation"


@pytest.mark.parametrize(
    ("said", "number", "expected"),
    [
        pytest.param((NUMBER, I2, READY), NUMBER, True, id="by the migration that this run was ready for"),
        pytest.param((NUMBER - 1, I2, READY), NUMBER, False, id="it was ready for an earlier one"),
        pytest.param((NUMBER, I1, READY), NUMBER, False, id="an earlier run was"),
        pytest.param((NUMBER, I2, FAILED), NUMBER, False, id="what it had prepared was lost"),
        pytest.param((NUMBER, I2, READY), 0, False, id="it came otherwise"),
        pytest.param(None, NUMBER, False, id="it said nothing"),
    ],
)
def test_what_a_restarted_daemon_finds_goes_on(
    said: tuple[int, Incarnation, MigrationState] | None, number: int, expected: bool
) -> None:
    database = Database()
    draft = Draft(DatabaseView(database)).put(GroupRecord(WEB))
    if said is not None:
        about, incarnation, state = said
        draft.put(MigrationRecord(WEB, N2, incarnation, about, state))
    database.apply(draft.build("r1"), 1)
    group = take_group(DatabaseView(database), N2, None, given(number), GroupRecord(WEB), Adoption())
    assert group.may_continue is expected
