"""Does a follower see each event once and in order, also after a reconnect, and is it let go when the daemon stops?"""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientTimeout
from aiohttp.test_utils import TestClient
from pretend_cluster import TOKEN, PretendCluster

from clusterd.api import stream
from clusterd.api.server import ApiServer
from clusterd.api.stream import Streams
from clusterd.database import Draft
from clusterd.database.store import EVENTS_KEPT_MAX
from clusterd.model.records import EventRecord


async def parts(client: TestClient, path: str, **headers: str) -> AsyncIterator[tuple[str, str, dict]]:
    """(id, kind, document) of each part."""
    async with client.get(path, headers=headers, timeout=ClientTimeout(total=20)) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        found: dict[str, str] = {}
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif "data" in found:
                yield found.get("id", ""), found["event"], json.loads(found["data"])
                found = {}
            else:
                found = {}


async def take(
    client: TestClient, path: str, count: int, kind: str = "event", **headers: str
) -> list[tuple[str, dict]]:
    found: list[tuple[str, dict]] = []
    async for number, what, document in parts(client, path, **headers):
        if what == kind:
            found.append((number, document))
        if len(found) == count:
            break
    return found


async def test_each_event_once_in_order_and_live(client: TestClient, cluster: PretendCluster) -> None:
    for number in range(3):
        cluster.event(f"m{number}")
    taking = asyncio.create_task(take(client, "/v1/events?follow=1", 5))
    await asyncio.sleep(0.05)
    cluster.event("m3")
    cluster.event("m4")
    found = await taking
    assert [each["message"] for _, each in found] == ["m0", "m1", "m2", "m3", "m4"]
    assert [number for number, _ in found] == [str(each["sequence"]) for _, each in found]


async def test_a_follower_of_one_node_sees_only_its_events(client: TestClient, cluster: PretendCluster) -> None:
    taking = asyncio.create_task(take(client, "/v1/events?follow=1&node=N3", 2))
    await asyncio.sleep(0.05)
    for number, node in enumerate(("n1", "n3", "n2", "n3")):
        said = EventRecord(1, "test.said", "info", node=node, message=f"m{number}")
        cluster.write(Draft(cluster.view()).event(said))
    assert [each["message"] for _, each in await taking] == ["m1", "m3"]


async def test_a_reconnect_goes_on_after_the_last_one_seen(client: TestClient, cluster: PretendCluster) -> None:
    for number in range(4):
        cluster.event(f"m{number}")
    first = await take(client, "/v1/events?follow=1", 2)
    rest = await take(client, "/v1/events?follow=1", 2, **{"Last-Event-ID": first[-1][0]})
    assert [each["message"] for _, each in first + rest] == ["m0", "m1", "m2", "m3"]


async def test_followers_choose_a_group_and_how_far_back(client: TestClient, cluster: PretendCluster) -> None:
    for number in range(6):
        cluster.event(f"m{number}", group="a" if number % 2 else "b")
    found = await take(client, "/v1/events?follow=1&group=a&last=2", 2)
    assert [each["message"] for _, each in found] == ["m3", "m5"]


async def test_forgotten_events_are_said_to_be_missing(client: TestClient, cluster: PretendCluster) -> None:
    cluster.event("first")
    first = await take(client, "/v1/events?follow=1", 1)
    for number in range(EVENTS_KEPT_MAX + 5):
        cluster.event(f"m{number}")
    found = await take(client, "/v1/events?follow=1", 1, kind="gap", **{"Last-Event-ID": first[0][0]})
    assert found[0][1]["after"] == int(first[0][0])


async def test_the_status_comes_at_once_and_after_each_change(client: TestClient, cluster: PretendCluster) -> None:
    found: list[dict] = []
    async for _, kind, document in parts(client, "/v1/stream"):
        if kind == "status":
            found.append(document)
            if len(found) == 1:
                cluster.add_group("late")
            elif document["groups"]:
                break
    assert found[0]["groups"] == []
    assert found[-1]["groups"][0]["name"] == "late"


@pytest.mark.parametrize("header", ["x", "-1", "1e3", "9" * 30])
async def test_a_bad_place_to_go_on_from_is_refused(client: TestClient, header: str) -> None:
    response = await client.get("/v1/events?follow=1", headers={"Last-Event-ID": header})
    assert response.status == 400


async def test_followers_are_bounded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CLIENTS_MAX", 1)
    async with client.get("/v1/stream") as first:
        assert first.status == 200
        async with client.get("/v1/stream") as second:
            assert second.status == 429
            assert (await second.json())["error"]["code"] == "busy"


async def test_a_client_that_left_is_forgotten(client: TestClient, cluster: PretendCluster) -> None:
    streams: Streams = client.app[next(key for key in client.app if "streams" in str(key))]
    async with client.get("/v1/stream") as response:
        await response.content.readline()
        assert streams._clients == 1
        response.close()
    deadline = asyncio.get_running_loop().time() + 10
    while streams._clients and asyncio.get_running_loop().time() < deadline:
        cluster.event("something")
        await asyncio.sleep(0.01)
    assert streams._clients == 0


async def test_stopping_lets_followers_go_at_once() -> None:
    cluster = PretendCluster()
    server = ApiServer(cluster, token=TOKEN, host="127.0.0.1", tcp_port=0)
    await server.start()
    host, port = server.address
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    assert b"200" in await reader.readline()
    begin = asyncio.get_running_loop().time()
    await server.stop()
    assert asyncio.get_running_loop().time() - begin < 1
    writer.close()


async def test_malformed_requests_do_no_harm() -> None:
    cluster = PretendCluster()
    server = ApiServer(cluster, token=TOKEN, host="127.0.0.1", tcp_port=0)
    await server.start()
    try:
        for garbage in (b"\x00\xff\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(garbage)
            assert b"400" in await asyncio.wait_for(reader.readline(), 5)
            writer.close()
    finally:
        await server.stop()


async def test_the_local_socket_needs_no_token_but_the_right_user(tmp_path) -> None:
    cluster = PretendCluster()
    path = tmp_path / "api.sock"
    server = ApiServer(cluster, token=TOKEN, host="127.0.0.1", tcp_port=0, unix_path=path)
    await server.start()
    try:
        assert path.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /v1/quorum HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200" in await reader.readline()
        writer.close()
    finally:
        await server.stop()
    assert not path.exists()
