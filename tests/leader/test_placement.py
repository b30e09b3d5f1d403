"""Which node a group goes to, and what is said about each of the others."""

import pytest

from clusterd.database import Database, DatabaseView, Draft
from clusterd.leader import Sight
from clusterd.leader.placement import PlacementCause, node_list, place, why_not
from clusterd.membership import Detector
from clusterd.membership.detector import Heartbeat
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.records import GroupRecord, MembershipRecord, NodeRecord, ResourceRecord, ResourceTypeRecord
from clusterd.model.settings import ClusterSettings
from clusterd.model.states import MembershipState

ALL = tuple(NodeId(name) for name in "abcdef")
FIRST, LOST, FAILED, MOVE = list(PlacementCause)[:4]


def view_of(
    *, down: str = "", preferred: str = "", possible: str = "", types: dict[str, str] | None = None
) -> DatabaseView:
    database = Database()
    draft = Draft(DatabaseView(database))
    for number, name in enumerate(ALL, start=1):
        state = MembershipState.DOWN if name in down else MembershipState.UP
        draft.put(NodeRecord(name, number, ""))
        draft.put(MembershipRecord(name, state, Incarnation(f"i-{name}")))
    draft.put(GroupRecord(GroupId("g"), preferred_owners=tuple(NodeId(each) for each in preferred)))
    owners = tuple(NodeId(each) for each in possible)
    draft.put(ResourceRecord(ResourceId("r"), GroupId("g"), "service", possible_owners=owners))
    for node, kind in (types or {}).items():
        draft.put(ResourceTypeRecord(kind, NodeId(node)))
    database.apply(draft.build(""), 1)
    return DatabaseView(database)


def sight_of(*, leaving: str = "", other_run: str = "") -> Sight:
    detector = Detector(ALL[0], 0)
    for name in ALL:
        incarnation = Incarnation("another" if name in other_run else f"i-{name}")
        detector.hear(name, Heartbeat(1, "d", incarnation, (), "run", 0, {}, name in leaving), is_direct=True)
    settings = ClusterSettings(250, 8, 2000, 500)
    return Sight(ALL[0], 1, 1, 1, ALL[:3], detector, settings, 0)


@pytest.mark.parametrize(
    ("name", "cause", "options", "loads", "current", "target", "chosen"),
    [
        ("first placement goes to the first preferred", FIRST, {"preferred": "ca"}, {}, None, None, "c"),
        ("the reference's example: on C with A C E, next is E", LOST, {"preferred": "ace"}, {}, "c", None, "e"),
        ("and then B, not back to the top", LOST, {"preferred": "ace"}, {}, "e", None, "b"),
        ("it wraps at the end", FAILED, {"preferred": "ace"}, {}, "f", None, "a"),
        ("a failure without preferences: next by join order", FAILED, {}, {"d": 9}, "c", None, "d"),
        ("wrapping", FAILED, {}, {}, "f", None, "a"),
        ("a lost node: the fewest groups", LOST, {}, {"a": 3, "b": 2, "d": 2, "e": 1, "f": 1}, "c", None, "e"),
        ("a move to the best: from the top, not where it is", MOVE, {"preferred": "ace"}, {}, "a", None, "c"),
        ("a move without preferences: the fewest groups", MOVE, {}, {**dict.fromkeys("abcef", 5), "d": 0}, "a", None, "d"),
        ("a move to a target", MOVE, {"preferred": "ace"}, {}, "a", "f", "f"),
        ("a target that is down: the next best", MOVE, {"preferred": "ace", "down": "f"}, {}, "a", "f", "c"),
        ("only possible owners", FAILED, {"possible": "af"}, {}, "a", None, "f"),
        ("possible owners in any case", FAILED, {"possible": "AF"}, {}, "a", None, "f"),
        ("nobody else: it stays an option", LOST, {"possible": "c"}, {}, "c", None, "c"),
        ("nobody at all", LOST, {"down": "abcdef"}, {}, "c", None, None),
        ("lacking the type", FIRST, {"preferred": "ab", "types": {"a": "script", "b": "service"}}, {}, None, None, "b"),
    ],
)  # fmt: skip
def test_place(name, cause, options, loads, current, target, chosen) -> None:  # type: ignore[no-untyped-def]
    view = view_of(**options)
    group = view.group("g")
    assert group is not None
    found = place(view, sight_of(), group, cause, loads=loads, current=current, target=target)
    assert found.chosen == chosen, name
    assert [each.node for each in found.candidates] == list(ALL)
    assert all(each.reason for each in found.candidates)
    assert [each.node for each in found.candidates if each.is_chosen] == ([chosen] if chosen else [])
    assert place(view, sight_of(), group, cause, loads=loads, current=current, target=target) == found


@pytest.mark.parametrize(
    ("node", "options", "sight", "says"),
    [
        ("a", {}, {}, None),
        ("z", {}, {}, "no such node"),
        ("b", {"down": "b"}, {}, "down"),
        ("b", {}, {"leaving": "b"}, "being stopped"),
        ("b", {}, {"other_run": "b"}, "guard ended"),
        ("b", {"possible": "a"}, {}, "may not run there"),
        ("b", {"types": {"b": "script"}}, {}, "not installed"),
    ],
)
def test_why_not(node, options, sight, says) -> None:  # type: ignore[no-untyped-def]
    view = view_of(**options)
    group = view.group("g")
    assert group is not None
    reason = why_not(view, sight_of(**sight), group, NodeId(node))
    assert (reason is None) == (says is None)
    assert reason is None or says in reason


def test_the_node_list_is_preferred_owners_and_then_join_order() -> None:
    group = GroupRecord(GroupId("g"), preferred_owners=(NodeId("E"), NodeId("gone"), NodeId("b")))
    assert node_list(group, ALL) == [NodeId(each) for each in "ebacdf"]
