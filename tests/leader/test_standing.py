"""When does nothing run any more under an assignment? The next group of the name waits for that."""

import pytest

from clusterd.database import Database, DatabaseView, Draft
from clusterd.leader.standing import is_left
from clusterd.model.ids import GroupId, Incarnation, NodeId
from clusterd.model.records import AssignmentRecord, Decision, MembershipRecord, ReportRecord
from clusterd.model.states import MembershipState, Order

WEB, N1, I1, I2 = GroupId("web"), NodeId("n1"), Incarnation("i1"), Incarnation("i2")
UP, DOWN, EXPELLING = MembershipState.UP, MembershipState.DOWN, MembershipState.EXPELLING


@pytest.mark.parametrize(
    ("owner", "member", "reported", "expected"),
    [
        pytest.param(N1, (UP, I1), (4, True), True, id="its owner released it"),
        pytest.param(N1, (UP, I1), (4, False), False, id="its owner has it"),
        pytest.param(N1, (UP, I1), (3, True), False, id="an owner before released it, and this one may run it unsaid"),
        pytest.param(N1, (UP, I1), None, False, id="its owner has said nothing yet"),
        pytest.param(N1, (EXPELLING, I1), None, False, id="its owner may be gone"),
        pytest.param(N1, (DOWN, I1), None, True, id="its owner is gone, with proof"),
        pytest.param(N1, (UP, I2), None, True, id="that run of its owner is over"),
        pytest.param(N1, None, None, False, id="nothing is known of its owner"),
        pytest.param(NodeId(""), None, None, True, id="it has none"),
    ],
)
def test_is_left(
    owner: NodeId,
    member: tuple[MembershipState, Incarnation] | None,
    reported: tuple[int, bool] | None,
    expected: bool,
) -> None:
    database = Database()
    draft = Draft(DatabaseView(database))
    if member is not None:
        state, incarnation = member
        draft.put(MembershipRecord(N1, state, incarnation=incarnation))
    if reported is not None:
        generation, is_released = reported
        draft.put(ReportRecord(WEB, N1, I1, generation, is_released=is_released))
    database.apply(draft.build("r1"), 1)
    assignment = AssignmentRecord(WEB, owner, I1 if owner else Incarnation(""), 4, Order.RUN, Decision("", ""))
    assert is_left(DatabaseView(database), assignment) is expected
