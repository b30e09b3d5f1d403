"""Are hands kept off as asked, is it shown how far that has come, and is nothing else asked of what is hands-off?"""

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster

from clusterd.model.states import ResourceState

SCOPES = [
    ("/v1/groups/web/maintenance", "group web", "clusterctl group maintenance web off"),
    ("/v1/nodes/n1/maintenance", "node n1", "clusterctl node maintenance n1 off"),
    ("/v1/cluster/maintenance", "the cluster", "clusterctl cluster maintenance off"),
]


@pytest.mark.parametrize(("path", "scope", "end"), SCOPES)
async def test_what_is_hands_off_is_told_and_refuses_requests(
    client: TestClient, cluster: PretendCluster, path: str, scope: str, end: str
) -> None:
    await apply(client)
    found = await post(client, path, {"on": True, "reason": "new firmware"})
    assert (found["http"], found["changed"]) == (200, True)
    assert (await post(client, "/v1/wait", {"for": found["wait_for"]}))["reached"] is True
    shown = (await get(client, "/v1/groups/web"))["groups"][0]
    assert "hands-off" in shown["status"]
    assert (shown["maintenance"]["scope"], shown["maintenance"]["by"]) == (scope, "an operator")
    assert (shown["maintenance"]["reason"], shown["maintenance"]["in_force"]) == ("new firmware", True)
    assert shown["maintenance"]["since"] == "2026-01-01T00:00:00.000Z"
    for each in ("groups/web/online", "groups/web/offline", "groups/web/move", "resources/web-data/fail"):
        refused = await post(client, f"/v1/{each}")
        assert (refused["http"], refused["error"]["rule"]) == (422, "hands-off"), each
        assert f"hands off: {scope} is in maintenance (new firmware)" in refused["error"]["message"]
        assert refused["error"]["hint"] == f"end it first: {end}"
    status = await get(client, "/v1/status")
    assert status["healthy"] is True
    assert any(scope in each for each in status["notices"])
    found = await post(client, path, {"on": False})
    assert (await post(client, "/v1/wait", {"for": found["wait_for"]}))["reached"] is True
    assert (await post(client, "/v1/groups/web/offline"))["changed"] is True
    names = [each["name"] for each in (await get(client, "/v1/events"))["events"]]
    assert "maintenance.begun" in names
    assert "maintenance.ended" in names


async def test_one_resource_is_hands_off_alone(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    found = await post(client, "/v1/resources/web-data/maintenance", {"on": True})
    assert found["wait_for"] == ["resource web-data hands-off"]
    assert (await post(client, "/v1/wait", {"for": found["wait_for"]}))["reached"] is True
    refused = await post(client, "/v1/resources/web-data/offline")
    assert refused["error"]["hint"] == "end it first: clusterctl resource maintenance web-data off"
    assert (await post(client, "/v1/resources/web-server/fail"))["changed"] is True
    shown = (await get(client, "/v1/resources/web-data"))["resources"][0]
    assert (shown["maintenance"]["scope"], shown["maintenance"]["in_force"]) == ("resource web-data", True)
    notices = (await get(client, "/v1/status"))["notices"]
    assert notices == ["hands off: resource web-data is in maintenance, asked for by an operator"]


async def test_asked_for_during_a_recovery_it_waits_and_says_for_what(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    cluster.acts = False
    cluster.report("web", "web-server", state=ResourceState.ONLINE_PENDING, cause="restart 1 of 1")
    found = await post(client, "/v1/groups/web/maintenance", {"on": True})
    waited = await post(client, "/v1/wait", {"for": found["wait_for"], "timeout_ms": 0})
    assert waited["reached"] is False
    assert "waits for the end of what is under way: web-server: restart 1 of 1" in waited["conditions"][0]["now"]
    shown = (await get(client, "/v1/groups/web"))["groups"][0]["maintenance"]
    assert (shown["in_force"], shown["waits_for"]) == (False, "web-server: restart 1 of 1")


async def test_what_is_so_already_is_no_change(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    found = await post(client, "/v1/groups/web/maintenance", {"on": False})
    assert (found["changed"], found["notes"]) == (False, ["group web is not in maintenance already"])
    await post(client, "/v1/groups/web/maintenance", {"on": True, "reason": "one"})
    again = await post(client, "/v1/groups/web/maintenance", {"on": True})
    assert (again["changed"], again["notes"]) == (False, ["group web is in maintenance already"])
    assert (await post(client, "/v1/groups/web/maintenance", {"on": True, "reason": "two"}))["changed"] is True


async def test_the_end_of_a_part_says_that_the_whole_goes_on(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await post(client, "/v1/cluster/maintenance", {"on": True})
    await post(client, "/v1/groups/web/maintenance", {"on": True})
    found = await post(client, "/v1/groups/web/maintenance", {"on": False})
    assert found["notes"] == ["hands stay off: the cluster is in maintenance"]


async def test_the_end_of_a_part_is_not_waited_for_while_the_whole_is_in_maintenance(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    await post(client, "/v1/groups/web/maintenance", {"on": True})
    assert (await post(client, "/v1/groups/web/maintenance", {"on": False}))["wait_for"] == ["group web hands-on"]
    await post(client, "/v1/groups/web/maintenance", {"on": True})
    await post(client, "/v1/cluster/maintenance", {"on": True})
    found = await post(client, "/v1/groups/web/maintenance", {"on": False})
    assert (found["changed"], found["wait_for"]) == (True, [])


async def test_a_node_in_maintenance_says_so(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.heeds_maintenance = False
    await post(client, "/v1/nodes/n1/maintenance", {"on": True})
    shown = (await get(client, "/v1/nodes/n1"))["nodes"][0]
    assert (shown["state"], shown["status"], shown["maintenance"]["in_force"]) == ("up", ["hands-off"], False)
    waited = await post(client, "/v1/wait", {"for": "node n1 hands-off", "timeout_ms": 0})
    assert (waited["reached"], waited["conditions"][0]["now"]) == (
        False,
        "node n1: hands are kept off; still to come for web",
    )
