"""When is a deleted resource given up, and its name free for another group?"""

import json

from aiohttp.test_utils import TestClient
from asking import apply, post
from pretend_cluster import PretendCluster, service

from clusterd.database import Draft
from clusterd.model import keys
from clusterd.model.states import Order, Wanted


async def test_a_name_is_free_when_nothing_of_the_deleted_one_can_run(
    client: TestClient, cluster: PretendCluster
) -> None:
    """Its owner may have started it since its last report, and be cut off."""
    await apply(client)
    cluster.add_group("cache", service("memory", "cache"))
    await post(client, "/v1/groups/web/offline")
    cluster.acts = False  # the owner has not heard of it yet
    response = await client.delete("/v1/resources/web-server")
    assert (response.status, (await response.json())["wait_for"]) == (200, ["resource web-server deleted"])
    waited = await post(client, "/v1/wait", {"for": "resource web-server deleted", "timeout_ms": 0})
    now = "resource web-server is deleted, and n1 has not given it up yet"
    assert (waited["reached"], waited["conditions"][0]["now"]) == (False, now)
    new = {"name": "Web-Server", "group": "cache", "type": "generic_service", "properties": {"command": ["true"]}}
    found = await post(client, "/v1/resources", new)
    assert (found["http"], found["error"]["rule"]) == (422, "name-free")
    assert "n1 has not given up the deleted Web-Server of group web yet" in found["error"]["message"]
    manifest = {
        "groups": [{"name": "cache", "resources": [{"name": "web-server", "type": "generic_service",
                                                    "properties": {"command": ["true"]}}]}]
    }  # fmt: skip
    found = await apply(client, json.dumps(manifest))
    assert "n1 has not given up the deleted web-server of group web yet" in found["error"]["message"]
    cluster.act()  # the owner says what it has now
    assert (await post(client, "/v1/wait", {"for": "resource web-server deleted"}))["reached"] is True
    assert (await post(client, "/v1/resources", new))["changed"] is True


async def test_what_its_owner_has_not_named_yet_is_not_deleted(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.acts = False
    cluster.write(Draft(cluster.view()).put(service("late", "web", wanted=Wanted.OFFLINE)))
    response = await client.delete("/v1/resources/late")
    told = "late is initializing: its owner has not seen it yet; try again in a moment"
    assert (response.status, told in (await response.json())["error"]["message"]) == (422, True)
    cluster.write(Draft(cluster.view()).delete(keys.report("web")))
    cluster.decide("web", order=Order.RUN)
    response = await client.delete("/v1/resources/late")
    assert "n1 was given the group and has not reported yet" in (await response.json())["error"]["message"]
    cluster.decide("web", order=Order.HOLD)
    assert (await client.delete("/v1/resources/late")).status == 200


async def test_a_deleted_group_is_waited_for_until_it_is_given_up(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await post(client, "/v1/groups/web/offline")
    cluster.acts = False
    assert (await client.delete("/v1/groups/web")).status == 200
    waited = await post(client, "/v1/wait", {"for": "group web deleted", "timeout_ms": 0})
    assert waited["conditions"][0]["now"] == "group web is deleted, and n1 has not given it up yet"
    cluster.lose("n1")
    assert (await post(client, "/v1/wait", {"for": "group web deleted"}))["reached"] is True
