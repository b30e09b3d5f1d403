"""Before a maintenance ends: is it asked whether what would start runs somewhere already, and does nobody hold that up?"""

import json
from collections.abc import Callable

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster

from clusterd.model.errors import ClusterError, UnknownOutcome
from clusterd.model.ids import NodeId
from clusterd.model.states import ResourceState

LEVELS = ["/v1/groups/web/maintenance", "/v1/nodes/n1/maintenance", "/v1/cluster/maintenance"]
Said = Callable[[NodeId, str], str]


async def failed_under(client: TestClient, cluster: PretendCluster, path: str) -> None:
    """Maintenance is in force, and the server fails."""
    await apply(client)
    found = await post(client, path, {"on": True})
    assert (await post(client, "/v1/wait", {"for": found["wait_for"]}))["reached"] is True
    cluster.acts = False
    cluster.report("web", "web-server", state=ResourceState.FAILED, cause="it failed", is_hands_off=True)


def answering(cluster: PretendCluster, said: Said) -> list[tuple[NodeId, str]]:
    """What each node says of each resource; returned is who was asked for what."""
    asked: list[tuple[NodeId, str]] = []

    def answer(node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
        assert (type_name, question) == ("generic_service", "is-there")
        about = json.loads(body)
        assert about["group"] == "web" and about["properties"]["command"][0] == "python3"
        asked.append((node, about["resource"]))
        return said(node, about["resource"]).encode()

    cluster.type_answers = answer
    return asked


@pytest.mark.parametrize("path", LEVELS)
async def test_what_runs_elsewhere_refuses_the_end(client: TestClient, cluster: PretendCluster, path: str) -> None:
    await failed_under(client, cluster, path)
    asked = answering(cluster, lambda node, _: "process 4711 (python3 -m http.server)" if node == "n2" else "")
    refused = await post(client, path, {"on": False})
    assert (refused["http"], refused["error"]["rule"]) == (422, "runs-already")
    assert "web-server runs on n2 already: process 4711 (python3 -m http.server)" in refused["error"]["message"]
    assert refused["error"]["hint"].endswith(" off --no-look")
    assert asked == [(node, "web-server") for node in ("n1", "n2", "n3")], "what is online does not start"
    assert "hands-off" in (await get(client, "/v1/groups/web"))["groups"][0]["status"]
    asked.clear()
    assert (await post(client, path, {"on": False, "look": False}))["changed"] is True
    assert asked == []


async def test_where_nothing_is_it_ends(client: TestClient, cluster: PretendCluster) -> None:
    await failed_under(client, cluster, LEVELS[0])
    answering(cluster, lambda node, _: "")
    found = await post(client, LEVELS[0], {"on": False})
    assert (found["changed"], found["notes"]) == (True, [])


async def test_who_does_not_say_holds_up_nobody(client: TestClient, cluster: PretendCluster) -> None:
    await failed_under(client, cluster, LEVELS[0])

    def said(node: NodeId, _: str) -> str:
        if node == "n1":
            raise UnknownOutcome("n1 did not answer in time")
        if node == "n3":
            raise ClusterError("generic_service has no way to look")
        return ""

    answering(cluster, said)
    found = await post(client, LEVELS[0], {"on": False})
    assert found["changed"] is True
    assert found["notes"] == [
        "whether web-server runs on n1 is not known: n1 did not answer in time",
        "whether web-server runs on n3 is not known: generic_service has no way to look",
    ]


async def test_nobody_is_asked_while_something_wider_goes_on(client: TestClient, cluster: PretendCluster) -> None:
    await failed_under(client, cluster, LEVELS[0])
    await post(client, LEVELS[2], {"on": True})
    asked = answering(cluster, lambda node, _: "it is there")
    assert (await post(client, LEVELS[0], {"on": False}))["changed"] is True
    assert asked == []
    assert (await post(client, LEVELS[2], {"on": False}))["error"]["rule"] == "runs-already"


async def test_of_one_resource_only_that_is_asked(client: TestClient, cluster: PretendCluster) -> None:
    await failed_under(client, cluster, "/v1/resources/web-server/maintenance")
    asked = answering(cluster, lambda node, _: "it is there" if node == "n3" else "")
    assert (await post(client, "/v1/resources/web-data/maintenance", {"on": False}))["http"] == 200
    assert asked == []
    refused = await post(client, "/v1/resources/web-server/maintenance", {"on": False})
    assert "web-server runs on n3 already: it is there" in refused["error"]["message"]


async def test_a_repeated_request_asks_nobody(client: TestClient, cluster: PretendCluster) -> None:
    await failed_under(client, cluster, LEVELS[0])
    asked = answering(cluster, lambda node, _: "")
    headers = {"Request-Id": "the-same"}
    assert (await post(client, LEVELS[0], {"on": False}, headers=headers))["changed"] is True
    asked.clear()
    assert (await post(client, LEVELS[0], {"on": False}, headers=headers))["repeated"] is True
    assert asked == []


async def test_a_switch_that_is_none(client: TestClient) -> None:
    await apply(client)
    assert (await post(client, LEVELS[0], {"on": False, "look": "no"}))["http"] == 400
