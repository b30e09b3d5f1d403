"""Groups that belong on one node: a wish about all of them is one move; a wish about one of them is none."""

from dataclasses import replace

import pytest

from clusterd.leader import decide
from clusterd.model.ids import NodeId
from clusterd.model.records import AssignmentRecord, MoveRequest
from clusterd.model.states import DecisionCode, Order
from tests.decisions.snapshot import Snapshot


def pair(*lines: str) -> Snapshot:
    found = Snapshot()
    for line in ("nodes a b c", "rule pair same-node web db", "group web on=a", "group db on=a", *lines):
        assert found.tell(line), line
    return found


def ask(found: Snapshot, *groups: str, target: str) -> None:
    for name in groups:
        group = found.view.group(name)
        assert group is not None
        found.put(replace(group, move=MoveRequest("m1", NodeId(target), asked_by="ann")))


def decided(found: Snapshot) -> dict[str, AssignmentRecord]:
    stored = (record for each in decide(found.view, found.sight()).proposals for record in each.draft.stored.values())
    return {record.group: record for record in stored if isinstance(record, AssignmentRecord)}


@pytest.mark.parametrize("target", ["b", ""])
def test_one_wish_about_both_takes_both_to_one_node(target: str) -> None:
    found = pair()
    ask(found, "web", "db", target=target)
    proposals = decide(found.view, found.sight()).proposals
    assert [each.subjects for each in proposals] == [("group/db", "group/web")]
    after = decided(found)
    assert {each.order for each in after.values()} == {Order.RELEASE}
    assert len({each.target for each in after.values()}) == 1 and after["web"].target in ("b", "c")


def test_a_wish_about_one_of_them_is_given_up_by_a_code() -> None:
    found = pair()
    ask(found, "web", target="b")
    after = decided(found)
    assert list(after) == ["web"] and after["web"].because.code is DecisionCode.MOVE_GIVEN_UP


def test_one_that_is_locked_holds_the_other() -> None:
    found = pair("group db locked_from_moving=true")
    ask(found, "web", "db", target="b")
    after = decided(found)
    assert {each.because.code for each in after.values()} == {DecisionCode.MOVE_GIVEN_UP}
    assert "db, which stays: it is locked" in after["web"].because.text


def test_a_node_without_room_for_both_is_no_target() -> None:
    found = Snapshot()
    for line in (
        "node a memory=2048", "node b memory=1024", "node c memory=2048", "rule pair same-node web db",
        "group web on=a memory=1024", "group db on=a memory=1024",
    ):  # fmt: skip
        found.tell(line)
    ask(found, "web", "db", target="")
    assert {each.target for each in decided(found).values()} == {"c"}


def test_both_whose_node_was_lost_go_where_there_is_room_for_both() -> None:
    found = Snapshot()
    for line in (
        "node a down", "node b memory=1024", "node c memory=2048", "rule pair same-node web db",
        "group web on=a memory=1024", "group db on=a memory=1024",
    ):  # fmt: skip
        found.tell(line)
    assert {each.owner for each in decided(found).values()} == {"c"}
