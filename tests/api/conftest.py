"""A pretended cluster with the API in front of it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pretend_cluster import TOKEN, PretendCluster

from clusterd.api.server import create_app

Client = TestClient  # type: ignore[type-arg]  # pytest only reads the name


@pytest.fixture
def cluster() -> PretendCluster:
    return PretendCluster()


@pytest.fixture
async def client(cluster: PretendCluster) -> AsyncIterator[Client]:
    server = TestServer(create_app(cluster, TOKEN))
    async with TestClient(server, headers={"Authorization": f"Bearer {TOKEN}"}) as found:
        yield found
