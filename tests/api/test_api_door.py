"""Does the door stay shut to strangers, garbage and floods?"""

import io

import pytest
from aiohttp.test_utils import TestClient
from asking import READS, apply, get
from pretend_cluster import MANIFEST, TOKEN, PretendCluster


@pytest.mark.parametrize("path", [*READS, "/v1/export", "/v1/stream", "/v1/nothing", "/v1/events?follow=1"])
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"]
)
async def test_nothing_is_answered_without_the_token(client: TestClient, path: str, header: str | None) -> None:
    headers = {"Authorization": header or "none"}
    response = await client.get(path, headers=headers)
    assert (response.status, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="clusterd"')
    found = await response.json()
    assert found["error"]["code"] == "unauthorized"
    assert TOKEN not in await response.text()


async def test_nothing_is_changed_without_the_token(client: TestClient, cluster: PretendCluster) -> None:
    before = cluster.database.revision
    for path in ("/v1/apply", "/v1/groups", "/v1/groups/web/offline", "/v1/wait"):
        response = await client.post(path, data=MANIFEST, headers={"Authorization": "Bearer x"})
        assert response.status == 401
    assert cluster.database.revision == before


async def test_the_page_needs_no_token_and_may_load_nothing_from_elsewhere(client: TestClient) -> None:
    response = await client.get("/", headers={"Authorization": "none"})
    assert response.status == 200
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_bodies_are_bounded(client: TestClient) -> None:
    found = await apply(client, io.BytesIO(b"#" * 1_200_000))
    assert (found["http"], found["error"]["code"]) == (413, "too-large")
    found = await apply(client, io.BytesIO(b"#" * ((1 << 20) + 1)))
    assert found["error"]["code"] == "bad-input"


@pytest.mark.parametrize(
    ("path", "data", "says"),
    [
        ("/v1/groups", "[", "not JSON"),
        ("/v1/groups", "[" * 100_000, "not JSON"),
        ("/v1/groups", "[1]", "not a JSON object"),
        ("/v1/groups", b"\xff", "not UTF-8"),
        ("/v1/groups", '{"nam": "x"}', "did you mean name?"),
        ("/v1/groups", '{"name": "x", "name": "y"}', "has the key 'name' twice"),
        ("/v1/groups", '{"name": "x", "properties": {"priority": "high", "priority": "low"}}', "'priority' twice"),
        ("/v1/groups", '{"name": 7}', "a name is text"),
        ("/v1/groups", '{"name": "../x"}', "letters, digits"),
        ("/v1/groups", '{"name": "<script>"}', "letters, digits"),
        ("/v1/groups", '{"name": "x", "properties": 3}', "properties is an object"),
        ("/v1/groups", '{"name": "x", "preferred_owners": "n1"}', "list of names"),
        ("/v1/groups", '{"name": "x", "wanted": "maybe"}', "online or offline"),
        ("/v1/groups/web/move", '{"target": 3}', "a name is text"),
        ("/v1/wait", "{}", "'for' is a condition"),
        ("/v1/wait", '{"for": "group web shiny"}', "nothing that can be waited for"),
        ("/v1/wait", '{"for": "cluster healthy", "timeout_ms": -1}', "whole number"),
        ("/v1/groups/web/online?plan=perhaps", "", "plan is 0 or 1"),
        ("/v1/groups/web/online?timeout_ms=x", "", "timeout_ms is a whole number"),
    ],
)
async def test_bad_requests_are_refused_with_a_sentence(
    client: TestClient, cluster: PretendCluster, path: str, data: str | bytes, says: str
) -> None:
    await apply(client)
    before = cluster.database.revision
    response = await client.post(path, data=data)
    found = await response.json()
    assert (response.status, found["error"]["code"]) == (400, "bad-input")
    assert says in found["error"]["message"]
    assert cluster.database.revision == before


async def test_what_does_not_exist_names_the_nearest(client: TestClient) -> None:
    await apply(client)
    found = await get(client, "/v1/groups/wep")
    assert found["http"] == 404
    assert found["error"] == {
        "code": "not-found",
        "message": "there is no group wep",
        "hint": "did you mean web?",
        "retryable": False,
    }
    assert (await get(client, "/v1/nothing"))["error"]["code"] == "not-found"
    assert (await get(client, "/v1/explain/cat/x"))["error"]["code"] == "not-found"
    response = await client.put("/v1/groups/web")
    assert (response.status, response.headers["Allow"]) == (405, "DELETE,GET,HEAD,PATCH")
    response = await client.delete("/v1/status")
    assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")
