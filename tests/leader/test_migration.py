"""What the leader takes for a live migration that came to pass, and for the run that it came to pass to."""

from dataclasses import replace

import pytest

from clusterd.database import Database, DatabaseView, Draft
from clusterd.leader.migration import has_moved, is_expected_at
from clusterd.leader.standing import standing_of
from clusterd.model.ids import GroupId, Incarnation, NodeId
from clusterd.model.migrations import MigrationReport
from clusterd.model.records import AssignmentRecord, Decision, GroupRecord, ReportRecord
from clusterd.model.states import Order

WEB, N1, N2 = GroupId("web"), NodeId("n1"), NodeId("n2")
GENERATION, NUMBER = 4, 9
ORDERED = AssignmentRecord(
    WEB, N1, Incarnation("i1"), GENERATION, Order.MIGRATE, Decision("", ""), target=N2,
    target_incarnation=Incarnation("i2"), migration=NUMBER,
)  # fmt: skip
SAID = ReportRecord(
    WEB, N1, Incarnation("i1"), GENERATION, is_released=True, migration=MigrationReport(NUMBER, is_moved=True)
)


@pytest.mark.parametrize(
    ("assignment", "report", "expected"),
    [
        pytest.param(ORDERED, SAID, True, id="it was moved, and released with nothing left"),
        pytest.param(ORDERED, replace(SAID, is_released=False), False, id="something of it is left"),
        pytest.param(ORDERED, replace(SAID, migration=MigrationReport(NUMBER)), False, id="it was not moved"),
        pytest.param(ORDERED, replace(SAID, migration=None), False, id="nothing was said of a migration"),
        pytest.param(
            ORDERED, replace(SAID, migration=MigrationReport(NUMBER - 1, is_moved=True)), False, id="an earlier one"
        ),
        pytest.param(ORDERED, replace(SAID, generation=GENERATION - 1), False, id="of an earlier generation"),
        pytest.param(replace(ORDERED, order=Order.RELEASE), SAID, False, id="it came so, and leaves otherwise"),
    ],
)
def test_has_moved(assignment: AssignmentRecord, report: ReportRecord, expected: bool) -> None:
    database = Database()
    group = GroupRecord(WEB)
    draft = Draft(DatabaseView(database)).put(group).put(assignment).put(report)
    database.apply(draft.build("r1"), 1)
    assert has_moved(standing_of(DatabaseView(database), group, 2), assignment) is expected


@pytest.mark.parametrize(
    ("incarnation", "expected"),
    [
        pytest.param("i2", True, id="the run that prepared"),
        pytest.param("i3", False, id="a later run of that node starts afresh, and passes the gates"),
        pytest.param("i1", False, id="its source"),
    ],
)
def test_is_expected_at(incarnation: str, expected: bool) -> None:
    assert is_expected_at(ORDERED, Incarnation(incarnation)) is expected
