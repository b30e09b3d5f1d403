"""When is it believed that storage is all that a group affects the outside by?"""

from collections.abc import Mapping

import pytest

from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.records import Properties, ResourceRecord
from clusterd.model.sole_effect import sole_effect

ABILITIES: Mapping[str, tuple[str, ...]] = {
    "disk": ("live-migration", "storage-fence:iscsi", "storage-fence:device"),
    "lun": ("storage-fence",),
    "machine": ("event", "live-migration"),
    "definition": ("no-effect",),
}
ISCSI: Properties = {"iscsi": {"unit": 1}}
DEVICE: Properties = {"device": "/dev/sda"}
IMAGE: Properties = {"image": "/a"}


def record(name: str, type_name: str, depends_on: str = "", private: Properties | None = None) -> ResourceRecord:
    return ResourceRecord(ResourceId(name), GroupId("g"), type_name, depends_on=depends_on, private=private or {})


CASES: dict[str, tuple[tuple[ResourceRecord, ...], str]] = {
    "nothing at all": ((), "it has no disk"),
    "no disk": ((record("vm", "machine"),), "it has no disk"),
    "a type that nobody knows": ((record("vm", "unheard-of"),), "it has no disk"),
    "a disk alone": ((record("a", "lun"),), ""),
    "a machine on its disk": ((record("a", "disk", private=ISCSI), record("vm", "machine", "[a]")), ""),
    "named in other letters": ((record("A", "disk", private=ISCSI), record("vm", "machine", "[a]")), ""),
    "a block device": ((record("a", "disk", private=DEVICE), record("vm", "machine", "[a]")), ""),
    "an image": ((record("a", "disk", private=IMAGE), record("vm", "machine", "[a]")), "the storage behind a does not"),
    "an image beside a unit": (
        (
            record("a", "disk", private=ISCSI),
            record("b", "disk", private=IMAGE),
            record("vm", "machine", "[a] and [b]"),
        ),
        "the storage behind b does not",
    ),
    "a disk of which nothing is said": ((record("a", "disk"),), "the storage behind a does not"),
    "two disks, one used": (
        (record("a", "lun"), record("b", "lun"), record("vm", "machine", "[a]")),
        "vm does not depend on b",
    ),
    "one disk or the other": (
        (record("a", "lun"), record("b", "lun"), record("vm", "machine", "([a] or [b])")),
        "vm does not depend on a, b",
    ),
    "through another": (
        (record("a", "lun"), record("b", "lun", "[a]"), record("vm", "machine", "[b]")),
        "",
    ),
    "through one of several": (
        (record("a", "lun"), record("x", "machine", "[a]"), record("y", "machine", "[a]"),
         record("vm", "machine", "([x] or [y])")),
        "vm does not depend on a",
    ),
    "a service beside it": (
        (record("a", "lun"), record("vm", "machine", "[a]"), record("address", "service")),
        "address does not depend on a",
    ),
    "a definition beside it": (
        (record("a", "lun"), record("text", "definition"), record("vm", "machine", "[a] and [text]")),
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sole_effect(name: str) -> None:
    resources, obstacle = CASES[name]
    found = sole_effect(resources, lambda each: ABILITIES.get(each.type, ()))
    assert found.obstacle.startswith(obstacle)
    assert bool(found.obstacle) == bool(obstacle)
    assert {each.name for each in found.disks} == {each.name for each in resources if each.type in ("disk", "lun")}
