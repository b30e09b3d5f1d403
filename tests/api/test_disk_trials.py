"""Is the takeover of disks tried that nobody uses, and of no others? Over images, with the nodes' real part in it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get
from pretend_cluster import PretendCluster

from clusterd.database import Draft
from clusterd.model.errors import UnknownOutcome
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.maintenance import Maintenance
from clusterd.model.records import ResourceRecord
from clusterd.model.states import Wanted
from clusterd.validation import NodeAnswer, encode
from resource_types.physical_disk.keys import key_of
from resource_types.physical_disk.lease import Lease, decode
from resource_types.physical_disk.lease import encode as encode_lease
from resource_types.physical_disk.resource import PhysicalDisk

CONTENT = bytes(range(256)) * 16


class Nodes:
    """Every node's host, and the image that all of them see. `when` does something before a step of a node."""

    def __init__(self, cluster: PretendCluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.steps: list[tuple[str, str]] = []
        self.when: dict[tuple[str, str], Callable[[], object]] = {}
        cluster.node_answers["facts"] = lambda node: encode(NodeAnswer())
        cluster.type_answers = self.answer

    def disk(self, name: str = "disk", **changed: Any) -> Path:
        """In group web, wanted offline."""
        image = self.folder / f"{name}.img"
        image.write_bytes(CONTENT)
        record = ResourceRecord(
            ResourceId(name), GroupId("web"), "physical_disk", Wanted.OFFLINE, private={"image": str(image)}, **changed
        )
        self.cluster.write(Draft(self.cluster.view()).put(record))
        self.cluster.act()
        return image

    def answer(self, node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
        if question == "trial":
            verb = json.loads(body)["verb"]
            self.steps.append((node, verb))
            self.when.pop((node, verb), lambda: None)()
        return PhysicalDisk.examine(question, body)

    def lease(self, name: str = "disk") -> Lease:
        return decode((self.folder / f"{name}.img.lease").read_bytes())

    def claim(self, key: int, name: str = "disk") -> None:
        (self.folder / f"{name}.img.lease").write_bytes(encode_lease(Lease(key, "n9", 3)))


@pytest.fixture
async def nodes(client: TestClient, cluster: PretendCluster, tmp_path: Path) -> Nodes:
    await apply(client)
    return Nodes(cluster, tmp_path)


async def found(client: TestClient, **query: str) -> list[dict[str, Any]]:
    told = await get(client, "/v1/validation", **{"only": "disk-arbitration", **query})
    (test,) = [each for each in told["tests"] if each["name"] == "disk-arbitration"]
    findings: list[dict[str, Any]] = test["findings"]
    return findings


async def test_every_possible_owner_takes_it_and_loses_it(client: TestClient, nodes: Nodes) -> None:
    image = nodes.disk()
    told = await found(client)
    assert [(each["about"], each["verdict"]) for each in told] == [
        ("disk: n1", "pass"),
        ("disk: n1 → n2", "pass"),
        ("disk: n2 → n3", "pass"),
        ("disk: n3 → n1", "pass"),
    ]
    assert "late write refused in" in told[1]["saw"]
    assert nodes.lease().key == 0
    assert image.read_bytes() == CONTENT


async def test_one_possible_owner(client: TestClient, nodes: Nodes) -> None:
    nodes.disk(possible_owners=(NodeId("n2"),))
    (told,) = await found(client)
    assert (told["about"], told["verdict"]) == ("disk: n2", "pass")
    assert nodes.lease().key == 0


async def test_only_where_it_is_asked_for(client: TestClient, nodes: Nodes) -> None:
    nodes.disk()
    await get(client, "/v1/validation", skip="disk-arbitration")
    await get(client, "/v1/validation", only="reservations")
    assert nodes.steps == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"wanted": Wanted.ONLINE}, "it is online"),
        ({"maintenance": Maintenance("m1", "a look by hand", 1, "ann")}, "hands off: resource disk is in maintenance"),
    ],
)
async def test_a_disk_in_use_is_not_touched(
    client: TestClient, nodes: Nodes, changed: dict[str, Any], words: str
) -> None:
    nodes.disk()
    record = nodes.cluster.view().resource("disk")
    assert record is not None
    nodes.cluster.write(Draft(nodes.cluster.view()).put(replace(record, **changed)))
    nodes.cluster.act()
    (told,) = await found(client)
    assert told["verdict"] == "pass"
    assert told["saw"].startswith(words) and told["saw"].endswith("group verify does that for real")
    assert nodes.steps == []
    assert not (nodes.folder / "disk.img.lease").exists()


async def test_a_claim_of_somebody_is_told_and_left_alone(client: TestClient, nodes: Nodes) -> None:
    nodes.disk()
    key = key_of("c-1", "n3", 7).value
    nodes.claim(key)
    (told,) = await found(client)
    assert told["verdict"] == "warning"
    assert "generation 7 of this cluster" in told["saw"]
    assert "clusterctl resource clear-claim disk" in told["advice"]
    assert nodes.lease() == Lease(key, "n9", 3)
    assert {verb for _, verb in nodes.steps} == {"open", "release"}


async def test_a_group_that_is_brought_online_meanwhile_ends_it(client: TestClient, nodes: Nodes) -> None:
    image = nodes.disk()

    def bring_online() -> None:
        record = nodes.cluster.view().resource("disk")
        assert record is not None
        nodes.cluster.write(Draft(nodes.cluster.view()).put(replace(record, wanted=Wanted.ONLINE)))

    nodes.when["n2", "take"] = bring_online
    told = await found(client)
    assert [each["verdict"] for each in told] == ["pass", "pass"]
    assert told[-1]["saw"] == "the trial gave up and left it alone: it is wanted online"
    assert nodes.lease().key == 0, "what it had claimed is released"
    assert image.read_bytes() == CONTENT


async def test_an_owner_that_claims_it_meanwhile_keeps_it(client: TestClient, nodes: Nodes) -> None:
    nodes.disk()
    key = key_of("c-1", "n2", 1).value
    nodes.when["n1", "late-write"] = lambda: nodes.claim(key)
    told = await found(client)
    assert told[-1]["verdict"] == "pass"
    assert "left it alone: late-write on n1: somebody claims it" in told[-1]["saw"]
    assert nodes.lease() == Lease(key, "n9", 3)


async def test_a_node_that_is_lost_in_the_middle(client: TestClient, nodes: Nodes) -> None:
    nodes.disk()

    def be_lost() -> None:
        raise UnknownOutcome("n2 did not answer in time")

    nodes.when["n2", "take"] = be_lost
    told = await found(client)
    assert told[-1]["verdict"] == "failure"
    assert "take on n2: n2 did not answer in time" in told[-1]["saw"]
    assert nodes.lease().key == 0


async def test_a_node_that_does_not_reach_it(client: TestClient, nodes: Nodes) -> None:
    nodes.disk()

    def is_cut_off() -> None:
        raise UnknownOutcome("no way to the storage")

    nodes.when["n3", "open"] = is_cut_off
    (told,) = await found(client)
    assert (told["verdict"], told["saw"][:9]) == ("warning", "not tried")
    assert not any(verb == "claim" for _, verb in nodes.steps)


async def test_two_resources_that_name_one_disk_leave_nothing(client: TestClient, nodes: Nodes) -> None:
    """The second one finds the first one's trial, whenever it comes."""
    image = nodes.disk()
    record = nodes.cluster.view().resource("disk")
    assert record is not None
    nodes.cluster.write(Draft(nodes.cluster.view()).put(replace(record, name=ResourceId("again"))))
    nodes.cluster.act()
    told = await found(client)
    assert "failure" not in {each["verdict"] for each in told}
    assert nodes.lease().key == 0
    assert image.read_bytes() == CONTENT


async def test_without_quorum_nothing_is_tried(client: TestClient, nodes: Nodes) -> None:
    nodes.disk()
    nodes.cluster.is_quorate = False
    (told,) = await found(client)
    assert told["verdict"] == "warning"
    assert nodes.steps == []
