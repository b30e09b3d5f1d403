"""What is said of what keeps a group's old owner from doing harm?"""

from dataclasses import replace

import pytest

from clusterd.api.guarantees import fence_lines, guarantee_view, sole_effect_notes
from clusterd.database import Database, DatabaseView, Draft
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.ran_as import ran_as
from clusterd.model.records import (
    AssignmentRecord,
    Decision,
    GroupRecord,
    Properties,
    ReportRecord,
    ResourceRecord,
    ResourceReport,
    ResourceTypeRecord,
)
from clusterd.model.states import Order, ResourceState
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


CHANGED: dict[str, tuple[Properties, str]] = {
    "as it came online": (UNIT, ""),
    "changed since": ({"iscsi": {"unit": 2}}, "a was changed since it came online on n1"),
    "not said": ({}, "n1 has not reported what a came online with"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_declaration_while_its_owner_runs_something(name: str) -> None:
    private, obstacle = CHANGED[name]
    view, group = viewed({"a": UNIT}, DECLARED, "[a]")
    owned = AssignmentRecord(GroupId("g"), NodeId("n1"), Incarnation("i"), 1, Order.RUN, Decision("", ""))
    reported = tuple(
        ResourceReport(each.name, ResourceState.ONLINE, ran_as=ran_as(each))
        for each in view.resources_of("g")
        if each.name != "a"
    )
    disk = replace(view.resources_of("g")[0], private=private)
    disks = (ResourceReport(disk.name, ResourceState.ONLINE, ran_as=ran_as(disk)),) if private else ()
    draft = Draft(view).put(owned).put(ReportRecord(GroupId("g"), NodeId("n1"), Incarnation("i"), 1, disks + reported))
    view.database.apply(draft.build("y"), 2)
    shown = guarantee_view(view, group)
    assert shown["counts_as_fenced"] is not bool(obstacle)
    assert obstacle in shown["text"]
    told = (f"storage_is_sole_effect has no effect (rule sole-effect): {obstacle}",) if obstacle else ()
    assert fence_lines(view, group) == told


def test_how_a_fence_stands() -> None:
    order = StorageFenceRecord(GroupId("g"), 1, NodeId("n1"), Incarnation("i"), 3, NodeId("n2"))
    given_up = replace(order, node=NodeId(""), because="no way")
    assert _fence_lines(None) == ()
    assert _fence_lines(order) == ("n2 was told to make the storage refuse n1, under generation 3",)
    told, way_out = _fence_lines(given_up)
    assert told == "its disks could not be taken from n1: no way" and "clusterctl node fence n1" in way_out


def _fence_lines(order: StorageFenceRecord | None) -> tuple[str, ...]:
    view, group = viewed({"a": UNIT}, DECLARED, "[a]")
    if order is not None:
        view.database.apply(Draft(view).put(order).build("y"), 2)
    return fence_lines(view, group)
