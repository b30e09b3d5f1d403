"""What does clear-claim show, ask and do?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pretend_cluster import PretendCluster
from served_cluster import Served

from clusterd.database import Draft
from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.records import GroupRecord, ResourceRecord
from clusterd.model.states import Wanted
from resource_types.physical_disk.keys import key_of, shown
from resource_types.physical_disk.lease import Lease, decode, encode
from resource_types.physical_disk.resource import PhysicalDisk

Run = Callable[..., Any]
FORMER = key_of("c-1", "n1", 7).value


@pytest.fixture
def lease(served: Served, tmp_path: Path) -> Path:
    """Of a disk in group shop, which is offline; a former cluster claimed it."""
    image = tmp_path / "shop.img"
    image.write_bytes(bytes(4096))
    lease = Path(f"{image}.lease")
    lease.write_bytes(encode(Lease(FORMER, "n1", 3)))

    def prepare(cluster: PretendCluster) -> None:
        cluster.type_answers = lambda node, type_name, question, body: PhysicalDisk.examine(question, body)
        group = GroupRecord(GroupId("shop"), wanted=Wanted.OFFLINE)
        private = {"image": str(image)}
        disk = ResourceRecord(ResourceId("shop-disk"), group.name, "physical_disk", Wanted.OFFLINE, private=private)
        cluster.write(Draft(cluster.view()).put(group).put(disk))
        cluster.act()

    served.call(prepare)
    return lease


def test_it_shows_who_holds_it_and_changes_nothing(clusterctl: Run, lease: Path) -> None:
    planned = clusterctl("resource", "clear-claim", "shop-disk", "--plan")
    assert planned.code == 0, planned.err
    assert f"n1 sees claim {shown(FORMER)} (generation 7 of this cluster, of n1, holding it)" in planned.out
    assert f"would end claim {shown(FORMER)}: on shop-disk, by way of n1" in planned.out
    unasked = clusterctl("resource", "clear-claim", "shop-disk")
    assert (unasked.code, "nobody can be asked here" in unasked.err) == (64, True)
    assert decode(lease.read_bytes()).key == FORMER


def test_it_ends_the_claim(clusterctl: Run, lease: Path) -> None:
    done = clusterctl("resource", "clear-claim", "shop-disk", "--node", "n2", "--yes")
    assert done.code == 0, done.err
    assert f"end claim {shown(FORMER)}: on shop-disk, by way of n2" in done.out
    assert decode(lease.read_bytes()).key == 0
    again = clusterctl("-o", "json", "resource", "clear-claim", "shop-disk", "--yes")
    assert (again.code, again.json["claims"], again.json["changes"]) == (0, [], [])


def test_a_disk_in_use_is_refused(clusterctl: Run, lease: Path) -> None:
    assert clusterctl("group", "online", "shop").code == 0
    refused = clusterctl("resource", "clear-claim", "shop-disk", "--yes")
    assert (refused.code, "it is online" in refused.err) == (3, True)
    assert "clusterctl group offline shop" in refused.err
    assert decode(lease.read_bytes()).key == FORMER
