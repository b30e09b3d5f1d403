"""Short ways to ask the API under test: each gives the document with its HTTP status as `http`."""

import io

from aiohttp.test_utils import TestClient
from pretend_cluster import MANIFEST


async def apply(client: TestClient, text: str | io.BytesIO = MANIFEST, **query: str) -> dict:
    response = await client.post("/v1/apply", data=text, params=query)
    return {"http": response.status, **await response.json()}


async def get(client: TestClient, path: str, **query: str) -> dict:
    response = await client.get(path, params=query)
    return {"http": response.status, **await response.json()}


async def post(client: TestClient, path: str, body: dict | None = None, **more) -> dict:
    response = await client.post(path, json=body or {}, **more)
    return {"http": response.status, **await response.json()}


READS = [
    "/v1/status",
    "/v1/quorum",
    "/v1/cluster",
    "/v1/nodes",
    "/v1/nodes/n1",
    "/v1/groups",
    "/v1/groups/web",
    "/v1/resources",
    "/v1/resources/web-server",
    "/v1/resource-types",
    "/v1/resource-types/generic_service",
    "/v1/events",
    "/v1/explain/group/web",
    "/v1/explain/resource/web-server",
    "/v1/explain/node/n1",
]
