"""Does the wizard ask every node, create everything at once, and keep what it judged?"""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from asking import get, post
from pretend_cluster import TOKEN, PretendCluster

from clusterd.api.server import create_app
from clusterd.database import Draft
from clusterd.model.errors import Busy
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import GroupRecord, ResourceRecord, ResourceTypeRecord
from clusterd.model.states import ResourceState, Wanted
from clusterd.resource_api import schema_of
from clusterd.validation import Hypervisor, MachineFacts, NodeAnswer, encode
from resource_types.physical_disk.properties import PROPERTIES as DISK_PROPERTIES
from resource_types.virtual_machine.declared import PROPERTIES as MACHINE_PROPERTIES
from resource_types.virtual_machine_configuration import VirtualMachineConfiguration

PATH = "/srv/machines/shop.toml"


class Nodes:
    """What the nodes say about their definitions; a test changes it."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.looked: list[Any] = []
        self.disks: dict[str, Any] = {}
        self.definitions: list[dict[str, Any]] = [self.definition("shop", PATH)]

    @staticmethod
    def definition(name: str, path: str, **changed: Any) -> dict[str, Any]:
        where = {"identity": "1:2", "file_system": "nfs4", "source": "store:/machines"}
        files = [
            {"role": "definition", "path": path, **where},
            {"role": "disk system", "path": f"{path}.img", **where},
        ]
        return {"name": name, "path": path, "memory_mib": 256, "cores": 1, "files": files, **changed}

    def answer(self, node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
        if (type_name, question) == ("physical_disk", "disks"):
            self.looked.append(json.loads(body))
            seen = {name: self.disks.get(name, {"size_bytes": 512}) for name in self.looked[-1]["disks"]}
            return json.dumps({"disks": seen}).encode()
        assert (type_name, question) == ("virtual_machine_configuration", "definitions")
        self.asked.append(json.loads(body))
        return json.dumps({"machine": node, "definitions": self.definitions}).encode()


@pytest.fixture
def nodes(cluster: PretendCluster) -> Nodes:
    found = Nodes()
    facts = MachineFacts(hypervisor=Hypervisor("7.2", "/usr/bin/qemu"), memory_mib=9000, processor_vendor="Intel")
    cluster.type_answers = found.answer
    cluster.node_answers["facts"] = lambda node: encode(NodeAnswer(facts))
    draft = Draft(cluster.view())
    schemas = {
        "physical_disk": DISK_PROPERTIES,
        "virtual_machine": MACHINE_PROPERTIES,
        "virtual_machine_configuration": VirtualMachineConfiguration.properties,
    }
    for node in ("n1", "n2", "n3"):
        for name, properties in schemas.items():
            draft.put(ResourceTypeRecord(name, NodeId(node), "1", schema_of(properties)))
    cluster.write(draft)
    return found


@pytest.mark.usefixtures("nodes")
async def test_a_machine_becomes_a_group(client: TestClient, cluster: PretendCluster) -> None:
    found = await post(client, "/v1/machines", {"name": "shop", "definition": PATH})
    assert found["http"] == 200, found
    assert [f"{each['kind']} {each['name']}" for each in found["changes"]] == [
        "group shop",
        "resource shop-configuration",
        "resource shop",
    ]
    assert found["wait_for"] == ["resource shop online"]
    machine = cluster.view().resource("shop")
    assert machine is not None
    assert (machine.type, machine.depends_on, machine.wanted) == (
        "virtual_machine",
        "[shop-configuration]",
        Wanted.ONLINE,
    )
    assert machine.private == {"configuration": PATH}
    assert machine.properties == {"memory_demand": 256, "core_demand": 1}


async def test_all_nodes_are_asked_in_the_folders_of_the_cluster(client: TestClient, nodes: Nodes) -> None:
    await client.patch("/v1/cluster", json={"properties": {"definition_folders": "/srv/machines:/srv/more"}})
    found = await get(client, "/v1/machines/candidates", definition=PATH)
    assert found["http"] == 200
    assert nodes.asked == [{"definitions": [PATH], "folders": ["/srv/machines", "/srv/more"]}] * 3
    assert [(each["name"], each["eligible"]) for each in found["candidates"]] == [("shop", True)]


async def test_what_is_not_eligible_says_why(client: TestClient, nodes: Nodes) -> None:
    nodes.definitions.append(nodes.definition("bad", "/srv/machines/bad.toml", problems=["memory_mib: is required"]))
    found = await get(client, "/v1/machines/candidates")
    told = {each["name"]: each["refusals"] for each in found["candidates"]}
    assert told["shop"] == []
    assert any("memory_mib: is required" in text for text in told["bad"])


@pytest.mark.usefixtures("nodes")
async def test_a_plan_changes_nothing_and_foresees(client: TestClient, cluster: PretendCluster) -> None:
    body = {"name": "shop", "definition": PATH}
    planned = await post(client, "/v1/machines", body, params={"plan": "1"})
    assert planned["plan_only"] and planned["foresight"] is not None
    assert planned["judgement"]["owners"] == ["n1", "n2", "n3"]
    assert cluster.view().group("shop") is None


async def test_a_refusal_changes_nothing_and_is_kept(cluster: PretendCluster, nodes: Nodes, tmp_path: Path) -> None:
    nodes.definitions[0]["files"][1]["is_in_use"] = True
    server = TestServer(create_app(cluster, TOKEN, tmp_path / "reports"))
    async with TestClient(server, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        found = await post(client, "/v1/machines", {"name": "shop", "definition": PATH})
        assert (found["http"], found["error"]["rule"]) == (422, "wizard")
        assert "--allow-running" in found["error"]["message"]
        assert cluster.view().group("shop") is None
        (kept,) = (await get(client, "/v1/reports"))["reports"]
        assert (await get(client, f"/v1/reports/{kept}"))["judgement"]["running"] is True
        found = await post(client, "/v1/machines", {"name": "shop", "definition": PATH, "allow_running": True})
        assert found["http"] == 200
        group = cluster.view().group("shop")
        assert group is not None and group.wanted is Wanted.OFFLINE, "two must not have its disk"


async def test_where_no_node_answers_nothing_is_judged(
    client: TestClient, cluster: PretendCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: Any) -> bytes:
        raise Busy("its resource host is not there")

    monkeypatch.setattr(cluster, "ask_type", silent)
    found = await post(client, "/v1/machines", {"name": "shop", "definition": PATH})
    assert (found["http"], found["error"]["code"], found["error"]["retryable"]) == (429, "busy", True)
    assert "n2: it did not say what it has: its resource host is not there" in found["error"]["message"]
    assert cluster.view().group("shop") is None


async def test_it_joins_the_group_of_its_disk(client: TestClient, cluster: PretendCluster, nodes: Nodes) -> None:
    disk = ResourceRecord(
        ResourceId("store"), GroupId("stores"), "physical_disk", private={"mount_point": "/srv/machines", "image": "/i"}
    )
    cluster.write(Draft(cluster.view()).put(GroupRecord(GroupId("stores"))).put(disk))
    cluster.act()
    found = await post(client, "/v1/machines", {"name": "shop", "definition": PATH})
    assert found["http"] == 200, found
    nodes.definitions.append(nodes.definition("till", "/srv/machines/till.toml"))
    found = await post(client, "/v1/machines", {"name": "till", "definition": "/srv/machines/till.toml"})
    assert found["http"] == 200, found
    names = sorted(each.name for each in cluster.view().resources_of("stores"))
    assert names == ["shop", "shop-configuration", "store", "till", "till-configuration"]
    machine = cluster.view().resource("till")
    assert machine is not None and machine.depends_on == "[till-configuration] and [store]"
    assert any("joins group stores" in note for note in found["notes"])


async def test_a_disk_that_no_owner_reaches_is_refused(
    client: TestClient, cluster: PretendCluster, nodes: Nodes
) -> None:
    nodes.disks["shop-disk"] = {"trouble": "/i: No such file or directory"}
    body = {"name": "shop", "definition": PATH, "new_disks": {"shop-disk": {"image": "/i"}}}
    refused = await post(client, "/v1/machines", body)
    assert refused["http"] == 422
    told = "disk shop-disk cannot be used from n1, n2, n3: /i: No such file or directory"
    assert told in refused["error"]["message"]
    assert cluster.view().group("shop") is None
    assert sorted(each["node"] for each in nodes.looked) == ["n1", "n2", "n3"]
    assert nodes.looked[0]["disks"] == {"shop-disk": {"image": "/i"}}


@pytest.mark.usefixtures("nodes")
async def test_disks_are_created_with_it(client: TestClient, cluster: PretendCluster) -> None:
    bad = {"name": "shop", "definition": PATH, "new_disks": {"bad": {"colour": "red"}}}
    refused = await post(client, "/v1/machines", bad)
    assert "colour" in refused["error"]["message"]
    assert cluster.view().group("shop") is None, "nothing of it is stored"
    body = {
        "name": "shop",
        "definition": PATH,
        "new_disks": {"shop-disk": {"image": "/shared/shop.img", "mount_point": "/srv/machines"}},
    }
    assert (await post(client, "/v1/machines", body))["http"] == 200
    disk = cluster.view().resource("shop-disk")
    assert disk is not None and disk.private["mount_point"] == "/srv/machines"


@pytest.mark.usefixtures("nodes")
async def test_names_that_are_taken_and_machines_that_are_protected(client: TestClient) -> None:
    body = {"definition": PATH}
    first = await post(client, "/v1/machines", body)
    assert first["changes"][0]["name"] == "virtual-machine-1"
    again = await post(client, "/v1/machines", body)
    assert "virtual-machine-1-configuration protects it already" in again["error"]["message"]


async def test_a_bare_name_is_found_where_the_nodes_have_it(client: TestClient, nodes: Nodes) -> None:
    found = await post(client, "/v1/machines", {"name": "s1", "definition": "shop"})
    assert found["http"] == 200, found
    assert found["judgement"]["definition"] == PATH


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"definition": ""},
        {"definition": 7},
        {"definition": "/a\0b"},
        {"definition": PATH, "name": "a b"},
        {"definition": PATH, "new_disks": {"x": 1}},
        {"definition": PATH, "owners": "n1"},
        {"definition": PATH, "colour": "red"},
    ],
)
async def test_malformed(client: TestClient, body: dict) -> None:
    assert (await post(client, "/v1/machines", body))["http"] == 400


@pytest.mark.usefixtures("nodes")
async def test_a_running_machine_is_asked_at_its_owner(client: TestClient, cluster: PretendCluster) -> None:
    await post(client, "/v1/machines", {"name": "shop", "definition": PATH})
    cluster.logs["shop"] = json.dumps({"status": "running", "pid": 7}).encode()
    (shown,) = (await get(client, "/v1/machines"))["machines"]
    assert (shown["name"], shown["owner"], shown["guest"]) == ("shop", "n1", {"status": "running", "pid": 7})
    told = await post(client, "/v1/machines/SHOP/order", {"verb": "next-offline-action", "action": "save"})
    assert told["http"] == 200
    assert cluster.asked[-1] == ("shop", "next-offline-action", b"save")
    assert (await post(client, "/v1/machines/shop/order", {"verb": "save"}))["http"] == 400
    cluster.logs["shop"] = b"\x89PNG"
    assert (await get(client, "/v1/machines/shop/screenshot"))["png"] == "iVBORw=="
    cluster.logs["shop"] = b"/run/x/console.sock"
    console = await get(client, "/v1/machines/shop/console")
    assert (console["node"], console["path"]) == ("n1", "/run/x/console.sock")


@pytest.mark.usefixtures("nodes")
async def test_a_machine_that_failed_and_was_left_alone_is_asked_too(
    client: TestClient, cluster: PretendCluster
) -> None:
    """Under maintenance: its guest may run, and whoever wants to help needs its console."""
    await post(client, "/v1/machines", {"name": "shop", "definition": PATH})
    cluster.logs["shop"] = b"/run/x/console.sock"
    cluster.report("shop", "shop", state=ResourceState.FAILED, may_run=True)
    assert (await get(client, "/v1/machines/shop/console"))["path"] == "/run/x/console.sock"
    cluster.report("shop", "shop", state=ResourceState.FAILED, may_run=False)
    assert (await get(client, "/v1/machines/shop/console"))["http"] == 422


@pytest.mark.usefixtures("nodes")
async def test_deleting_a_machine_tells_what_stays(client: TestClient) -> None:
    await post(client, "/v1/machines", {"name": "shop", "definition": PATH})
    await post(client, "/v1/groups/shop/offline")
    told = await (await client.delete("/v1/groups/shop")).json()
    (note,) = [each for each in told["notes"] if "saved" in each]
    assert f"stays in {PATH.rpartition('/')[0]}/shop.saved: remove it" in note


@pytest.mark.usefixtures("nodes")
async def test_what_is_repeated_is_done_once(client: TestClient, cluster: PretendCluster) -> None:
    """A protection whose answer was lost is no second one, and a reset button is not pressed twice."""
    headers = {"Request-Id": "asked-0001"}
    first = await post(client, "/v1/machines", {"name": "shop", "definition": PATH}, headers=headers)
    again = await post(client, "/v1/machines", {"name": "shop", "definition": PATH}, headers=headers)
    assert (again["http"], again["repeated"], again["changes"]) == (200, True, first["changes"])
    cluster.logs["shop"] = b""
    headers = {"Request-Id": "asked-0002"}
    assert (await post(client, "/v1/machines/shop/order", {"verb": "reset"}, headers=headers))["repeated"] is False
    again = await post(client, "/v1/machines/shop/order", {"verb": "reset"}, headers=headers)
    assert (again["repeated"], again["machine"], again["verb"]) == (True, "shop", "reset")
    assert [verb for _, verb, _ in cluster.asked] == ["reset"]


@pytest.mark.usefixtures("nodes")
async def test_a_machine_that_does_not_answer_is_shown_all_the_same(client: TestClient) -> None:
    await post(client, "/v1/machines", {"name": "shop", "definition": PATH})
    (shown,) = (await get(client, "/v1/machines/shop"))["machines"]
    assert (shown["guest"], shown["trouble"]) == (None, "shop runs nowhere")
    await post(client, "/v1/resources/shop/offline")
    refused = await get(client, "/v1/machines/shop/console")
    assert (refused["http"], refused["error"]["hint"]) == (422, "clusterctl vm start shop")
    assert (await get(client, "/v1/machines/shop-configuration"))["http"] == 404
