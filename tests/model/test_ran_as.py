"""Is what an owner may run known to be what the records say?"""

from dataclasses import replace

import pytest

from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.ran_as import difference, ran_as
from clusterd.model.records import ReportRecord, ResourceRecord, ResourceReport
from clusterd.model.states import ResourceState, Wanted

DISK = ResourceRecord(ResourceId("disk"), GroupId("g"), "lun", private={"iscsi": {"unit": 1, "target": "t"}})
GUEST = ResourceRecord(ResourceId("guest"), GroupId("g"), "machine", depends_on="[disk]")

SAME = {
    "the order in which a unit is described": replace(DISK, private={"iscsi": {"target": "t", "unit": 1}}),
    "how often it is restarted": replace(DISK, properties={"restart_threshold": 3}),
    "where it may run": replace(DISK, possible_owners=(NodeId("n1"),)),
    "what is wanted of it": replace(DISK, wanted=Wanted.OFFLINE, fail_id="f", kill_id="k"),
}
OTHER = {
    "another unit": replace(DISK, private={"iscsi": {"unit": 2, "target": "t"}}),
    "nothing of a unit": replace(DISK, private={}),
    "another type": replace(DISK, type="disk"),
    "a dependency": replace(DISK, depends_on="[other]"),
}


@pytest.mark.parametrize("name", SAME)
def test_what_changes_nothing_of_what_it_does(name: str) -> None:
    assert ran_as(SAME[name]) == ran_as(DISK)


@pytest.mark.parametrize("name", OTHER)
def test_what_makes_it_another(name: str) -> None:
    assert ran_as(OTHER[name]) != ran_as(DISK)


def test_it_is_short_and_stays_the_same_from_one_version_to_the_next() -> None:
    assert ran_as(DISK) == "89b4b6aa1c084681"


def report(*said: tuple[str, str]) -> ReportRecord:
    resources = tuple(ResourceReport(ResourceId(name), ResourceState.ONLINE, ran_as=told) for name, told in said)
    return ReportRecord(GroupId("g"), NodeId("n1"), Incarnation("i"), 1, resources)


BOTH = (("DISK", ran_as(DISK)), ("guest", ran_as(GUEST)))
CASES: dict[str, tuple[ReportRecord | None, str]] = {
    "as they are": (report(*BOTH), ""),
    "nothing said": (None, "n1 has not reported what disk came online with"),
    "not said of one": (report(BOTH[0]), "n1 has not reported what guest came online with"),
    "not known of one": (report(BOTH[0], ("guest", "")), "n1 has not reported what guest came online with"),
    "another than now": (report(("disk", "x"), BOTH[1]), "disk was changed since it came online on n1"),
    "one more": (report(*BOTH, ("old", "x")), "n1 had old, which is not in the group any more"),
}


@pytest.mark.parametrize("name", CASES)
def test_difference(name: str) -> None:
    said, obstacle = CASES[name]
    assert difference((DISK, GUEST), said, "n1") == obstacle
