"""What a placement says, and what of it is kept. Where groups go is told by the cases of tests/decisions."""

import pytest

from clusterd.leader.placement import KEPT_MAX, Exclusion, Placement, named, nearest
from clusterd.model.ids import NodeId
from clusterd.model.records import Candidate
from clusterd.model.states import GroupStatus

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


def placement_of(able: int, reasons: dict[str, int]) -> Placement:
    told = [Candidate(NodeId(f"able{number}"), number == 0, f"number {number}") for number in range(able)]
    for reason, count in reasons.items():
        told += [Candidate(NodeId(f"{reason}{number}"), False, reason) for number in range(count)]
    return Placement(NodeId("able0") if able else None, tuple(told), able=able)


def test_a_refusal_says_each_reason_once() -> None:
    found = placement_of(0, {"down": 6, "full": 1})
    assert found.refusal == "no node can take it: down0, down1, down2 and 3 others: down; full0: full"


def test_of_a_small_cluster_everything_is_kept() -> None:
    found = placement_of(9, {"down": 4, "full": 3})
    assert found.kept == found.candidates


@pytest.mark.parametrize(
    ("able", "reasons"),
    [(64, {}), (40, {"down": 24}), (0, {"down": 40, "full": 24}), (3, {f"r{n}": 2 for n in range(30)})],
)
def test_of_a_large_one_the_best_and_each_reason_once(able: int, reasons: dict[str, int]) -> None:
    found = placement_of(able, reasons)
    assert len(found.kept) <= KEPT_MAX
    assert found.kept[: min(able, KEPT_MAX // 2)] == found.candidates[: min(able, KEPT_MAX // 2)]
    others = found.kept[min(able, KEPT_MAX // 2) :]
    for reason, each in zip(reasons, others, strict=False):
        count = reasons[reason]
        assert each.node == f"{reason}0" and each.reason.startswith(reason)
        assert ("the same holds for" in each.reason) == (count > 1)
