"""What is said of what keeps a group's old owner from doing harm?"""

import pytest

from clusterd.api.guarantees import fence_lines, guarantee_view, sole_effect_notes
from clusterd.database import Database, DatabaseView, Draft
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.records import GroupRecord, Properties, ResourceRecord, ResourceTypeRecord
from clusterd.model.storage_fences import StorageFenceRecord

UNIT: Properties = {"iscsi": {"unit": 1}}
IMAGE: Properties = {"image": "/a"}
DECLARED: Properties = {"storage_is_sole_effect": True}
FROZEN = "the writes of an owner whose whole machine froze"


def viewed(disks: dict[str, Properties], properties: Properties, needs: str) -> tuple[DatabaseView, GroupRecord]:
    database = Database()
    view = DatabaseView(database)
    group = GroupRecord(GroupId("g"), properties=properties)
    draft = Draft(view).put(group)
    abilities = ("storage-fence:iscsi", "storage-fence:device")
    draft.put(ResourceTypeRecord("physical_disk", NodeId("n1"), abilities=abilities))
    for name, private in disks.items():
        draft.put(ResourceRecord(ResourceId(name), GroupId("g"), "physical_disk", private=private))
    draft.put(ResourceRecord(ResourceId("vm"), GroupId("g"), "virtual_machine", depends_on=needs))
    database.apply(draft.build("x"), 1)
    return view, group


CASES: dict[str, tuple[dict[str, Properties], Properties, str, str, bool]] = {
    "no disk": ({}, {}, "", f"no storage refuses {FROZEN}: that needs a fence agent or a watchdog", False),
    "an image": ({"a": IMAGE}, {}, "[a]", f"no storage refuses {FROZEN}: that needs", False),
    "a unit": ({"a": UNIT}, {}, "[a]", f"the storage refuses {FROZEN} (a)", False),
    "a unit and an image": ({"a": UNIT, "b": IMAGE}, {}, "[a] and [b]", f"only a refuse {FROZEN}, not b", False),
    "declared": ({"a": UNIT}, DECLARED, "[a]", "when it refuses those of a lost owner, that counts as fenced", True),
    "declared in vain": (
        {"a": UNIT}, DECLARED, "", "storage_is_sole_effect has no effect: vm does not depend on a", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_guarantee(name: str) -> None:
    disks, properties, needs, text, counts = CASES[name]
    view, group = viewed(disks, properties, needs)
    shown = guarantee_view(view, group)
    assert text in shown["text"]
    assert shown["counts_as_fenced"] is counts
    assert shown["disks"] == sorted(disks)


def test_note_of_a_declaration_in_vain_names_the_rule() -> None:
    (told,) = sole_effect_notes(*viewed({"a": UNIT}, DECLARED, ""))
    assert told == "storage_is_sole_effect has no effect (rule sole-effect): vm does not depend on a"
    assert sole_effect_notes(*viewed({"a": UNIT}, DECLARED, "[a]")) == []
    assert sole_effect_notes(*viewed({"a": UNIT}, {}, "")) == []


def test_how_a_fence_stands() -> None:
    order = StorageFenceRecord(GroupId("g"), 1, NodeId("n1"), Incarnation("i"), 3, NodeId("n2"))
    assert fence_lines(None) == ()
    assert fence_lines(order) == ("n2 was told to make the storage refuse n1, under generation 3",)
    given_up = StorageFenceRecord(GroupId("g"), 1, NodeId("n1"), Incarnation("i"), 3, NodeId(""), because="no way")
    assert fence_lines(given_up) == ("its disks could not be taken from n1: no way",)
