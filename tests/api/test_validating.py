"""Does the API ask every node, judge what they say, and keep the report?"""

import json
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from asking import apply, get
from pretend_cluster import MANIFEST, TOKEN, WALL_MS, PretendCluster

from clusterd.api.kept_reports import KEPT_MAX, KeptReports
from clusterd.api.server import create_app
from clusterd.database import Draft
from clusterd.model.errors import NotFound, UnknownOutcome
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import ResourceRecord
from clusterd.validation import Hypervisor, MachineFacts, NodeAnswer, PeerFacts, encode


def facts(node: NodeId) -> bytes:
    peers = tuple(PeerFacts(each, 500, 0) for each in ("n1", "n2", "n3") if each != node)
    return encode(
        NodeAnswer(MachineFacts(host_name=node, kernel="6.1", boot_id=node), containment="cgroup", peers=peers)
    )


@pytest.fixture
def answering(cluster: PretendCluster) -> PretendCluster:
    cluster.node_answers["facts"] = facts
    return cluster


def test_of(found: dict, name: str) -> dict:
    return next(each for each in found["tests"] if each["name"] == name)


test_of.__test__ = False  # type: ignore[attr-defined]


async def test_every_node_is_asked_once(client: TestClient, answering: PretendCluster) -> None:
    found = await get(client, "/v1/validation")
    assert found["http"] == 200
    assert sorted(answering.told) == [("n1", "facts"), ("n2", "facts"), ("n3", "facts")]
    assert test_of(found, "same-kernel")["verdict"] == "pass"
    assert test_of(found, "fence-agents")["verdict"] == "warning"
    assert test_of(found, "group-resources")["findings"] == []
    assert found["summary"][0]["category"] == "inventory"
    assert found["report"] is None, "without a folder nothing is kept"


async def test_a_node_that_cannot_be_reached_is_not_asked(client: TestClient, answering: PretendCluster) -> None:
    answering.unreachable.add("n3")
    found = await get(client, "/v1/validation")
    told = test_of(found, "node-answers")["findings"]
    assert [(each["about"], each["verdict"]) for each in told] == [("n1", "pass"), ("n2", "pass"), ("n3", "failure")]
    assert ("n3", "facts") not in answering.told
    assert found["outcome"] == "not-approved"


async def test_a_node_that_does_not_answer_is_a_finding(client: TestClient, answering: PretendCluster) -> None:
    def silent(node: NodeId) -> bytes:
        if node == "n1":
            raise UnknownOutcome("n1 did not answer in time")
        return b"nonsense" if node == "n3" else facts(node)

    answering.node_answers["facts"] = silent
    found = await get(client, "/v1/validation", only="node-answers")
    told = {each["about"]: each["saw"] for each in test_of(found, "node-answers")["findings"]}
    assert "n1 did not answer in time" in told["n1"]
    assert "did not say what its machine is like" in told["n3"]


async def test_tests_are_chosen(client: TestClient, answering: PretendCluster) -> None:
    found = await get(client, "/v1/validation", only="network,watchdog", skip="clock-kept")
    made = {each["name"] for each in found["tests"] if each["verdict"] != "skipped"}
    assert {"communication", "watchdog"} <= made
    assert "clock-kept" not in made and "same-kernel" not in made
    refused = await get(client, "/v1/validation", only="netwrok")
    assert (refused["http"], refused["error"]["code"]) == (400, "bad-input")
    assert "did you mean network" in refused["error"]["message"]


async def test_a_disk_is_asked_through_its_owner(client: TestClient, answering: PretendCluster) -> None:
    await apply(client)
    disk = ResourceRecord(ResourceId("disk"), GroupId("web"), "physical_disk")
    answering.write(Draft(answering.view()).put(disk))
    answering.act()
    found = await get(client, "/v1/validation", only="storage")
    assert test_of(found, "reservations")["verdict"] == "warning", "its owner says nothing"
    answering.logs["disk"] = json.dumps({"standing": "held", "guarantee": "storage", "key": "c1-7"}).encode()
    found = await get(client, "/v1/validation", only="storage")
    assert [each["saw"] for each in test_of(found, "reservations")["findings"]] == ["reserved by c1-7"]
    answering.logs["disk"] = json.dumps({"standing": "lost", "guarantee": "cooperative"}).encode()
    found = await get(client, "/v1/validation", only="storage")
    assert test_of(found, "reservations")["verdict"] == "failure"
    assert test_of(found, "disk-guarantees")["verdict"] == "warning"


async def test_resources_are_listed_with_what_they_depend_on(client: TestClient, answering: PretendCluster) -> None:
    await apply(client)
    found = await get(client, "/v1/validation", only="group-resources")
    (told,) = test_of(found, "group-resources")["findings"]
    assert (told["about"], told["verdict"]) == ("web", "pass")
    assert told["saw"].startswith("on n1: ")
    assert "web-server (generic_service, online, depends on [web-data])" in told["saw"]


async def test_a_command_that_hands_its_work_over_is_a_finding(client: TestClient, answering: PretendCluster) -> None:
    await apply(client)
    test = test_of(await get(client, "/v1/validation", only="contained-commands"), "contained-commands")
    assert test["verdict"] == "pass"
    await apply(client, MANIFEST.replace('[python3, -m, http.server, "8081"]', "[podman, run, web]"))
    test = test_of(await get(client, "/v1/validation", only="contained-commands"), "contained-commands")
    [finding] = test["findings"]
    assert (test["verdict"], finding["about"]) == ("warning", "web-server")
    assert "it starts podman: only that client is watched" in finding["saw"] and "Quadlet" in finding["advice"]


async def test_every_node_looks_for_the_disks(client: TestClient, answering: PretendCluster) -> None:
    await apply(client)
    disk = ResourceRecord(ResourceId("disk"), GroupId("web"), "physical_disk", private={"image": "/shared/disk.img"})
    answering.write(Draft(answering.view()).put(disk))
    asked: list[tuple[str, str, object]] = []

    def looks(node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
        asked.append((type_name, question, json.loads(body)))
        if node == "n2":
            raise UnknownOutcome("its host did not answer in time")
        return json.dumps({"disks": {"disk": {"size_bytes": 1 << 20, "holder": "c1-7", "read_us": 90}}}).encode()

    answering.type_answers = looks
    found = await get(client, "/v1/validation", only="storage")
    assert sorted(each["node"] for _, _, each in asked) == ["n1", "n2", "n3"]  # type: ignore[index]
    assert asked[0][:2] == ("physical_disk", "disks")
    assert asked[0][2]["disks"] == {"disk": {"image": "/shared/disk.img"}}  # type: ignore[index]
    told = {each["about"]: (each["verdict"], each["saw"]) for each in test_of(found, "disks-reachable")["findings"]}
    assert told["disk from n1"] == ("pass", "1 MiB, claimed by c1-7")
    assert told["disk from n2"][0] == "failure"
    assert "its host did not answer in time" in told["disk from n2"][1]
    assert test_of(found, "disk-latency")["verdict"] == "pass"


async def test_protected_machines_are_judged_again(client: TestClient, answering: PretendCluster) -> None:
    await apply(client)
    path = "/srv/shop.toml"
    record = ResourceRecord(
        ResourceId("conf"), GroupId("web"), "virtual_machine_configuration", private={"definition": path}
    )
    answering.write(Draft(answering.view()).put(record))
    machine = MachineFacts(kernel="6.1", boot_id="one", hypervisor=Hypervisor("7.2", "/q"))
    answering.node_answers["facts"] = lambda node: encode(NodeAnswer(machine, containment="cgroup"))

    def looks(node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
        assert json.loads(body) == {"definitions": [path], "saved_state_folders": []}
        if node == "n3":
            return json.dumps({"definitions": [{"name": "shop", "path": path, "trouble": f"no {path}"}]}).encode()
        share = {"role": "definition", "path": path, "file_system": "nfs4", "source": "s:/m", "is_in_use": True}
        return json.dumps({"machine": "m", "definitions": [{"name": "shop", "path": path, "files": [share]}]}).encode()

    answering.type_answers = looks
    found = await get(client, "/v1/validation", only="definitions")
    (told,) = test_of(found, "definitions")["findings"]
    assert (told["about"], told["verdict"]) == ("conf", "failure")
    assert f"definition {path} is not to be had on n3" in told["saw"]
    assert "protects it already" not in told["saw"] and "has its disk open" not in told["saw"]


@pytest.mark.parametrize(
    ("name", "kinds", "said"),
    [
        ("one share", {"n1": "nfs4", "n2": "nfs4", "n3": "nfs4"}, ""),
        ("each node's own", {"n1": "ext4", "n2": "ext4", "n3": "ext4"}, "is on local storage"),
        ("not everywhere", {"n1": "nfs4", "n2": "nfs4"}, "is not to be had on n3: /memory: No such file or directory"),
    ],
)
async def test_where_machines_save_their_memory(
    client: TestClient, answering: PretendCluster, name: str, kinds: dict[str, str], said: str
) -> None:
    await apply(client)
    path = "/srv/shop.toml"
    saves = {"configuration": path, "saved_state_folder": "/memory"}
    draft = Draft(answering.view())
    conf, shop, web = ResourceId("conf"), ResourceId("shop"), GroupId("web")
    draft.put(ResourceRecord(conf, web, "virtual_machine_configuration", private={"definition": path}))
    draft.put(ResourceRecord(shop, web, "virtual_machine", private=saves, depends_on="[conf]"))
    answering.write(draft)

    def machine(node: NodeId) -> bytes:
        facts = MachineFacts(kernel="6.1", boot_id=node, hypervisor=Hypervisor("7.2", "/q"))
        return encode(NodeAnswer(facts, containment="cgroup"))

    def looks(node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
        assert json.loads(body)["saved_state_folders"] == ["/memory"]
        definition = {"role": "definition", "path": path, "file_system": "nfs4", "source": "s:/m"}
        folder = {"role": "saved-state folder", "path": "/memory", "file_system": kinds.get(node, ""), "source": "s:/m"}
        if node not in kinds:
            folder = {"role": "saved-state folder", "path": "/memory", "trouble": "/memory: No such file or directory"}
        found = {"definitions": [{"name": "shop", "path": path, "files": [definition]}]}
        return json.dumps({"machine": node, **found, "saved_state_folders": [folder]}).encode()

    answering.node_answers["facts"] = machine
    answering.type_answers = looks
    (told,) = test_of(await get(client, "/v1/validation", only="definitions"), "definitions")["findings"]
    assert said in told["saw"], name
    assert ("boots the guest afresh" in told["saw"]) == bool(said)
    assert told["verdict"] == ("warning" if said else "pass")


async def test_the_report_is_kept(cluster: PretendCluster, tmp_path: Path) -> None:
    cluster.node_answers["facts"] = facts
    server = TestServer(create_app(cluster, TOKEN, tmp_path / "reports"))
    async with TestClient(server, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        found = await get(client, "/v1/validation")
        kept = await get(client, "/v1/reports")
        assert kept["reports"] == [found["report"]]
        again = await get(client, f"/v1/reports/{found['report']}")
        assert again["tests"] == found["tests"]
        for name in ("validation-1", "..%2f..%2fetc%2fpasswd"):
            assert (await get(client, f"/v1/reports/{name}"))["http"] == 404


async def test_a_report_that_cannot_be_kept_is_said(cluster: PretendCluster, tmp_path: Path) -> None:
    cluster.node_answers["facts"] = facts
    in_the_way = tmp_path / "reports"
    in_the_way.write_text("a file")
    server = TestServer(create_app(cluster, TOKEN, in_the_way))
    async with TestClient(server, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        found = await get(client, "/v1/validation")
        assert found["http"] == 200
        assert "could not be kept" in found["notes"][0]


def test_the_newest_reports_of_each_kind_stay(tmp_path: Path) -> None:
    reports = KeptReports(tmp_path / "reports")
    ids = [reports.keep("validation", WALL_MS + number, {"number": number}) for number in range(KEPT_MAX + 3)]
    other = reports.keep("protect", WALL_MS, {})
    assert reports.ids("validation") == ids[:2:-1]
    assert reports.ids("protect") == [other]
    assert reports.read(ids[-1])["number"] == KEPT_MAX + 2
    with pytest.raises(NotFound):
        reports.read(ids[0])
