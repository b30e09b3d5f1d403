"""Are nodes, resource types, rules and group sets shown, changed and refused as they should be?"""

from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster, service

from clusterd.database import Draft
from clusterd.model import keys
from clusterd.model.ids import NodeId
from clusterd.model.records import NodeFactsRecord, ResourceTypeRecord
from clusterd.model.settings_catalogue import Scope, settings_of


async def change(client: TestClient, method: str, path: str, body: dict | None = None, **headers: str) -> dict:
    response = await client.request(method, path, json=body or {}, headers=headers)
    return {"http": response.status, **await response.json()}


async def patch(client: TestClient, path: str, **properties: object) -> dict:
    return await change(client, "PATCH", path, {"properties": properties})


@pytest.fixture
def groups(cluster: PretendCluster) -> PretendCluster:
    """Groups a, b and c, each online with one service."""
    for name in ("a", "b", "c"):
        cluster.add_group(name, service(f"{name}-server", name))
    cluster.act()
    return cluster


# ---- what is shown ----


@pytest.mark.parametrize(
    ("path", "collection", "scope"),
    [
        ("/v1/cluster", "", Scope.CLUSTER),
        ("/v1/nodes/n1", "nodes", Scope.NODE),
        ("/v1/groups/a", "groups", Scope.GROUP),
        ("/v1/resources/a-server", "resources", Scope.RESOURCE),
        ("/v1/resource-types/generic_service", "resource_types", Scope.RESOURCE_TYPE),
        ("/v1/group-sets/s", "group_sets", Scope.GROUP_SET),
    ],
)
async def test_every_property_of_every_scope_is_shown(
    client: TestClient, groups: PretendCluster, path: str, collection: str, scope: Scope
) -> None:
    await post(client, "/v1/group-sets", {"name": "s", "groups": ["a"]})
    found = await get(client, path)
    shown = found[collection][0] if collection else found
    assert [each["name"] for each in shown["settings"]] == list(settings_of(scope))
    for each in shown["settings"]:
        setting = settings_of(scope)[each["name"]]
        assert (each["reference_name"], each["unit"], each["says"]) == (
            setting.reference_name,
            setting.unit,
            setting.says,
        )
        assert each["is_default"] == (each["value"] == each["default"])
    assert isinstance(shown["revision"], int)


def setting_in(found: dict, name: str) -> dict:
    return next(each for each in found["settings"] if each["name"] == name)


async def test_words_are_shown_with_what_they_stand_for(client: TestClient, groups: PretendCluster) -> None:
    group = (await get(client, "/v1/groups/a"))["groups"][0]
    threshold = setting_in(group, "failover_threshold")
    assert (threshold["text"], threshold["in_force"]) == ("nodes-1", 2)
    await patch(client, "/v1/resource-types/generic_service", pending_timeout="5min", LooksAlivePollInterval="7s")
    resource = (await get(client, "/v1/resources/a-server"))["resources"][0]
    pending = setting_in(resource, "pending_timeout")
    assert (pending["text"], pending["in_force_text"], pending["is_default"]) == ("type", "5min", True)
    assert setting_in(resource, "looks_alive_poll_interval")["in_force"] == 7000
    groups.write(Draft(groups.view()).put(NodeFactsRecord(NodeId("n1"), memory_mib=32_000, cores=8)))
    node = (await get(client, "/v1/nodes/n1"))["nodes"][0]
    assert [setting_in(node, name)["in_force"] for name in ("memory_capacity", "core_capacity")] == [32_000, 32]


# ---- cluster, nodes, types ----


async def test_the_cluster_in_both_spellings(client: TestClient, cluster: PretendCluster) -> None:
    found = await patch(client, "/v1/cluster", QuarantineDuration="1h", auto_balancer_mode=0, drain_on_shutdown=None)
    assert found["changes"][0]["details"] == [
        "auto_balancer_mode: always by default → off",
        "quarantine_duration: 2h by default → 1h",
    ]
    assert cluster.view().cluster().properties["auto_balancer_mode"] == "off"
    found = await patch(client, "/v1/cluster", quarantine_duration=None)
    assert found["changes"][0]["details"] == ["quarantine_duration: 1h → 2h by default"]


@pytest.mark.parametrize(
    ("path", "properties", "says"),
    [
        ("/v1/cluster", {"dynamic_quorum": 1}, "dynamic_quorum cannot be set: votes do not change by themselves"),
        ("/v1/cluster", {"quorum": 1, "x": None}, "x: there is no cluster property x"),
        ("/v1/cluster", {"preferred_site": "east"}, "no node is at site east: first say where nodes are"),
        ("/v1/cluster", {"RunLease": "3s", "run_lease": None}, "run_lease is both set and taken back to its default"),
        ("/v1/nodes/n1", {"fault_domain": "rack:r/site:s"}, "site stands inside rack: write it from the outside in"),
        ("/v1/nodes/n1", {"node_weight": 0}, "node_weight cannot be set: every node has one vote"),
        ("/v1/nodes/n1", {"memory_reserve": 5, "memory_capacity": 4}, "no more can be reserved than there is"),
        ("/v1/groups/a", {"failback_window_start": 3}, "failback_window_end is not set"),
        ("/v1/groups/a", {"preferred_site": "east"}, "no node is at site east"),
        ("/v1/resources/a-server", {"retry_period_on_failure": "1s"}, "must be at least restart_period"),
        (
            "/v1/resource-types/generic_service",
            {"restart_delay": 1},
            "there is no resource type property restart_delay",
        ),
        ("/v1/resource-types/generic_service", {"is_alive_poll_interval": 0}, "is between 1ms and"),
        ("/v1/resource-types/generic_servic", {}, "did you mean generic_service?"),
    ],
)
async def test_properties_that_are_refused(
    client: TestClient, groups: PretendCluster, path: str, properties: dict, says: str
) -> None:
    before = groups.database.revision
    found = await patch(client, path, **properties)
    assert (found["http"], found["error"]["code"]) == (400, "bad-input")
    assert says in found["error"]["message"]
    assert groups.database.revision == before


async def test_nodes_and_sites(client: TestClient, groups: PretendCluster) -> None:
    found = await patch(client, "/v1/nodes/N1", FaultDomain="site:East/rack:r1", description="top of rack")
    assert found["changes"][0]["name"] == "n1"
    await patch(client, "/v1/groups/a", preferred_site="EAST")
    assert groups.view().group("a").properties["preferred_site"] == "East"
    found = await patch(client, "/v1/groups/b", preferred_site="eats")
    assert "did you mean East?" in found["error"]["message"]
    found = await patch(client, "/v1/nodes/n1", fault_domain="site:west")
    assert found["notes"] == ["no node is at site East any more, which group a prefer"]
    assert (await patch(client, "/v1/groups/a", priority="high"))["changed"]  # what it had before is not asked again
    assert (await change(client, "PATCH", "/v1/nodes/n7"))["error"]["hint"] == "there are n1, n2, n3"
    found = await patch(client, "/v1/nodes/n2", avoid_placement=True)
    assert found["notes"] == ["groups that are on the node stay there; to empty it: clusterctl node drain"]


async def test_resource_types(client: TestClient, groups: PretendCluster) -> None:
    found = await patch(client, "/v1/resource-types/Generic_Service", pending_timeout="10min")
    assert found["changes"][0]["details"] == ["pending_timeout: 3min by default → 10min"]
    assert "3 resources of the type go by it" in found["notes"]
    assert "costs its resource host" in found["notes"][0]
    assert (await patch(client, "/v1/resource-types/generic_service", pending_timeout=600_000))["changed"] is False
    await patch(client, "/v1/resource-types/generic_service", pending_timeout=None)
    assert groups.view().revision_of(keys.type_settings("generic_service")) == 0


async def test_settings_without_effect_are_noted(client: TestClient, groups: PretendCluster) -> None:
    found = await patch(client, "/v1/groups/a", auto_failback_type="allow")
    assert found["notes"] == [
        "auto_failback_type is allow, but without preferred owners there is no node to go back to"
    ]
    found = await patch(client, "/v1/resources/a-server", deadlock_timeout="1s")
    assert "costs its resource host" in found["notes"][0]


async def test_owners_that_cannot_be_are_noted(client: TestClient, groups: PretendCluster) -> None:
    found = await change(client, "PATCH", "/v1/resources/a-server", {"possible_owners": ["n2"]})
    assert found["notes"] == []
    found = await change(client, "PATCH", "/v1/groups/a", {"preferred_owners": ["n2", "n1"]})
    assert found["notes"] == ["n1 is a preferred owner of a, and a-server may not run there: it has no effect"]
    text = await (await client.get("/v1/export")).text()
    found = await apply(client, text.replace("preferred_owners: [n2, n1]", "preferred_owners: [n3]"))
    assert found["notes"] == ["n3 is a preferred owner of a, and a-server may not run there: it has no effect"]
    for name in ("a", "b"):
        await patch(client, f"/v1/groups/{name}", anti_affinity_class_names=["web"])
    found = await post(client, "/v1/rules", {"name": "r", "kind": "same-node", "groups": ["a", "b"]})
    assert found["notes"] == [
        "rule r keeps a and b together, and anti-affinity class web keeps them apart: the rule wins"
    ]


# ---- rules ----


async def test_a_rules_life(client: TestClient, groups: PretendCluster) -> None:
    body = {"name": "apart", "kind": "DifferentNode", "groups": ["A", "b"]}
    assert (await post(client, "/v1/rules", body))["changes"][0]["details"] == ["different-node", "a, b"]
    assert (await post(client, "/v1/rules", {**body, "name": "APART"}))["error"]["code"] == "refused"
    shown = (await get(client, "/v1/rules"))["rules"]
    assert [(each["name"], each["kind"], each["enabled"]) for each in shown] == [("apart", "different-node", True)]
    assert shown[0]["groups"] == [{"name": "a", "owner": "n1"}, {"name": "b", "owner": "n1"}]
    assert (await get(client, "/v1/groups/a"))["groups"][0]["rules"] == ["apart"]
    found = await change(client, "PATCH", "/v1/rules/apart", {"enabled": False})
    assert found["changes"][0]["details"] == ["enabled: true → false"]
    assert (await change(client, "PATCH", "/v1/rules/apart", {"enabled": False}))["changed"] is False
    found = await change(client, "PATCH", "/v1/rules/apart", {"groups": ["a", "b", "c"], "kind": "same-node"})
    assert (await change(client, "DELETE", "/v1/rules/apart"))["changed"]
    assert (await get(client, "/v1/rules"))["rules"] == []
    assert (await get(client, "/v1/rules/apart"))["error"]["hint"] == "there is none yet"


@pytest.mark.parametrize(
    ("body", "http", "says"),
    [
        ({"name": "r", "kind": "same-node", "groups": ["a"]}, 422, "a rule needs at least 2 groups, r has 1"),
        ({"name": "r", "kind": "same-node"}, 422, "a rule needs at least 2 groups, r has 0"),
        ({"name": "r", "kind": "same-node", "groups": ["a", "A"]}, 400, "A is named twice"),
        ({"name": "r", "kind": "same-node", "groups": ["a", "zz"]}, 400, "there is no group zz: there are a, b, c"),
        ({"name": "r", "kind": "near", "groups": ["a", "b"]}, 400, "the kind of a rule is same-node, different-node"),
        ({"name": "r", "groups": ["a", "b"]}, 400, "the kind of a rule is"),
        ({"name": "<r>", "kind": "same-node", "groups": ["a", "b"]}, 400, "a name has letters"),
        (
            {"name": "r", "kind": "same-node", "groups": ["a", "b"]},
            422,
            "rule first (different-node) keeps a and b apart",
        ),
        ({"name": "r", "kind": 2, "groups": "a,b"}, 400, "groups is a list of names"),
        ({"name": "r", "kind": 2, "groups": ["a", "b"], "enabled": 1}, 400, "enabled is true or false"),
    ],
)
async def test_rules_that_are_refused(
    client: TestClient, groups: PretendCluster, body: dict, http: int, says: str
) -> None:
    await post(client, "/v1/rules", {"name": "first", "kind": "different-node", "groups": ["a", "b"]})
    before = groups.database.revision
    found = await post(client, "/v1/rules", body)
    assert found["http"] == http and says in found["error"]["message"]
    assert groups.database.revision == before


async def test_a_disabled_rule_may_contradict_until_it_is_enabled(client: TestClient, groups: PretendCluster) -> None:
    await post(client, "/v1/rules", {"name": "apart", "kind": "different-node", "groups": ["a", "b"]})
    body = {"name": "near", "kind": "same-node", "groups": ["a", "b"], "enabled": False}
    assert (await post(client, "/v1/rules", body))["changed"]
    found = await change(client, "PATCH", "/v1/rules/near", {"enabled": True})
    assert "rule near (same-node) keeps them together" in found["error"]["message"]


# ---- group sets ----


async def test_a_group_sets_life(client: TestClient, groups: PretendCluster) -> None:
    body = {"name": "base", "groups": ["A"], "properties": {"StartupSetting": 2, "startup_delay": "1min"}}
    assert (await post(client, "/v1/group-sets", body))["changed"]
    await post(client, "/v1/group-sets", {"name": "top", "groups": ["b"], "providers": ["BASE"]})
    [base, top] = (await get(client, "/v1/group-sets"))["group_sets"]
    assert (base["startup_setting"], base["startup_delay_ms"], top["waits_for"]) == ("online", 60_000, ["base"])
    assert (await get(client, "/v1/groups/a"))["groups"][0]["group_sets"] == ["base"]
    found = await change(client, "PATCH", "/v1/group-sets/base", {"groups": ["a", "c"], "properties": {"IsGlobal": 1}})
    assert found["changes"][0]["details"] == ["groups: [a] → [a, c]", "is_global: false by default → true"]
    found = await change(client, "DELETE", "/v1/group-sets/base")
    assert found["notes"] == ["group set top does not wait for base any more"]
    assert [each.providers for each in groups.view().group_sets()] == [()]


@pytest.mark.parametrize(
    ("body", "http", "says"),
    [
        ({"groups": ["a"]}, 422, "group a is in set base already"),
        ({"groups": ["z"]}, 400, "there is no group z: there are a, b, c"),
        ({"providers": ["bse"]}, 400, "there is no group set bse: did you mean base?"),
        ({"providers": ["s"]}, 422, "set s cannot depend on itself"),
        ({"groups": ["b"], "properties": {"startup_count": 2}}, 422, "it would never be ready; lower it, or say all"),
        ({"properties": {"startup_setting": "os-heartbeat"}}, 422, "needs a resource type that reports it"),
        ({"properties": {"startup_setting": 5}}, 400, "startup_setting is one of delay (1), online (2)"),
        ({"properties": {"startup_delay": "10min"}}, 422, "group_dependency_timeout of the cluster 600 s"),
        ({"properties": {"is_global": True}, "groups": ["b"]}, 422, "wait for each other in a circle: base → s"),
        ({"properties": {"priority": 1}}, 400, "there is no group set property priority"),
    ],
)
async def test_group_sets_that_are_refused(
    client: TestClient, groups: PretendCluster, body: dict, http: int, says: str
) -> None:
    await post(client, "/v1/group-sets", {"name": "base", "groups": ["a"], "properties": {"is_global": True}})
    before = groups.database.revision
    found = await post(client, "/v1/group-sets", {"name": "s", **body})
    assert found["http"] == http and says in found["error"]["message"], found
    assert groups.database.revision == before


async def test_a_circle_through_an_edit_is_refused(client: TestClient, groups: PretendCluster) -> None:
    await post(client, "/v1/group-sets", {"name": "base"})
    await post(client, "/v1/group-sets", {"name": "top", "providers": ["base"]})
    found = await change(client, "PATCH", "/v1/group-sets/base", {"providers": ["top"]})
    assert "in a circle: base → top → base" in found["error"]["message"]


async def test_the_clusters_timeout_is_held_against_the_sets(client: TestClient, groups: PretendCluster) -> None:
    await post(client, "/v1/group-sets", {"name": "s", "properties": {"startup_delay": "5min"}})
    found = await patch(client, "/v1/cluster", group_dependency_timeout="4min")
    assert found["http"] == 422 and "startup_delay of set s is 300 s" in found["error"]["message"]
    found = await apply(client, "cluster: {properties: {group_dependency_timeout: 4min}}")
    assert "group set s, which the manifest leaves out" in found["error"]["message"]


# ---- groups go, and two administrators at once ----


async def test_a_deleted_group_leaves_rules_and_sets(client: TestClient, groups: PretendCluster) -> None:
    await post(client, "/v1/rules", {"name": "pair", "kind": "same-node", "groups": ["a", "b"]})
    await post(client, "/v1/rules", {"name": "three", "kind": "same-node", "groups": ["a", "b", "c"]})
    body = {"name": "s", "groups": ["a", "c"], "properties": {"startup_count": 2}}
    await post(client, "/v1/group-sets", body)
    await post(client, "/v1/groups/a/offline")
    found = await change(client, "DELETE", "/v1/groups/a")
    assert found["notes"] == [
        "rule pair is deleted too: without a it has nothing to say",
        "rule three holds without a from now on",
        "group set s holds without a from now on",
    ]
    assert [(each.name, each.groups) for each in groups.view().rules()] == [("three", ("b", "c"))]
    [left] = groups.view().group_sets()
    assert (left.groups, left.properties["startup_count"]) == (("c",), 1)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/v1/cluster", {"properties": {"description": "x"}}),
        ("PATCH", "/v1/nodes/n1", {"properties": {"description": "x"}}),
        ("PATCH", "/v1/groups/a", {"properties": {"description": "x"}}),
        ("PATCH", "/v1/resources/a-server", {"properties": {"description": "x"}}),
        ("PATCH", "/v1/resource-types/generic_service", {"properties": {"pending_timeout": "1min"}}),
        ("PATCH", "/v1/rules/r", {"enabled": False}),
        ("DELETE", "/v1/rules/r", {}),
        ("PATCH", "/v1/group-sets/s", {"properties": {"is_global": True}}),
        ("DELETE", "/v1/group-sets/s", {}),
        ("DELETE", "/v1/groups/c", {}),
        ("DELETE", "/v1/resources/c-server", {}),
    ],
)
async def test_the_second_of_two_administrators_gets_the_newer_revision(
    client: TestClient, groups: PretendCluster, method: str, path: str, body: dict
) -> None:
    await post(client, "/v1/rules", {"name": "r", "kind": "same-node", "groups": ["a", "b"]})
    await post(client, "/v1/group-sets", {"name": "s", "groups": ["a"]})
    await patch(client, "/v1/resource-types/generic_service", pending_timeout="2min")
    await post(client, "/v1/groups/c/offline")
    shown = await get(client, path)
    collection = path.split("/")[2].replace("-", "_")
    revision = (shown[collection][0] if collection in shown else shown)["revision"]
    found = await change(client, method, path, body, **{"If-Match": str(revision - 1)})
    assert (found["http"], found["error"]["code"]) == (409, "conflict")
    assert f"is at revision {revision} now, not {revision - 1}" in found["error"]["message"]
    assert found["error"]["hint"].endswith(f"--if-revision {revision}")
    assert (await change(client, method, path, body, **{"If-Match": str(revision)}))["changed"]


async def test_a_value_that_one_possible_owner_does_not_know_is_refused(
    client: TestClient, cluster: PretendCluster
) -> None:
    """n2 still has the version before, which does not know `stop_grace`."""
    await apply(client)
    known = cluster.view().get(ResourceTypeRecord, keys.resource_type("generic_service", "n2"))
    assert known is not None
    old = {name: part for name, part in known.schema["properties"].items() if name != "stop_grace"}
    before = replace(known, version="0.1", schema={**known.schema, "properties": old})
    cluster.write(Draft(cluster.view()).put(before))
    path = "/v1/resources/a-server"
    await post(client, "/v1/groups", {"name": "a"})
    body = {"name": "a-server", "group": "a", "type": "generic_service", "properties": {"command": ["/bin/true"]}}
    assert (await post(client, "/v1/resources", body))["http"] == 200
    response = await client.patch(path, json={"properties": {"stop_grace": "3s"}})
    told = (await response.json())["error"]["message"]
    assert "n2 has version 0.1 of generic_service, which refuses it: stop_grace" in told
    owners = {"possible_owners": ["n1", "n3"], "properties": {"stop_grace": "3s"}}
    assert (await client.patch(path, json=owners)).status == 200
    found = (await get(client, "/v1/resource-types/generic_service"))["resource_types"][0]
    assert found["versions"]["n2"] == "0.1" and found["versions"]["n1"] == found["version"] != "0.1"
