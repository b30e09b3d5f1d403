"""What a placement says, and what of it is kept. Where groups go is told by the cases of tests/decisions."""

import pytest

from clusterd.leader.crowd import Crowd
from clusterd.leader.placement import BEST_TOLD, TOLD_MAX, Exclusion, Placement, PlacementCause, Request, named, nearest
from clusterd.model.ids import NodeId
from clusterd.model.records import Candidate
from clusterd.model.states import GroupStatus
from tests.decisions.snapshot import Snapshot

NO_NODE = GroupStatus.NO_NODE
CONFLICT = GroupStatus.ANTI_AFFINITY_CONFLICT
LACKING = GroupStatus.PHYSICAL_RESOURCES_LACKING


@pytest.mark.parametrize(
    ("name", "found", "status"),
    [
        ("no node at all", [], NO_NODE),
        ("nobody is up", [NO_NODE, NO_NODE], NO_NODE),
        ("a conflict is nearer than a node that is down", [NO_NODE, CONFLICT], CONFLICT),
        ("room is nearer than the end of a conflict", [CONFLICT, LACKING, NO_NODE], LACKING),
    ],
)
def test_nearest_to_success(name: str, found: list[GroupStatus], status: GroupStatus) -> None:
    assert nearest([Exclusion(each, "because") for each in found]) is status, name


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a"], "a"),
        (["a", "b", "c", "d"], "a, b, c, d"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 others"),
    ],
)
def test_named(names: list[str], text: str) -> None:
    assert named(names) == text


def test_a_refusal_says_each_reason_once() -> None:
    told = [Candidate(NodeId(f"n{number}"), False, "it is down") for number in range(6)]
    found = Placement(None, (*told, Candidate(NodeId("z"), False, "it is full")))
    assert found.refusal == "no node can take it: n0, n1, n2 and 3 others: it is down; z: it is full"


@pytest.mark.parametrize(
    ("name", "nodes", "lines", "told"),
    [
        ("everything of a small cluster", TOLD_MAX, ["node n1 down", "node n2 down"], TOLD_MAX),
        ("the best of a large one", 64, [], BEST_TOLD),
        ("and each reason once", 64, ["node n1 down", "node n2 down", "node n5 paused"], BEST_TOLD + 2),
        ("as many reasons as nodes", 64, [f"node n{n} memory={n + 1}" for n in range(64)], TOLD_MAX),
    ],
)
def test_what_is_told(name: str, nodes: int, lines: list[str], told: int) -> None:
    snapshot = Snapshot()
    for line in (f"nodes {' '.join(f'n{number}' for number in range(nodes))}", "group g memory=9999", *lines):
        snapshot.tell(line)
    crowd = Crowd()
    crowd.refresh(snapshot.view, snapshot.sight())
    found = crowd.place(Request(snapshot.view.groups()[0], PlacementCause.FIRST))
    assert len(found.candidates) == told, name
    assert [each.node for each in found.candidates if each.is_chosen] == ([found.chosen] if found.chosen else [])
    out = {room.name for key, room in crowd.rooms.items() if key not in found.ranked}
    text = " ".join(f"{each.node} {each.reason}," for each in found.candidates)
    assert all(f"{node} " in text or f" {node}," in text or f" {node})" in text for node in out)
