"""Is it told when a wish about owners cannot come true?"""

import pytest

from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.owner_notes import class_notes, owner_notes
from clusterd.model.records import GroupRecord, ResourceRecord, RuleRecord
from clusterd.model.states import RuleKind


def resource(name: str, owners: str = "") -> ResourceRecord:
    nodes = tuple(NodeId(each) for each in owners.split())
    return ResourceRecord(ResourceId(name), GroupId("g"), "t", possible_owners=nodes)


def group(name: str = "g", owners: str = "", classes: tuple[str, ...] = ()) -> GroupRecord:
    preferred = tuple(NodeId(each) for each in owners.split())
    return GroupRecord(
        GroupId(name), preferred_owners=preferred, properties={"anti_affinity_class_names": list(classes)}
    )


@pytest.mark.parametrize(
    ("preferred", "resources", "says"),
    [
        ("n1", [], []),
        ("n1", [resource("a"), resource("b", "N1 n2")], []),
        ("", [resource("a", "n1 n2"), resource("b", "n2 n3")], []),
        (
            "",
            [resource("a", "n1"), resource("b", "n2")],
            ["no node may run group g: the possible owners of its resources"],
        ),
        ("n1 n2", [resource("a"), resource("b", "n2")], ["n1 is a preferred owner of g, and b may not run there"]),
    ],
)
def test_owners(preferred: str, resources: list[ResourceRecord], says: list[str]) -> None:
    found = owner_notes(group(owners=preferred), resources)
    assert len(found) == len(says)
    assert all(text.startswith(part) for text, part in zip(found, says, strict=True))


TOGETHER = RuleRecord("r", RuleKind.SAME_NODE, (GroupId("a"), GroupId("b")))


@pytest.mark.parametrize(
    ("rule", "groups", "is_hard", "says"),
    [
        (TOGETHER, [group("a", classes=("x",)), group("b", classes=("y",))], False, ""),
        (TOGETHER, [group("a", classes=("x",)), group("c", classes=("x",))], False, ""),
        (
            TOGETHER,
            [group("a", classes=("x",)), group("B", classes=("x", "y"))],
            False,
            "class x keeps them apart: the",
        ),
        (TOGETHER, [group("a", classes=("x",)), group("b", classes=("x",))], True, "only one of them can run"),
        (
            RuleRecord("r", RuleKind.DIFFERENT_NODE, TOGETHER.groups),
            [group("a", classes=("x",)), group("b", classes=("x",))],
            True,
            "",
        ),
    ],
)
def test_classes_against_rules(rule: RuleRecord, groups: list[GroupRecord], is_hard: bool, says: str) -> None:
    found = class_notes(rule, groups, is_hard=is_hard)
    assert (len(found) == 1 and says in found[0]) if says else not found
