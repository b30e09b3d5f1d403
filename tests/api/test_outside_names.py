"""What a resource names outside the cluster: each node's own, and one resource's alone."""

from typing import Any

import pytest

from clusterd.api.outside_names import outside_problems
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import ResourceRecord
from clusterd.resource_api import schema_of
from resource_types.physical_disk.resource import PhysicalDisk

SCHEMA = schema_of(PhysicalDisk.properties, exactly_one=PhysicalDisk.exactly_one)


def disk(name: str = "d", owners: tuple[str, ...] = (), **private: Any) -> ResourceRecord:
    nodes = tuple(NodeId(each) for each in owners)
    return ResourceRecord(ResourceId(name), GroupId("g"), "physical_disk", possible_owners=nodes, private=private)


def unit(number: int = 1, **more: str) -> dict[str, Any]:
    return {"portal": "10.0.0.5:3260", "target": "iqn.x", "unit": number, **more}


def told(
    after: ResourceRecord, *others: ResourceRecord, before: ResourceRecord | None = None, nodes: int = 3
) -> list[str]:
    found = outside_problems(before, after, SCHEMA, others, node_count=nodes)
    return [f"{each.part}: {each.message}" for each in found]


def test_one_initiator_for_all_nodes() -> None:
    (problem,) = told(disk(iscsi=unit(initiator="iqn.mine")))
    assert problem.startswith("properties.iscsi.initiator: each node needs one of its own: put {node} into it")


@pytest.mark.parametrize(
    "fine",
    [
        disk(iscsi=unit()),
        disk(iscsi=unit(initiator="iqn.mine:{node}")),
        disk(owners=("n1",), iscsi=unit(initiator="iqn.mine")),
        disk(image="/srv/a.img"),
    ],
)
def test_each_node_has_its_own(fine: ResourceRecord) -> None:
    assert told(fine) == []


def test_on_a_single_node_one_name_does() -> None:
    assert told(disk(iscsi=unit(initiator="iqn.mine")), nodes=1) == []


@pytest.mark.parametrize(
    ("mine", "theirs", "key"),
    [
        ({"iscsi": unit()}, {"iscsi": unit(portal="10.0.0.6:3260")}, "iscsi"),
        ({"image": "/srv/a.img"}, {"image": "/srv/a.img"}, "image"),
        ({"device": "/dev/disk/by-id/x"}, {"device": "/dev/disk/by-id/x"}, "device"),
    ],
)
def test_a_disk_that_another_resource_names(mine: dict[str, Any], theirs: dict[str, Any], key: str) -> None:
    assert told(disk(**mine), disk("other", **theirs)) == [
        f"properties.{key}: resource other has it already, and one may have it"
    ]
    assert told(disk(**mine), disk("D", **theirs)) == [], "it is the very resource"
    assert told(disk(**mine), disk("other", **theirs), before=disk(**mine)) == [], "it was so before"


def test_disks_of_their_own() -> None:
    assert told(disk(iscsi=unit(1)), disk("other", iscsi=unit(2)), disk("third", image="/srv/a.img")) == []
